//! Files into members.

use std::collections::BTreeMap;

use estargz_toc::Landmark;
use estargz_toc::write::{Headers, Joint, Placements};
use image_model::image::ChunkRange;
use image_model::order::Named;
use image_model::{ChunkId, Digest, ImagePath, Ino, Inode, InodeId, Limits, Metadata, Node};
use verify::{ExtentBytes, Hasher};

use crate::ConvertError;
use crate::layer::LayerWriter;
use crate::members::{MemberSink, check_room};
use crate::stage::{Piece, Stage, Target};

/// Writes members one after the other.
pub(super) struct Members<'o> {
    pub(super) layer: LayerWriter<'o>,
    pub(super) placements: Placements,
}

impl Target for Members<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let chunk = piece.chunk.map(|chunk| (chunk.len, chunk.digest));
        let placed = self.placements.push(piece.stored.len() as u64, chunk)?;
        self.layer.write(piece.plain, piece.stored)?;
        Ok(placed)
    }
}

/// Writes the tar, one file after the other.
pub(super) struct TarMembers<'s, 'p, 'd, 'o> {
    pub(super) stage: &'s mut Stage<'p, 'd, Members<'o>>,
    limits: &'s Limits,
    /// Before which name which landmark stands.
    landmark: (usize, Landmark),
    /// Longer files may have several chunks.
    chunk_size: u32,
    headers: Headers,
    header: Vec<u8>,
    /// The file whose content is due, and its bytes that are still to come.
    due: (InodeId, u64),
    /// Of that file, if it may have several chunks.
    hasher: Option<Hasher>,
    contents: TarContents,
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

impl<'s, 'p, 'd, 'o> TarMembers<'s, 'p, 'd, 'o> {
    pub(super) fn new(
        stage: &'s mut Stage<'p, 'd, Members<'o>>,
        limits: &'s Limits,
        landmark: (usize, Landmark),
        (inodes, chunk_size): (usize, u32),
    ) -> Self {
        Self {
            stage,
            limits,
            landmark,
            chunk_size,
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
        }
    }

    /// Completes the last member.
    pub(super) fn finish(mut self) -> Result<TarContents, ConvertError> {
        let padding = self.headers.finish();
        self.pad(padding)?;
        self.contents.tar_len = self.headers.tar_len();
        Ok(self.contents)
    }

    /// Appends a header.
    fn join(&mut self, joint: Joint) -> Result<(), ConvertError> {
        self.pad(joint.padding)?;
        if joint.begins_member {
            self.stage.begin_piece(self.header.len())?;
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
            self.stage.begin_file(*size, || path.clone())?;
        }
        let joint = (self.headers).append(path, metadata, node, &mut self.header)?;
        self.join(joint)
    }
}

impl MemberSink for TarMembers<'_, '_, '_, '_> {
    fn next(&mut self, position: usize) -> Result<(), ConvertError> {
        let (before, landmark) = self.landmark;
        if position != before {
            return Ok(());
        }
        self.append(&landmark.path(), &Metadata::default(), &Landmark::node())?;
        self.contents.landmark = self.stage.chunks();
        self.stage.push(ExtentBytes::Data(&[Landmark::BYTE]))
    }

    fn file(&mut self, name: &Named, inode: &Inode<Ino>) -> Result<(), ConvertError> {
        self.append(&name.path, &inode.metadata, &inode.node)?;
        if let Node::File { size, .. } = inode.node {
            let start = self.stage.chunks();
            self.contents.ranges[name.inode.index()] = ChunkRange { start, end: start };
            self.due = (name.inode, size);
            self.hasher = (size > self.chunk_size.into()).then(Hasher::sha256);
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
        self.stage.push(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            bytes.slices().for_each(|slice| hasher.update(slice));
        }
        let (inode, left) = &mut self.due;
        *left -= bytes.len();
        self.contents.ranges[inode.index()].end = self.stage.chunks();
        if *left == 0
            && let Some(hasher) = self.hasher.take()
        {
            self.contents.digests.insert(*inode, hasher.finish());
        }
        Ok(())
    }
}
