//! Where the bytes of files are in a source.

/// Where a file's bytes are in a source: data regions in file order, with holes between them.
///
/// A plain file is one region; only sparse files have more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(Vec<Span>);

/// A data region of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte in the file.
    pub file_offset: u64,
    /// First byte in the source.
    pub source_offset: u64,
    /// Length in bytes; not 0.
    pub len: u64,
}

impl Spans {
    /// The whole content in one piece: `len` bytes from `source_offset`.
    #[must_use]
    pub fn contiguous(source_offset: u64, len: u64) -> Self {
        let span = Span {
            file_offset: 0,
            source_offset,
            len,
        };
        Self(if len == 0 { Vec::new() } else { vec![span] })
    }

    /// Data regions in file order that do not overlap; regions of length 0 are dropped. `None` if
    /// they overlap, are out of order, or end beyond `u64`.
    #[must_use]
    pub fn sparse(spans: impl IntoIterator<Item = Span>) -> Option<Self> {
        let mut list: Vec<Span> = Vec::new();
        let mut end = 0u64;
        for span in spans {
            if span.file_offset < end {
                return None;
            }
            end = span.file_offset.checked_add(span.len)?;
            span.source_offset.checked_add(span.len)?;
            if span.len > 0 {
                list.push(span);
            }
        }
        Some(Self(list))
    }

    /// The data regions in file order.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_must_not_overlap() {
        let span = |file_offset, len| Span {
            file_offset,
            source_offset: 0,
            len,
        };
        assert_eq!(
            Spans::sparse([span(0, 4), span(8, 0), span(8, 2)]).map(|s| s.as_slice().len()),
            Some(2)
        );
        assert_eq!(Spans::sparse([span(0, 4), span(3, 2)]), None);
        assert_eq!(Spans::sparse([span(u64::MAX, 2)]), None);
    }
}
