//! What the format cannot carry: refused, reported, dropped.

use image_model::metadata::Xattr;
use image_model::{
    Blame, Device, DigestAlgorithm, Fault, ImagePath, InodeId, Metadata, Node, Timestamp, Tree,
    Xattrs,
};
use lazyoci_rafs_format::v6::{CannotCarry, EncodeError, Loss, drop_losses, losses};

use crate::common::{Store, a4_options, encode, metadata, name};

fn xattrs(list: &[(&str, usize)]) -> Xattrs {
    let xattr = |&(name, len): &(&str, usize)| Xattr {
        name: name.as_bytes().into(),
        value: vec![0; len].into(),
    };
    Xattrs::new(list.iter().map(xattr)).unwrap()
}

fn with_xattrs(list: &[(&str, usize)]) -> Metadata {
    Metadata {
        xattrs: xattrs(list),
        ..metadata(0o644)
    }
}

fn found<C>(tree: &Tree<C>) -> Vec<Loss> {
    let mut found = Vec::new();
    losses(tree, &mut |path, what| {
        let path = path.clone();
        found.push(Loss { path, what });
    });
    found
}

fn loss(path: &str, what: CannotCarry) -> Loss {
    Loss {
        path: ImagePath::clean(path.as_bytes()).unwrap(),
        what,
    }
}

#[test]
fn each_loss_is_found_and_dropped() {
    let long_name = format!("user.{}", "n".repeat(256));
    let big = Device {
        major: 4096,
        minor: 0,
    };
    let minor = Device {
        major: 0,
        minor: 1 << 20,
    };
    let fits = Device {
        major: 4095,
        minor: 0xf_ffff,
    };
    let late = Timestamp {
        seconds: 1,
        nanoseconds: 1_000_000_000,
    };
    let at_most = vec![b'x'; 4095];
    let target = |len| CannotCarry::Target { len };
    let value = |name: &str, len| CannotCarry::XattrValue {
        name: name.as_bytes().into(),
        len,
        max: 65_535,
    };
    let bad_name = |name: &str| CannotCarry::XattrName {
        name: name.as_bytes().into(),
    };
    let sum = CannotCarry::XattrSum {
        name: (*b"user.5").into(),
        len: 262_156,
    };
    let late_file = Metadata {
        mtime: late,
        ..metadata(0o644)
    };
    let too_much = [
        ("user.1", 65_520),
        ("user.2", 65_520),
        ("user.3", 65_520),
        ("user.4", 65_520),
        ("user.5", 24),
        ("user.6", 16),
    ];
    let cases: Vec<(&str, Metadata, Node<()>, Vec<CannotCarry>)> = vec![
        (
            "a",
            metadata(0o600),
            Node::CharDevice(big),
            vec![CannotCarry::Device { device: big }],
        ),
        (
            "b",
            metadata(0o600),
            Node::BlockDevice(minor),
            vec![CannotCarry::Device { device: minor }],
        ),
        ("c", metadata(0o600), Node::BlockDevice(fits), vec![]),
        (
            "d",
            metadata(0o777),
            Node::Symlink(at_most.clone().into()),
            vec![],
        ),
        (
            "e",
            metadata(0o777),
            Node::Symlink([at_most, vec![b'x']].concat().into()),
            vec![target(4096)],
        ),
        (
            "f",
            metadata(0o777),
            Node::Symlink([].into()),
            vec![target(0)],
        ),
        (
            "g",
            metadata(0o777),
            Node::Symlink((*b"a\0").into()),
            vec![target(2)],
        ),
        (
            "h",
            late_file,
            Node::Fifo,
            vec![CannotCarry::Time { mtime: late }],
        ),
        (
            "i",
            with_xattrs(&[
                ("com.apple.x", 1),
                ("system.nfs4_acl", 1),
                ("system.posix_acl_access", 1),
                ("system.posix_acl_accessory", 1),
                ("system.posix_acl_default.", 1),
                ("trusted.", 1),
                ("user.kept", 65_535),
            ]),
            Node::Fifo,
            vec![
                bad_name("com.apple.x"),
                bad_name("system.nfs4_acl"),
                bad_name("system.posix_acl_accessory"),
                bad_name("system.posix_acl_default."),
                bad_name("trusted."),
            ],
        ),
        (
            "j",
            with_xattrs(&[("user.big", 65_536), (&long_name, 1)]),
            Node::empty_directory(),
            vec![value("user.big", 65_536), bad_name(&long_name)],
        ),
        ("k", with_xattrs(&too_much), Node::Fifo, vec![sum]),
    ];
    let mut tree: Tree<()> = Tree::new(metadata(0o755));
    let mut expected = Vec::new();
    for (path, metadata, node, whats) in cases {
        let id = tree.add(metadata, node);
        tree.link(InodeId::ROOT, name(path.as_bytes()), id).unwrap();
        // A second name is no second loss.
        tree.link(InodeId::ROOT, name(format!("{path}2").as_bytes()), id)
            .unwrap();
        expected.extend(whats.into_iter().map(|what| loss(path, what)));
        if path == "j" {
            tree.unlink(InodeId::ROOT, name(b"j2").as_ref()).unwrap();
        }
    }
    assert_eq!(found(&tree), expected);

    let mut dropped = Vec::new();
    drop_losses(&mut tree, &mut |path, what| {
        let path = path.clone();
        dropped.push(Loss { path, what });
    });
    assert_eq!(dropped, expected);
    assert_eq!(found(&tree), []);
    let names: Vec<_> = tree.directory(InodeId::ROOT).unwrap().keys().collect();
    let left = ["c", "c2", "d", "d2", "h", "h2", "i", "i2", "j", "k", "k2"];
    assert_eq!(
        names,
        left.map(|text| name(text.as_bytes()))
            .iter()
            .collect::<Vec<_>>()
    );
    let kept = |path: &[u8]| tree.inode(tree.resolve(path).unwrap()).metadata.clone();
    assert_eq!(kept(b"h").mtime, Timestamp::from_seconds(1));
    let kept_xattrs = xattrs(&[("system.posix_acl_access", 1), ("user.kept", 65_535)]);
    assert_eq!(kept(b"i").xattrs, kept_xattrs);
    assert!(kept(b"j").xattrs.is_empty());
    assert_eq!(kept(b"k").xattrs.len(), 5);
    assert_eq!(kept(b"k").xattrs.value(b"user.5"), None);
}

#[test]
fn a_plan_refuses_the_first_loss_with_its_path() {
    let store = Store::new(DigestAlgorithm::Sha256, 1 << 20);
    let mut tree = Tree::new(metadata(0o755));
    let directory = tree.add(metadata(0o755), Node::empty_directory());
    tree.link(InodeId::ROOT, name(b"dir"), directory).unwrap();
    let fifo = tree.add(with_xattrs(&[("lustre.lov", 1)]), Node::Fifo);
    tree.link(directory, name(b"odd\n"), fifo).unwrap();
    let stored = store.image(tree);
    let error = encode(&stored, &a4_options()).unwrap_err();
    assert_eq!(
        error,
        EncodeError::CannotCarry {
            path: ImagePath::clean(b"dir/odd\n").unwrap(),
            what: CannotCarry::XattrName {
                name: (*b"lustre.lov").into(),
            },
        }
    );
    assert_eq!(error.fault(), Fault::Unsupported);
    assert_eq!(
        error.to_string(),
        "/dir/odd\\n: extended attribute lustre.lov: its name cannot be stored"
    );
}
