//! The headers between the contents of files.

use image_model::width::u64_from;
use image_model::{ImagePath, Metadata, Node};
use tar_stream::block::padding_len;
use tar_stream::{TarWriter, WriteError};

/// A member is closed before a tar header once it contains this many bytes of headers.
const MAX_HEADERS_LEN: usize = 1 << 20;

/// The tar around the contents of files, for callers who cut these into members themselves
/// ([`Members`](super::Members) does both). Padding and headers stay in the member of the preceding
/// content. Only a long run of headers gets further members, so that no member grows without bound.
/// The headers are those of [`TarWriter::append`].
#[derive(Debug, Default)]
pub struct Headers {
    /// Bytes that pad the preceding content to whole blocks.
    padding: usize,
    /// Bytes of padding and headers in the current member.
    headers_len: usize,
    /// Bytes of the tar, including the content of the last file.
    tar_len: u64,
}

/// How a header joins what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    /// Zeros that come first, padding the preceding content.
    pub padding: usize,
    /// Whether a new member begins after them, with the header.
    pub begins_member: bool,
}

impl Headers {
    /// Appends the header of a file of any kind to `out`. The content of a regular file must
    /// follow, in members of its own.
    ///
    /// # Errors
    /// [`WriteError`] if a tar cannot hold the file.
    pub fn append<C>(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        node: &Node<C>,
        out: &mut Vec<u8>,
    ) -> Result<Joint, WriteError> {
        let joint = self.header(out, |tar| tar.append(path, metadata, node))?;
        if let Node::File {
            size: size @ 1.., ..
        } = node
        {
            self.padding = padding_len(*size);
            self.tar_len = self.tar_len.saturating_add(*size);
            self.headers_len = 0;
        }
        Ok(joint)
    }

    /// Appends a hard link to the file at `target`, which was appended before and has `metadata`, to
    /// `out`.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
        out: &mut Vec<u8>,
    ) -> Result<Joint, WriteError> {
        self.header(out, |tar| tar.append_link(path, metadata, target))
    }

    /// Ends the last content; returns the number of zeros that follow it. The end of the tar is in
    /// the [TOC member](super::TocMember).
    pub fn finish(&mut self) -> usize {
        self.tar_len = self.tar_len.saturating_add(u64_from(self.padding));
        std::mem::take(&mut self.padding)
    }

    /// Length of the tar so far, in bytes.
    #[must_use]
    pub fn tar_len(&self) -> u64 {
        self.tar_len
    }

    fn header(
        &mut self,
        out: &mut Vec<u8>,
        append: impl FnOnce(&mut TarWriter<&mut Vec<u8>>) -> Result<(), WriteError>,
    ) -> Result<Joint, WriteError> {
        let before = out.len();
        append(&mut TarWriter::new(&mut *out))?;
        let len = out[before..].len();
        let padding = self.finish();
        self.headers_len = self.headers_len.saturating_add(padding);
        let begins_member = self.headers_len >= MAX_HEADERS_LEN;
        if begins_member {
            self.headers_len = 0;
        }
        self.headers_len = self.headers_len.saturating_add(len);
        self.tar_len = self.tar_len.saturating_add(u64_from(len));
        Ok(Joint {
            padding,
            begins_member,
        })
    }
}
