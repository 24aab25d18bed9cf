//! The document, written entry by entry.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::Serializer;

use super::ContainersEntry;
use super::encode::Compact;

/// Writes the document of [`to_json`](super::to_json) while its entries become known.
///
/// ```
/// use lazyoci_estargz_toc::containers_toc::{ContainersEntry, Document};
/// use lazyoci_estargz_toc::toc::EntryType;
/// let mut document = Document::new(Vec::new());
/// document.entry(&ContainersEntry::new(EntryType::Dir, "bin/"))?;
/// let json = document.finish("")?;
/// assert_eq!(json, br#"{"version":1,"entries":[{"type":"dir","name":"bin/"}]}"#);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Document<W> {
    out: W,
    is_begun: bool,
}

impl<W: Write> Document<W> {
    /// Writes to `out`, in pieces as small as numbers: use a buffered writer if small writes are expensive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            is_begun: false,
        }
    }

    /// The next entry.
    ///
    /// # Errors
    /// Those of the destination.
    pub fn entry(&mut self, entry: &ContainersEntry<'_>) -> io::Result<()> {
        let before: &[u8] = match std::mem::replace(&mut self.is_begun, true) {
            false => b"{\"version\":1,\"entries\":[",
            true => b",",
        };
        self.out.write_all(before)?;
        let mut json = Serializer::with_formatter(&mut self.out, Compact);
        Ok(entry.serialize(&mut json)?)
    }

    /// Ends the document; returns what it was written to. The digest of the tar-split is left out if it is empty.
    ///
    /// # Errors
    /// Those of the destination.
    pub fn finish(mut self, tar_split_digest: &str) -> io::Result<W> {
        self.out.write_all(match self.is_begun {
            true => b"]",
            false => b"{\"version\":1,\"entries\":null",
        })?;
        if !tar_split_digest.is_empty() {
            self.out.write_all(b",\"tarSplitDigest\":")?;
            let mut json = Serializer::with_formatter(&mut self.out, Compact);
            tar_split_digest.serialize(&mut json)?;
        }
        self.out.write_all(b"}")?;
        Ok(self.out)
    }
}
