//! The walk of an audit.

use std::collections::{HashMap, VecDeque};

use image_model::walk::{InoSet, Walk, WalkEntry, WalkError};
use image_model::{
    Attributes, Blame, Cancelled, Device, Fault, FileKind, Image, ImageError, ImagePath, Ino,
    Limits, NameRef,
};

use super::{AuditFault, AuditObserver, AuditSummary, MAX_CONTENT_FAULTS};
use crate::content::{CheckFiles, ChunkFault, ChunkObserver, Content};

pub(super) struct Audit<'a> {
    image: &'a dyn Image,
    limits: &'a Limits,
    observer: &'a mut dyn AuditObserver,
    summary: AuditSummary,
    /// Inodes seen that are no directories.
    inodes: InoSet,
    /// Those with several names or a link count other than 1.
    linked: HashMap<Ino, Linked>,
    /// The distinct files.
    files: Vec<Ino>,
    /// Bytes that the paths of further faults may take.
    room: u64,
}

struct Linked {
    names: u64,
    links: u32,
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        image: &'a dyn Image,
        limits: &'a Limits,
        observer: &'a mut dyn AuditObserver,
    ) -> Self {
        Self {
            image,
            limits,
            observer,
            summary: AuditSummary::default(),
            inodes: InoSet::default(),
            linked: HashMap::new(),
            files: Vec::new(),
            room: limits.max_report_len,
        }
    }

    pub(super) fn run(
        mut self,
        content: &mut dyn Content,
        read: bool,
    ) -> Result<AuditSummary, Cancelled> {
        let mut walk = Walk::new(self.image, self.limits);
        let mut directories: Vec<Ino> = Vec::new();
        while let Some(entry) = walk.next_entry() {
            self.observer.advance(0, None)?;
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.walk_error(error);
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
                self.inode(&entry);
            }
        }
        self.link_counts();
        self.content(content, read)?;
        Ok(self.summary)
    }

    /// Reports a fault of what is at `path`, which is copied only while there is room for it: it may have
    /// megabytes, and each name of an image may have a fault.
    fn fault(
        &mut self,
        path: &ImagePath,
        whose: Fault,
        fault: impl FnOnce(ImagePath) -> AuditFault,
    ) {
        self.summary.faults += 1;
        if self.takes(path) {
            self.observer.fault(fault(path.clone()));
        } else {
            self.observer.untold(whose);
        }
    }

    fn corrupt(&mut self, path: &ImagePath, fault: impl FnOnce(ImagePath) -> AuditFault) {
        self.fault(path, Fault::Corrupt, fault);
    }

    fn unreadable(&mut self, path: &ImagePath, source: ImageError) {
        let whose = source.fault();
        self.fault(path, whose, |path| AuditFault::Inode { path, source });
    }

    fn walk_error(&mut self, error: WalkError) {
        self.summary.faults += 1;
        if self.takes(error.path()) {
            self.observer.fault(error.into());
        } else {
            self.observer.untold(error.fault());
        }
    }

    /// Takes the room for `path`; false if there is none, and then no room is left.
    fn takes(&mut self, path: &ImagePath) -> bool {
        let left = self.room.checked_sub(path.as_bytes().len() as u64);
        self.room = left.unwrap_or(0);
        self.summary.untold += u64::from(left.is_none());
        left.is_some()
    }

    /// The entry against its directory.
    fn name(&mut self, entry: &WalkEntry<'_>, directory: Ino, name: NameRef<'_>) {
        let (path, inode) = (entry.path, entry.attributes.kind);
        if entry.entry_kind != inode {
            let entry = entry.entry_kind;
            self.corrupt(path, |path| AuditFault::EntryKind { path, entry, inode });
        }
        match self.image.lookup(directory, name) {
            Err(source) => self.unreadable(path, source),
            Ok(found) if found != Some(entry.ino) => {
                let listed = entry.ino;
                self.corrupt(path, |path| AuditFault::Lookup {
                    path,
                    listed,
                    found,
                });
            }
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
            self.corrupt(entry.path, |path| AuditFault::Links { path, names, links });
        }
    }

    /// Counts a name of a non-directory; returns whether it is the inode's first one.
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

    /// Reports wrong link counts at the first path of the inode. Paths are searched for only now:
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
                self.corrupt(entry.path, |path| AuditFault::Links { path, names, links });
            }
        }
    }

    /// Checks for every inode.
    fn attributes(&mut self, entry: &WalkEntry<'_>) {
        let Attributes { kind, device, .. } = entry.attributes;
        let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        if !is_device && device != Device::default() {
            self.corrupt(entry.path, |path| AuditFault::Device { path, device });
        }
        if let Err(source) = self.image.xattrs(entry.ino) {
            self.unreadable(entry.path, source);
        }
    }

    /// Checks for non-directories.
    fn inode(&mut self, entry: &WalkEntry<'_>) {
        self.attributes(entry);
        match entry.attributes.kind {
            FileKind::File => {
                let size = entry.attributes.size;
                self.summary.files += 1;
                self.summary.content_len = self.summary.content_len.saturating_add(size);
                self.files.push(entry.ino);
            }
            FileKind::Symlink => {
                self.summary.symlinks += 1;
                self.symlink(entry);
            }
            _ => self.summary.specials += 1,
        }
    }

    fn symlink(&mut self, entry: &WalkEntry<'_>) {
        let size = entry.attributes.size;
        match self.image.symlink_target(entry.ino) {
            Err(source) => self.unreadable(entry.path, source),
            Ok(target) if target.len() as u64 != size => {
                let len = target.len() as u64;
                self.corrupt(entry.path, |path| AuditFault::TargetLength {
                    path,
                    len,
                    size,
                });
            }
            Ok(_) => {}
        }
    }

    /// Checks the content of all files. The paths of damaged files are searched for only afterwards.
    fn content(&mut self, content: &mut dyn Content, read: bool) -> Result<(), Cancelled> {
        let files = std::mem::take(&mut self.files);
        let mut found = Found {
            observer: &mut *self.observer,
            faults: Vec::new(),
            untold: 0,
        };
        let options = CheckFiles::new(self.limits).read(read);
        let summary = content.check_files(&files, &options, &mut found)?;
        let Found { faults, untold, .. } = found;
        self.summary.chunks = summary.chunks;
        self.summary.chunk_len = summary.chunk_len;
        self.summary.unverifiable_chunks = summary.unverifiable;
        self.summary.faults += untold;
        self.summary.untold += untold;
        self.tell(&files, faults);
        Ok(())
    }

    /// Reports the faults of `files`, file by file in walk order.
    fn tell(&mut self, files: &[Ino], faults: Vec<(usize, ChunkFault)>) {
        let mut by_file: HashMap<Ino, VecDeque<ChunkFault>> = HashMap::new();
        for (file, fault) in faults {
            by_file.entry(files[file]).or_default().push_back(fault);
        }
        let mut walk = Walk::new(self.image, self.limits);
        while !by_file.is_empty()
            && let Some(entry) = walk.next_entry()
        {
            let Ok(entry) = entry else { continue };
            for fault in by_file.remove(&entry.ino).into_iter().flatten() {
                let whose = fault.fault();
                self.fault(entry.path, whose, |path| AuditFault::Content {
                    path,
                    fault,
                });
            }
        }
    }
}

/// Findings in the content of files.
struct Found<'a> {
    observer: &'a mut dyn AuditObserver,
    faults: Vec<(usize, ChunkFault)>,
    untold: u64,
}

impl ChunkObserver for Found<'_> {
    fn fault(&mut self, file: usize, fault: ChunkFault) {
        if self.faults.len() < MAX_CONTENT_FAULTS {
            self.faults.push((file, fault));
        } else {
            self.untold += 1;
            self.observer.untold(fault.fault());
        }
    }

    fn advance(&mut self, done: u64, total: u64) -> Result<(), Cancelled> {
        self.observer.advance(done, Some(total))
    }
}
