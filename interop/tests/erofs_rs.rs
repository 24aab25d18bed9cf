//! Plain EROFS that we write, read by the crate erofs-rs 0.3.0: another reader than the kernel's and ours.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use erofs_rs::EroFS;
use erofs_rs::backend::SliceImage;
use erofs_rs::types::Inode;
use lazyoci::bytes::Bytes;
use lazyoci::read::{Follow, NoBlobs, open_source, resolve};
use lazyoci_interop::{Corpus, Finished, lazyoci, scratch};

type Peer<'b> = EroFS<SliceImage<'b>>;

/// What is at each path below the root, but the root itself.
fn tree(peer: &Peer<'_>) -> BTreeMap<PathBuf, (u64, Inode)> {
    let mut tree = BTreeMap::new();
    for entry in peer.walk_dir("/").expect("a root") {
        let entry = entry.expect("a sound image");
        let path = entry.dir_entry.path();
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        let path = path.strip_prefix("/").expect("below the root").to_owned();
        let inode = (entry.dir_entry.nid(), entry.inode);
        assert!(tree.insert(path, inode).is_none(), "a path twice");
    }
    tree
}

/// The paths below `directory`.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(inside) = pending.pop() {
        for entry in fs::read_dir(directory.join(&inside)).expect("a directory") {
            let entry = entry.expect("a directory");
            let path = inside.join(entry.file_name());
            if entry.file_type().expect("a kind").is_dir() {
                pending.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// Compares everything but names and extended attributes with what is at `source`.
fn compare(peer: &Peer<'_>, inode: Inode, source: &Path, expected: &Metadata) {
    let shown = source.display();
    let mode = inode.permissions().mode() & 0o7777;
    assert_eq!(mode, expected.mode() & 0o7777, "{shown}");
    let owner = (expected.uid(), expected.gid());
    assert_eq!((inode.uid(), inode.gid()), owner, "{shown}");
    let time = (expected.mtime(), expected.mtime_nsec() as u32);
    assert_eq!(inode.modified_unix(), time, "{shown}");
    assert_eq!(u64::from(inode.nlink()), expected.nlink(), "{shown}");
    let kind = expected.file_type();
    assert_eq!(inode.is_dir(), kind.is_dir(), "{shown}");
    assert_eq!(inode.is_file(), kind.is_file(), "{shown}");
    assert_eq!(inode.is_symlink(), kind.is_symlink(), "{shown}");
    if kind.is_file() {
        let mut content = Vec::new();
        let mut file = peer.open_inode_file(inode).expect("a file");
        let read = file.read_to_end(&mut content);
        read.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(content == fs::read(source).expect("a file"), "{shown}");
    } else if kind.is_symlink() {
        let target = peer.read_link_inode(inode).expect("a link");
        let expected = fs::read_link(source).expect("a link");
        assert_eq!(
            target.as_bytes(),
            expected.as_os_str().as_bytes(),
            "{shown}"
        );
    } else if kind.is_char_device() || kind.is_block_device() {
        // As Linux has it: 12 bits of the major number, 20 of the minor one.
        let number = expected.rdev();
        let major = number >> 8 & 0xfff;
        let minor = number & 0xff | number >> 12 & 0xf_ff00;
        let device = inode.device().expect("a device");
        assert_eq!(
            (device.0.into(), device.1.into()),
            (major, minor),
            "{shown}"
        );
    }
}

#[test]
fn every_file_is_as_in_the_source() {
    for corpus in Corpus::roots("full") {
        for options in [&[][..], &["--chunk-size", "4KiB"]] {
            let dir = scratch();
            let image = dir.path().join("image");
            let mut convert = lazyoci("convert");
            convert.args(["--to", "erofs"]).args(options);
            let _ = Finished::of(convert.arg(corpus.tar()).arg(&image)).ok();
            let bytes = Bytes::from(fs::read(&image).expect("our image"));
            let peer = EroFS::new(SliceImage::new(&bytes)).expect("an image");
            let ours = open_source(Arc::new(bytes.clone()), None, NoBlobs, &Default::default());
            let ours = ours.expect("an image");
            let tree = tree(&peer);
            assert!(tree.keys().eq(&paths(corpus.dir())), "{}", corpus.name);
            let mut links: BTreeMap<u64, u64> = BTreeMap::new();
            let mut attributes = 0;
            for (path, (nid, inode)) in tree {
                let source = corpus.dir().join(&path);
                let expected = fs::symlink_metadata(&source).expect("it is there");
                // Those that we read, which other tests compare with the source.
                let xattrs = peer.xattrs_inode(inode).expect("sound attributes");
                let ino = resolve(ours.image(), path.as_os_str().as_bytes(), Follow::Never);
                let read = ours.image().xattrs(ino.expect("the same tree"));
                let read = read.expect("sound attributes");
                let read = read.iter().map(|xattr| (&xattr.name[..], &xattr.value[..]));
                let of_peer = xattrs.iter().map(|(name, value)| (&name[..], &value[..]));
                assert!(of_peer.eq(read), "{}", path.display());
                attributes += xattrs.len();
                compare(&peer, inode, &source, &expected);
                let file = links.entry(nid).or_insert(expected.ino());
                assert_eq!(*file, expected.ino(), "{}", path.display());
            }
            assert_ne!(attributes, 0, "{}", corpus.name);
        }
    }
}
