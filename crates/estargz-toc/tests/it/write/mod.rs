//! Blobs of our own.

mod blobs;
mod refusals;
mod vectors;

use image_model::metadata::Xattr;
use image_model::{Device, Metadata, Node, Timestamp, Xattrs};
use tar_stream::{LayerStream, TarReadOptions, TarReader};

use crate::common::{Options, TreeMaker, Written, file, members_of, metadata, vector_tree, write};

fn vector(options: &Options) -> Written {
    let (tree, names) = vector_tree();
    write(&tree, &names, options).unwrap()
}

/// Lengths of the plain members, TOC and footer included.
fn lengths(blob: &[u8]) -> Vec<usize> {
    members_of(blob)
        .iter()
        .map(|(_, plain)| plain.len())
        .collect()
}

/// The names in the tar, in its order.
fn tar_names(blob: &[u8]) -> Vec<String> {
    let layer = LayerStream::open(blob, &Default::default()).unwrap();
    let mut tar = TarReader::new(layer, TarReadOptions::default());
    let mut names = Vec::new();
    while let Some(entry) = tar.next_entry().unwrap() {
        names.push(String::from_utf8(entry.path).unwrap());
    }
    names
}

/// A tree with one of everything.
fn everything() -> TreeMaker {
    let mut maker = TreeMaker::new();
    maker.directory("etc", 0o1777, 1_600_000_000);
    let xattr = |name: &[u8], value: &[u8]| Xattr {
        name: name.into(),
        value: value.into(),
    };
    let rich = Metadata {
        mode: 0o6755,
        uid: u32::MAX,
        gid: 3_000_000_000,
        mtime: Timestamp {
            seconds: -1,
            nanoseconds: 750_000_000,
        },
        xattrs: Xattrs::new([
            xattr(b"user.b", b"\0\xff\n"),
            xattr("user.ü".as_bytes(), b""),
        ])
        .unwrap(),
    };
    let tool = maker.add("etc/tool", rich, file(&[7; 1000]));
    maker.name("etc/tool-link", tool);
    maker.name("another", tool);
    maker.file("etc/empty", b"");
    maker.file("etc/.wh.gone", b"");
    maker.file("quo\"te\\ \n<&>\u{2028}", b"x");
    maker.add(
        "etc/link",
        metadata(0o777, 5),
        Node::Symlink("../é <x>".as_bytes().into()),
    );
    let device = |major, minor| Device { major, minor };
    maker.add("char", metadata(0o600, 0), Node::CharDevice(device(1, 3)));
    maker.add(
        "block",
        metadata(0o600, 0),
        Node::BlockDevice(device(8, u32::MAX)),
    );
    let pipe = maker.add("pipe", metadata(0o644, 253_402_300_799), Node::Fifo);
    maker.name("pipe-link", pipe);
    maker.directory(&"x".repeat(200), 0o755, 1);
    maker.file(&format!("{}/{}", "x".repeat(200), "y".repeat(250)), b"long");
    maker
}
