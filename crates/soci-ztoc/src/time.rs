//! Times: RFC 3339 with nanoseconds, without zeros at their end.

use image_model::Timestamp;
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// The years 0 to 9999, which RFC 3339 can write, in seconds.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// The text of `time` in UTC; `None` beyond the years 0 to 9999.
pub(crate) fn format(time: Timestamp) -> Option<String> {
    if !YEARS.contains(&time.seconds) {
        return None;
    }
    let since = SignedDuration::from_secs(time.seconds);
    let whole = EPOCH.checked_add(since).ok()?;
    let fraction = format!("{:09}", time.nanoseconds);
    Some(match fraction.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        digits => format!("{whole}.{digits}Z"),
    })
}

/// The time that `text` says, in any zone; `None` if it is none.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (local, east) = split_zone(text)?;
    let (seconds, fraction) = local.split_at_checked(b"0000-00-00T00:00:00".len())?;
    let is_shaped = seconds
        .iter()
        .zip(b"0000-00-00T00:00:00")
        .all(|(found, expected)| match expected {
            b'0' => found.is_ascii_digit(),
            _ => found == expected,
        });
    let is_fraction = match fraction {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // jiff reads a 60th second as the 59th.
    if !is_shaped || !is_fraction || seconds.ends_with(b"60") {
        return None;
    }
    let local: DateTime = str::from_utf8(local).ok()?.parse().ok()?;
    let nanoseconds = local.duration_since(EPOCH).checked_sub(east)?.as_nanos();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    Some(Timestamp {
        seconds,
        nanoseconds,
    })
}

/// The time without its zone, and how far that is east of Greenwich.
fn split_zone(text: &[u8]) -> Option<(&[u8], SignedDuration)> {
    if let Some(local) = text.strip_suffix(b"Z") {
        return Some((local, SignedDuration::ZERO));
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let &[sign, h1, h0, b':', m1, m0] = zone else {
        return None;
    };
    let number = |high: u8, low: u8, limit: i64| {
        let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte & 0xf));
        let number = digit(high)?.saturating_mul(10).saturating_add(digit(low)?);
        (number < limit).then_some(number)
    };
    let minutes = number(h1, h0, 24)?
        .saturating_mul(60)
        .saturating_add(number(m1, m0, 60)?);
    match sign {
        b'+' => Some((local, SignedDuration::from_mins(minutes))),
        b'-' => Some((local, SignedDuration::from_mins(minutes.saturating_neg()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_both_ways() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.5Z"),
            (1_700_000_000, 1, "2023-11-14T22:13:20.000000001Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(format(time).as_deref(), Some(text));
            assert_eq!(parse(text.as_bytes()), Some(time), "{text}");
        }
        for seconds in [-62_167_219_201, 253_402_300_800, i64::MIN, i64::MAX] {
            assert_eq!(format(Timestamp::from_seconds(seconds)), None);
        }
    }

    #[test]
    fn zones_are_applied() {
        for (text, seconds) in [
            ("1970-01-01T09:00:00+09:00", 0),
            ("1970-01-01T00:00:00-01:30", 5_400),
        ] {
            assert_eq!(
                parse(text.as_bytes()),
                Some(Timestamp::from_seconds(seconds))
            );
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "Z",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0a:00",
            "1970-13-01T00:00:00Z",
            "\u{e9}970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
