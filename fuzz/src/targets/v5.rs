//! What the targets of RAFS v5 share.

use lazyoci::model::Limits;
use lazyoci::rafs_format::v5::{Bootstrap, EncodeError, Layout, LayoutInput, LayoutOptions};
use lazyoci::rafs_format::v6::BlobEntry;
use lazyoci::rafs_format::{DecodeError, OwnedBootstrap};

/// Opens a bootstrap with small limits.
pub(super) fn open(bytes: &[u8]) -> Result<Bootstrap, DecodeError> {
    Bootstrap::open(bytes.to_vec().into(), &Limits::small())
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
