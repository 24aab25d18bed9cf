//! Ranges in response headers.

/// A `Content-Range` header.
///
/// | text | means |
/// |---|---|
/// | `bytes 0-9/100` | the first ten bytes of a hundred |
/// | `bytes 0-9/*` | the first ten bytes of an unknown length |
/// | `bytes */100` | no bytes: the response to a range out of bounds |
///
/// Source: RFC 9110, 14.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First and last byte.
    pub(super) bytes: Option<(u64, u64)>,
    /// Length of the whole.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Parses a header; `None` if it is malformed or contradicts itself.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (unit, rest) = header.trim().split_once(' ')?;
        let (bytes, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        let bytes = match bytes {
            "*" => None,
            bytes => {
                let (first, last) = bytes.split_once('-')?;
                Some((number(first)?, number(last)?))
            }
        };
        let fits = match bytes {
            Some((first, last)) => first <= last && total.is_none_or(|total| last < total),
            None => total.is_some(),
        };
        fits.then_some(Self { bytes, total })
    }
}

/// The last byte that an upload session has, by its `Range` header: `0-9`, also with `bytes=`.
pub(super) fn uploaded(header: &str) -> Option<u64> {
    let range = header.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    number(last).filter(|_| first == "0")
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::{ContentRange, uploaded};

    #[test]
    fn headers_are_read_or_refused() {
        let range = |bytes, total| Some(ContentRange { bytes, total });
        for (header, expected) in [
            ("bytes 0-9/100", range(Some((0, 9)), Some(100))),
            ("Bytes 5-5/*", range(Some((5, 5)), None)),
            ("bytes */7", range(None, Some(7))),
            ("bytes */*", None),
            ("bytes 9-0/100", None),
            ("bytes 0-100/100", None),
            ("bytes +0-9/100", None),
            ("bytes 0-9", None),
            ("items 0-9/100", None),
            ("bytes 0-99999999999999999999/*", None),
        ] {
            assert_eq!(ContentRange::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn sessions_say_how_far_they_are() {
        assert_eq!(uploaded("0-41"), Some(41));
        assert_eq!(uploaded("bytes=0-0"), Some(0));
        for header in ["", "1-41", "0-", "0--1"] {
            assert_eq!(uploaded(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in "(bytes|[0-9*/ -]|\\PC){0,40}") {
            if let Some(range) = ContentRange::parse(&header) {
                prop_assert!(range.bytes.is_none_or(|(first, last)| first <= last));
                prop_assert!(range.bytes.is_some() || range.total.is_some());
            }
            let _ = uploaded(&header);
        }

        #[test]
        fn ranges_within_a_length_are_read(first: u64, len: u32, behind: u32) {
            let last = first.saturating_add(len.into());
            let total = last.checked_add(u64::from(behind)).and_then(|end| end.checked_add(1));
            let text = total.map_or("*".into(), |total| total.to_string());
            let range = ContentRange { bytes: Some((first, last)), total };
            prop_assert_eq!(ContentRange::parse(&format!("bytes {first}-{last}/{text}")), Some(range));
        }
    }
}
