//! Every file of an image.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nydus_api::ConfigV2;
use nydus_rafs::metadata::{RafsInodeExt, RafsSuper};
use nydus_storage::device::BlobDevice;
use sha2::{Digest, Sha256};

use crate::Fallible;

/// Bytes read at once.
const STEP: u64 = 1 << 20;

/// Reads every file of the image, and prints its SHA-256 and path.
pub(crate) fn read(bootstrap: &Path, blobs: &Path) -> Fallible<()> {
    let cache = tempfile::tempdir()?;
    let config = format!(
        "version = 2\n[backend]\ntype = \"localfs\"\n[backend.localfs]\ndir = {:?}\n[cache]\ntype = \"filecache\"\n\
         validate = true\n[cache.filecache]\nwork_dir = {:?}\n[rafs]\nmode = \"direct\"\n",
        blobs,
        cache.path(),
    );
    let config: ConfigV2 = config.parse()?;
    config.internal.set_blob_accessible(true);
    let config = Arc::new(config);
    let (image, _) = RafsSuper::load_from_file(bootstrap, config.clone(), false)?;
    let device = BlobDevice::new(&config, &image.superblock.get_blob_infos())?;
    if image.meta.has_inlined_chunk_digest() {
        image.superblock.set_blob_device(device.clone());
    }
    let root = image.get_extended_inode(image.superblock.root_ino(), false)?;
    let mut files = BTreeMap::new();
    let mut pending = vec![(PathBuf::new(), root)];
    while let Some((path, inode)) = pending.pop() {
        if inode.is_reg() {
            files.insert(path, digest(&*inode, &device)?);
        } else if inode.is_dir() {
            for index in 0..inode.get_child_count() {
                let child = inode.get_child_by_index(index)?;
                pending.push((path.join(child.name()), child));
            }
        }
    }
    for (path, digest) in files {
        println!("{digest}  {}", path.display());
    }
    Ok(())
}

/// The SHA-256 of a file.
fn digest(inode: &dyn RafsInodeExt, device: &BlobDevice) -> Fallible<String> {
    let mut content = tempfile::tempfile()?;
    let mut offset = 0;
    while offset < inode.size() {
        let len = STEP.min(inode.size() - offset);
        for mut piece in inode.alloc_bio_vecs(device, offset, len as usize, true)? {
            device.read_to(&mut content, &mut piece)?;
        }
        offset += len;
    }
    content.rewind()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = content.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        hasher.update(&buffer[..len]);
    }
    Ok(format!("{:x}", hasher.finalize()))
}
