//! An image that may say anything, and short ways to write trees.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "test support"
)]

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use lazyoci_image_model::image::{NoSuchEntry, WrongInode};
use lazyoci_image_model::{
    Attributes, Blob, ChunkedImage, Device, DirEntry, Extent, ExtentSource, FileKind, Frame,
    FrameId, Image, ImageError, ImagePath, Ino, Name, NameRef, Recipe, RecipeId, Timestamp, Xattrs,
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

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let none = NoSuchEntry {
            what: "frame",
            index: frame.0,
            count: 0,
        };
        Err(ImageError::new(None, none))
    }

    fn frame_bound(&self) -> u32 {
        0
    }

    fn recipe(&self, _: RecipeId) -> Option<Recipe> {
        None
    }

    fn blobs(&self) -> &[Blob] {
        &[]
    }
}

type Move = Box<dyn Fn(ExtentSource) -> ExtentSource>;

/// An image whose bytes lie elsewhere than it says.
pub struct Moved {
    image: ChunkedImage,
    to: Move,
}

impl Moved {
    pub fn new(image: ChunkedImage, to: impl Fn(ExtentSource) -> ExtentSource + 'static) -> Self {
        let to = Box::new(to);
        Self { image, to }
    }
}

impl Image for Moved {
    fn root(&self) -> Ino {
        self.image.root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        self.image.attributes(ino)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        self.image.xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.image.lookup(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.image.read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.image.symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.image.extents(ino, range, &mut |extent| {
            visit(Extent {
                source: (self.to)(extent.source),
                ..extent
            })
        })
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        self.image.frame(frame)
    }

    fn frame_bound(&self) -> u32 {
        self.image.frame_bound()
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.image.recipe(recipe)
    }

    fn blobs(&self) -> &[Blob] {
        self.image.blobs()
    }
}
