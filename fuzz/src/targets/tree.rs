//! Arbitrary file trees.

use lazyoci::model::metadata::Xattr;
use lazyoci::model::{Device, InodeId, Metadata, Name, Node, Timestamp, Tree, Xattrs};

use super::input::Input;

/// Most inodes of a tree.
const MAX_INODES: usize = 48;

/// The content of a file: these bytes again and again, up to a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    seed: u8,
    len: u32,
}

impl Pattern {
    /// Content of up to about 20,000 bytes, often at the edge of a block.
    fn take(input: &mut Input<'_>) -> Self {
        let near = input.one_of(&[0, 1, 511, 4095, 4096, 4097, 8192, 12_289]);
        let len = near + u32::from(input.u16() % 8192) * u32::from(input.flag());
        let seed = input.byte() % 8;
        Self { seed, len }
    }

    /// Length in bytes.
    pub(super) fn len(self) -> u64 {
        self.len.into()
    }

    /// The bytes: zeros, easy to compress, or hard to compress.
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut state = u32::from(self.seed);
        let byte = |_| match self.seed {
            0 => 0,
            1..=4 => self.seed,
            _ => {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }
        };
        (0..self.len).map(byte).collect()
    }
}

/// A tree that the bytes mean. All kinds of files, hard links, odd names and metadata.
pub(super) fn take_tree(input: &mut Input<'_>) -> Tree<Pattern> {
    let mut tree = Tree::new(take_metadata(input));
    let mut directories = vec![InodeId::ROOT];
    let mut others: Vec<InodeId> = Vec::new();
    while !input.is_empty() && tree.len() < MAX_INODES {
        let directory = directories[input.below(directories.len())];
        let choice = input.below(16);
        let name = take_name(input, tree.len());
        let inode = match choice {
            0 | 1 if !others.is_empty() => others[input.below(others.len())],
            2..=5 => {
                let inode = tree.add(take_metadata(input), Node::empty_directory());
                directories.push(inode);
                inode
            }
            choice => {
                let node = take_node(input, choice);
                let inode = tree.add(take_metadata(input), node);
                others.push(inode);
                inode
            }
        };
        tree.link(directory, name, inode)
            .expect("it is a directory");
    }
    tree.drop_unreachable();
    tree
}

/// A node that is no directory.
pub(super) fn take_node(input: &mut Input<'_>, choice: usize) -> Node<Pattern> {
    match choice {
        6 | 7 => Node::Symlink(input.bytes().into()),
        8 => Node::CharDevice(take_device(input)),
        9 => Node::BlockDevice(take_device(input)),
        10 => Node::Fifo,
        11 => Node::Socket,
        _ => {
            let content = Pattern::take(input);
            let size = content.len();
            Node::File { size, content }
        }
    }
}

fn take_name(input: &mut Input<'_>, number: usize) -> Name {
    let bytes: &[u8] = match input.below(8) {
        0 => input.bytes(),
        1 => b".wh.file",
        2 => b".wh..wh..opq",
        3 => &[b'n'; 255][..input.below(256)],
        _ => b"",
    };
    Name::new(bytes).unwrap_or_else(|_| {
        let name = format!("file {number}").into_bytes();
        Name::new(name).expect("it has neither slash nor NUL")
    })
}

fn take_device(input: &mut Input<'_>) -> Device {
    let mut number = || match input.below(4) {
        0 => input.u32(),
        1 => 0xfff,
        2 => 0xf_ffff,
        _ => input.byte().into(),
    };
    Device {
        major: number(),
        minor: number(),
    }
}

/// Arbitrary metadata, plain ones more often than not.
pub(super) fn take_metadata(input: &mut Input<'_>) -> Metadata {
    let kind = input.byte();
    if kind < 128 {
        return Metadata {
            mode: 0o644,
            ..Metadata::default()
        };
    }
    let mut id = || match input.below(3) {
        0 => input.u32(),
        1 => 65_536,
        _ => input.byte().into(),
    };
    let (uid, gid) = (id(), id());
    Metadata {
        mode: input.u16() & 0o7777,
        uid,
        gid,
        mtime: take_time(input),
        xattrs: if kind & 1 == 1 {
            take_xattrs(input)
        } else {
            Xattrs::default()
        },
    }
}

fn take_time(input: &mut Input<'_>) -> Timestamp {
    let seconds = match input.below(4) {
        0 => input.u64().cast_signed(),
        1 => i64::from(input.u32().cast_signed()),
        2 => 0o77_777_777_777 + i64::from(input.byte()),
        _ => input.byte().into(),
    };
    let nanoseconds = match input.below(3) {
        0 => input.u32() % 1_000_000_000,
        1 => 120_000_000,
        _ => 0,
    };
    Timestamp {
        seconds,
        nanoseconds,
    }
}

fn take_xattrs(input: &mut Input<'_>) -> Xattrs {
    let mut list = Vec::new();
    for _ in 0..input.below(6) {
        let prefix = input.one_of(&[
            &b"user."[..],
            b"trusted.",
            b"security.",
            b"system.posix_acl_access",
            b"system.posix_acl_default",
            b"system.",
            b"",
        ]);
        let suffix = input.bytes();
        let value = match input.below(4) {
            0 => vec![b'v'; usize::from(input.u16())],
            _ => input.bytes().to_vec(),
        };
        list.push(Xattr {
            name: [prefix, suffix].concat().into(),
            value: value.into(),
        });
    }
    Xattrs::new(list).unwrap_or_default()
}
