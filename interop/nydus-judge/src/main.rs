//! Reads every file of a RAFS image by the crates nydus-rafs 0.4.1 and nydus-storage 0.7.2, which read what nydusd 2.2.0
//! does not.
//!
//! `lazyoci-interop-nydus-judge BOOTSTRAP BLOBS CACHE` prints a line for each regular file, in the order of paths: the
//! SHA-256 of its content, its size, its path. CACHE is an empty directory, in which decoded chunks are kept.

use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use fuse_backend_rs::api::filesystem::ZeroCopyWriter;
use fuse_backend_rs::file_buf::FileVolatileSlice;
use fuse_backend_rs::file_traits::FileReadWriteVolatile;
use nydus_api::ConfigV2;
use nydus_rafs::metadata::{RafsInodeExt, RafsSuper};
use nydus_storage::device::BlobDevice;
use sha2::{Digest, Sha256};
use vm_memory::VolatileSlice;

/// Bytes that are read at once: two chunks of most images.
const PIECE: u64 = 2 << 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, blobs, cache] = &arguments[..] else {
        bail!("BOOTSTRAP BLOBS CACHE");
    };
    let config = config(blobs, cache)?;
    let (image, _) = RafsSuper::load_from_file(Path::new(bootstrap), Arc::clone(&config), false)?;
    let device = BlobDevice::new(&config, &image.superblock.get_blob_infos())?;
    let mut lines = Vec::new();
    let root = image.superblock.root_ino();
    image.walk_directory(root, None::<&Path>, &mut |inode, path| {
        if inode.is_reg() {
            let digest = digest(&*inode, &device).map_err(|e| e.context(path.display().to_string()))?;
            let line = format!("{digest} {} {}", inode.size(), path.display());
            lines.push((path.to_owned(), line));
        }
        Ok(())
    })?;
    lines.sort();
    let mut out = io::stdout().lock();
    for (_, line) in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Blobs are files of `blobs`, called by their ids.
fn config(blobs: &str, cache: &str) -> Result<Arc<ConfigV2>> {
    let text = format!(
        r#"
        version = 2
        id = "judge"
        [backend]
        type = "localfs"
        [backend.localfs]
        dir = "{blobs}"
        [cache]
        type = "filecache"
        [cache.filecache]
        work_dir = "{cache}"
        [rafs]
        mode = "direct"
        "#
    );
    let config = ConfigV2::from_str(&text)?;
    config.internal.set_blob_accessible(true);
    Ok(Arc::new(config))
}

/// The SHA-256 of the file `inode`.
fn digest(inode: &dyn RafsInodeExt, device: &BlobDevice) -> Result<String> {
    let mut content = Content::default();
    let mut offset = 0;
    while offset < inode.size() {
        let len = PIECE.min(inode.size() - offset);
        let mut read = 0;
        for mut wanted in inode.alloc_bio_vecs(device, offset, usize::try_from(len)?, true)? {
            read += device.read_to(&mut content, &mut wanted)? as u64;
        }
        ensure!(read == len, "{read} of {len} bytes at {offset}");
        offset += len;
    }
    Ok(content.hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Content as it comes.
#[derive(Default)]
struct Content {
    hasher: Sha256,
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ZeroCopyWriter for Content {
    fn write_from(
        &mut self,
        file: &mut dyn FileReadWriteVolatile,
        count: usize,
        offset: u64,
    ) -> io::Result<usize> {
        let mut bytes = vec![0; count];
        let read = {
            let slice = FileVolatileSlice::from_volatile_slice(&VolatileSlice::from(&mut bytes[..]));
            file.read_vectored_at_volatile(&[slice], offset)?
        };
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }

    fn available_bytes(&self) -> usize {
        usize::MAX
    }
}
