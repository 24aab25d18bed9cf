//! Times in PAX records: decimal seconds since 1970 with a fraction.

use image_model::Timestamp;

use super::decimal;

/// Nanoseconds of a second.
pub(crate) const NANOS: u32 = 1_000_000_000;

/// Reads a time as Go does: digits beyond nanoseconds are dropped, and the sign applies to the
/// fraction too.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at(point);
    let whole = decimal(whole)?;
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    // Nine digits fit.
    let nanoseconds = digits.take(9).fold(0u32, |n, digit| {
        n.saturating_mul(10).saturating_add(u32::from(digit & 0xf))
    });
    if text[0] == b'-' && nanoseconds > 0 {
        return Some(Timestamp {
            seconds: whole.checked_sub(1)?,
            nanoseconds: NANOS.saturating_sub(nanoseconds),
        });
    }
    Some(Timestamp {
        seconds: whole,
        nanoseconds,
    })
}

/// Writes a time as Go does: no trailing zeros, no point without a fraction. The fraction must be less than a second.
pub(crate) fn format(time: Timestamp) -> String {
    let Timestamp {
        seconds,
        nanoseconds,
    } = time;
    if nanoseconds == 0 {
        return seconds.to_string();
    }
    // Floored seconds plus a fraction, written as sign and magnitude; `!s` is `-(s + 1)`.
    let text = if seconds < 0 {
        let (whole, fraction) = (!seconds, NANOS.saturating_sub(nanoseconds));
        format!("-{whole}.{fraction:09}")
    } else {
        format!("{seconds}.{nanoseconds:09}")
    };
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let cases: &[(&str, i64, u32)] = &[
            ("0", 0, 0),
            ("1700000000.123456789", 1_700_000_000, 123_456_789),
            ("1.5", 1, 500_000_000),
            ("1.000000001", 1, 1),
            ("-1", -1, 0),
            ("-1.5", -2, 500_000_000),
            ("-0.5", -1, 500_000_000),
            ("-0.000000001", -1, 999_999_999),
            ("9223372036854775807", i64::MAX, 0),
            ("-9223372036854775808", i64::MIN, 0),
        ];
        for &(text, seconds, nanoseconds) in cases {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(parse(text.as_bytes()), Some(time), "{text}");
            assert_eq!(format(time), text);
        }
    }

    #[test]
    fn odd_spellings_are_read() {
        let half = Some(Timestamp {
            seconds: 1,
            nanoseconds: 500_000_000,
        });
        for text in ["+1.5", "01.50", "1.5000000000009"] {
            assert_eq!(parse(text.as_bytes()), half, "{text}");
        }
        assert_eq!(parse(b"7."), Some(Timestamp::from_seconds(7)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            ".5",
            "-",
            "-.5",
            "1e3",
            "1.-5",
            "1.5.5",
            " 1",
            "9223372036854775808",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"-9223372036854775808.5"), None);
    }
}
