//! The footer of a blob.

use std::ops::Range;

use image_model::width::u64_from;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::BLOCK;
use super::error::{At, V7Error};

#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawFooter {
    magic: [u8; 8],
    feature_compat: U32,
    feature_incompat: U32,
    crc32: U32,
    bootstrap_crc32: U32,
    data_offset: U64,
    data_size: U64,
    bootstrap_offset: U64,
    bootstrap_size: U64,
    bootstrap_compressed_size: U64,
    metadata_offset: U64,
    metadata_size: U64,
    reserved: [u8; 4016],
}

const _: () = assert!(size_of::<RawFooter>() == Footer::LEN);
const _: () = assert!(std::mem::offset_of!(RawFooter, crc32) == CRC32.start);

/// The checksum in the footer.
const CRC32: Range<usize> = 16..20;

/// The bootstrap is a zstd frame.
const BOOTSTRAP_ZSTD: u32 = 1;
/// The data are a device as the kernel reads it; there are no blob metadata.
const RAW_DEVICE: u32 = 2;

/// The footer, the last 4096 bytes of a blob: where its parts are.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 8 | magic | `NDFOOTER` |
/// | 8 | 4 | feature_compat | features that readers need not know |
/// | 12 | 4 | feature_incompat | 1: the bootstrap is a zstd frame; 2: the data are a raw device; others are refused |
/// | 16 | 4 | crc32 | CRC-32C of the 4096 bytes, with 0 for this field |
/// | 20 | 4 | bootstrap_crc32 | CRC-32C of the bootstrap as stored, with its padding; 0 without one |
/// | 24 | 8 | data_offset | first byte of the data, a multiple of 4096 |
/// | 32 | 8 | data_size | their bytes |
/// | 40 | 8 | bootstrap_offset | a multiple of 4096 after the data |
/// | 48 | 8 | bootstrap_size | a multiple of 4096; 0: the blob has no bootstrap |
/// | 56 | 8 | bootstrap_compressed_size | bytes of the zstd frame, which zeros follow; 0 if there is none |
/// | 64 | 8 | metadata_offset | a multiple of 4096 after the bootstrap |
/// | 72 | 8 | metadata_size | a multiple of 4096; 0 for a raw device, and for nothing else |
/// | 80 | 4016 | reserved | 0, not read |
///
/// Source: the crate nydus-format 3.0.0-beta.2, `blob/footer.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footer {
    /// Features that readers need not know.
    pub feature_compat: u32,
    /// Features that readers must know.
    pub feature_incompat: u32,
    /// CRC-32C of the bootstrap as stored.
    pub bootstrap_crc32: u32,
    /// Where the data are.
    pub data: Range<u64>,
    /// Where the bootstrap is, with its padding; empty if there is none.
    pub bootstrap: Range<u64>,
    /// Bytes of the bootstrap's zstd frame; `None` if it is stored as it is.
    pub bootstrap_frame_len: Option<u64>,
    /// Where the blob metadata are; empty for a raw device.
    pub metadata: Range<u64>,
    /// Where the footer is.
    pub offset: u64,
}

impl Footer {
    /// Length of the footer in bytes.
    pub const LEN: usize = 4096;
    /// Its first bytes.
    pub const MAGIC: [u8; 8] = *b"NDFOOTER";

    /// Whether a file whose last bytes are `tail` seems to end with a footer.
    #[must_use]
    pub fn is_in(tail: &[u8]) -> bool {
        let footer = tail.last_chunk::<{ Self::LEN }>();
        footer.is_some_and(|footer| footer.starts_with(&Self::MAGIC))
    }

    /// Reads the footer of a blob of `blob_len` bytes.
    ///
    /// # Errors
    /// [`V7Error`] if its magic, checksum or features are wrong, or the parts of the blob are not in their order.
    pub fn read(bytes: &[u8; Self::LEN], blob_len: u64) -> Result<Self, V7Error> {
        let offset = blob_len.saturating_sub(u64_from(Self::LEN));
        let at = At::new("footer", offset);
        let raw: &RawFooter = zerocopy::transmute_ref!(bytes);
        let magic = u64::from_le_bytes(raw.magic);
        at.require(raw.magic == Self::MAGIC, "magic", magic, "`NDFOOTER`")?;
        let mut unsealed = *bytes;
        unsealed[CRC32].fill(0);
        let (expected, found) = (verify::crc32c(&unsealed), raw.crc32.get());
        if expected != found {
            let structure = "footer";
            return Err(V7Error::Checksum {
                structure,
                expected,
                found,
            });
        }
        let features = raw.feature_incompat.get();
        if features & !(BOOTSTRAP_ZSTD | RAW_DEVICE) != 0 {
            return Err(at.unsupported("features that are not known"));
        }
        let part = |field, start: U64, len: U64| {
            let end = start.get().checked_add(len.get());
            let end =
                end.ok_or_else(|| at.wrong(field, len, "such that the part ends in the blob"))?;
            Ok::<_, V7Error>(start.get()..end)
        };
        let footer = Self {
            feature_compat: raw.feature_compat.get(),
            feature_incompat: features,
            bootstrap_crc32: raw.bootstrap_crc32.get(),
            data: part("data_size", raw.data_offset, raw.data_size)?,
            bootstrap: part("bootstrap_size", raw.bootstrap_offset, raw.bootstrap_size)?,
            bootstrap_frame_len: (features & BOOTSTRAP_ZSTD != 0)
                .then(|| raw.bootstrap_compressed_size.get()),
            metadata: part("metadata_size", raw.metadata_offset, raw.metadata_size)?,
            offset,
        };
        footer.check(at, raw)?;
        Ok(footer)
    }

    fn check(&self, at: At, raw: &RawFooter) -> Result<(), V7Error> {
        let rule = "a multiple of 4096";
        for (field, value) in [
            ("data_offset", raw.data_offset),
            ("bootstrap_offset", raw.bootstrap_offset),
            ("bootstrap_size", raw.bootstrap_size),
            ("metadata_offset", raw.metadata_offset),
            ("metadata_size", raw.metadata_size),
            ("offset", self.offset.into()),
        ] {
            at.require(
                value.get() & BLOCK.saturating_sub(1) == 0,
                field,
                value,
                rule,
            )?;
        }
        let (raw_device, metadata) = (self.is_raw_device(), &self.metadata);
        let rule = "0 for a raw device, and for nothing else";
        let fits = raw_device == metadata.is_empty();
        at.require(fits, "metadata_size", raw.metadata_size, rule)?;
        let rule = "more than 0 for a raw device";
        let fits = !raw_device || self.has_bootstrap();
        at.require(fits, "bootstrap_size", raw.bootstrap_size, rule)?;
        let frame = raw.bootstrap_compressed_size.get();
        let fits = match self.bootstrap_frame_len {
            Some(frame) => (1..=raw.bootstrap_size.get()).contains(&frame),
            None => frame == 0,
        };
        let rule = "bytes of the bootstrap if that is compressed, else 0";
        at.require(fits, "bootstrap_compressed_size", frame, rule)?;
        let fits = self.has_bootstrap() || self.bootstrap_crc32 == 0;
        let rule = "0 without a bootstrap";
        at.require(fits, "bootstrap_crc32", self.bootstrap_crc32, rule)?;
        let (data, bootstrap) = (&self.data, &self.bootstrap);
        let rule = "after the data";
        let fits = data.end <= bootstrap.start;
        at.require(fits, "bootstrap_offset", bootstrap.start, rule)?;
        let rule = "after the bootstrap";
        let fits = bootstrap.end <= metadata.start;
        at.require(fits, "metadata_offset", metadata.start, rule)?;
        let rule = "such that the blob metadata end before the footer";
        let fits = metadata.end <= self.offset;
        at.require(fits, "metadata_size", raw.metadata_size, rule)
    }

    /// Whether the data are a device as the kernel reads it.
    #[must_use]
    pub const fn is_raw_device(&self) -> bool {
        self.feature_incompat & RAW_DEVICE != 0
    }

    /// Whether the blob holds a bootstrap.
    #[must_use]
    pub fn has_bootstrap(&self) -> bool {
        !self.bootstrap.is_empty()
    }

    /// Bytes between the parts of the blob, which mean nothing.
    pub fn gaps(&self) -> impl Iterator<Item = Range<u64>> {
        let gaps = [
            0..self.data.start,
            self.data.end..self.bootstrap.start,
            self.bootstrap.end..self.metadata.start,
            self.metadata.end..self.offset,
        ];
        gaps.into_iter().filter(|gap| !gap.is_empty())
    }
}
