//! Generated trees: tar to v6 and back.

use image_model::metadata::Xattr;
use image_model::{Device, Metadata, Node, Timestamp, Xattrs};
use lazyoci_image_convert::TarOptions;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Image, Tar, digest_of_tar, noise, plain_options, tar_of};

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    File {
        seed: u64,
        len: usize,
    },
    Directory,
    Symlink(String),
    Device(Device),
    Fifo,
    /// A further name of an earlier file.
    Link(prop::sample::Index),
}

pub(crate) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (0u64..3, prop_oneof![Just(0), Just(4096), 0usize..20_000])
            .prop_map(|(seed, len)| Kind::File { seed, len }),
        3 => Just(Kind::Directory),
        1 => "[a-z/.]{1,200}".prop_map(Kind::Symlink),
        1 => (0u32..4096, 0u32..1 << 20)
            .prop_map(|(major, minor)| Kind::Device(Device { major, minor })),
        1 => Just(Kind::Fifo),
        2 => any::<prop::sample::Index>().prop_map(Kind::Link),
    ]
}

pub(crate) fn attributes() -> impl Strategy<Value = Metadata> {
    let xattrs = vec(
        ("(user|trusted)\\.[a-z%]{1,5}", vec(any::<u8>(), 0..9)),
        0..3,
    );
    (
        0u16..0o10000,
        any::<[u32; 2]>(),
        any::<i32>(),
        0u32..1_000_000_000,
        xattrs,
    )
        .prop_map(|(mode, [uid, gid], seconds, nanoseconds, xattrs)| {
            let list = xattrs.into_iter().map(|(name, value)| Xattr {
                name: name.into_bytes().into(),
                value: value.into(),
            });
            Metadata {
                mode,
                uid,
                gid,
                mtime: Timestamp {
                    seconds: seconds.into(),
                    nanoseconds,
                },
                xattrs: Xattrs::new(list).unwrap_or_default(),
            }
        })
}

/// The tar of nodes, each below one of the directories before it.
pub(crate) fn tar(nodes: Vec<(prop::sample::Index, Metadata, Kind)>) -> Vec<u8> {
    let mut directories = vec![String::new()];
    let mut files: Vec<String> = Vec::new();
    let mut tar = Tar::new();
    for (number, (parent, metadata, kind)) in nodes.into_iter().enumerate() {
        // Some names come twice, so that entries replace others.
        let name = format!("{}{}", parent.get(&directories), number % 23);
        let node = match kind {
            Kind::File { seed, len } => {
                files.push(name.clone());
                tar = tar.file_with(&name, &metadata, &noise(seed, len));
                continue;
            }
            Kind::Link(index) if !files.is_empty() => {
                let target = index.get(&files);
                if !format!("{target}/").starts_with(&format!("{name}/")) {
                    tar = tar.link(&name, target);
                }
                continue;
            }
            Kind::Link(_) => continue,
            Kind::Directory => {
                directories.push(format!("{name}/"));
                Node::empty_directory()
            }
            Kind::Symlink(target) => Node::Symlink(target.into_bytes().into()),
            Kind::Device(device) => Node::CharDevice(device),
            Kind::Fifo => Node::Fifo,
        };
        tar = tar.node(&name, &metadata, &node);
    }
    tar.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tar_to_rafs_and_back_keeps_the_tree(
        nodes in vec((any::<prop::sample::Index>(), attributes(), kind()), 0..60),
        threads in 1usize..4,
    ) {
        let tar = tar(nodes);
        let options = plain_options().threads(threads).lossy(true);
        // Some trees are no trees: a file below a file, a link to what became a directory.
        let Ok(image) = Image::of(lazyoci_image_convert::Streaming::new(&tar[..]), &options) else {
            return Ok(());
        };
        let expected = digest_of_tar(&tar);
        prop_assert_eq!(image.digest(), expected.clone());
        prop_assert_eq!(&image.report.losses, &[]);
        let mut findings = Vec::new();
        image.bootstrap().check(&mut |finding| findings.push(finding.to_string()));
        prop_assert_eq!(findings, Vec::<String>::new());

        let opened = image_read::open(image.bootstrap_path(), &Default::default()).unwrap();
        let (_, back) = tar_of(opened, &TarOptions::default()).unwrap();
        prop_assert_eq!(digest_of_tar(&back), expected);
        let again = Image::of_tar(&back, &options);
        prop_assert_eq!(again.digest(), image.digest());
    }
}
