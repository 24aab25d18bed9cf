//! Files into members.

use std::collections::{BTreeMap, VecDeque};

use estargz_toc::Landmark;
use estargz_toc::write::{Headers, Joint, Placed, Placements};
use image_model::image::ChunkRange;
use image_model::order::Named;
use image_model::{ChunkId, Digest, ImagePath, Ino, Inode, InodeId, Limits, Metadata, Node};
use verify::{ExtentBytes, Hasher};

use super::EstargzOptions;
use super::shared::{Shared, SharedChunk};
use crate::ConvertError;
use crate::layer::LayerWriter;
use crate::members::{MemberSink, check_room};
use crate::source::KeptFrames;
use crate::stage::{Piece, Stage, Target};

/// Writes members one after the other.
pub(super) struct Members<'o> {
    layer: LayerWriter<'o>,
    placements: Placements,
    /// Chunks of members that are not stored yet, where members are shared.
    pub(super) shared: VecDeque<SharedChunk>,
    /// Members that were stored.
    stored: u64,
    /// Bytes of the shared members that were stored.
    pub(super) shared_bytes: u64,
}

impl<'o> Members<'o> {
    pub(super) fn new(layer: LayerWriter<'o>, placements: Placements) -> Self {
        Self {
            layer,
            placements,
            shared: VecDeque::new(),
            stored: 0,
            shared_bytes: 0,
        }
    }

    /// The layer, and where its members are.
    pub(super) fn finish(self) -> Result<(LayerWriter<'o>, Placed), ConvertError> {
        Ok((self.layer, self.placements.finish()?))
    }
}

impl Target for Members<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let stored_len = piece.stored.len() as u64;
        let chunk = piece.chunk.map(|chunk| (chunk.len, chunk.digest));
        let of_this = self
            .shared
            .partition_point(|chunk| chunk.member <= self.stored);
        let placed = match of_this {
            0 => self.placements.push(stored_len, chunk)?,
            _ => {
                let chunks = self.shared.drain(..of_this);
                let chunks = chunks.map(|chunk| (chunk.inner_offset, chunk.len, chunk.digest));
                self.placements.push_shared(stored_len, chunks)?;
                self.shared_bytes += stored_len;
                None
            }
        };
        self.stored += 1;
        self.layer.write(piece.plain, piece.stored)?;
        Ok(placed)
    }
}

/// Writes the tar, one file after the other.
pub(super) struct TarMembers<'s, 'p, 'd, 'o> {
    pub(super) stage: &'s mut Stage<'p, 'd, Members<'o>>,
    kept: Option<&'s KeptFrames>,
    limits: &'s Limits,
    /// Before which name which landmark stands.
    landmark: (usize, Landmark),
    /// Longer files may have several chunks.
    chunk_size: u32,
    /// No chunk is longer; `None` if the content says where files are cut.
    max_len: Option<u32>,
    headers: Headers,
    header: Vec<u8>,
    /// The file whose content is due, and its bytes that are still to come.
    due: (InodeId, u64),
    /// Of that file, if it may have several chunks.
    hasher: Option<Hasher>,
    contents: TarContents,
    /// Where files share members.
    shared: Option<Shared>,
}

/// Where the contents of a tar are.
pub(super) struct TarContents {
    /// The chunks of each inode.
    pub(super) ranges: Vec<ChunkRange>,
    /// Of the files with several chunks, at least.
    pub(super) digests: BTreeMap<InodeId, Digest>,
    /// Position of the landmark's chunk among all.
    pub(super) landmark: u32,
    pub(super) tar_len: u64,
}

/// A tar that was written.
pub(super) struct WrittenTar {
    pub(super) contents: TarContents,
    pub(super) shared: Option<Shared>,
}

impl<'s, 'p, 'd, 'o> TarMembers<'s, 'p, 'd, 'o> {
    pub(super) fn new(
        (stage, kept): (&'s mut Stage<'p, 'd, Members<'o>>, Option<&'s KeptFrames>),
        limits: &'s Limits,
        landmark: (usize, Landmark),
        (inodes, options): (usize, &EstargzOptions),
    ) -> Self {
        let shared = Shared::new(
            options.min_chunk_size,
            options.chunk_size,
            limits.max_chunks,
        );
        let fixed = options.content_defined.is_none();
        Self {
            stage,
            kept,
            limits,
            landmark,
            max_len: fixed.then_some(options.chunk_size),
            chunk_size: (options.content_defined).map_or(options.chunk_size, |(min, _)| min),
            headers: Headers::default(),
            header: Vec::new(),
            due: (InodeId::ROOT, 0),
            hasher: None,
            contents: TarContents {
                ranges: vec![ChunkRange::default(); inodes],
                digests: BTreeMap::new(),
                landmark: 0,
                tar_len: 0,
            },
            shared,
        }
    }

    /// Completes the last member.
    pub(super) fn finish(mut self) -> Result<WrittenTar, ConvertError> {
        let padding = self.headers.finish();
        self.pad(padding)?;
        self.contents.tar_len = self.headers.tar_len();
        Ok(WrittenTar {
            contents: self.contents,
            shared: self.shared,
        })
    }

    /// Appends a header.
    fn join(&mut self, joint: Joint) -> Result<(), ConvertError> {
        self.pad(joint.padding)?;
        if joint.begins_member {
            self.stage.begin_piece(self.header.len())?;
            if let Some(shared) = &mut self.shared {
                shared.next_member();
            }
        }
        self.stage.append(&self.header)?;
        self.header.clear();
        Ok(())
    }

    fn pad(&mut self, padding: usize) -> Result<(), ConvertError> {
        match padding {
            0 => Ok(()),
            _ => self.stage.append(&[0; 512][..padding]),
        }
    }

    fn append<C>(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        node: &Node<C>,
    ) -> Result<(), ConvertError> {
        check_room(self.headers.tar_len(), node.size(), path, self.limits)?;
        if let Node::File { size, .. } = node {
            match &mut self.shared {
                None => self.stage.begin_file(*size, || path.clone())?,
                Some(shared) => shared.begin_file(*size, path)?,
            }
        }
        let joint = (self.headers).append(path, metadata, node, &mut self.header)?;
        self.join(joint)
    }

    /// Chunks that were cut so far.
    fn chunks(&self) -> u32 {
        match &self.shared {
            None => self.stage.chunks(),
            Some(shared) => shared.chunks(),
        }
    }

    fn push(&mut self, bytes: ExtentBytes<'_>, own_member: bool) -> Result<(), ConvertError> {
        match &mut self.shared {
            None => self.stage.push(bytes),
            Some(shared) => shared.push(bytes, self.stage, own_member),
        }
    }
}

impl MemberSink for TarMembers<'_, '_, '_, '_> {
    fn next(&mut self, position: usize) -> Result<(), ConvertError> {
        let (before, landmark) = self.landmark;
        if position != before {
            return Ok(());
        }
        self.append(&landmark.path(), &Metadata::default(), &Landmark::node())?;
        self.contents.landmark = self.chunks();
        self.push(ExtentBytes::Data(&[Landmark::BYTE]), true)
    }

    fn file(&mut self, name: &Named, inode: &Inode<Ino>) -> Result<(), ConvertError> {
        self.append(&name.path, &inode.metadata, &inode.node)?;
        if let Node::File { size, .. } = inode.node {
            let start = self.chunks();
            self.contents.ranges[name.inode.index()] = ChunkRange { start, end: start };
            self.due = (name.inode, size);
            let mut several = size > self.chunk_size.into();
            if let (Some(kept), Node::File { content, .. }) = (self.kept, &inode.node) {
                let file = kept.file(*content, size, self.max_len.unwrap_or(0));
                several |= file.covers && file.chunks.len() > 1;
                self.stage.keep(&file.chunks, file.covers);
            }
            self.hasher = several.then(Hasher::sha256);
        }
        Ok(())
    }

    fn link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), ConvertError> {
        let joint = (self.headers).append_link(path, metadata, target, &mut self.header)?;
        self.join(joint)
    }

    fn content(&mut self, bytes: ExtentBytes<'_>) -> Result<(), ConvertError> {
        self.push(bytes, false)?;
        if let Some(hasher) = &mut self.hasher {
            bytes.slices().for_each(|slice| hasher.update(slice));
        }
        let chunks = self.chunks();
        let (inode, left) = &mut self.due;
        *left -= bytes.len();
        self.contents.ranges[inode.index()].end = chunks;
        if *left == 0
            && let Some(hasher) = self.hasher.take()
        {
            self.contents.digests.insert(*inode, hasher.finish());
        }
        Ok(())
    }
}
