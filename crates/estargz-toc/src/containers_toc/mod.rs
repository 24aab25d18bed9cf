//! The table of contents of zstd:chunked as containers/storage writes it (podman, buildah, skopeo): one JSON document
//! that describes every file and chunk of the layer. Its fields are almost those of [`toc`](crate::toc), but it names
//! the end of a file's frames, marks runs of zeros, and refers to a tar-split.

mod decode;
mod encode;
mod entry;

use std::borrow::Cow;

use image_model::Limits;

pub use decode::for_each_entry;

pub use encode::to_json;
pub use entry::{ContainersEntry, ZEROS};

use crate::error::TocError;

/// Most bytes of a TOC, and of a tar-split, compressed or not: what the reference reader accepts.
pub const MAX_LEN: u64 = 150 << 20;

/// What the document says beside its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TocHeader<'a> {
    /// 1 in all TOCs so far; readers ignore it.
    pub version: i64,
    /// SHA-256 of the compressed tar-split, as text; empty if there is none that could be trusted.
    pub tar_split_digest: Cow<'a, str>,
}

/// The parsed document. Strings borrow from it if they contain no escapes.
///
/// ```
/// use lazyoci_estargz_toc::containers_toc::ContainersToc;
/// use lazyoci_estargz_toc::toc::EntryType;
/// let json = br#"{"version":1,"entries":[{"type":"dir","name":"bin/","mode":493}]}"#;
/// let toc = ContainersToc::from_json(json, &Default::default())?;
/// assert_eq!((&toc.entries[0].kind, toc.entries[0].mode), (&EntryType::Dir, 0o755));
/// assert_eq!(toc.to_json(), json);
/// # Ok::<(), lazyoci_estargz_toc::error::TocError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainersToc<'a> {
    /// Everything else.
    pub header: TocHeader<'a>,
    /// Entries in the order of the tar.
    pub entries: Vec<ContainersEntry<'a>>,
}

impl<'a> ContainersToc<'a> {
    /// Parses the document into a list; [`for_each_entry`] does without.
    ///
    /// # Errors
    /// [`TocError::TooLong`] beyond the limit, [`TocError::Json`] with line and column otherwise.
    pub fn from_json(json: &'a [u8], limits: &Limits) -> Result<Self, TocError> {
        let mut entries = Vec::new();
        let header = for_each_entry(json, limits, |_, entry| {
            entries.push(entry);
            Ok::<_, TocError>(())
        })?;
        Ok(Self { header, entries })
    }
}
