//! Extended attributes: one corruption for each rule.

use image_model::metadata::{Xattr, XattrError};
use image_model::{DigestAlgorithm, Image, Ino, InodeId, Metadata, Node, Tree, Xattrs};
use lazyoci_rafs_format::DecodeError;

use crate::common::{Store, encode, field, metadata, name, open, options, patched};
use crate::damage::cause;

/// A fifo with two attributes; answers bytes and where the area begins.
pub(crate) fn with_xattrs() -> (Vec<u8>, usize) {
    let xattr = |name: &[u8], value: &[u8]| Xattr {
        name: name.into(),
        value: value.into(),
    };
    let list = [
        xattr(b"user.a", b"1"),
        xattr(b"system.posix_acl_access", b"\x02\0\0\0"),
        xattr(b"user.b", b""),
    ];
    let metadata = Metadata {
        xattrs: Xattrs::new(list).unwrap(),
        ..metadata(0o600)
    };
    let mut tree = Tree::new(self::metadata(0o755));
    let fifo = tree.add(metadata, Node::Fifo);
    tree.link(InodeId::ROOT, name(b"fifo"), fifo).unwrap();
    let stored = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let bytes = encode(&stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let ino = bootstrap
        .lookup(bootstrap.root(), name(b"fifo").as_ref())
        .unwrap()
        .unwrap();
    let area = bootstrap.inode(ino).unwrap().offset as usize + 64;
    (bytes, area)
}

#[test]
fn extended_attributes() {
    let (bytes, area) = with_xattrs();
    assert_eq!(bytes[area..area + 12], [0; 12]);
    let entries = b"\0\x02\x04\0\x02\0\0\0\x01\x01\x01\0a1\0\0\x01\x01\0\0b\0\0\0";
    assert_eq!(&bytes[area + 12..area + 36], entries);
    let truncated = |entry, len| DecodeError::Truncated {
        what: "extended attribute",
        offset: (area + entry) as u64,
        len,
        available: (area + 36) as u64,
    };
    let known = "of a known prefix: 1, 2, 3, 4 or 6";
    let cases: [(usize, u8, DecodeError); 6] = [
        (
            4,
            1,
            DecodeError::Unsupported {
                structure: "extended attributes",
                offset: area as u64,
                feature: "shared extended attributes",
            },
        ),
        (
            13,
            5,
            field("extended attribute", area + 12, "e_name_index", 5, known),
        ),
        (28, 5, truncated(28, 12)),
        (31, 1, truncated(28, 264)),
        (
            32,
            b'a',
            DecodeError::Xattrs {
                offset: area as u64,
                source: XattrError::Duplicate {
                    name: (*b"user.a").into(),
                },
            },
        ),
        (
            24,
            0,
            DecodeError::Xattrs {
                offset: area as u64,
                source: XattrError::Name {
                    name: (*b"user.\0").into(),
                },
            },
        ),
    ];
    for (offset, byte, expected) in cases {
        let bootstrap = open(&patched(&bytes, &[(area + offset, &[byte])])).unwrap();
        let ino = Ino((area as u64 - 64) / 32);
        let error = bootstrap.xattrs(ino).unwrap_err();
        assert_eq!(cause(&error), expected);
        assert_eq!(bootstrap.to_chunked().unwrap_err(), expected);
    }
}
