//! The spans of a layer that is not compressed.

use bytes::Bytes;

use crate::error::ZtocError;
use crate::flatbuffer::{Builder, Table};

/// The spans of a layer that is not compressed: each begins where the one before ends, and all but the last have the
/// same length. A FlatBuffers table, which a zTOC holds as bytes:
///
/// | field | type | what |
/// |---|---|---|
/// | 0 | i32 | version, 2 |
/// | 1 | i64 | length of a span |
/// | 2 | i64 | length of the layer |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarZinfo {
    span_size: i64,
    len: i64,
}

impl TarZinfo {
    pub(crate) const VERSION: i32 = 2;

    /// Spans of `span_size` bytes of a layer of `len` bytes; `None` if either is 0 or beyond 2^63.
    #[must_use]
    pub fn new(span_size: u64, len: u64) -> Option<Self> {
        let positive = |number| i64::try_from(number).ok().filter(|number| *number > 0);
        Some(Self {
            span_size: positive(span_size)?,
            len: positive(len)?,
        })
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, ZtocError> {
        let table = Table::root(bytes, "TarZinfo")?;
        let version = table.i32(0)?;
        if version != Self::VERSION {
            let found = version.to_string().into_bytes().into();
            return Err(ZtocError::Version { found });
        }
        let (span_size, len) = (table.i64(1)?, table.i64(2)?);
        let made = u64::try_from(span_size).ok().zip(u64::try_from(len).ok());
        let made = made.and_then(|(span_size, len)| Self::new(span_size, len));
        made.ok_or(ZtocError::TarZinfo { span_size, len })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut builder = Builder::new();
        builder.begin(3);
        builder.i32(0, Self::VERSION);
        builder.i64(1, self.span_size);
        builder.i64(2, self.len);
        let root = builder.finish_table();
        builder.finish(root)
    }

    /// Length of a span.
    #[must_use]
    pub fn span_size(&self) -> u64 {
        self.span_size.unsigned_abs()
    }

    /// Length of the layer.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len.unsigned_abs()
    }

    /// Never: a layer has a byte at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of spans.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.len().div_ceil(self.span_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What soci 0.4.1 stores for spans of 65,536 bytes of a layer of 614,400 bytes.
    const SEEN: &str = "140000000000000000000a001c0018000c0004000a000000\
                        006009000000000000000100000000000000000002000000";

    #[test]
    fn bytes_are_those_of_soci() {
        let zinfo = TarZinfo::new(65_536, 614_400).expect("lengths");
        let bytes = zinfo.encode();
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        assert_eq!(hex.collect::<String>(), SEEN);
        assert_eq!(TarZinfo::decode(&bytes.into()), Ok(zinfo));
        assert_eq!(zinfo.count(), 10);
        assert_eq!(
            TarZinfo::new(65_536, 65_536).map(|zinfo| zinfo.count()),
            Some(1)
        );
    }

    #[test]
    fn lengths_are_positive() {
        assert_eq!(TarZinfo::new(0, 5), None);
        assert_eq!(TarZinfo::new(5, 0), None);
        assert_eq!(TarZinfo::new(5, u64::MAX), None);
        for (span_size, len) in [(0, 5), (5, 0), (-1, 5), (5, -1)] {
            let bytes = TarZinfo { span_size, len }.encode();
            let error = TarZinfo::decode(&bytes.into());
            assert_eq!(error, Err(ZtocError::TarZinfo { span_size, len }));
        }
    }

    #[test]
    fn other_versions_are_refused() {
        let zinfo = TarZinfo::new(65_536, 614_400).expect("lengths");
        let mut bytes = zinfo.encode();
        let at = bytes.len() - 4;
        assert_eq!(bytes[at..], 2_i32.to_le_bytes());
        for version in [0, 1, 3, -2_i32] {
            bytes[at..].copy_from_slice(&version.to_le_bytes());
            let found = version.to_string().into_bytes().into();
            let error = TarZinfo::decode(&bytes.clone().into());
            assert_eq!(error, Err(ZtocError::Version { found }));
        }
    }
}
