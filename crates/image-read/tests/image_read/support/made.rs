//! Images whose lists are made up: nothing checks that they fit together.

use std::ops::{ControlFlow, Range};

use image_model::image::NoSuchEntry;
use image_model::{
    Attributes, Blob, BlobId, Codec, Device, DirEntry, Extent, ExtentSource, FileKind, Frame,
    FrameId, Image, ImageError, Ino, NameRef, Recipe, RecipeId, Timestamp, Xattrs,
};

/// Files by position, each with its length and extents; `Ino(0)` is the first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) files: Vec<(u64, Vec<Extent>)>,
    /// What it says of a byte that is asked for alone, if that is something else.
    pub(crate) of_one_byte: Option<Extent>,
    pub(crate) frames: Vec<Frame>,
    /// What stands for each of the first frames; the others stand for themselves.
    pub(crate) shared: Vec<FrameId>,
    /// As many frames as it says it has, if not those.
    pub(crate) claimed: Option<u32>,
    pub(crate) recipes: Vec<Recipe>,
    pub(crate) blobs: Vec<Blob>,
}

impl Made {
    /// An image of one file.
    pub(crate) fn one(size: u64, extents: Vec<Extent>) -> Self {
        Self {
            files: vec![(size, extents)],
            recipes: vec![Recipe::exact(Codec::None)],
            blobs: vec![Blob::new(BlobId::new(b"blob-0").unwrap())],
            ..Self::default()
        }
    }

    /// An image of one file, which is a chunk at the start of `frame` that nobody vouches for.
    pub(crate) fn in_frame(size: u64, frame: Frame) -> Self {
        let extent = Extent {
            file_offset: 0,
            len: size,
            source: ExtentSource::Chunk {
                frame: FrameId(0),
                offset_in_frame: 0,
                digest: None,
                crc32c: None,
            },
        };
        Self {
            frames: vec![frame],
            ..Self::one(size, vec![extent])
        }
    }

    pub(crate) fn inos(&self) -> Vec<Ino> {
        (0..self.files.len() as u64).map(Ino).collect()
    }
}

impl Image for Made {
    fn root(&self) -> Ino {
        Ino(u64::MAX)
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        Ok(Attributes {
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp::from_seconds(0),
            size: self.files[ino.0 as usize].0,
            links: 1,
            device: Device::default(),
        })
    }

    fn xattrs(&self, _ino: Ino) -> Result<Xattrs, ImageError> {
        Ok(Xattrs::default())
    }

    fn lookup(&self, _directory: Ino, _name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        Ok(None)
    }

    fn read_directory(
        &self,
        _directory: Ino,
        _visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        Ok(())
    }

    fn symlink_target(&self, _ino: Ino) -> Result<Box<[u8]>, ImageError> {
        Ok(Box::default())
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        if let Some(extent) = self.of_one_byte.filter(|_| range.end - range.start == 1) {
            let _ = visit(extent);
            return Ok(());
        }
        for extent in &self.files[ino.0 as usize].1 {
            let end = extent.file_offset.saturating_add(extent.len);
            if end > range.start && extent.file_offset < range.end && visit(*extent).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let missing = NoSuchEntry {
            what: "frame",
            index: frame.0,
            count: self.frames.len(),
        };
        let found = self.frames.get(frame.0 as usize).copied();
        found.ok_or_else(|| ImageError::new(None, missing))
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        self.shared.get(frame.0 as usize).copied().unwrap_or(frame)
    }

    fn frame_bound(&self) -> u32 {
        self.claimed.unwrap_or(self.frames.len() as u32)
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.recipes.get(recipe.0 as usize).cloned()
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
