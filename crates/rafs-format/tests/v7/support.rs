//! A blob that nydus-core made, and others made of it.

use bytes::Bytes;
use image_model::{Limits, Need, StepMachine};
use lazyoci_rafs_format::v7::{Footer, Groups, OpenedBlob, Opener, V7Error};

/// Compressed by zstd, in chunks and groups of 8192 bytes.
pub(crate) fn golden() -> Vec<u8> {
    include_bytes!("../goldens/v7-zstd.blob").to_vec()
}

pub(crate) fn footer_of(blob: &[u8]) -> Result<Footer, V7Error> {
    Footer::read(blob.last_chunk().unwrap(), blob.len() as u64)
}

/// Writes the CRC-32C of `bytes` into those at 16.
fn seal(bytes: &mut [u8]) {
    bytes[16..20].fill(0);
    let crc = verify::crc32c(bytes);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
}

/// The blob whose footer `edit` changed, with the right checksum.
pub(crate) fn with_footer(edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut blob = golden();
    let start = blob.len() - Footer::LEN;
    let footer = &mut blob[start..];
    edit(footer);
    seal(footer);
    blob
}

/// The golden's metadata, which `edit` changed, with the right checksum.
pub(crate) fn metadata(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let blob = golden();
    let range = footer_of(&blob).unwrap().metadata;
    let mut metadata = blob[range.start as usize..range.end as usize].to_vec();
    edit(&mut metadata);
    seal(&mut metadata);
    metadata
}

pub(crate) fn decode(metadata: Vec<u8>, limits: &Limits) -> Result<Groups, V7Error> {
    let data = footer_of(&golden()).unwrap().data;
    Groups::decode(metadata.into(), data, limits)
}

/// What it is read as, with what was asked for.
pub(crate) fn opened(blob: Vec<u8>, opener: Opener) -> (Result<OpenedBlob, V7Error>, Vec<Need>) {
    let blob = Bytes::from(blob);
    let mut needs = Vec::new();
    let opened = opener.drive(|need| {
        needs.push(need.clone());
        Ok(blob.slice(need.range.start as usize..need.range.end as usize))
    });
    (opened, needs)
}

/// The same of a whole blob.
pub(crate) fn open(blob: Vec<u8>) -> Result<OpenedBlob, V7Error> {
    let opener = Opener::blob(blob.len() as u64, &Limits::default());
    opened(blob, opener).0
}
