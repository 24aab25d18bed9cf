//! An image that may say anything, and short ways to write trees.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "test support"
)]

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use lazyoci_image_model::image::WrongInode;
use lazyoci_image_model::{
    Attributes, Blob, Device, DirEntry, Extent, FileKind, Image, ImageError, ImagePath, Ino, Name,
    NameRef, Timestamp, Xattrs,
};

pub fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// Says what it is told, however wrong: directories by inode, everything else is a FIFO unless
/// it is missing.
#[derive(Debug, Default)]
pub struct Liar {
    pub directories: BTreeMap<u64, Vec<(&'static str, u64)>>,
    pub missing: Vec<u64>,
}

impl Liar {
    pub fn new(directories: &[(u64, &[(&'static str, u64)])]) -> Self {
        Self {
            directories: directories.iter().map(|(k, v)| (*k, v.to_vec())).collect(),
            missing: vec![],
        }
    }

    fn kind(&self, ino: Ino) -> FileKind {
        if self.directories.contains_key(&ino.0) {
            FileKind::Directory
        } else {
            FileKind::Fifo
        }
    }
}

impl Image for Liar {
    fn root(&self) -> Ino {
        Ino(0)
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        if self.missing.contains(&ino.0) {
            return Err(ImageError::new(ino, WrongInode::Missing(ino)));
        }
        Ok(Attributes {
            kind: self.kind(ino),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp::EPOCH,
            size: 0,
            links: 1,
            device: Device::default(),
        })
    }

    fn xattrs(&self, _: Ino) -> Result<Xattrs, ImageError> {
        Ok(Xattrs::default())
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        let entries = &self.directories[&directory.0];
        let found = entries.iter().find(|e| e.0.as_bytes() == name.as_bytes());
        Ok(found.map(|e| Ino(e.1)))
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        for (name, ino) in &self.directories[&directory.0] {
            let entry = DirEntry {
                name: NameRef::new(name.as_bytes()).unwrap(),
                ino: Ino(*ino),
                kind: self.kind(Ino(*ino)),
            };
            if visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        Err(ImageError::new(ino, WrongInode::Missing(ino)))
    }

    fn extents(
        &self,
        _: Ino,
        _: Range<u64>,
        _: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        Ok(())
    }

    fn blobs(&self) -> &[Blob] {
        &[]
    }
}
