//! The feature word of blobs.

use std::ops::BitOr;

use super::error::FlagsError;

/// The feature word of a blob: in the blob tables and in the header of chunk information.
///
/// | bits | feature |
/// |---|---|
/// | `0x1` | uncompressed chunk offsets are multiples of 4096 |
/// | `0x2` | the bootstrap is in the data blob |
/// | `0x4` | chunk information has 24-byte entries |
/// | `0x8` | zran: chunks lie in a gzip stream |
/// | `0x10` | chunk information is in a blob of its own |
/// | `0x20` | an array of chunk digests is present |
/// | `0x40` | tarfs: the data blob is a plain tar |
/// | `0x80` | small chunks are merged into batches |
/// | `0x100` | data and chunk information are encrypted |
/// | `0x200` | entry of a generated chunk dictionary |
/// | `0x400` | prefetch blob made by `optimize` |
/// | `0x800` | from an external backend |
/// | `0x1000_0000` | the data are followed by a tar header |
/// | `0x2000_0000` | the blob ends with a TOC |
/// | `0x4000_0000` | the writer knows tar headers and TOC; all current ones set it |
/// | `0x8000_0000`, `0xf000` | refused |
/// | `0xfff_0000` | unknown; accepted and kept, as nydus does |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BlobFeatures(u32);

impl BlobFeatures {
    /// Uncompressed chunk offsets are multiples of 4096.
    pub const ALIGNED: Self = Self(0x1);
    /// The bootstrap is in the data blob.
    pub const INLINED_FS_META: Self = Self(0x2);
    /// Chunk information has 24-byte entries.
    pub const CHUNK_INFO_V2: Self = Self(0x4);
    /// Chunks lie in a gzip stream.
    pub const ZRAN: Self = Self(0x8);
    /// Chunk information and bootstrap are in a blob of their own.
    pub const SEPARATE: Self = Self(0x10);
    /// An array of chunk digests is present.
    pub const INLINED_CHUNK_DIGEST: Self = Self(0x20);
    /// The data blob is a plain tar.
    pub const TARFS: Self = Self(0x40);
    /// Small chunks are merged into batches.
    pub const BATCH: Self = Self(0x80);
    /// Data and chunk information are encrypted.
    pub const ENCRYPTED: Self = Self(0x100);
    /// Entry of a generated chunk dictionary.
    pub const IS_CHUNKDICT_GENERATED: Self = Self(0x200);
    /// Prefetch blob made by `optimize`.
    pub const IS_SEPARATED_WITH_PREFETCH_FILES: Self = Self(0x400);
    /// From an external backend.
    pub const EXTERNAL: Self = Self(0x800);
    /// The data are followed by a tar header.
    pub const HAS_TAR_HEADER: Self = Self(0x1000_0000);
    /// The blob ends with a TOC.
    pub const HAS_TOC: Self = Self(0x2000_0000);
    /// The writer knows tar headers and TOC.
    pub const CAP_TAR_TOC: Self = Self(0x4000_0000);

    const NAMES: [(Self, &'static str); 15] = [
        (Self::ALIGNED, "ALIGNED"),
        (Self::INLINED_FS_META, "INLINED_FS_META"),
        (Self::CHUNK_INFO_V2, "CHUNK_INFO_V2"),
        (Self::ZRAN, "ZRAN"),
        (Self::SEPARATE, "SEPARATE"),
        (Self::INLINED_CHUNK_DIGEST, "INLINED_CHUNK_DIGEST"),
        (Self::TARFS, "TARFS"),
        (Self::BATCH, "BATCH"),
        (Self::ENCRYPTED, "ENCRYPTED"),
        (Self::IS_CHUNKDICT_GENERATED, "IS_CHUNKDICT_GENERATED"),
        (
            Self::IS_SEPARATED_WITH_PREFETCH_FILES,
            "IS_SEPARATED_WITH_PREFETCH_FILES",
        ),
        (Self::EXTERNAL, "EXTERNAL"),
        (Self::HAS_TAR_HEADER, "HAS_TAR_HEADER"),
        (Self::HAS_TOC, "HAS_TOC"),
        (Self::CAP_TAR_TOC, "CAP_TAR_TOC"),
    ];

    const REFUSED: u32 = 0x8000_f000;

    /// Accepts a word as nydus does.
    ///
    /// # Errors
    /// [`FlagsError::UnknownBlobFeatures`].
    pub fn from_raw(raw: u32) -> Result<Self, FlagsError> {
        match raw & Self::REFUSED {
            0 => Ok(Self(raw)),
            unknown => Err(FlagsError::UnknownBlobFeatures { unknown }),
        }
    }

    /// What is known of a word of version 5, whose unknown bits nydus drops.
    #[must_use]
    pub const fn truncated(raw: u32) -> Self {
        Self(raw & !Self::REFUSED)
    }

    /// What the features are called, in the order of their bits; unknown ones have no name.
    ///
    /// ```
    /// use lazyoci_rafs_format::flags::BlobFeatures;
    /// let features = BlobFeatures::HAS_TOC | BlobFeatures::ALIGNED;
    /// assert!(features.names().eq(["ALIGNED", "HAS_TOC"]));
    /// ```
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = move |(feature, name)| self.contains(feature).then_some(name);
        Self::NAMES.into_iter().filter_map(set)
    }

    /// The word as stored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other`'s bits are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other`'s bits is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The features without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for BlobFeatures {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_feature_has_one_name() {
        let mut named = 0;
        for (feature, _) in BlobFeatures::NAMES {
            assert_eq!(
                (feature.bits().count_ones(), named & feature.bits()),
                (1, 0)
            );
            named |= feature.bits();
        }
        assert_eq!(named, 0x7000_0fff);
    }

    #[test]
    fn blob_features_are_refused_as_nydus_does() {
        assert_eq!(
            BlobFeatures::from_raw(0x4100_0001).unwrap().bits(),
            0x4100_0001
        );
        for (raw, unknown) in [(0x4000_1001, 0x1000), (0xc000_0001, 0x8000_0000)] {
            let error = FlagsError::UnknownBlobFeatures { unknown };
            assert_eq!(BlobFeatures::from_raw(raw), Err(error));
        }
    }
}
