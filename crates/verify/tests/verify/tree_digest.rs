//! The tree digest: published vectors, and what counts.

use std::collections::BTreeMap;

use image_model::layer::{LayerBuilder, LayerOptions};
use image_model::{Blame, ChunkedImage, Fault, FileKind, InodeId, Metadata, Node, Timestamp, Tree};
use lazyoci_verify::{Profile, TreeDigest, tree_digest};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::common::{Files, Tampered, metadata, path, store, xattrs};

pub(crate) fn digest_of(files: Files, profile: Profile) -> TreeDigest {
    let (image, mut blob) = files.store(4096);
    tree_digest(&image, &mut blob.of(&image), profile, &mut ()).unwrap()
}

pub(crate) fn vector() -> Files {
    Files::new()
        .directory("/")
        .directory("d")
        .file("f", "hello")
        .link("d/h", "f")
        .symlink("d/l", "../f")
        .file("e", "")
        .file("z", [b'A'; 10_000])
}

#[test]
fn published_vectors() {
    let text = "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";
    let digest = digest_of(vector(), Profile::Default);
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse(), Ok(digest));
    assert_eq!(
        digest_of(vector(), Profile::Content).to_string(),
        "tree1:0d3e2f339c36c5d5f8232fd0ea8d10d3206d2e812699ba3daa54c27b44a8c783"
    );
    assert_eq!(digest_of(vector(), Profile::Layer), digest);
}

#[test]
fn only_the_canonical_form_parses() {
    let hex = "0123456789abcdef".repeat(4);
    for bad in [
        &hex,
        &format!("tree2:{hex}"),
        &format!("tree1:{}", &hex[1..]),
    ] {
        let error = bad.parse::<TreeDigest>().unwrap_err();
        assert_eq!(&error.text, bad);
    }
    for profile in [Profile::Default, Profile::Layer, Profile::Content] {
        assert_eq!(profile.to_string().parse(), Ok(profile));
    }
    assert_eq!("all".parse::<Profile>().unwrap_err().text, "all");
}

#[test]
fn how_content_is_stored_does_not_count() {
    let mut sparse = vec![0; 20_000];
    sparse[9_999] = 1;
    let files = || vector().file("s", sparse.clone()).tree();
    let digests: Vec<_> = [1, 100, 4096, 1 << 20]
        .map(|len| {
            let (image, mut blob) = store(files(), len);
            tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap()
        })
        .into();
    assert_eq!(digests, [digests[0]; 4]);
}

#[test]
fn what_counts() {
    let fifo = |metadata| Files::new().node("a", metadata, Node::Fifo);
    let plain = digest_of(fifo(metadata(0o644)), Profile::Default);
    let content = digest_of(fifo(metadata(0o644)), Profile::Content);
    let change = |change: fn(&mut Metadata)| {
        let mut metadata = metadata(0o644);
        change(&mut metadata);
        metadata
    };
    let cases = [
        (true, change(|m| m.mode = 0o4644)),
        (true, change(|m| m.uid = 1)),
        (true, change(|m| m.gid = 1)),
        (true, change(|m| m.mtime.seconds = -1)),
        (false, change(|m| m.mtime.nanoseconds = 1)),
        (true, change(|m| m.xattrs = xattrs(&[("user.a", b"")]))),
    ];
    for (counts, metadata) in cases {
        let found = digest_of(fifo(metadata.clone()), Profile::Default);
        assert_eq!(found != plain, counts, "{metadata:?}");
        assert_eq!(digest_of(fifo(metadata), Profile::Content), content);
    }
    // The root's time and a symbolic link's mode never count.
    let of_root = |seconds| {
        let metadata = Metadata {
            mtime: Timestamp::from_seconds(seconds),
            ..metadata(0o755)
        };
        let files = Files::new().node("/", metadata, Node::empty_directory());
        digest_of(files, Profile::Default)
    };
    assert_eq!(of_root(0), of_root(5));
    let of_link = |mode| {
        let files = Files::new().node("l", metadata(mode), Node::Symlink((*b"t").into()));
        digest_of(files, Profile::Default)
    };
    assert_eq!(of_link(0o777), of_link(0o600));
    let of_device = |minor| digest_of(Files::new().device("c", 1, minor), Profile::Default);
    assert_ne!(of_device(3), of_device(4));
}

#[test]
fn hidden_names_do_not_count() {
    let plain = || Files::new().file("d/a", "x").file("b", "y");
    let hidden = || {
        plain()
            .file("d/.wh.gone", "")
            .file("d/.wh..wh..opq", "")
            .file(".wh.dir/below", "z")
            .file(".wh..wh.plnk/1", "p")
            // A hard link that only hidden names make is none.
            .link(".wh..wh.plnk/2", "b")
    };
    for profile in [Profile::Default, Profile::Content] {
        assert_eq!(digest_of(plain(), profile), digest_of(hidden(), profile));
    }
    let layer = digest_of(hidden(), Profile::Layer);
    assert_ne!(layer, digest_of(plain(), Profile::Layer));
}

#[test]
fn whiteouts_of_a_layer_count_by_what_they_mean() {
    let layer = |files| digest_of(files, Profile::Layer);
    let base = || Files::new().file("d/m", "x");
    let same: [(Files, Files); 4] = [
        // Attributes and content of a whiteout do not count.
        (base().file("d/.wh.a", ""), base().file("d/.wh.a", "junk")),
        // Whiteouts beside what replaces them: a file hides by itself, a directory becomes opaque.
        (base().file(".wh.f", "").file("f", ""), base().file("f", "")),
        (base().file(".wh.d", ""), base().file("d/.wh..wh..opq", "")),
        // AUFS leftovers.
        (
            base(),
            base().file(".wh..wh.aufs", "").file(".wh..wh.plnk/1", ""),
        ),
    ];
    for (number, (left, right)) in same.into_iter().enumerate() {
        assert_eq!(layer(left), layer(right), "case {number}");
    }
    let different = [
        base(),
        base().file("d/.wh.a", ""),
        base().file("d/.wh.z", ""),
        base().file(".wh.a", ""),
        base().file("d/.wh..wh..opq", ""),
        base().file(".wh..wh..opq", ""),
    ];
    let digests: std::collections::BTreeSet<_> = different.map(layer).into();
    assert_eq!(digests.len(), 6);
}

#[test]
fn a_layer_is_digested_as_the_specification_says() {
    let files = Files::new()
        .file(".wh.b", "")
        .file("a", "x")
        .file("c", "")
        .file(".wh.d", "");
    let node = |letter: &[u8], rest: &[u8]| -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(b"lazyoci.tree.v1\0");
        hasher.update(letter);
        hasher.update(rest);
        hasher.finalize().into()
    };
    let numbers = |list: &[u64]| {
        list.iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let whiteout = node(b"w", &numbers(&[0; 8]));
    let file = |content: &[u8]| {
        let mut bytes = numbers(&[0o644, 0, 0, 1_600_000_000, 0, 0, 0, 0, content.len() as u64]);
        bytes.extend_from_slice(&Sha256::digest(content));
        node(b"f", &bytes)
    };
    let mut root = numbers(&[0o755, 0, 0, 0, 0, 0, 0, 0, 4]);
    for (name, child) in [
        (b'a', file(b"x")),
        (b'b', whiteout),
        (b'c', file(b"")),
        (b'd', whiteout),
    ] {
        root.extend(numbers(&[1]));
        root.push(name);
        root.extend(child);
    }
    assert_eq!(
        digest_of(files, Profile::Layer).as_bytes(),
        &node(b"d", &root)
    );
}

#[test]
fn the_root_must_be_a_directory() {
    let (image, mut blob) = Files::new().store(4096);
    let mut image = Tampered::new(image);
    image.attributes = Box::new(|_, attributes| attributes.kind = FileKind::Fifo);
    let error = tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "the root is a fifo, not a directory");
    assert_eq!(error.fault(), Fault::Corrupt);
}

/// As bytes: a hyphen comes before a slash, though a directory's names are walked before what follows it.
#[test]
fn the_least_path_of_a_file_is_the_least_as_bytes() {
    let mut builder = LayerBuilder::new(LayerOptions::default());
    let file = Node::File {
        size: 1,
        content: b"x".to_vec(),
    };
    builder
        .add(&path("a"), metadata(0o755), Node::empty_directory())
        .unwrap();
    builder.add(&path("a/a"), metadata(0o644), file).unwrap();
    builder.link(&path("a-b"), &path("a/a")).unwrap();
    let tree = builder.finish().unwrap().into_tree().unwrap();
    let expected = naive(&tree);
    let (image, mut blob): (ChunkedImage, _) = store(tree, 4);
    let found = tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap();
    assert_eq!(found.as_bytes(), &expected);
}

/// The specification, read naively: recursion over the tree.
fn naive(tree: &Tree<Vec<u8>>) -> [u8; 32] {
    fn paths(
        tree: &Tree<Vec<u8>>,
        at: InodeId,
        prefix: &[u8],
        all: &mut BTreeMap<InodeId, Vec<Vec<u8>>>,
    ) {
        for (name, &child) in tree.directory(at).into_iter().flatten() {
            let path = [prefix, name.as_bytes()].concat();
            paths(tree, child, &[&path, &b"/"[..]].concat(), all);
            all.entry(child).or_default().push(path);
        }
    }
    fn node(tree: &Tree<Vec<u8>>, at: InodeId, all: &BTreeMap<InodeId, Vec<Vec<u8>>>) -> [u8; 32] {
        let inode = tree.inode(at);
        let mut bytes = b"lazyoci.tree.v1\0".to_vec();
        let put = |bytes: &mut Vec<u8>, n: u64| bytes.extend(n.to_le_bytes());
        bytes.push(inode.node.kind().letter() as u8);
        let mode = if matches!(inode.node, Node::Symlink(_)) {
            0o777
        } else {
            inode.metadata.mode
        };
        let seconds = if at == InodeId::ROOT {
            0
        } else {
            inode.metadata.mtime.seconds
        };
        let device = inode.node.device();
        for number in [
            mode.into(),
            inode.metadata.uid.into(),
            inode.metadata.gid.into(),
            seconds as u64,
            device.major.into(),
            device.minor.into(),
        ] {
            put(&mut bytes, number);
        }
        let names = all.get(&at).map_or(&[][..], Vec::as_slice);
        let link = if names.len() > 1 {
            names.iter().min()
        } else {
            None
        };
        let link = link.map_or(&b""[..], Vec::as_slice);
        put(&mut bytes, link.len() as u64);
        bytes.extend(link);
        put(&mut bytes, 0);
        match &inode.node {
            Node::Directory(entries) => {
                put(&mut bytes, entries.len() as u64);
                for (name, &child) in entries {
                    put(&mut bytes, name.as_bytes().len() as u64);
                    bytes.extend(name.as_bytes());
                    bytes.extend(node(tree, child, all));
                }
            }
            Node::File { size, content } => {
                put(&mut bytes, *size);
                bytes.extend(Sha256::digest(content));
            }
            Node::Symlink(target) => {
                put(&mut bytes, target.len() as u64);
                bytes.extend(target);
            }
            _ => {}
        }
        Sha256::digest(&bytes).into()
    }
    let mut all = BTreeMap::new();
    paths(tree, InodeId::ROOT, b"", &mut all);
    node(tree, InodeId::ROOT, &all)
}

fn trees() -> impl Strategy<Value = Tree<Vec<u8>>> {
    let name = prop::sample::select(vec!["a", "a-b", "a.b", "b", "\u{1}", "z"]);
    let place = prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"));
    let content = prop::collection::vec(0u8..2, 0..12);
    let entry = (place.clone(), 0..5, content, place);
    prop::collection::vec(entry, 0..20).prop_map(|entries| {
        let mut files = LayerBuilder::new(LayerOptions::default());
        let mut links = Vec::new();
        for (at, kind, content, target) in entries {
            let (at, target) = (path(&at), path(&target));
            let size = content.len() as u64;
            let node = match kind {
                0 => Node::empty_directory(),
                1 => Node::Symlink(content.into()),
                2 => Node::Fifo,
                3 => Node::File { size, content },
                _ => {
                    links.push((at, target));
                    continue;
                }
            };
            // Entries without a place are left out.
            let _ = files.add(&at, metadata(0o640 + size as u16), node);
        }
        let mut tree = files.finish().unwrap().into_tree().unwrap();
        for (at, target) in links {
            let (directory, name) = at.split_last().unwrap();
            let directory = tree.resolve(directory.as_bytes());
            let target = tree.resolve(target.as_bytes());
            if let (Some(directory), Some(target)) = (directory, target)
                && tree.directory(target).is_none()
                && tree
                    .directory(directory)
                    .is_some_and(|d| !d.contains_key(name.as_bytes()))
            {
                tree.link(directory, name.to_name(), target).unwrap();
            }
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_naive_reading_agrees(tree in trees(), chunk_len in 1usize..6) {
        let expected = naive(&tree);
        let (image, mut blob): (ChunkedImage, _) = store(tree, chunk_len);
        let found = tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap();
        prop_assert_eq!(found.as_bytes(), &expected);
    }
}
