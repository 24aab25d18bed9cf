//! From a sequence of entries to an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::layer::{Entries, Layer, LayerBuilder, LayerError, LayerOptions, Whiteout};
use image_model::width::usize_from;
use image_model::{Blob, ChunkedImage, Digest, FileKind, ImagePath, InodeId, Metadata, Node, Tree};

use super::entries::{AnyEntry, for_each};
use super::file::{FileChunk, OpenFile};
use super::inode::{self, unsigned};
use super::{EstargzImage, ImageOptions, Prefetch, TocBlob, TocKind};
use crate::error::{EntryFault, TocError};
use crate::frames::{Finished, FrameList, Place};
use crate::landmark::Landmark;
use crate::toc::{EntryType, TOC_NAME, TocEntry};

/// A file's content until the tree is complete.
#[derive(Debug)]
struct Content {
    extents: ChunkRange,
    digest: Option<Digest>,
}

pub(super) struct Decoder<'o> {
    options: &'o ImageOptions,
    kind: TocKind,
    content_len: u64,
    builder: LayerBuilder<Content>,
    frames: FrameList,
    extents: Vec<ChunkExtent>,
    prefetch: Option<Prefetch>,
    /// The file whose chunks are being read.
    file: Option<OpenFile>,
}

impl<'o> Decoder<'o> {
    pub(super) fn new(options: &'o ImageOptions, blob: &TocBlob) -> Self {
        let limits = &options.limits;
        Self {
            options,
            kind: blob.kind,
            content_len: blob.content_len,
            builder: LayerBuilder::new(
                LayerOptions::default()
                    .entries(Entries::Listed)
                    .limits(limits.clone()),
            ),
            frames: FrameList::new(blob.kind, limits.max_chunks, limits.max_frame_len),
            extents: Vec::new(),
            prefetch: None,
            file: None,
        }
    }

    pub(super) fn entry(&mut self, index: usize, entry: &AnyEntry<'_>) -> Result<(), TocError> {
        let chunk = entry.kind == EntryType::Chunk;
        if !chunk {
            self.close_file()?;
        }
        let numbers = inode::check_numbers(entry);
        let taken = numbers.and_then(|()| match chunk {
            true => self.chunk(entry),
            false => self.inode(index, entry),
        });
        taken.map_err(|fault| refuse(index, &entry.name, fault))
    }

    fn inode(&mut self, index: usize, entry: &AnyEntry<'_>) -> Result<(), EntryFault> {
        let path = ImagePath::clean(entry.name.as_bytes()).map_err(EntryFault::Name)?;
        // Elsewhere these are files like others.
        let special = self.kind != TocKind::Containers;
        if special && path.as_bytes() == TOC_NAME.as_bytes() {
            return Err(EntryFault::ReservedName);
        }
        match self.builder.kind_at(&path) {
            None => {}
            // Also the root, which is always there and gets its own error from the builder.
            Some(FileKind::Directory) if entry.kind == EntryType::Dir || path.is_root() => {}
            Some(existing) => return Err(EntryFault::Conflict { existing }),
        }
        if let Some(landmark) = Landmark::of(&path).filter(|_| special) {
            self.landmark(landmark, entry)?;
        } else if special && Landmark::is_above(&path) {
            return Err(EntryFault::LandmarkKind);
        }
        let limits = &self.options.limits;
        match &entry.kind {
            // It describes a tar, in which only its name counts.
            EntryType::Hardlink if !special && Whiteout::at(&path).is_some() => {
                let start = self.extents_len();
                let extents = ChunkRange { start, end: start };
                let digest = None;
                let node = Node::File {
                    size: 0,
                    content: Content { extents, digest },
                };
                self.builder.add(&path, Metadata::default(), node)?;
            }
            EntryType::Hardlink => {
                // Its own attributes mean nothing, but have to be some.
                inode::metadata(entry)?;
                let target = ImagePath::clean(entry.link_name.as_bytes());
                self.builder
                    .link(&path, &target.map_err(EntryFault::Target)?)?;
            }
            EntryType::Reg => {
                let metadata = inode::metadata(entry)?;
                let file = OpenFile::new(index, path, metadata, entry)?;
                self.open_file(file, entry)?;
            }
            kind => {
                let node = inode::node(kind, entry, limits)?;
                let metadata = inode::metadata(entry)?;
                self.builder.add(&path, metadata, node)?;
            }
        }
        Ok(())
    }

    fn landmark(&mut self, landmark: Landmark, entry: &TocEntry<'_>) -> Result<(), EntryFault> {
        if entry.kind != EntryType::Reg {
            return Err(EntryFault::LandmarkKind);
        }
        match (landmark, self.prefetch) {
            (Landmark::NoPrefetch, _) => self.prefetch = Some(Prefetch::Nothing),
            (Landmark::Prefetch, Some(Prefetch::Nothing)) => {}
            (Landmark::Prefetch, _) => {
                let offset = unsigned("offset", entry.offset)?;
                self.prefetch = Some(Prefetch::UpTo(offset.min(self.content_len)));
            }
        }
        Ok(())
    }

    fn open_file(&mut self, mut file: OpenFile, entry: &AnyEntry<'_>) -> Result<(), EntryFault> {
        let start = self.extents_len();
        file.extents = ChunkRange { start, end: start };
        if file.size > 0 {
            file.end_offset = entry.end_offset()?;
            if self.kind == TocKind::Containers {
                self.check_file(&file)?;
            }
            let chunk = file.next_chunk(entry)?;
            self.add_chunk(&mut file, entry, chunk)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Checks what a file with content has in a TOC of containers/storage.
    fn check_file(&self, file: &OpenFile) -> Result<(), EntryFault> {
        if file.digest.is_none() {
            return Err(EntryFault::DigestMissing { chunk_offset: 0 });
        }
        let end = self.content_len;
        match file.end_offset {
            offset if offset > end => Err(EntryFault::OutsidePayload { offset, end }),
            _ => Ok(()),
        }
    }

    /// A further chunk of the open file.
    fn chunk(&mut self, entry: &AnyEntry<'_>) -> Result<(), EntryFault> {
        let mut file = self.file.take().ok_or(EntryFault::ChunkWithoutFile)?;
        let path = ImagePath::clean(entry.name.as_bytes()).map_err(EntryFault::Name)?;
        if path != file.path {
            return Err(EntryFault::ChunkName { file: file.name });
        }
        let chunk = file.next_chunk(entry)?;
        self.add_chunk(&mut file, entry, chunk)?;
        self.file = Some(file);
        Ok(())
    }

    fn add_chunk(
        &mut self,
        file: &mut OpenFile,
        entry: &AnyEntry<'_>,
        chunk: FileChunk,
    ) -> Result<(), EntryFault> {
        let FileChunk {
            file_offset,
            len,
            digest,
        } = chunk;
        if digest.is_none() && !self.options.without_digests {
            return Err(EntryFault::DigestMissing {
                chunk_offset: file_offset,
            });
        }
        let offset = unsigned("offset", entry.offset)?;
        if offset >= self.content_len {
            return Err(EntryFault::OutsidePayload {
                offset,
                end: self.content_len,
            });
        }
        let chunk = match self.kind {
            TocKind::Containers if entry.is_hole()? => {
                self.frames.end_frame(offset)?;
                None
            }
            TocKind::Containers => Some(self.frames.push_frame(offset, len, digest)?),
            _ => {
                let inner_offset = unsigned("innerOffset", entry.inner_offset)?;
                let place = Place {
                    offset,
                    inner_offset,
                    len,
                };
                Some(self.frames.push(place, digest)?)
            }
        };
        // Runs of zeros are no chunks, but cost as much.
        let limit = self.options.limits.max_chunks;
        if self.extents_len() >= limit {
            return Err(EntryFault::TooManyChunks { limit });
        }
        self.extents.push(ChunkExtent { file_offset, chunk });
        file.extents.end = self.extents_len();
        file.covered = file.covered.saturating_add(len);
        Ok(())
    }

    fn extents_len(&self) -> u32 {
        u32::try_from(self.extents.len()).expect("no more than the limit on chunks")
    }

    /// Adds the open file to the tree, when it has no more chunks.
    fn close_file(&mut self) -> Result<(), TocError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mut complete = file.check_complete();
        if self.kind == TocKind::Containers && file.size > 0 && complete.is_ok() {
            complete = self.frames.end_frame(file.end_offset);
        }
        let OpenFile {
            index,
            name,
            path,
            metadata,
            size,
            digest,
            extents,
            ..
        } = file;
        let node = Node::File {
            size,
            content: Content { extents, digest },
        };
        complete
            .and_then(|()| Ok(self.builder.add(&path, metadata, node)?))
            .map_err(|fault| refuse(index, &name, fault))
    }

    pub(super) fn finish(
        mut self,
        (json, digest): (&[u8], Digest),
        blob: TocBlob,
    ) -> Result<EstargzImage, TocError> {
        self.close_file()?;
        let mut tree = (self.builder.finish())
            .and_then(Layer::into_tree)
            .map_err(|error| blame_link((blob.kind, json), self.options, error))?;
        let landmarks = match blob.kind {
            TocKind::Containers => BTreeMap::new(),
            _ => take_landmarks(&mut tree),
        };
        let Finished {
            frames,
            chunks,
            recipes,
            decoded_len,
        } = (self.frames.finish(blob.content_len))
            .map_err(|fault| blame_last_chunk((blob.kind, json), self.options, fault))?;

        let mut file_digests = BTreeMap::new();
        let extents = self.extents;
        let tree = tree
            .try_map(|inode, _, content| {
                let range = usize_from(content.extents.start)..usize_from(content.extents.end);
                let is_known = match extents.get(range).unwrap_or_default() {
                    [] => true,
                    [only] => only.chunk.is_some(),
                    _ => false,
                };
                if let (false, Some(digest)) = (is_known, content.digest) {
                    file_digests.insert(inode, digest);
                }
                Ok::<_, std::convert::Infallible>(content.extents)
            })
            .unwrap_or_else(|never| match never {});
        let mut described = Blob::new(blob.id);
        described.stored_len = Some(blob.len);
        described.decoded_len = Some(decoded_len);
        described.chunk_count = u32::try_from(chunks.len()).ok();
        let parts = ChunkedParts {
            extents,
            chunks,
            frames,
            recipes,
            blobs: vec![described],
        };
        let image =
            ChunkedImage::new(tree, parts).expect("every part was checked when it was added");
        Ok(EstargzImage {
            kind: blob.kind,
            digest,
            image: Arc::new(image),
            prefetch: self.prefetch,
            landmarks,
            file_digests,
        })
    }
}

/// Removes the landmarks from the tree; returns where their content is.
fn take_landmarks(tree: &mut Tree<Content>) -> BTreeMap<Landmark, ChunkRange> {
    let mut taken = BTreeMap::new();
    for landmark in [Landmark::Prefetch, Landmark::NoPrefetch] {
        let path = landmark.path();
        let name = path.last().expect("it is not the root");
        let unlinked = tree.unlink(InodeId::ROOT, name);
        let inode = unlinked.expect("the root is a directory");
        if let Some(Node::File { content, .. }) = inode.map(|inode| &tree.inode(inode).node) {
            taken.insert(landmark, content.extents);
        }
    }
    tree.drop_unreachable();
    taken
}

fn refuse(index: usize, name: &str, fault: EntryFault) -> TocError {
    TocError::Entry {
        index,
        name: name.into(),
        fault,
    }
}

/// Finds the entry of a hard link that turned out to be invalid once all entries were known.
fn blame_link(json: (TocKind, &[u8]), options: &ImageOptions, error: LayerError) -> TocError {
    let path = match &error {
        LayerError::LinkToDirectory { path, .. }
        | LayerError::LinkLoop { path, .. }
        | LayerError::TargetOutsideLayer { path, .. }
        | LayerError::MissingTarget { path, .. } => Some(path.clone()),
        _ => None,
    };
    blame(json, options, EntryFault::Place(error), |entry| {
        entry.kind == EntryType::Hardlink
            && ImagePath::clean(entry.name.as_bytes()).ok().as_ref() == path.as_ref()
    })
}

/// Finds the chunk after which too many bytes follow.
fn blame_last_chunk(json: (TocKind, &[u8]), options: &ImageOptions, fault: EntryFault) -> TocError {
    blame(json, options, fault, |entry| {
        matches!(entry.kind, EntryType::Chunk) || entry.kind == EntryType::Reg && entry.size > 0
    })
}

/// The error of the last entry that is `guilty`; reads the document again.
fn blame(
    (kind, json): (TocKind, &[u8]),
    options: &ImageOptions,
    fault: EntryFault,
    guilty: impl Fn(&TocEntry<'_>) -> bool,
) -> TocError {
    let mut found = (0, Box::default());
    let read = for_each(kind, json, &options.limits, |index, entry| {
        if guilty(&entry) {
            found = (index, entry.name.as_ref().into());
        }
        Ok(())
    });
    match read {
        Ok(()) => refuse(found.0, &found.1, fault),
        Err(error) => error,
    }
}
