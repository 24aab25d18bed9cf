//! Everything that an image shows.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nydus_api::ConfigV2;
use nydus_rafs::metadata::{RafsInodeExt, RafsSuper};
use nydus_storage::device::BlobDevice;
use sha2::{Digest, Sha256};

use crate::Fallible;

/// Bytes read at once.
const STEP: u64 = 1 << 20;

/// Names of an inode by its number.
type Names = BTreeMap<u64, Vec<PathBuf>>;

/// Reads every inode and every file of the image, and prints a line for each name, as `walker.py --dump` does.
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
    let (mut inodes, mut names) = (BTreeMap::new(), Names::new());
    let mut pending = vec![(PathBuf::new(), root)];
    while let Some((path, inode)) = pending.pop() {
        if inode.is_dir() {
            for index in 0..inode.get_child_count() {
                let child = inode.get_child_by_index(index)?;
                pending.push((path.join(child.name()), child));
            }
        } else {
            names.entry(inode.ino()).or_default().push(path.clone());
        }
        inodes.insert(path, inode);
    }
    for (path, inode) in inodes {
        println!("{}", line(&path, &*inode, &names, &device)?);
    }
    Ok(())
}

/// Path, kind, mode, owner, time, device number, first of several names, extended attributes, and content.
fn line(
    path: &Path,
    inode: &dyn RafsInodeExt,
    names: &Names,
    device: &BlobDevice,
) -> Fallible<String> {
    let attributes = inode.get_attr();
    let kind = match attributes.mode >> 12 {
        0o01 => 'p',
        0o02 => 'c',
        0o04 => 'd',
        0o06 => 'b',
        0o10 => 'f',
        0o12 => 'l',
        0o14 => 's',
        other => return Err(format!("{}: kind {other:o}", path.display()).into()),
    };
    let mode = match kind {
        'l' => 0o777,
        _ => attributes.mode & 0o7777,
    };
    let is_root = path.as_os_str().is_empty();
    let time = if is_root { 0 } else { attributes.mtime as i64 };
    let (major, minor) = match kind {
        'c' | 'b' => numbers(attributes.rdev),
        _ => (0, 0),
    };
    let first = match names.get(&inode.ino()) {
        Some(names) if kind != 'd' && names.len() > 1 => names.iter().map(|name| bytes(name)).min(),
        _ => None,
    };
    let content = match kind {
        'f' => format!("{}:{}", inode.size(), digest(inode, device)?),
        'l' => target(inode.get_symlink()?.as_bytes()),
        _ => "-".to_owned(),
    };
    let shown = printable(&[b"/", bytes(path)].concat());
    let (uid, gid) = (attributes.uid, attributes.gid);
    let first = printable(first.unwrap_or_default());
    let xattrs = xattrs(inode)?;
    Ok(format!(
        "{shown}\t{kind}\t{mode:04o}\t{uid}:{gid}\t{time}\t{major},{minor}\t{first}\t{xattrs}\t{content}"
    ))
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Major and minor number of a device, as Linux keeps them in 32 bits.
fn numbers(device: u32) -> (u32, u32) {
    (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00)
}

/// How many there are, and the start of the SHA-256 of their names and values, each behind its length.
fn xattrs(inode: &dyn RafsInodeExt) -> Fallible<String> {
    let mut names = inode.get_xattrs()?;
    names.sort();
    let mut hasher = Sha256::new();
    for name in &names {
        let value = inode.get_xattr(OsStr::from_bytes(name))?;
        for part in [name, &value.ok_or("a name without a value")?] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    if names.is_empty() {
        return Ok("-".to_owned());
    }
    let digest = format!("{:x}", hasher.finalize());
    Ok(format!("{}:{}", names.len(), &digest[..16]))
}

/// The target of a link, or its length and SHA-256.
fn target(target: &[u8]) -> String {
    match target.len() {
        ..=200 => printable(target),
        len => format!("{len}:{:x}", Sha256::digest(target)),
    }
}

/// One word of ASCII for any bytes.
fn printable(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\x5c"),
            0x21..0x7f => text.push(byte.into()),
            _ => write!(text, "\\x{byte:02x}").expect("a string takes everything"),
        }
    }
    text
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
