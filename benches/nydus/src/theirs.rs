//! nydus-rafs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use nydus_api::ConfigV2;
use nydus_rafs::metadata::{RafsInodeExt, RafsSuper};
use nydus_storage::device::BlobChunkInfo;

use crate::library::{Library, Place};

/// A bootstrap that nydus-rafs mapped, as it does on its own; it does not look at digests of inodes.
pub(crate) struct Theirs {
    root: Arc<dyn RafsInodeExt>,
    _bootstrap: RafsSuper,
}

impl Theirs {
    /// What `RafsSuper::ino_from_path` does, which has no answer for chunks, without its list of components.
    fn find(&self, path: &[u8]) -> Arc<dyn RafsInodeExt> {
        let mut inode = self.root.clone();
        for name in path.split(|&byte| byte == b'/') {
            let child = inode.get_child_by_name(OsStr::from_bytes(name));
            inode = child.expect("the path is one of the image");
        }
        inode
    }
}

impl Library for Theirs {
    const NAME: &'static str = "nydus-rafs 0.4.1";

    fn open(path: &Path) -> Self {
        let config = Arc::new(ConfigV2::new("bench"));
        let opened = RafsSuper::load_from_file(path, config, false);
        let (bootstrap, _) = opened.expect("the bootstrap is there");
        let root = bootstrap.superblock.root_ino();
        let root = bootstrap.get_extended_inode(root, false);
        Self {
            root: root.expect("there is a root"),
            _bootstrap: bootstrap,
        }
    }

    fn inode(&self, path: &[u8]) -> u64 {
        self.find(path).ino()
    }

    fn chunk(&self, path: &[u8], number: u32) -> Place {
        let chunk = self.find(path).get_chunk_info(number);
        let chunk = chunk.expect("the file has as many chunks");
        let chunk: &dyn BlobChunkInfo = &*chunk;
        Place {
            blob: chunk.blob_index(),
            offset: chunk.compressed_offset(),
            stored_len: chunk.compressed_size(),
        }
    }
}
