//! The tar member that holds the TOC.

use std::io::Write as _;

use image_model::width::{u64_from, usize_up_to};
use image_model::{ImagePath, Metadata, Node};
use tar_stream::block::BLOCK_LEN;
use tar_stream::{TarWriter, WriteError};

use super::{Listing, ListingError};
use crate::toc::{TOC_NAME, append_json, json_len};

/// Maximum size of a file in a header of one block: 11 octal digits.
const MAX_LEN: u64 = (8 << 30) - 1;

/// The plain bytes of a TOC member, with the document in it. The layout is that of [`toc_member`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TocMember {
    plain: Vec<u8>,
    json_len: usize,
}

impl TocMember {
    /// All of its bytes.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The JSON document.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.plain[BLOCK_LEN..][..self.json_len]
    }
}

impl Listing<'_> {
    /// The document of [`to_json`](Self::to_json), written directly into its member. Readers refuse documents longer
    /// than their [`toc_len`](image_model::Limits::toc_len): pass theirs as `max_len`.
    ///
    /// # Errors
    /// [`ListingError`] for the first thing that cannot be described, or as soon as the document is
    /// longer than `max_len`.
    pub fn to_member(&self, max_len: u64) -> Result<TocMember, ListingError> {
        let limit = max_len.min(MAX_LEN);
        // Generated twice, to avoid two copies in memory while a vector grows.
        let json_len = json_len(usize_up_to(limit), self.entries())?;
        let json_len = json_len.ok_or(ListingError::TooLong { limit })?;
        let mut plain = Vec::with_capacity(json_len.saturating_add(4 * BLOCK_LEN));
        plain.resize(BLOCK_LEN, 0);
        append_json(&mut plain, self.entries())?;
        let header = toc_header(u64_from(json_len)).expect("a block holds the name and the size");
        plain[..BLOCK_LEN].copy_from_slice(&header);
        let whole = plain.len().next_multiple_of(BLOCK_LEN);
        let end = whole.saturating_add(2 * BLOCK_LEN);
        plain.resize(end, 0);
        Ok(TocMember { plain, json_len })
    }
}

/// The plain bytes of the TOC member: the tar member `stargz.index.json` and the end of the tar.
///
/// | offset | size | part |
/// |---|---|---|
/// | 0 | 512 | ustar header: all fields 0 but name, type `0`, size |
/// | 512 | as long as it is | the JSON document |
/// | | up to a multiple of 512 | zeros |
/// | | 1024 | zeros: the end of the archive |
///
/// # Errors
/// The bytes of [`TarWriter`].
pub fn toc_member(json: &[u8]) -> Result<Vec<u8>, WriteError> {
    let mut tar = TarWriter::new(Vec::with_capacity(json.len().saturating_add(4 * BLOCK_LEN)));
    put_header(&mut tar, u64_from(json.len()))?;
    tar.write_all(json)?;
    tar.finish()
}

/// The header of the tar member that holds a document of `json_len` bytes.
///
/// # Errors
/// [`WriteError`] for a document of 8 GiB or more.
pub fn toc_header(json_len: u64) -> Result<Vec<u8>, WriteError> {
    let mut header = Vec::with_capacity(BLOCK_LEN);
    put_header(&mut TarWriter::new(&mut header), json_len)?;
    Ok(header)
}

fn put_header(tar: &mut TarWriter<impl std::io::Write>, size: u64) -> Result<(), WriteError> {
    let path = ImagePath::clean(TOC_NAME.as_bytes()).expect("it is a name");
    tar.append(
        &path,
        &Metadata::default(),
        &Node::File { size, content: () },
    )
}
