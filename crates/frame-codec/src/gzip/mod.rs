//! gzip members (RFC 1952): a header, a deflate stream, CRC-32 and length of the plain bytes.
//!
//! Headers are ours on both sides: written without anything that depends on time or host, and read
//! with all their optional fields.

mod compress;
mod decompress;
mod header;
#[cfg(feature = "libdeflate")]
mod libdeflate;
mod member_writer;
mod resume;

pub(crate) use compress::Compressor;
pub(crate) use decompress::Decompressor;
#[cfg(feature = "libdeflate")]
pub(crate) use libdeflate::LibdeflateCompressor;
pub(crate) use member_writer::MemberWriter;

/// Bytes of a member's trailer: CRC-32, then the length modulo 2^32, both little-endian.
const TRAILER_LEN: usize = 8;

fn trailer(crc: u32, plain: &[u8]) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[..4].copy_from_slice(&crc.to_le_bytes());
    trailer[4..].copy_from_slice(&isize_of(plain).to_le_bytes());
    trailer
}

/// The ISIZE field for a member that holds `plain`.
fn isize_of(plain: &[u8]) -> u32 {
    (plain.len() as u64 & u64::from(u32::MAX)) as u32
}
