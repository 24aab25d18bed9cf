//! Blobs that the reference implementation made; `tests/goldens/README.md` says how.

use image_model::{Blob, Codec, Device, InodeId, Limits, Node, Recipe, RecipeId, Timestamp};
use lazyoci_estargz_toc::Landmark;
use lazyoci_estargz_toc::compare::{CompareOptions, Disagreement, compare};
use lazyoci_estargz_toc::image::{EstargzImage, Prefetch};
use lazyoci_estargz_toc::toc::Toc;

use crate::common::{blob_id, chunk, content, content_at, decode, golden, members_of, open};
use std::io::Read as _;
use tar_stream::{LayerStream, StreamOptions};
use verify::sha256;

const ALL: [&str; 8] = [
    "vector1",
    "vector2",
    "vector-0.12",
    "odd",
    "odd-chunk-1000",
    "odd-prefetch",
    "odd-parts",
    "bytes",
];

fn disagreements(decoded: &EstargzImage, blob: &[u8]) -> Vec<Disagreement> {
    let mut found = Vec::new();
    compare(decoded, blob, &CompareOptions::default(), &mut |d| {
        found.push(d);
    })
    .unwrap();
    found
}

#[test]
fn their_tocs_come_back_byte_for_byte() {
    for name in ALL {
        let opened = open(&golden(&format!("{name}.esgz"))).unwrap();
        let json = golden(&format!("{name}.toc.json"));
        assert!(opened.json == json, "{name}");
        assert_eq!(opened.digest, sha256(&json), "{name}");
        let toc = Toc::from_json(&json, &Limits::default()).unwrap();
        let written = String::from_utf8(toc.to_json()).unwrap();
        // Go before 1.22, with which ctr-remote 0.12 was made, writes the first two in long form; an
        // invalid byte becomes the third.
        let written = (written.replace("\\b", "\\u0008").replace("\\f", "\\u000c"))
            .replace('\u{fffd}', "\\ufffd");
        assert!(written.as_bytes() == json, "{name}");
    }
}

#[test]
fn every_chunk_has_its_digest() {
    for name in ALL {
        let blob = golden(&format!("{name}.esgz"));
        let decoded = decode(&blob);
        let image = &decoded.image;
        for index in 0..image.chunks.len() {
            let id = image_model::ChunkId::new(u32::try_from(index).unwrap());
            assert!(chunk(image, &blob, id).is_some(), "{name}, chunk {index}");
        }
        for index in 0..image.tree.len() {
            let inode = InodeId::new(u32::try_from(index).unwrap());
            if let Node::File { .. } = image.tree.inode(inode).node {
                let content = content(image, &blob, inode).unwrap();
                assert_eq!(decoded.file_digest(inode), Some(sha256(&content)), "{name}");
            }
        }
    }
}

#[test]
fn their_tocs_agree_with_their_tars() {
    for name in ALL {
        let blob = golden(&format!("{name}.esgz"));
        let found = disagreements(&decode(&blob), &blob);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        let expected: &[&str] = match name {
            // Names that are not UTF-8: another one in the TOC.
            "bytes" => &[
                "/bytes/caf\\xe9: nothing in the TOC, a file in the tar",
                "/bytes/caf\u{fffd}: a file in the TOC, nothing in the tar",
                "/bytes/link: target \"caf\\xef\\xbf\\xbd\" in the TOC, \"caf\\xe9\" in the tar",
            ],
            _ => &[],
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_published_vectors() {
    for (name, toc_offset, toc_digest) in [
        (
            "vector1.esgz",
            325,
            "sha256:d73551bfdda94f1746db96e41b8382877c9a870d6ef8dc7f86d0bd519b9e32a9",
        ),
        (
            "vector2.esgz",
            275,
            "sha256:781f25922f88eaf5aa505fa09a28088bdde8bbca151c5e45a8e98b595c6a2dae",
        ),
    ] {
        let blob = golden(name);
        let opened = open(&blob).unwrap();
        assert_eq!(opened.toc_offset, toc_offset);
        assert_eq!(opened.digest.to_string(), toc_digest);
        assert_eq!(opened.check(&toc_digest.parse().unwrap()), Ok(()));
        assert!(opened.check(&sha256(b"")).is_err());

        let decoded = decode(&blob);
        assert_eq!(decoded.prefetch, Some(Prefetch::Nothing));
        let tree = &decoded.image.tree;
        let names: Vec<_> = tree.directory(InodeId::ROOT).unwrap().keys().collect();
        assert_eq!(
            names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["d", "e", "h", "l"]
        );
        assert_eq!(content_at(&decoded, &blob, "d/a"), b"hello");
        assert_eq!(content_at(&decoded, &blob, "e"), b"");
        let a = tree.resolve(b"d/a").unwrap();
        assert_eq!(tree.resolve(b"h"), Some(a));
        let metadata = &tree.inode(a).metadata;
        assert_eq!(
            (metadata.mode, metadata.uid, metadata.gid),
            (0o644, 1000, 1000)
        );
        assert_eq!(metadata.mtime, Timestamp::from_seconds(1_600_000_000));
        let link = tree.resolve(b"l").unwrap();
        assert_eq!(tree.inode(link).node, Node::Symlink((*b"d/a").into()));
    }
}

#[test]
fn the_blob_is_described() {
    for (name, stored_len, decoded_len) in [("vector1.esgz", 845, 6), ("vector2.esgz", 801, 1541)] {
        let mut blob = Blob::new(blob_id());
        blob.stored_len = Some(stored_len);
        blob.decoded_len = Some(decoded_len);
        blob.chunk_count = Some(2);
        assert_eq!(decode(&golden(name)).image.blobs, [blob], "{name}");
    }
}

#[test]
fn frames_are_the_members() {
    let frames = |name: &str| -> Vec<_> {
        let image = decode(&golden(name)).image;
        assert_eq!(image.recipes, [Recipe::prefix(Codec::Gzip)]);
        image
            .frames
            .iter()
            .inspect(|f| assert_eq!(f.recipe, RecipeId(0)))
            .map(|f| (f.offset, f.stored_len, f.len))
            .collect()
    };
    // The landmark's, and that of `d/a`, up to the TOC.
    assert_eq!(frames("vector1.esgz"), [(90, 119, 1), (209, 116, 5)]);
    // Both in one member: 1536 bytes of landmark and headers, then `hello`.
    assert_eq!(frames("vector2.esgz"), [(90, 185, 1541)]);
    let members = |name: &str| -> Vec<_> {
        let members = members_of(&golden(name));
        members
            .iter()
            .map(|(at, plain)| (*at, plain.len()))
            .collect()
    };
    assert_eq!(
        members("vector1.esgz"),
        [(0, 512), (90, 1536), (209, 2048), (325, 3072), (794, 0)]
    );
    assert_eq!(
        members("vector2.esgz"),
        [(0, 512), (90, 3584), (275, 3072), (750, 0)]
    );
}

#[test]
fn what_ctr_remote_made_of_one_of_everything() {
    let blob = golden("odd.esgz");
    let decoded = decode(&blob);
    let tree = &decoded.image.tree;
    let inode = |at: &str| tree.inode(tree.resolve(at.as_bytes()).unwrap());

    let root = &tree.inode(InodeId::ROOT).metadata;
    assert_eq!((root.mode, root.uid, root.gid), (0o1777, 3, 4));
    let tool = inode("bin/tool");
    assert_eq!(
        (tool.metadata.mode, tool.metadata.gid),
        (0o6755, 3_000_000_000)
    );
    assert_eq!(tool.metadata.mtime, Timestamp::from_seconds(-1000));
    assert_eq!(
        tool.metadata.xattrs.value("user.ünï".as_bytes()),
        Some("é\nline".as_bytes())
    );
    for link in ["bin/tool-link", "bin/chain"] {
        assert_eq!(tree.resolve(link.as_bytes()), tree.resolve(b"bin/tool"));
    }
    assert_eq!(tree.resolve(b"bin/early"), tree.resolve(b"data/exact"));
    // Directories without an entry.
    assert_eq!(
        inode("bin").metadata,
        image_model::Metadata::implied_directory()
    );
    assert_eq!(
        inode("dev/sda").node.device(),
        Device {
            major: 8,
            minor: 65536
        }
    );
    assert_eq!(inode("dev/pipe").node, Node::Fifo);
    assert_eq!(
        inode("bin/sym").node,
        Node::Symlink("../etc/<&>\u{2028} passwd".as_bytes().into())
    );
    // Rounded, as the reference implementation does; and whiteouts are files.
    assert_eq!(inode("etc/passwd").metadata.mtime.seconds, 1_600_000_001);
    assert!(tree.resolve(b"etc/.wh.gone").is_some());
    assert!(tree.resolve(b"etc/opaque/.wh..wh..opq").is_some());
    assert!(tree.resolve(b".no.prefetch.landmark").is_none());
    assert_eq!(content_at(&decoded, &blob, "data/zeros"), vec![0; 20_000]);
    assert_eq!(
        content_at(
            &decoded,
            &blob,
            "data/new\nline\tand \"quotes\" \\ \u{8}\u{c}\u{7f}"
        )
        .len(),
        5
    );
}

#[test]
fn the_ways_to_convert_a_layer_give_the_same_tree() {
    let plain = decode(&golden("odd.esgz"));
    for (name, prefetch) in [
        ("odd-chunk-1000.esgz", Prefetch::Nothing),
        ("odd-parts.esgz", Prefetch::Nothing),
        ("odd-prefetch.esgz", Prefetch::UpTo(600)),
    ] {
        let blob = golden(name);
        let other = decode(&blob);
        assert_eq!(other.prefetch, Some(prefetch), "{name}");
        assert_eq!(different(&plain, &other), [""; 0], "{name}");
    }
    for name in ["odd-a.tar.zst", "odd-a-0.12.tar.zst"] {
        assert_eq!(different(&plain, &decode(&golden(name))), [""; 0], "{name}");
    }
    // Containers/storage keeps the tar as it was, with the fractions of times, which the others round.
    let blob = golden("odd-b.tar.zst");
    let rounded = ["/bin/sym", "/etc/passwd"];
    assert_eq!(different(&plain, &decode(&blob)), rounded);
    let mut tar = Vec::new();
    let mut layer = LayerStream::open(&blob[..], &StreamOptions::default()).unwrap();
    layer.read_to_end(&mut tar).unwrap();
    // What `interop/estargz/odd_layer.py` writes.
    let source = "sha256:200755f9c4525db623443c98c4c1e6dddab8fbbd0903011549bb42a94dad49aa";
    assert_eq!(sha256(&tar).to_string(), source);
}

/// Paths that two images with the same names describe in different ways: attributes, and digests of files.
fn different(a: &EstargzImage, b: &EstargzImage) -> Vec<String> {
    let mut differences = Vec::new();
    let names = |image: &EstargzImage| {
        image_model::order::walk(&image.image.tree, &Limits::default()).unwrap()
    };
    let (of_a, of_b) = (names(a), names(b));
    assert_eq!(of_a.len(), of_b.len());
    for (x, y) in of_a.iter().zip(&of_b) {
        assert_eq!(x.path, y.path);
        let (left, right) = (a.image.tree.inode(x.inode), b.image.tree.inode(y.inode));
        let same = left.metadata == right.metadata
            && left.node.kind() == right.node.kind()
            && left.node.size() == right.node.size()
            && a.file_digest(x.inode) == b.file_digest(y.inode);
        if !same {
            differences.push(x.path.to_string());
        }
    }
    differences
}

#[test]
fn files_are_cut_as_asked_for() {
    let decoded = decode(&golden("odd-chunk-1000.esgz"));
    let tree = &decoded.image.tree;
    let twice = tree.resolve(b"data/twice").unwrap();
    let Node::File { size, content } = tree.inode(twice).node else {
        panic!("no file");
    };
    let extents = decoded.image.file_extents(content).unwrap();
    assert_eq!((size, extents.len()), (8192, 9));
    assert!(decoded.file_digests.contains_key(&twice));
    let landmark = Landmark::NoPrefetch.path();
    assert_eq!(tree.resolve(landmark.as_bytes()), None);
}
