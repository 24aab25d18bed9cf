//! An image as the entries of its TOC.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::slice;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::order::Named;
use image_model::width::usize_from;
use image_model::{
    Blame, Chunk, ChunkId, ChunkedImage, Device, Digest, DigestAlgorithm, Fault, ImagePath, Inode,
    InodeId, Node,
};

use crate::carry::{CannotCarry, Uncarried, check_inode, check_name};
use crate::image::empty_digest;
use crate::landmark::Landmark;
use crate::toc::{EntryType, TocEntry, time, to_json};

/// A stored image, and the order of its names in the tar.
///
/// The TOC is a function of these: entries in the order of `names`. The first name of an inode gets
/// the inode's entry, a regular file with one entry for each chunk; each later name is a hard link
/// to it. Times are floored to whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// The image. Every file consists of chunks with SHA-256 digests, without holes.
    pub image: &'a ChunkedImage,
    /// The names in tar order. Directories that need no entry may be missing.
    pub names: &'a [Named],
    /// The landmark: the position among `names` before which it comes, its kind, and its byte.
    pub landmark: Option<(usize, Landmark, ChunkId)>,
    /// Length of the chunks into which files were cut.
    pub chunk_size: NonZeroU32,
    /// SHA-256 of the files with several chunks.
    pub file_digests: &'a BTreeMap<InodeId, Digest>,
}

/// An image that a TOC cannot describe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// It contains something that a TOC cannot carry.
    #[error(transparent)]
    CannotCarry(#[from] CannotCarry),
    /// A file with a hole: each of its bytes has to be in the blob.
    #[error("{path:#}: has a hole at byte {file_offset}, which eStargz cannot store")]
    Hole {
        /// The file.
        path: ImagePath,
        /// Where the hole begins.
        file_offset: u64,
    },
    /// A chunk, or a file of several chunks, without SHA-256.
    #[error("{path:#}: no SHA-256 for the chunk at byte {chunk_offset}, or for the whole file")]
    DigestMissing {
        /// The file.
        path: ImagePath,
        /// Where the chunk begins in the file; 0 for the whole file.
        chunk_offset: u64,
    },
    /// A document that readers would refuse.
    #[error("the TOC is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: u64,
    },
}

impl Blame for ListingError {
    fn fault(&self) -> Fault {
        match self {
            Self::CannotCarry(error) => error.fault(),
            Self::Hole { .. } | Self::DigestMissing { .. } => Fault::Misuse,
            Self::TooLong { .. } => Fault::Limit,
        }
    }
}

impl<'a> Listing<'a> {
    /// The entries, made one by one.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            listing: *self,
            next: 0,
            landmark: self.landmark,
            first_names: HashMap::new(),
            further: None,
        }
    }

    /// The document, byte for byte as the reference implementation writes it.
    ///
    /// # Errors
    /// [`ListingError`] for the first thing that cannot be described.
    pub fn to_json(&self) -> Result<Vec<u8>, ListingError> {
        to_json(self.entries())
    }

    fn landmark_entry(
        &self,
        landmark: Landmark,
        chunk: ChunkId,
    ) -> Result<TocEntry<'a>, ListingError> {
        let mut entry = TocEntry::new(landmark.name(), EntryType::Reg);
        entry.size = 1;
        let path = landmark.path();
        self.put_chunk(&mut entry, &path, chunk, 0)?;
        entry.digest = entry.chunk_digest.clone();
        Ok(entry)
    }

    /// The entry of an inode under its first name; `further` receives the chunks that follow it.
    fn inode_entry(
        &self,
        path: &'a ImagePath,
        id: InodeId,
        further: &mut Option<FurtherChunks<'a>>,
    ) -> Result<TocEntry<'a>, ListingError> {
        let inode = self.image.tree.inode(id);
        if let Some(what) = check_inode(&inode.metadata, &inode.node).into_iter().next() {
            let path = path.clone();
            return Err(CannotCarry { path, what }.into());
        }
        let name = text_of(path)?;
        let mut entry = match &inode.node {
            Node::Directory(_) if name.is_empty() => TocEntry::new("./", EntryType::Dir),
            Node::Directory(_) => TocEntry::new(format!("{name}/"), EntryType::Dir),
            Node::File { size, content } => {
                let mut entry = TocEntry::new(name, EntryType::Reg);
                *further = self.put_content(&mut entry, path, id, (*size, *content))?;
                entry
            }
            Node::Symlink(target) => {
                let mut entry = TocEntry::new(name, EntryType::Symlink);
                entry.link_name = str::from_utf8(target).unwrap_or_default().into();
                entry
            }
            Node::CharDevice(number) => device(name, EntryType::Char, *number),
            Node::BlockDevice(number) => device(name, EntryType::Block, *number),
            Node::Fifo => TocEntry::new(name, EntryType::Fifo),
            Node::Socket => {
                let (path, what) = (path.clone(), Uncarried::Socket);
                return Err(CannotCarry { path, what }.into());
            }
        };
        put_attributes(&mut entry, inode);
        entry.xattrs = (inode.metadata.xattrs.iter())
            .map(|xattr| {
                let name = str::from_utf8(&xattr.name).unwrap_or_default();
                (name.into(), STANDARD.encode(&xattr.value).into())
            })
            .collect();
        Ok(entry)
    }

    /// Size, digest and first chunk of a file; returns the chunks that follow.
    fn put_content(
        &self,
        entry: &mut TocEntry<'a>,
        path: &'a ImagePath,
        id: InodeId,
        (size, content): (u64, ChunkRange),
    ) -> Result<Option<FurtherChunks<'a>>, ListingError> {
        entry.size = number(size);
        let extents = self.image.file_extents(content).unwrap_or_default();
        let mut further = None;
        if let [first, rest @ ..] = extents {
            self.put_extent(entry, path, *first, size)?;
            further = (!rest.is_empty()).then(|| FurtherChunks {
                path,
                size,
                extents: rest.iter(),
            });
        }
        entry.digest = match extents {
            [] => empty_digest().to_string().into(),
            [_] => entry.chunk_digest.clone(),
            _ => match self.file_digests.get(&id) {
                Some(digest) if digest.algorithm() == DigestAlgorithm::Sha256 => {
                    digest.to_string().into()
                }
                _ => return Err(digest_missing(path, 0)),
            },
        };
        Ok(further)
    }

    /// The entry of a chunk that is not its file's first.
    fn further_entry(
        &self,
        file: &FurtherChunks<'a>,
        extent: ChunkExtent,
    ) -> Result<TocEntry<'a>, ListingError> {
        let mut entry = TocEntry::new(text_of(file.path)?, EntryType::Chunk);
        self.put_extent(&mut entry, file.path, extent, file.size)?;
        Ok(entry)
    }

    /// Place, digest and length of the chunk `extent` of a file of `size` bytes.
    fn put_extent(
        &self,
        entry: &mut TocEntry<'_>,
        path: &ImagePath,
        extent: ChunkExtent,
        size: u64,
    ) -> Result<(), ListingError> {
        let ChunkExtent { file_offset, chunk } = extent;
        let chunk = chunk.ok_or_else(|| ListingError::Hole {
            path: path.clone(),
            file_offset,
        })?;
        let len = self.put_chunk(entry, path, chunk, file_offset)?;
        self.put_chunk_size(entry, len, size.saturating_sub(file_offset));
        Ok(())
    }

    /// Place and digest of a chunk; returns its length.
    fn put_chunk(
        &self,
        entry: &mut TocEntry<'_>,
        path: &ImagePath,
        id: ChunkId,
        file_offset: u64,
    ) -> Result<u32, ListingError> {
        let Chunk {
            digest,
            len,
            frame,
            offset_in_frame,
            ..
        } = self.image.chunks[id.index()];
        let digest = digest
            .filter(|digest| digest.algorithm() == DigestAlgorithm::Sha256)
            .ok_or_else(|| digest_missing(path, file_offset))?;
        entry.offset = number(self.image.frames[usize_from(frame.0)].offset);
        entry.inner_offset = offset_in_frame.into();
        entry.chunk_offset = number(file_offset);
        entry.chunk_digest = digest.to_string().into();
        Ok(len)
    }

    /// The length of a chunk with `rest` bytes of the file from its start: left out if less than a
    /// whole chunk remains.
    fn put_chunk_size(&self, entry: &mut TocEntry<'_>, len: u32, rest: u64) {
        if u64::from(len) < rest || len == self.chunk_size.get() {
            entry.chunk_size = len.into();
        }
    }
}

/// The entries of a [`Listing`]; ends after the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    listing: Listing<'a>,
    /// Position in the list of names.
    next: usize,
    landmark: Option<(usize, Landmark, ChunkId)>,
    /// Of inodes with several names: position of the one with the entry.
    first_names: HashMap<InodeId, usize>,
    further: Option<FurtherChunks<'a>>,
}

/// Chunks of the previous file whose entries come next.
#[derive(Debug)]
struct FurtherChunks<'a> {
    path: &'a ImagePath,
    size: u64,
    extents: slice::Iter<'a, ChunkExtent>,
}

impl<'a> Entries<'a> {
    fn next_entry(&mut self) -> Option<Result<TocEntry<'a>, ListingError>> {
        if let Some(file) = &mut self.further {
            if let Some(&extent) = file.extents.next() {
                return Some(self.listing.further_entry(file, extent));
            }
            self.further = None;
        }
        let names = self.listing.names;
        let due =
            |&mut (before, ..): &mut (usize, _, _)| before <= self.next || names.len() <= self.next;
        if let Some((_, landmark, chunk)) = self.landmark.take_if(due) {
            return Some(self.listing.landmark_entry(landmark, chunk));
        }
        let named = names.get(self.next)?;
        Some(self.next_name(named))
    }

    fn next_name(&mut self, named: &'a Named) -> Result<TocEntry<'a>, ListingError> {
        let position = self.next;
        self.next = position.saturating_add(1);
        let Named { path, inode: id } = named;
        let image = self.listing.image;
        let inode = image.tree.inode(*id);
        if let Some(what) = check_name(path, inode.node.kind()) {
            let path = path.clone();
            return Err(CannotCarry { path, what }.into());
        }
        let several = image.links[id.index()] > 1 && image.tree.directory(*id).is_none();
        if several {
            let first = *self.first_names.entry(*id).or_insert(position);
            if first != position {
                let mut link = TocEntry::new(text_of(path)?, EntryType::Hardlink);
                link.link_name = text_of(&self.listing.names[first].path)?.into();
                put_attributes(&mut link, inode);
                return Ok(link);
            }
        }
        self.listing.inode_entry(path, *id, &mut self.further)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<TocEntry<'a>, ListingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next_entry()?;
        if entry.is_err() {
            self.next = self.listing.names.len();
            self.landmark = None;
            self.further = None;
        }
        Some(entry)
    }
}

fn put_attributes<C>(entry: &mut TocEntry<'_>, inode: &Inode<C>) {
    let metadata = &inode.metadata;
    entry.mode = metadata.mode.into();
    entry.uid = metadata.uid.into();
    entry.gid = metadata.gid.into();
    entry.modtime = time::format(metadata.mtime.seconds)
        .unwrap_or_default()
        .into();
}

fn device<'a>(name: &'a str, kind: EntryType<'a>, number: Device) -> TocEntry<'a> {
    let mut entry = TocEntry::new(name, kind);
    entry.dev_major = number.major.into();
    entry.dev_minor = number.minor.into();
    entry
}

fn text_of(path: &ImagePath) -> Result<&str, ListingError> {
    str::from_utf8(path.as_bytes()).map_err(|_| {
        let (path, what) = (path.clone(), Uncarried::Name);
        CannotCarry { path, what }.into()
    })
}

/// Sizes and offsets of what is stored are far below 2^63.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn digest_missing(path: &ImagePath, chunk_offset: u64) -> ListingError {
    ListingError::DigestMissing {
        path: path.clone(),
        chunk_offset,
    }
}
