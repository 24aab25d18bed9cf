//! The `modtime` field: RFC 3339 in UTC, whole seconds.

use image_model::Timestamp;
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// 0001-01-01T00:00:00Z, Go's zero time, which it leaves out.
pub(crate) const YEAR_1: i64 = -62_135_596_800;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const END_OF_9999: i64 = 253_402_300_799;

/// Parses `text`; an empty one is the epoch. Fractions are kept, zones are applied. `None` if it is not an RFC 3339
/// time, or outside the years 1 to 9999 (Go writes five digits for later years, which it cannot read back). The
/// reference reader then shows the year 1; this one refuses what cannot be the file's time.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Some(Timestamp::EPOCH);
    }
    let (local, east) = split_zone(text)?;
    // jiff accepts more: other separators, lower-case letters, the 60th second.
    let shape = b"0000-00-00T00:00:00";
    let (seconds, fraction) = local.as_bytes().split_at_checked(shape.len())?;
    let fits = |(&found, &expected): (&u8, &u8)| match expected {
        b'0' => found.is_ascii_digit(),
        _ => found == expected,
    };
    let fraction_fits = match fraction {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !fraction_fits || !seconds.iter().zip(shape).all(fits) || seconds.ends_with(b"60") {
        return None;
    }
    let local: DateTime = local.parse().ok()?;
    let since_epoch = local.duration_since(EPOCH).checked_sub(east)?;
    let nanoseconds = since_epoch.as_nanos();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    (YEAR_1..=END_OF_9999)
        .contains(&seconds)
        .then_some(Timestamp {
            seconds,
            nanoseconds,
        })
}

/// The time without its zone, and how far that is east of Greenwich.
fn split_zone(text: &str) -> Option<(&str, SignedDuration)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, SignedDuration::ZERO));
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let &[sign, h1, h0, b':', m1, m0] = zone.as_bytes() else {
        return None;
    };
    let number = |digits: [u8; 2]| {
        let digits = str::from_utf8(&digits).ok()?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| all)
    };
    let hours = number([h1, h0]).filter(|hours| *hours < 24)?;
    let minutes = number([m1, m0]).filter(|minutes| *minutes < 60)?;
    let offset = SignedDuration::from_hours(hours);
    let offset = offset.checked_add(SignedDuration::from_mins(minutes))?;
    match sign {
        b'+' => Some((local, offset)),
        b'-' => Some((local, offset.checked_neg()?)),
        _ => None,
    }
}

/// The field for `seconds` since 1970; empty for 0, which omits it. The reference writer rounds
/// fractions half up; here times are floored to whole seconds first, so that a file's time is that
/// of the tar's own `mtime` field.
///
/// `None` beyond the years 1 to 9999, which RFC 3339 cannot write.
#[must_use]
pub fn format(seconds: i64) -> Option<String> {
    if nearest(seconds) != seconds {
        return None;
    }
    if seconds == 0 {
        return Some(String::new());
    }
    let time = EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    Some(format!("{time}Z"))
}

/// The field of a TOC of containers/storage for `time`: with its nanoseconds, without trailing zeros, and written out
/// also for 0. The reference writer uses its local zone; this one UTC.
///
/// `None` beyond the years 1 to 9999, which RFC 3339 cannot write, and for the first second of the year 1, which is no
/// time in Go.
#[must_use]
pub fn format_exact(time: Timestamp) -> Option<String> {
    let Timestamp {
        seconds,
        nanoseconds,
    } = time;
    if nearest(seconds) != seconds {
        return None;
    }
    let since = SignedDuration::from_secs(seconds);
    let whole = EPOCH.checked_add(since).ok()?;
    let fraction = format!("{nanoseconds:09}");
    Some(match fraction.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        digits => format!("{whole}.{digits}Z"),
    })
}

/// The time nearest to `seconds` that can be written.
#[must_use]
pub fn nearest(seconds: i64) -> i64 {
    seconds.clamp(YEAR_1 + 1, END_OF_9999)
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
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_135_596_799, "0001-01-01T00:00:01Z"),
        ] {
            assert_eq!(format(seconds).as_deref(), Some(text));
            assert_eq!(parse(text), Some(Timestamp::from_seconds(seconds)));
        }
        assert_eq!(format(-62_135_596_800), None);
        assert_eq!(format(253_402_300_800), None);
        assert_eq!(format(i64::MAX), None);
    }

    #[test]
    fn exact_times_both_ways() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_600_000_000, 500_000_000, "2020-09-13T12:26:40.5Z"),
            (1_600_000_000, 1, "2020-09-13T12:26:40.000000001Z"),
            (-1, 999_999_990, "1969-12-31T23:59:59.99999999Z"),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(format_exact(time).as_deref(), Some(text));
            assert_eq!(parse(text), Some(time));
        }
        assert_eq!(format_exact(Timestamp::from_seconds(YEAR_1)), None);
        assert_eq!(format_exact(Timestamp::from_seconds(i64::MAX)), None);
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
        for text in [
            "yesterday",
            "2020-09-13 12:26:40Z",
            "2020-09-13t12:26:40z",
            "2020-09-13T12:26:40",
            "2020-09-13T12:26Z",
            "2020-09-13T12:26:40Z[UTC]",
            "2020-02-30T12:26:40Z",
            "0000-12-31T23:59:59Z",
            "20200913T122640Z",
            "2020-09-13T12:26:40é",
            "2020-09-13T12:26:60Z",
            "2020-09-13T12:26:40.Z",
            "2020-09-13T12:26:40,5Z",
            "2020-09-13T12:26:40+24:00",
            "2020-09-13T12:26:40+0100",
            "0001-01-01T00:00:00+00:01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(
            parse("0001-01-01T00:00:00Z").map(|t| t.seconds),
            Some(YEAR_1)
        );
    }
}
