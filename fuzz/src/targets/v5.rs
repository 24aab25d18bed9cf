//! What the targets of RAFS v5 share.

use lazyoci::model::Limits;
use lazyoci::rafs_format::flags::{Compat, SuperFlags};
use lazyoci::rafs_format::v5::{Bootstrap, EncodeError, Layout, LayoutInput, LayoutOptions};
use lazyoci::rafs_format::v6::BlobEntry;
use lazyoci::rafs_format::{DecodeError, OwnedBootstrap};

/// Opens a bootstrap with small limits.
pub(super) fn open(bytes: &[u8]) -> Result<Bootstrap, DecodeError> {
    Bootstrap::open(bytes.to_vec().into(), &Limits::small())
}

/// The options with which a bootstrap may have been written.
pub(super) fn options_of(bootstrap: &Bootstrap) -> LayoutOptions {
    let superblock = bootstrap.superblock();
    LayoutOptions::default()
        .compat(Compat::V2_4)
        .chunk_size(superblock.chunk_size)
        .compressor(superblock.flags.compressor())
        .digester(superblock.flags.digester())
        .explicit_ids(superblock.flags.contains(SuperFlags::EXPLICIT_UID_GID))
}

/// The bytes of a bootstrap.
pub(super) fn encode(
    bootstrap: &OwnedBootstrap,
    entries: &[BlobEntry],
    options: &LayoutOptions,
) -> Result<Vec<u8>, EncodeError> {
    let OwnedBootstrap { image, places } = bootstrap;
    let input = LayoutInput {
        image,
        places,
        entries,
    };
    let layout = Layout::plan(input, options)?;
    let mut bytes = Vec::new();
    layout
        .write_to(&mut bytes)
        .expect("a vector takes all bytes");
    assert_eq!(bytes.len() as u64, layout.len());
    Ok(bytes)
}
