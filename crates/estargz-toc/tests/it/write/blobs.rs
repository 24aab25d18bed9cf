//! What is written, and that it is read again.

use std::num::NonZeroU32;

use image_model::order::Named;
use image_model::{Limits, Metadata, Node, Timestamp};
use lazyoci_estargz_toc::compare::{CompareOptions, compare};
use lazyoci_estargz_toc::error::EntryFault;
use lazyoci_estargz_toc::image::Prefetch;
use lazyoci_estargz_toc::toc::Toc;
use lazyoci_estargz_toc::write::{Members, Placements};

use super::{everything, tar_names};
use crate::common::{Options, TreeMaker, content_at, decode, path, write};
use verify::sha256;

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

#[test]
fn members_of_headers_are_no_part_of_a_frame() {
    let mut placements = Placements::new(&Limits::default());
    let digest = sha256(b"hello");
    // A chunk of five bytes, members without any chunk, and a chunk right in front of the TOC.
    placements.push(100, None).unwrap();
    placements.push(40, Some((5, digest))).unwrap();
    for _ in 0..5_000 {
        placements.push(1 << 20, None).unwrap();
    }
    placements.push(41, Some((5, digest))).unwrap();
    let placed = placements.finish().unwrap();
    let end = 140 + (5_000 << 20);
    assert_eq!(placed.toc_offset, end + 41);
    let frames: Vec<_> = (placed.frames.iter())
        .map(|frame| (frame.offset, frame.stored_len, frame.len))
        .collect();
    assert_eq!(frames, [(100, 65_541, 5), (end, 41, 5)]);
}

#[test]
fn members_longer_than_a_file_can_be_are_refused() {
    let mut placements = Placements::new(&Limits::default());
    placements.push(u64::MAX, None).unwrap();
    let too_long = EntryFault::StoredTooLong {
        offset: u64::MAX,
        len: 1,
    };
    assert_eq!(placements.push(1, None), Err(too_long));
    assert_eq!(placements.finish().unwrap().toc_offset, u64::MAX);
}
