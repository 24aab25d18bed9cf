//! lazyoci.

use std::ops::ControlFlow;
use std::path::Path;

use lazyoci::blob_io::Mapped;
use lazyoci::model::{Extent, ExtentSource, Ino, Limits};
use lazyoci::rafs_format::Bootstrap;
use lazyoci::read::{Follow, resolve};

use crate::library::{Library, Place};
use crate::questions::CHUNK_SIZE;

/// A bootstrap in a mapped file.
pub(crate) struct Ours(Bootstrap);

impl Ours {
    fn resolve(&self, path: &[u8]) -> Ino {
        resolve(self.0.image(), path, Follow::All).expect("the path is one of the image")
    }
}

impl Library for Ours {
    const NAME: &'static str = "lazyoci";

    fn open(path: &Path) -> Self {
        let bytes = Mapped::open(path).expect("the bootstrap is there");
        let bootstrap = Bootstrap::open(bytes.bytes().clone(), &Limits::default());
        Self(bootstrap.expect("it was written by us"))
    }

    fn inode(&self, path: &[u8]) -> u64 {
        self.resolve(path).0
    }

    fn chunk(&self, path: &[u8], number: u32) -> Place {
        let ino = self.resolve(path);
        let image = self.0.image();
        let mut frame = None;
        let mut take = |extent: Extent| {
            if let ExtentSource::Chunk { frame: found, .. } = extent.source {
                frame = Some(found);
            }
            ControlFlow::Break(())
        };
        let offset = u64::from(number) * u64::from(CHUNK_SIZE);
        let answer = image.extents(ino, offset..offset + 1, &mut take);
        answer.expect("the file is sound");
        let frame = image.frame(frame.expect("the file has as many chunks"));
        let frame = frame.expect("so is the chunk");
        Place {
            blob: frame.blob.0,
            offset: frame.offset,
            stored_len: frame.stored_len,
        }
    }
}
