//! The `modtime` field: RFC 3339 in UTC, whole seconds.

use image_model::Timestamp;
use jiff::Timestamp as Instant;

/// Parses `text`; an empty one is the epoch. Fractions are kept, zones are applied.
///
/// `None` if it is no RFC 3339 time: the reference reader then shows the year 1, this one refuses.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Some(Timestamp::EPOCH);
    }
    let instant: Instant = text.parse().ok()?;
    let nanoseconds = instant.as_nanosecond();
    Some(Timestamp {
        seconds: i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?,
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?,
    })
}

/// The field for `seconds` since 1970; empty, which leaves it out, for 0.
///
/// The reference writer rounds fractions half up; this one is given whole seconds and floors
/// before that, so that a file's time is that of the tar's own `mtime` field.
///
/// `None` beyond the years 1 to 9999, which RFC 3339 cannot write.
#[must_use]
pub fn format(seconds: i64) -> Option<String> {
    /// 0001-01-01T00:00:00Z, Go's zero time, which it leaves out.
    const YEAR_1: i64 = -62_135_596_800;
    match seconds {
        0 => Some(String::new()),
        ..=YEAR_1 => None,
        _ => Instant::from_second(seconds).ok().map(|t| t.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_both_ways() {
        for (seconds, text) in [
            (0, ""),
            (1_600_000_000, "2020-09-13T12:26:40Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (-62_135_596_799, "0001-01-01T00:00:01Z"),
        ] {
            assert_eq!(format(seconds).as_deref(), Some(text));
            assert_eq!(parse(text), Some(Timestamp::from_seconds(seconds)));
        }
        assert_eq!(format(-62_135_596_800), None);
        assert_eq!(format(i64::MAX), None);
    }

    #[test]
    fn fractions_and_zones_are_read() {
        assert_eq!(
            parse("1969-12-31T23:59:59.5+01:00"),
            Some(Timestamp {
                seconds: -3601,
                nanoseconds: 500_000_000
            })
        );
        assert_eq!(parse("yesterday"), None);
    }
}
