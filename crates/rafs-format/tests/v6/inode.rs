//! Inodes: one corruption for each rule.

use std::ops::ControlFlow;

use image_model::image::WrongInode;
use image_model::{Blame, Fault, FileKind, Image, ImageError, Ino, Timestamp};
use lazyoci_rafs_format::DecodeError;

use crate::common::{field, name};
use crate::damage::{E, F, INO_E, INO_F, INO_L, L, broken, cause, refuses};

#[test]
fn inode_fields() {
    let layouts = "plain, inline or chunked";
    let time = "less than a second";
    let kind = "of a known file type";
    let plain = "plain or inline for this kind";
    let addresses = "of chunk addresses (0x20 and at most 5 bits)";
    let cases: [(usize, &[u8], &str, u64, &str); 8] = [
        (E, &[0xb], "i_format", 0xb, layouts),
        (E + 1, &[1], "i_format", 0x109, layouts),
        (E + 4, &[0, 0], "i_mode", 0, kind),
        (E + 43, &[0x40], "i_mtime_nsec", 0x4000_0000, time),
        (E + 16, &[8], "i_u", 8, addresses),
        (E + 16, &[0x68], "i_u", 0x68, addresses),
        (L, &[9], "i_format", 8, plain),
        (L + 8, &[0], "i_size", 0, "not 0 for this kind"),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let inode = if offset < F { E } else { L };
        let expected = field("inode", inode, name, found, rule);
        refuses(&[(offset, bytes)], &expected);
        assert_eq!(expected.fault(), Fault::Corrupt);
    }
    let unsupported = |offset, feature| DecodeError::Unsupported {
        structure: "inode",
        offset,
        feature,
    };
    let compressed = "content compressed by EROFS";
    refuses(&[(F, &[3])], &unsupported(F as u64, compressed));
    refuses(&[(F, &[7])], &unsupported(F as u64, compressed));
    let inside = "file content inside the bootstrap";
    refuses(&[(F, &[1])], &unsupported(F as u64, inside));
}

#[test]
fn inodes_beyond_the_end() {
    let bootstrap = broken(&[]);
    for (nid, offset) in [
        (384, 20_480),
        (1 << 40, 0x2000_0000_2000),
        (u64::MAX, u64::MAX),
    ] {
        let error = bootstrap.attributes(Ino(nid)).unwrap_err();
        let expected = DecodeError::Truncated {
            what: "inode",
            offset,
            len: 2,
            available: 20_480,
        };
        assert_eq!((cause(&error), error.ino()), (expected, Some(Ino(nid))));
    }
    let error = bootstrap.attributes(Ino(0)).unwrap_err();
    assert_eq!(cause(&error), field("inode", 0x2000, "nid", 0, "not 0"));
    // Extended attributes of 12 + 4 * 0xfffe bytes.
    let expected = DecodeError::Truncated {
        what: "inode",
        offset: F as u64,
        len: 64 + 262_148,
        available: 20_480,
    };
    refuses(&[(F + 2, &[0xff, 0xff])], &expected);
}

#[test]
fn questions_to_the_wrong_kind() {
    let bootstrap = broken(&[]);
    let wrong = |error: ImageError, expected, found| {
        let kind = WrongInode::Kind { expected, found };
        assert_eq!(cause(&error), DecodeError::WrongInode(kind));
        assert_eq!(error.fault(), Fault::Misuse);
    };
    let (file, directory, link) = (FileKind::File, FileKind::Directory, FileKind::Symlink);
    wrong(bootstrap.symlink_target(INO_F).unwrap_err(), link, file);
    let label = name(b"x");
    wrong(
        bootstrap.lookup(INO_F, label.as_ref()).unwrap_err(),
        directory,
        file,
    );
    let go_on = &mut |_: image_model::Extent| ControlFlow::Continue(());
    wrong(
        bootstrap.extents(INO_L, 0..1, go_on).unwrap_err(),
        file,
        link,
    );
}

#[test]
fn compact_inodes() {
    let mut inode = [0; 64];
    inode[..32].copy_from_slice(&[
        8, 0, 0, 0, 0x80, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x28, 0, 0, 0, 3, 0, 0, 0, 0xff,
        0xff, 8, 0, 0, 0, 0, 0,
    ]);
    let bootstrap = broken(&[(1024 + 24, &[5]), (1024 + 32, &[9]), (E, &inode)]);
    let attributes = bootstrap.attributes(INO_E).unwrap();
    assert_eq!(attributes.mode, 0o600);
    assert_eq!(
        (attributes.uid, attributes.gid, attributes.links),
        (0xffff, 8, 1)
    );
    let build_time = Timestamp {
        seconds: 5,
        nanoseconds: 9,
    };
    assert_eq!(attributes.mtime, build_time);
    bootstrap.check(&mut |finding| panic!("{finding}"));
}
