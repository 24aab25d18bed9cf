//! The tar stream cut into gzip members, not compressed yet.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use image_model::width::usize_from;
use image_model::{ImagePath, Metadata, Node};
use tar_stream::WriteError;

use super::headers::{Headers, Joint};
use crate::landmark::Landmark;

/// Room reserved after a chunk: padding and one header.
const ROOM_BEHIND: usize = 1024;

/// The plain bytes of one gzip member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// All of them: a chunk's, then padding and tar headers.
    pub plain: Vec<u8>,
    /// Length of the chunk at the beginning in bytes; 0 if there is none.
    pub content_len: u32,
}

impl Member {
    /// The bytes of the chunk.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.plain[..usize_from(self.content_len)]
    }
}

/// Writes a tar and cuts it into members. A member begins at the first byte of a file's content and
/// at every `chunk_size` bytes from there; everything between two contents stays in the member of
/// the first one, as in [`Headers`]. The members depend only on what is appended. Memory: the
/// members not yet [taken](Self::take), and the current one.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct Members {
    chunk_size: NonZeroU32,
    growing: Member,
    headers: Headers,
    /// A header being written.
    header: Vec<u8>,
    /// Remaining bytes of content.
    left: u64,
    complete: VecDeque<Member>,
}

impl Members {
    /// An empty tar, to be cut into chunks of `chunk_size` bytes.
    #[must_use]
    pub fn new(chunk_size: NonZeroU32) -> Self {
        Self {
            chunk_size,
            growing: Member {
                plain: Vec::new(),
                content_len: 0,
            },
            headers: Headers::default(),
            header: Vec::new(),
            left: 0,
            complete: VecDeque::new(),
        }
    }

    /// Appends the header of a file of any kind. The content of a regular file must follow, in
    /// [chunks](Self::next_chunk).
    ///
    /// # Errors
    /// [`WriteError`] if the preceding content is incomplete, or if a tar cannot hold the file.
    pub fn append<C>(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        node: &Node<C>,
    ) -> Result<(), WriteError> {
        self.check_content()?;
        let joint = self
            .headers
            .append(path, metadata, node, &mut self.header)?;
        self.join(joint);
        if let Node::File { size, .. } = node {
            self.left = *size;
        }
        Ok(())
    }

    /// Appends a hard link to the file at `target`, which was appended before and has `metadata`.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), WriteError> {
        self.check_content()?;
        let joint = (self.headers).append_link(path, metadata, target, &mut self.header)?;
        self.join(joint);
        Ok(())
    }

    /// Appends a landmark with its content.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn landmark(&mut self, landmark: Landmark) -> Result<(), WriteError> {
        self.append(&landmark.path(), &Metadata::default(), &Landmark::node())?;
        while let Some(content) = self.next_chunk() {
            content.fill(Landmark::BYTE);
        }
        Ok(())
    }

    /// The buffer for the next chunk of the current file's content, in a member of its own; fill it
    /// before calling anything else. `None` once the content is complete.
    pub fn next_chunk(&mut self) -> Option<&mut [u8]> {
        let len = u64::from(self.chunk_size.get()).min(self.left);
        if len == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(len);
        self.close();
        let len = u32::try_from(len).expect("not more than the size of a chunk");
        self.growing.content_len = len;
        let len = usize_from(len);
        // Zeroed by the allocator, and with room for what follows most contents.
        self.growing.plain = vec![0; len.saturating_add(ROOM_BEHIND)];
        self.growing.plain.truncate(len);
        Some(&mut self.growing.plain)
    }

    /// Completes the last member. The end of the tar is in the [TOC member](super::TocMember).
    ///
    /// # Errors
    /// [`WriteError::PayloadMissing`] if the content of the last file is incomplete.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.check_content()?;
        let padding = self.headers.finish();
        self.pad(padding);
        self.close();
        Ok(())
    }

    /// The next complete member.
    pub fn take(&mut self) -> Option<Member> {
        self.complete.pop_front()
    }

    /// Length of the tar so far, in bytes.
    #[must_use]
    pub fn tar_len(&self) -> u64 {
        self.headers.tar_len()
    }

    fn check_content(&self) -> Result<(), WriteError> {
        match self.left {
            0 => Ok(()),
            left => Err(WriteError::PayloadMissing {
                offset: self.tar_len().saturating_sub(left),
                left,
            }),
        }
    }

    /// Appends the header.
    fn join(&mut self, joint: Joint) {
        self.pad(joint.padding);
        if joint.begins_member {
            self.close();
        }
        self.growing.plain.append(&mut self.header);
    }

    fn pad(&mut self, padding: usize) {
        let plain = &mut self.growing.plain;
        plain.resize(plain.len().saturating_add(padding), 0);
    }

    /// Completes the current member, if there is anything in it.
    fn close(&mut self) {
        if self.growing.plain.is_empty() {
            return;
        }
        let next = Member {
            plain: Vec::new(),
            content_len: 0,
        };
        self.complete
            .push_back(std::mem::replace(&mut self.growing, next));
    }
}
