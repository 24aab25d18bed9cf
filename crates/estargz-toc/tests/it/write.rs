//! Blobs of our own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use estargz_toc::carry::{CannotCarry, Uncarried};
use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::image::Prefetch;
use estargz_toc::order::{Named, prioritize};
use estargz_toc::toc::Toc;
use estargz_toc::write::{Listing, ListingError, Members, toc_member};
use estargz_toc::{Landmark, footer};
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::metadata::Xattr;
use image_model::{Blob, ChunkedImage, Device, Limits, Metadata, Node, Timestamp, Tree, Xattrs};
use tar_stream::{EntryKind, LayerStream, Options as TarOptions, TarReader, WriteError};

use crate::common::{
    Options, TreeMaker, Written, blob_id, content_at, decode, file, golden, members_of, metadata,
    open, path, sha256, vector_tree, write,
};

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
    let limits = Limits::default();
    let layer = LayerStream::open(blob, &limits).unwrap();
    let mut tar = TarReader::new(layer, TarOptions::default());
    let mut names = Vec::new();
    while let Some(entry) = tar.next_entry().unwrap() {
        names.push(String::from_utf8(entry.path).unwrap());
    }
    names
}

/// A TOC with the offsets left out, which depend on the compressor.
fn without_offsets(json: &[u8]) -> Toc<'_> {
    let mut toc = Toc::from_json(json, &Limits::default()).unwrap();
    for entry in &mut toc.entries {
        entry.offset = 0;
    }
    toc
}

#[test]
fn the_first_vector() {
    let written = vector(&Options::default());
    let theirs = golden("vector1.esgz");
    // The same tar but for the offsets in the TOC, cut at the same places.
    let (ours, golden_members) = (members_of(&written.blob), members_of(&theirs));
    assert_eq!(lengths(&written.blob), [512, 1536, 2048, 3072, 0]);
    let plain = |members: &[(usize, Vec<u8>)]| -> Vec<Vec<u8>> {
        members[..2]
            .iter()
            .map(|(_, plain)| plain.clone())
            .collect()
    };
    assert!(plain(&ours) == plain(&golden_members));
    // All but the header of the hard link: ours has the attributes of the file, that one none.
    assert!(ours[2].1[..1536] == golden_members[2].1[..1536]);
    let json = golden("vector1.toc.json");
    let mut theirs = without_offsets(&json);
    let link = theirs.entries.last_mut().unwrap();
    (link.uid, link.gid) = (1000, 1000);
    link.modtime = "2020-09-13T12:26:40Z".into();
    assert_eq!(without_offsets(&written.json), theirs);
    assert_eq!(
        written.blob[written.blob.len() - 51..],
        footer::encode(ours[3].0 as u64)
    );
    assert_eq!(open(&written.blob).unwrap().json, written.json);
}

#[test]
fn the_third_vector() {
    let written = vector(&Options {
        chunk_size: 2,
        ..Options::default()
    });
    assert_eq!(lengths(&written.blob)[..5], [512, 1536, 2, 2, 2044]);
    let offsets: Vec<_> = members_of(&written.blob)
        .iter()
        .map(|m| m.0 as i64)
        .collect();
    let toc = Toc::from_json(&written.json, &Limits::default()).unwrap();
    let chunks: Vec<_> = (toc.entries.iter())
        .filter(|entry| entry.name == "d/a")
        .map(|e| {
            (
                e.kind.as_str(),
                e.offset,
                e.chunk_offset,
                e.chunk_size,
                e.chunk_digest.as_ref(),
            )
        })
        .collect();
    let digests = [&b"he"[..], b"ll", b"o"].map(|bytes| sha256(bytes).to_string());
    assert_eq!(
        chunks,
        [
            ("reg", offsets[2], 0, 2, &*digests[0]),
            ("chunk", offsets[3], 2, 2, &digests[1]),
            ("chunk", offsets[4], 4, 0, &digests[2]),
        ]
    );
    assert_eq!(toc.entries[2].digest, sha256(b"hello").to_string());
    let decoded = decode(&written.blob);
    assert_eq!(content_at(&decoded, &written.blob, "h"), b"hello");
}

#[test]
fn the_fourth_vector() {
    let (tree, names) = vector_tree();
    let prioritized = prioritize(names, &[path("e")]);
    let options = Options {
        landmark: Some((prioritized.landmark, Landmark::Prefetch)),
        ..Options::default()
    };
    let written = write(&tree, &prioritized.names, &options).unwrap();
    assert_eq!(
        tar_names(&written.blob),
        [
            "e",
            ".prefetch.landmark",
            "d/",
            "d/a",
            "l",
            "h",
            "stargz.index.json"
        ]
    );
    assert_eq!(lengths(&written.blob)[..3], [1024, 1536, 1536]);
    let second = members_of(&written.blob)[1].0 as u64;
    assert_eq!(decode(&written.blob).prefetch, Some(Prefetch::UpTo(second)));
}

#[test]
fn chunk_sizes_are_written_as_the_reference_does() {
    let mut maker = TreeMaker::new();
    for (name, len) in [
        ("empty", 0),
        ("short", 3),
        ("exact", 4),
        ("twice", 8),
        ("more", 9),
    ] {
        maker.file(name, &vec![b'x'; len]);
    }
    let written = maker.write(&Options {
        chunk_size: 4,
        ..Options::default()
    });
    let toc = Toc::from_json(&written.json, &Limits::default()).unwrap();
    let sizes = |name: &str| -> Vec<_> {
        let entries = toc.entries.iter().filter(|entry| entry.name == name);
        entries.map(|entry| entry.chunk_size).collect()
    };
    assert_eq!(sizes("empty"), [0]);
    assert_eq!(sizes("short"), [0]);
    assert_eq!(sizes("exact"), [4]);
    assert_eq!(sizes("twice"), [4, 4]);
    assert_eq!(sizes("more"), [4, 4, 0]);
    let empty = toc
        .entries
        .iter()
        .find(|entry| entry.name == "empty")
        .unwrap();
    assert_eq!(
        (&*empty.digest, &*empty.chunk_digest),
        (&*sha256(b"").to_string(), "")
    );
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

#[test]
fn what_is_written_is_read_again() {
    let maker = everything();
    for chunk_size in [100, 1000, 1001, 4 << 20] {
        let written = maker.write(&Options {
            chunk_size,
            ..Options::default()
        });
        let decoded = decode(&written.blob);
        assert_eq!(decoded.image.frames, written.image.frames);
        assert_eq!(decoded.image.chunks, written.image.chunks);
        assert_eq!(decoded.image.blobs, written.image.blobs);
        assert_eq!(decoded.prefetch, Some(Prefetch::Nothing));
        assert_eq!(decoded.file_digests.len(), usize::from(chunk_size < 1000));
        for name in maker.names() {
            let Named { path, inode } = name;
            let found = decoded.image.tree.resolve(path.as_bytes()).unwrap();
            let (ours, theirs) = (maker.0.inode(inode), decoded.image.tree.inode(found));
            let floored = Metadata {
                mtime: Timestamp::from_seconds(ours.metadata.mtime.seconds),
                ..ours.metadata.clone()
            };
            assert_eq!(floored, theirs.metadata, "{path}");
            assert_eq!(ours.node.size(), theirs.node.size(), "{path}");
            assert_eq!(ours.node.device(), theirs.node.device(), "{path}");
            match (&ours.node, &theirs.node) {
                (Node::File { content, .. }, Node::File { .. }) => {
                    let at = str::from_utf8(path.as_bytes()).unwrap();
                    assert_eq!(*content, content_at(&decoded, &written.blob, at));
                }
                (Node::Symlink(a), Node::Symlink(b)) => assert_eq!(a, b),
                (a, b) => assert_eq!(a.kind(), b.kind()),
            }
        }
        let tool = decoded.image.tree.resolve(b"etc/tool").unwrap();
        assert_eq!(decoded.image.links[tool.index()], 3);
        // Who knows nothing of eStargz sees the same.
        let report = &mut |found| panic!("{found}");
        compare(
            &decoded,
            &written.blob[..],
            &CompareOptions::default(),
            report,
        )
        .unwrap();
    }
}

#[test]
fn the_first_name_has_the_entry() {
    let written = everything().write(&Options::default());
    let toc = Toc::from_json(&written.json, &Limits::default()).unwrap();
    let entry = |name: &str| toc.entries.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(entry("another").kind.as_str(), "reg");
    let link = entry("etc/tool-link");
    assert_eq!(
        (link.kind.as_str(), &*link.link_name),
        ("hardlink", "another")
    );
    assert_eq!(
        (link.mode, link.uid, &*link.modtime),
        (0o6755, 4_294_967_295, "1969-12-31T23:59:59Z")
    );
    assert!(link.xattrs.is_empty() && !entry("another").xattrs.is_empty());
    assert_eq!(
        tar_names(&written.blob)[..2],
        [".no.prefetch.landmark", "./"]
    );
    assert_eq!(
        (&*toc.entries[0].name, &*toc.entries[1].name),
        (".no.prefetch.landmark", "./")
    );
}

#[test]
fn runs_of_headers_are_cut() {
    let mut members = Members::new(NonZeroU32::new(1 << 20).unwrap());
    for n in 0..10_000 {
        let node: Node<()> = Node::Fifo;
        members
            .append(&path(&format!("pipe{n}")), &Metadata::default(), &node)
            .unwrap();
    }
    members.finish().unwrap();
    let lengths: Vec<_> = std::iter::from_fn(|| members.take())
        .map(|member| (member.plain.len(), member.content_len))
        .collect();
    assert_eq!(lengths[..2], [(1 << 20, 0), (1 << 20, 0)]);
    assert_eq!(lengths.iter().map(|l| l.0).sum::<usize>(), 10_000 * 512);
    assert_eq!(members.tar_len(), 10_000 * 512);
}

#[test]
fn content_has_to_be_complete() {
    let mut members = Members::new(NonZeroU32::new(4).unwrap());
    members
        .append(&path("f"), &Metadata::default(), &file(b"hello"))
        .unwrap();
    assert_eq!(members.next_chunk().unwrap().len(), 4);
    let missing = members.append(&path("g"), &Metadata::default(), &file(b""));
    assert!(matches!(
        missing,
        Err(WriteError::PayloadMissing {
            offset: 516,
            left: 1
        })
    ));
    assert!(members.finish().is_err());
    assert_eq!(members.next_chunk().unwrap().len(), 1);
    assert_eq!(members.next_chunk(), None);
    members.finish().unwrap();
    members.finish().unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| members.take()).collect();
    assert_eq!(
        taken
            .iter()
            .map(|m| (m.plain.len(), m.content().len()))
            .collect::<Vec<_>>(),
        [(512, 0), (4, 4), (508, 1)]
    );
    let socket: Node<()> = Node::Socket;
    let refused = members.append(&path("s"), &Metadata::default(), &socket);
    assert!(matches!(refused, Err(WriteError::Socket { .. })));
}

#[test]
fn the_toc_member() {
    let member = toc_member(b"{}").unwrap();
    assert_eq!(member.len(), 512 + 512 + 1024);
    let theirs = members_of(&golden("vector1.esgz"))[3].1.clone();
    let json = golden("vector1.toc.json");
    assert!(toc_member(&json).unwrap() == theirs);
    let mut tar = TarReader::new(&member[..], TarOptions::default());
    let entry = tar.next_entry().unwrap().unwrap();
    assert_eq!(
        (entry.kind, entry.mode, entry.size),
        (EntryKind::File, 0, 2)
    );
}

#[test]
fn images_that_no_toc_can_describe() {
    let cannot = |at: &str, what| {
        ListingError::CannotCarry(CannotCarry {
            path: path(at),
            what,
        })
    };
    let write = |maker: &TreeMaker| write(&maker.0, &maker.names(), &Options::default());
    let mut maker = TreeMaker::new();
    maker.file("stargz.index.json", b"x");
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("stargz.index.json", Uncarried::ReservedName)
    );
    let mut maker = TreeMaker::new();
    maker.add("old", metadata(0o644, -62_135_596_800), Node::Fifo);
    let seconds = -62_135_596_800;
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("old", Uncarried::Time { seconds })
    );
    let mut maker = TreeMaker::new();
    let target: Box<[u8]> = (*b"\xff").into();
    maker.add("l", metadata(0o777, 0), Node::Symlink(target.clone()));
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("l", Uncarried::SymlinkTarget { target })
    );
}

#[test]
fn images_that_are_not_stored_as_a_toc_needs_it() {
    let mut tree = Tree::new(Metadata::implied_directory());
    let content = ChunkRange { start: 0, end: 1 };
    let inode = tree.add(Metadata::default(), Node::File { size: 5, content });
    tree.link(
        Tree::<ChunkRange>::ROOT,
        image_model::Name::new(*b"f").unwrap(),
        inode,
    )
    .unwrap();
    let names = [Named {
        path: path("f"),
        inode,
    }];
    let (file_digests, about) = (BTreeMap::new(), blob());
    let error = |image: &ChunkedImage| {
        let listing = Listing {
            image,
            names: &names,
            landmark: None,
            chunk_size: NonZeroU32::new(4).unwrap(),
            file_digests: &file_digests,
        };
        listing.to_json().unwrap_err()
    };
    let hole = ChunkExtent {
        file_offset: 0,
        chunk: None,
    };
    let image = ChunkedImage::new(tree, vec![hole], vec![], vec![], vec![about]).unwrap();
    let expected = ListingError::Hole {
        path: path("f"),
        file_offset: 0,
    };
    assert_eq!(error(&image), expected);

    let mut written = vector(&Options::default()).image;
    let a = written.tree.resolve(b"d/a").unwrap();
    for chunk in &mut written.chunks {
        chunk.digest = None;
    }
    let names = [Named {
        path: path("d/a"),
        inode: a,
    }];
    let listing = Listing {
        image: &written,
        names: &names,
        landmark: None,
        chunk_size: NonZeroU32::new(4).unwrap(),
        file_digests: &file_digests,
    };
    let expected = ListingError::DigestMissing {
        path: path("d/a"),
        chunk_offset: 0,
    };
    assert_eq!(listing.to_json(), Err(expected));
}

fn blob() -> Blob {
    Blob {
        id: blob_id(),
        stored_len: 0,
        decoded_len: 0,
        chunk_count: 0,
    }
}

#[test]
fn names_may_leave_directories_out() {
    let mut maker = TreeMaker::new();
    maker.directory("d", 0o755, 0);
    maker.file("d/f", b"x");
    let names: Vec<_> = (maker.names().into_iter())
        .filter(|named| named.path == path("d/f"))
        .collect();
    let written = write(&maker.0, &names, &Options::default()).unwrap();
    assert_eq!(
        tar_names(&written.blob),
        [".no.prefetch.landmark", "d/f", "stargz.index.json"]
    );
    let decoded = decode(&written.blob);
    assert_eq!(content_at(&decoded, &written.blob, "d/f"), b"x");
}
