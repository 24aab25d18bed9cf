//! The walk of an audit.

use std::collections::HashMap;
use std::ops::ControlFlow;

use image_model::walk::{InoSet, Walk, WalkEntry};
use image_model::{
    Attributes, Cancelled, Device, Extent, FileKind, Image, ImagePath, Ino, Limits, NameRef,
};

use super::seen_chunks::SeenChunks;
use super::{AuditFault, AuditObserver, AuditSummary};
use crate::content::{ExtentError, FrameSource, StoredChunk};
use crate::hash::{check, check_crc32c};

pub(super) struct Audit<'a> {
    image: &'a dyn Image,
    source: Option<&'a mut dyn FrameSource>,
    limits: &'a Limits,
    observer: &'a mut dyn AuditObserver,
    summary: AuditSummary,
    /// Inodes seen that are no directories.
    inodes: InoSet,
    /// Those with several names or a link count other than 1.
    linked: HashMap<Ino, Linked>,
    chunks: SeenChunks,
    extents: u32,
}

struct Linked {
    names: u64,
    links: u32,
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        image: &'a dyn Image,
        source: Option<&'a mut dyn FrameSource>,
        limits: &'a Limits,
        observer: &'a mut dyn AuditObserver,
    ) -> Self {
        Self {
            image,
            source,
            limits,
            observer,
            summary: AuditSummary::default(),
            inodes: InoSet::default(),
            linked: HashMap::new(),
            chunks: SeenChunks::default(),
            extents: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<AuditSummary, Cancelled> {
        let mut walk = Walk::new(self.image, self.limits);
        let mut directories: Vec<Ino> = Vec::new();
        while let Some(entry) = walk.next_entry() {
            self.observer.advance(self.summary.chunk_len)?;
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.fault(error.into());
                    continue;
                }
            };
            self.summary.paths += 1;
            directories.truncate(entry.depth);
            if let (Some(&directory), Some(name)) = (directories.last(), entry.name()) {
                self.name(&entry, directory, name);
            }
            if entry.attributes.kind == FileKind::Directory {
                directories.push(entry.ino);
                self.directory(&entry);
            } else if self.link(&entry) {
                self.inode(&entry)?;
            }
        }
        self.link_counts();
        Ok(self.summary)
    }

    fn fault(&mut self, fault: AuditFault) {
        self.summary.faults += 1;
        self.observer.fault(fault);
    }

    /// The entry against its directory.
    fn name(&mut self, entry: &WalkEntry<'_>, directory: Ino, name: NameRef<'_>) {
        let (path, inode) = (entry.path, entry.attributes.kind);
        if entry.entry_kind != inode {
            self.fault(AuditFault::EntryKind {
                path: path.clone(),
                entry: entry.entry_kind,
                inode,
            });
        }
        match self.image.lookup(directory, name) {
            Err(source) => {
                let path = path.clone();
                self.fault(AuditFault::Inode { path, source });
            }
            Ok(found) if found != Some(entry.ino) => self.fault(AuditFault::Lookup {
                path: path.clone(),
                listed: entry.ino,
                found,
            }),
            Ok(_) => {}
        }
    }

    fn directory(&mut self, entry: &WalkEntry<'_>) {
        self.summary.directories += 1;
        self.attributes(entry);
        let is_directory = |child: &_| matches!(child, FileKind::Directory);
        let kinds = entry.children().map(|child| child.kind);
        let names = 2 + kinds.filter(is_directory).count() as u64;
        let links = entry.attributes.links;
        if names != u64::from(links) {
            self.fault(AuditFault::Links {
                path: entry.path.clone(),
                names,
                links,
            });
        }
    }

    /// Counts a name of what is no directory; whether it is the inode's first one.
    fn link(&mut self, entry: &WalkEntry<'_>) -> bool {
        let first = self.inodes.insert(entry.ino);
        let links = entry.attributes.links;
        if !first || links != 1 {
            let linked = self.linked.entry(entry.ino).or_insert_with(|| Linked {
                names: u64::from(!first),
                links,
            });
            linked.names += 1;
        }
        first
    }

    /// Tells wrong link counts at the first path of the inode. Paths are looked for only now:
    /// those of all hard links together can be much larger than the image.
    fn link_counts(&mut self) {
        let mut wrong = std::mem::take(&mut self.linked);
        wrong.retain(|_, inode| inode.names != u64::from(inode.links));
        let mut walk = Walk::new(self.image, self.limits);
        while !wrong.is_empty()
            && let Some(entry) = walk.next_entry()
        {
            let Ok(entry) = entry else { continue };
            if let Some(Linked { names, links }) = wrong.remove(&entry.ino) {
                let path = entry.path.clone();
                self.fault(AuditFault::Links { path, names, links });
            }
        }
    }

    /// What every inode has.
    fn attributes(&mut self, entry: &WalkEntry<'_>) {
        let Attributes { kind, device, .. } = entry.attributes;
        let path = || entry.path.clone();
        let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        if !is_device && device != Device::default() {
            let path = path();
            self.fault(AuditFault::Device { path, device });
        }
        if let Err(source) = self.image.xattrs(entry.ino) {
            let path = path();
            self.fault(AuditFault::Inode { path, source });
        }
    }

    /// What is no directory.
    fn inode(&mut self, entry: &WalkEntry<'_>) -> Result<(), Cancelled> {
        self.attributes(entry);
        match entry.attributes.kind {
            FileKind::File => {
                self.summary.files += 1;
                self.file(entry)?;
            }
            FileKind::Symlink => {
                self.summary.symlinks += 1;
                self.symlink(entry);
            }
            _ => self.summary.specials += 1,
        }
        Ok(())
    }

    fn symlink(&mut self, entry: &WalkEntry<'_>) {
        let path = entry.path.clone();
        let size = entry.attributes.size;
        match self.image.symlink_target(entry.ino) {
            Err(source) => self.fault(AuditFault::Inode { path, source }),
            Ok(target) if target.len() as u64 != size => {
                let len = target.len() as u64;
                self.fault(AuditFault::TargetLength { path, len, size });
            }
            Ok(_) => {}
        }
    }

    fn file(&mut self, entry: &WalkEntry<'_>) -> Result<(), Cancelled> {
        let limit = self.limits.max_chunks;
        if self.extents > limit {
            return Ok(());
        }
        let (path, size) = (entry.path, entry.attributes.size);
        self.summary.content_len = self.summary.content_len.saturating_add(size);
        let image = self.image;
        let (mut file_offset, mut chunk) = (0, 0);
        let mut cancelled = Ok(());
        let visited = image.extents(entry.ino, 0..size, &mut |extent| {
            let fits = extent.file_offset == file_offset
                && extent.len > 0
                && extent.len <= size - file_offset;
            self.extents = self.extents.saturating_add(1);
            if !fits || self.extents > limit {
                return ControlFlow::Break(());
            }
            file_offset += extent.len;
            if let Some(stored) = StoredChunk::of(&extent) {
                cancelled = self.chunk(path, chunk, &extent, &stored);
                chunk += 1;
            }
            match cancelled {
                Ok(()) => ControlFlow::Continue(()),
                Err(Cancelled) => ControlFlow::Break(()),
            }
        });
        cancelled?;
        let path = || path.clone();
        if let Err(source) = visited {
            self.fault(AuditFault::Inode {
                path: path(),
                source,
            });
        } else if self.extents > limit {
            self.fault(AuditFault::TooManyExtents {
                path: path(),
                limit,
            });
        } else if file_offset != size {
            self.fault(AuditFault::Extents {
                path: path(),
                file_offset,
                size,
            });
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        path: &ImagePath,
        chunk: u64,
        extent: &Extent,
        stored: &StoredChunk,
    ) -> Result<(), Cancelled> {
        if !self.chunks.insert(stored) {
            return Ok(());
        }
        self.summary.chunks += 1;
        if stored.digest.is_none() && stored.crc32c.is_none() {
            self.summary.unverifiable_chunks += 1;
        }
        if let Err(problem) = self.check_chunk(stored) {
            let (path, file_offset) = (path.clone(), extent.file_offset);
            let at = stored.stored_at(self.image);
            self.fault(match problem {
                Problem::Blob => AuditFault::Blob {
                    path,
                    chunk,
                    file_offset,
                    at,
                },
                Problem::OutsideBlob { end, blob_len } => AuditFault::OutsideBlob {
                    path,
                    chunk,
                    file_offset,
                    at,
                    end,
                    blob_len,
                },
                Problem::Extent(source) => AuditFault::Chunk {
                    path,
                    chunk,
                    file_offset,
                    at,
                    source,
                },
            });
        }
        self.summary.chunk_len += stored.len;
        self.observer.advance(self.summary.chunk_len)
    }

    /// Reads `chunk` if content is read, and checks all that the image says of it.
    fn check_chunk(&mut self, chunk: &StoredChunk) -> Result<(), Problem> {
        let frame = &chunk.frame;
        let blobs = self.image.blobs();
        let blob = blobs.get(frame.blob.0 as usize).ok_or(Problem::Blob)?;
        let end = frame.offset.saturating_add(frame.stored_len.into());
        if blob.stored_len != 0 && end > blob.stored_len {
            let blob_len = blob.stored_len;
            return Err(Problem::OutsideBlob { end, blob_len });
        }
        let Some(source) = &mut self.source else {
            return Ok(chunk.check_place(frame.len.into())?);
        };
        let bytes = chunk.read_unverified(*source)?;
        if let Some(digest) = chunk.digest {
            check(&digest, bytes).map_err(ExtentError::from)?;
        }
        if let Some(crc32c) = chunk.crc32c {
            check_crc32c(crc32c, bytes).map_err(ExtentError::from)?;
        }
        Ok(())
    }
}

/// What is wrong with a chunk.
enum Problem {
    Blob,
    OutsideBlob { end: u64, blob_len: u64 },
    Extent(ExtentError),
}

impl From<ExtentError> for Problem {
    fn from(error: ExtentError) -> Self {
        Self::Extent(error)
    }
}
