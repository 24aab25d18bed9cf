//! Trees of any shape in each format of inodes and chunks: what is decoded is what was encoded.

use std::collections::HashSet;
use std::io::Write as _;

use image_model::metadata::Xattr;
use image_model::walk::Walk;
use image_model::{Device, ImagePath, Limits, Metadata, Name, Node, Xattrs};
use lazyoci_image_convert::{Streaming, Verity};
use proptest::collection::vec;
use proptest::prelude::*;
use rafs_format::Version;
use tar_stream::TarWriter;

use crate::erofs;
use crate::round_trip::attributes;
use crate::support::{Image, digest_of_tar, metadata, noise, plain_options};

#[derive(Debug, Clone)]
enum Kind {
    Directory,
    /// Pieces of so many bytes, each of noise, or of zeros.
    File(Vec<(Option<u64>, usize)>),
    Symlink(Vec<u8>),
    Device(Device),
    Fifo,
    /// A further name of an earlier file.
    Link(prop::sample::Index),
}

#[derive(Debug, Clone)]
struct Spec {
    parent: prop::sample::Index,
    name: Name,
    kind: Kind,
    metadata: Metadata,
}

fn names() -> impl Strategy<Value = Name> {
    let odd = vec(1..=255u8, 1..20);
    let long = vec(1..=255u8, 200..256);
    let around_dots = "[-.!][-.\u{1}]{0,2}".prop_map(String::into_bytes);
    let short = "[a-d]{1,2}".prop_map(String::into_bytes);
    prop_oneof![odd, long, around_dots, short]
        .prop_filter_map("no name", |bytes| Name::new(bytes).ok())
}

fn kinds() -> impl Strategy<Value = Kind> {
    // Few kinds of noise, so that chunks are shared; zeros become holes.
    let piece = (
        prop_oneof![Just(None), (0u64..3).prop_map(Some)],
        prop_oneof![Just(4096usize), 1..9000usize],
    );
    let target = prop_oneof![vec(1..=255u8, 1..80), vec(1..=255u8, 3900..4096)];
    prop_oneof![
        3 => Just(Kind::Directory),
        5 => vec(piece, 0..5).prop_map(Kind::File),
        1 => target.prop_map(Kind::Symlink),
        1 => (0u32..4096, 0u32..1 << 20)
            .prop_map(|(major, minor)| Kind::Device(Device { major, minor })),
        1 => Just(Kind::Fifo),
        2 => any::<prop::sample::Index>().prop_map(Kind::Link),
    ]
}

/// Attributes, now and then with a long extended one.
fn metadatas() -> impl Strategy<Value = Metadata> {
    let long = (attributes(), 3000..20_000usize).prop_map(|(metadata, len)| Metadata {
        xattrs: xattrs([("user.long", len)]),
        ..metadata
    });
    prop_oneof![9 => attributes(), 1 => long]
}

fn xattrs<'n>(list: impl IntoIterator<Item = (&'n str, usize)>) -> Xattrs {
    let xattr = |(name, len): (&str, usize)| Xattr {
        name: name.as_bytes().into(),
        value: noise(len as u64, len).into(),
    };
    Xattrs::new(list.into_iter().map(xattr)).unwrap()
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (any::<prop::sample::Index>(), names(), kinds(), metadatas());
    let spec = spec.prop_map(|(parent, name, kind, metadata)| Spec {
        parent,
        name,
        kind,
        metadata,
    });
    vec(spec, 0..50)
}

fn content(pieces: &[(Option<u64>, usize)]) -> Vec<u8> {
    let piece = |&(seed, len)| match seed {
        Some(seed) => noise(seed, len),
        None => vec![0; len],
    };
    pieces.iter().flat_map(piece).collect()
}

/// The tar of a tree that has no name twice.
fn tar(specs: &[Spec]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let mut directories = vec![ImagePath::root()];
    let mut files: Vec<ImagePath> = Vec::new();
    let mut taken = HashSet::new();
    for spec in specs {
        let mut path = spec.parent.get(&directories).clone();
        path.push(spec.name.as_ref());
        if !taken.insert(path.clone()) {
            continue;
        }
        let mut bytes = Vec::new();
        let node = match &spec.kind {
            Kind::Directory => Node::empty_directory(),
            Kind::File(pieces) => {
                bytes = content(pieces);
                Node::File {
                    size: bytes.len() as u64,
                    content: (),
                }
            }
            Kind::Symlink(target) => Node::Symlink(target.clone().into()),
            Kind::Device(device) => Node::BlockDevice(*device),
            Kind::Fifo => Node::Fifo,
            Kind::Link(_) if files.is_empty() => continue,
            Kind::Link(index) => {
                let target = index.get(&files);
                tar.append_link(&path, &spec.metadata, target).unwrap();
                continue;
            }
        };
        tar.append(&path, &spec.metadata, &node).unwrap();
        tar.write_all(&bytes).unwrap();
        match spec.kind {
            Kind::Directory => directories.push(path),
            Kind::File(_) => files.push(path),
            _ => {}
        }
    }
    tar.finish().unwrap()
}

/// Plain EROFS, RAFS v5 and v6 say what the tar says, and find by its path whatever they list.
fn check(tar: &[u8], threads: usize) {
    let expected = digest_of_tar(tar);
    let (bytes, report) = erofs::of_tar(tar, &erofs::options().threads(threads).verity(true));
    assert_eq!(report.report.losses, []);
    assert_eq!(erofs::digest(&bytes), expected);
    finds_what_it_lists(erofs::opened(&bytes).image());
    vouches_for_each_block(&bytes, &report.verity.unwrap());
    for version in [Version::V5, Version::V6] {
        let options = plain_options().version(version).threads(threads);
        let image = Image::of(Streaming::new(tar), &options).unwrap();
        assert_eq!(image.report.losses, []);
        assert_eq!(image.digest(), expected, "{version:?}");
        let opened = image_read::open(image.bootstrap_path(), &Default::default()).unwrap();
        finds_what_it_lists(opened.image());
    }
}

fn finds_what_it_lists(image: &dyn image_model::Image) {
    let mut walk = Walk::new(image, &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry.unwrap();
        let mut at = image.root();
        for component in entry.path.components() {
            at = image.lookup(at, component).unwrap().expect("it is listed");
        }
        assert_eq!(at, entry.ino, "{}", entry.path);
    }
}

/// The last level of the hash tree is that of the image's blocks, whoever digested them.
fn vouches_for_each_block(bytes: &[u8], verity: &Verity) {
    let (image, tree) = bytes.split_at(verity.hash_offset as usize);
    let blocks = image.chunks(4096).map(verify::sha256);
    let mut level: Vec<u8> = blocks.flat_map(|digest| *digest.as_bytes()).collect();
    if tree.is_empty() {
        assert_eq!(level, verity.root.as_bytes());
        return;
    }
    level.resize(level.len().next_multiple_of(4096), 0);
    assert!(tree.ends_with(&level));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_tree(specs in specs(), threads in 1usize..4) {
        check(&tar(&specs), threads);
    }
}

fn append(tar: &mut TarWriter<Vec<u8>>, path: &str, metadata: &Metadata, node: &Node<()>) {
    let path = ImagePath::clean(path.as_bytes()).unwrap();
    tar.append(&path, metadata, node).unwrap();
}

#[test]
fn ten_thousand_entries() {
    let mut tar = TarWriter::new(Vec::new());
    for number in 0..10_000 {
        let node = match number % 100 {
            0 => Node::empty_directory(),
            _ => Node::Fifo,
        };
        append(
            &mut tar,
            &format!("d/entry-{number}"),
            &metadata(0o644),
            &node,
        );
    }
    check(&tar.finish().unwrap(), 2);
}

#[test]
fn five_hundred_levels() {
    let mut tar = TarWriter::new(Vec::new());
    let path = vec!["level"; 500].join("/");
    append(&mut tar, &path, &metadata(0o700), &Node::empty_directory());
    let file = format!("{path}/file");
    let size = 5;
    append(
        &mut tar,
        &file,
        &metadata(0o600),
        &Node::File { size, content: () },
    );
    tar.write_all(b"below").unwrap();
    check(&tar.finish().unwrap(), 2);
}

/// A value of as many bytes as version 6 and plain EROFS take, and 64 KiB in pieces.
#[test]
fn sixty_four_kib_of_extended_attributes() {
    let lists = [
        xattrs([("user.a", 65_535)]),
        xattrs([
            ("user.a", 1 << 14),
            ("user.b", 1 << 14),
            ("trusted.c", 1 << 15),
        ]),
    ];
    let mut tar = TarWriter::new(Vec::new());
    for (number, xattrs) in lists.into_iter().enumerate() {
        let metadata = Metadata {
            xattrs,
            ..metadata(0o755)
        };
        for (kind, node) in [
            ("fifo", Node::Fifo),
            ("directory", Node::empty_directory()),
            ("link", Node::Symlink((*b"target").into())),
            (
                "file",
                Node::File {
                    size: 0,
                    content: (),
                },
            ),
        ] {
            append(&mut tar, &format!("{kind}-{number}"), &metadata, &node);
        }
    }
    check(&tar.finish().unwrap(), 2);
}
