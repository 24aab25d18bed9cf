//! Access: what is looked at is checked, one corruption for each rule.

use std::error::Error;
use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use image_model::image::WrongInode;
use image_model::metadata::{Xattr, XattrError};
use image_model::name::NameError;
use image_model::{
    Blame, DigestAlgorithm, ExtentSource, Fault, FileKind, Image, ImageError, Ino, InodeId, Limits,
    Metadata, Node, Timestamp, Tree, Xattrs,
};
use rafs_format::DecodeError;
use rafs_format::v6::Bootstrap;

use crate::common::{A4, Store, encode, metadata, name, open, options, patched};

const ROOT: usize = 0x3000;
const E: usize = 0x30a0;
const F: usize = 0x30e0;
const D: usize = 0x31a0;
const L: usize = 0x3220;
const INO_E: Ino = Ino(133);
const INO_F: Ino = Ino(135);
const INO_Z: Ino = Ino(138);
const INO_L: Ino = Ino(145);

fn field(
    structure: &'static str,
    offset: usize,
    field: &'static str,
    found: u64,
    rule: &'static str,
) -> DecodeError {
    DecodeError::Field {
        structure,
        offset: offset as u64,
        field,
        found,
        rule,
    }
}

fn cause(error: &ImageError) -> DecodeError {
    let source = error.source().unwrap();
    source.downcast_ref::<DecodeError>().unwrap().clone()
}

fn broken(patches: &[(usize, &[u8])]) -> Bootstrap {
    open(&patched(A4, patches)).unwrap()
}

/// Every question about every inode of the golden, until one is not answered.
fn ask_all(bootstrap: &Bootstrap) -> Result<(), ImageError> {
    for nid in [128, 133, 135, 138, 141, 145] {
        let ino = Ino(nid);
        bootstrap.xattrs(ino)?;
        match bootstrap.attributes(ino)?.kind {
            FileKind::Directory => {
                bootstrap.read_directory(ino, &mut |_| ControlFlow::Continue(()))?;
            }
            FileKind::Symlink => drop(bootstrap.symlink_target(ino)?),
            FileKind::File => {
                bootstrap.extents(ino, 0..u64::MAX, &mut |_| ControlFlow::Continue(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The view refuses the damage when it meets it, and so does the copy.
#[track_caller]
fn refuses(patches: &[(usize, &[u8])], expected: &DecodeError) {
    let bootstrap = broken(patches);
    assert_eq!(&cause(&ask_all(&bootstrap).unwrap_err()), expected);
    assert_eq!(&bootstrap.to_chunked().unwrap_err(), expected);
}

#[test]
fn the_golden_has_no_damage() {
    ask_all(&broken(&[])).unwrap();
}

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

#[test]
fn directory_entries() {
    let entry = |number: usize| ROOT + 64 + 12 * number;
    let next = "before the next name, behind the entries, inside the block";
    let block = "a multiple of 12, not 0, inside the block";
    let cases = [
        (
            entry(0) + 8,
            73,
            field("directory block", entry(0), "nameoff", 73, block),
        ),
        (
            entry(0) + 8,
            0,
            field("directory block", entry(0), "nameoff", 0, block),
        ),
        (
            entry(0) + 8,
            84,
            field("directory block", entry(0), "nameoff", 84, block),
        ),
        (
            entry(2) + 8,
            71,
            field("directory entry", entry(1), "nameoff", 73, next),
        ),
        (
            entry(5) + 8,
            79,
            field("directory entry", entry(5), "nameoff", 79, next),
        ),
        (
            entry(3) + 8,
            75,
            field("directory entry", entry(2), "nameoff", 75, next),
        ),
        (
            entry(2) + 10,
            0,
            field(
                "directory entry",
                entry(2),
                "file_type",
                0,
                "1 (file) to 7 (symlink)",
            ),
        ),
        (
            entry(2) + 10,
            8,
            field(
                "directory entry",
                entry(2),
                "file_type",
                8,
                "1 (file) to 7 (symlink)",
            ),
        ),
        (
            entry(0) + 72,
            0,
            DecodeError::Name {
                offset: entry(0) as u64,
                source: NameError::Byte { byte: 0, offset: 0 },
            },
        ),
        (
            entry(0) + 75,
            b'/',
            DecodeError::Name {
                offset: entry(2) as u64,
                source: NameError::Byte {
                    byte: b'/',
                    offset: 0,
                },
            },
        ),
        (
            entry(0) + 78,
            0,
            DecodeError::Name {
                offset: entry(5) as u64,
                source: NameError::Empty,
            },
        ),
        (
            entry(0) + 76,
            b'd',
            DecodeError::NameOrder {
                offset: entry(3) as u64,
            },
        ),
        (
            entry(0) + 76,
            b'a',
            DecodeError::NameOrder {
                offset: entry(3) as u64,
            },
        ),
    ];
    for (offset, byte, expected) in cases {
        refuses(&[(offset, &[byte])], &expected);
    }
}

/// Bytes behind the data of a directory are not names.
#[test]
fn a_directory_that_is_too_short() {
    let end = ROOT + 64;
    let rule = "a multiple of 12, not 0, inside the block";
    refuses(
        &[(ROOT + 8, &[72])],
        &field("directory block", end, "nameoff", 72, rule),
    );
    let expected = DecodeError::Truncated {
        what: "directory entry",
        offset: end as u64,
        len: 12,
        available: (end + 11) as u64,
    };
    refuses(&[(ROOT + 8, &[11])], &expected);
}

#[test]
fn data_of_directories_and_links() {
    let rule = "such that data are left for the tail, which lies in one block";
    // Behind the inode 0xfc0 bytes of the block are left.
    let expected = field("inode", ROOT, "i_size", 0xfc1, rule);
    refuses(&[(ROOT + 8, &[0xc1, 0x0f])], &expected);
    let expected = field("inode", ROOT, "i_size", 0x1000, rule);
    refuses(&[(ROOT + 8, &[0, 0x10])], &expected);
    let truncated = |offset, len| DecodeError::Truncated {
        what: "data blocks",
        offset,
        len,
        available: 20_480,
    };
    let far: &[u8] = &[0xff; 4];
    let expected = truncated(0xffff_ffff << 12, 79);
    refuses(&[(ROOT, &[1]), (ROOT + 16, far)], &expected);
    let expected = truncated(0x3000, 1 << 40 & !0xfff);
    refuses(&[(ROOT + 13, &[1])], &expected);

    let links = "at most the bytes before the first NUL of the link's target";
    refuses(&[(L + 8, &[5])], &field("inode", L, "i_size", 5, links));
    let expected = DecodeError::Limit {
        what: "bytes of a symbolic link's target",
        found: 4097,
        max: 4096,
    };
    refuses(&[(L + 8, &[1, 0x10])], &expected);
}

#[test]
fn chunk_addresses() {
    let address = F + 64;
    let device = "the position of a blob, plus 1";
    let startblk = "the uncompressed offset of the chunk's record";
    refuses(
        &[(address + 2, &[0])],
        &field("chunk address", address, "device", 0, device),
    );
    refuses(
        &[(address + 2, &[2])],
        &field("chunk address", address, "device", 2, device),
    );
    refuses(
        &[(address + 4, &[1])],
        &field("chunk address", address, "startblk", 1, startblk),
    );
    for (patch, index) in [
        ((address, 2), 2),
        ((address + 1, 1), 256),
        ((address + 3, 1), 0x1_0000),
    ] {
        let expected = DecodeError::ChunkMissing {
            offset: address as u64,
            blob: 0,
            index,
        };
        refuses(&[(patch.0, &[patch.1])], &expected);
    }
    let expected = DecodeError::Truncated {
        what: "chunk addresses",
        offset: address as u64,
        len: 8 << 20,
        available: 20_480,
    };
    refuses(&[(F + 8, &[0, 0, 0, 0, 0, 1])], &expected);
}

#[test]
fn chunk_records() {
    let record = 0x4000;
    let plain = "the bytes that its file has there";
    let stored = "uncompressed_size, as the chunk is not compressed";
    let size = "1 to the chunk size";
    let data = "one that ends inside the blob's data";
    let space = "one that ends inside the blob's uncompressed address space";
    let cases: [(usize, &[u8], &str, u64, &str); 9] = [
        (36, &[0x20], "flags", 0x20, "of known bits"),
        (
            36,
            &[1],
            "flags",
            1,
            "without COMPRESSED, as the blob has no compressor",
        ),
        (44, &[0], "uncompressed_size", 0, size),
        (46, &[0x11], "uncompressed_size", 0x11_0005, size),
        (40, &[4], "compressed_size", 4, stored),
        (49, &[0x28], "compressed_offset", 0x2800, data),
        (48, &[0xff; 8], "compressed_offset", u64::MAX, data),
        (40, &[6, 0, 0, 0, 6], "uncompressed_size", 6, plain),
        (44, &[5, 0, 0, 1], "uncompressed_size", 0x0100_0005, size),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("chunk record", record, name, found, rule);
        refuses(&[(record + offset, bytes)], &expected);
    }
    let expected = field("chunk record", record, "uncompressed_offset", 0x4000, space);
    refuses(&[(record + 57, &[0x40]), (F + 68, &[4])], &expected);
    let rule = "less than the blob's number of chunks";
    let expected = field("chunk record", record, "index", 2, rule);
    refuses(&[(record + 72, &[2]), (F + 64, &[2])], &expected);
    for (flag, feature) in [
        (2, "chunks that are holes"),
        (4, "encrypted chunks"),
        (8, "batch chunks"),
    ] {
        let expected = DecodeError::Unsupported {
            structure: "chunk record",
            offset: record as u64,
            feature,
        };
        refuses(&[(record + 36, &[flag])], &expected);
        assert_eq!(expected.fault(), Fault::Unsupported);
    }
}

#[test]
fn compressed_chunks() {
    let record = 0x4000;
    let zstd: (usize, &[u8]) = (4096 + 76, &[3]);
    let bootstrap = broken(&[zstd, (record + 36, &[1]), (record + 40, &[4])]);
    let mut codecs = Vec::new();
    for ino in [INO_F, INO_Z] {
        let result = bootstrap.extents(ino, 0..1, &mut |extent| {
            if let ExtentSource::Chunk { frame, .. } = extent.source {
                codecs.push((frame.codec, frame.stored_len, frame.len));
            }
            ControlFlow::Continue(())
        });
        result.unwrap();
    }
    let [zstd_codec, none] = [image_model::Codec::Zstd, image_model::Codec::None];
    assert_eq!(codecs, [(zstd_codec, 4, 5), (none, 10_000, 10_000)]);
    for (stored, found) in [(0, 0), (6, 6)] {
        let rule = "1 to uncompressed_size";
        let expected = field("chunk record", record, "compressed_size", found, rule);
        refuses(
            &[zstd, (record + 36, &[1]), (record + 40, &[stored])],
            &expected,
        );
    }
    let expected = DecodeError::Unsupported {
        structure: "chunk record",
        offset: record as u64,
        feature: "chunks in gzip members",
    };
    refuses(&[(4096 + 76, &[2]), (record + 36, &[1])], &expected);
}

/// Metadata of other modes can be read, content is refused by the name of what is missing.
#[test]
fn content_of_other_modes() {
    let v2: (usize, &[u8]) = (4096 + 128, &[48]);
    for (patches, feature) in [
        (vec![(4096 + 84, [0x40, 0].as_slice())], "tarfs mode"),
        (vec![(4096 + 84, &[0x0d, 0]), v2], "zran mode"),
        (vec![(4096 + 84, &[0x85, 0]), v2], "batch chunks"),
        (vec![(4096 + 84, &[5, 1]), v2], "encrypted blobs"),
        (vec![(4096 + 216, &[1])], "encrypted blobs"),
        (vec![(4096 + 84, &[1, 8])], "external blobs"),
    ] {
        let bootstrap = broken(&patches);
        assert_eq!(bootstrap.attributes(INO_F).unwrap().size, 5);
        let expected = DecodeError::Unsupported {
            structure: "chunk address",
            offset: F as u64 + 64,
            feature,
        };
        refuses(&patches, &expected);
        let mut findings = Vec::new();
        bootstrap.check(&mut |finding| findings.push(finding.what.to_string()));
        let about =
            format!("the blob table entry at byte 4096 needs {feature}, which is not supported");
        assert!(findings.contains(&about), "{findings:?}");
    }
}

#[test]
fn extents_of_a_range() {
    let mut store = Store::new(DigestAlgorithm::Blake3, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let content: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
    let file = tree.add(metadata(0o644), store.file(&content));
    tree.link(InodeId::ROOT, name(b"file"), file).unwrap();
    let (image, entries) = store.image(tree);
    let bytes = encode(&image, &entries, &options(DigestAlgorithm::Blake3, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let ino = bootstrap
        .lookup(bootstrap.root(), name(b"file").as_ref())
        .unwrap()
        .unwrap();
    let numbers = |range: Range<u64>| {
        let mut list = Vec::new();
        let result = bootstrap.extents(ino, range, &mut |extent| {
            list.push((extent.file_offset / 4096, extent.len));
            ControlFlow::Continue(())
        });
        result.map(|()| list)
    };
    assert_eq!(numbers(0..0).unwrap(), []);
    assert_eq!(numbers(0..1).unwrap(), [(0, 4096)]);
    assert_eq!(numbers(4095..4097).unwrap(), [(0, 4096), (1, 4096)]);
    assert_eq!(numbers(39_000..u64::MAX).unwrap(), [(9, 3136)]);
    assert_eq!(numbers(40_000..u64::MAX).unwrap(), []);
    assert_eq!(numbers(0..u64::MAX).unwrap().len(), 10);
    let mut first = None;
    let stopped = bootstrap.extents(ino, 0..u64::MAX, &mut |extent| {
        assert_eq!(first.replace(extent), None);
        ControlFlow::Break(())
    });
    stopped.unwrap();
    let digest = match first.unwrap().source {
        ExtentSource::Chunk { digest, crc32c, .. } => {
            assert_eq!(crc32c, Some(verify::crc32c(&content[..4096])));
            digest.unwrap()
        }
        ExtentSource::Zeros => panic!("not zeros"),
    };
    assert_eq!(verify::check(&digest, &content[..4096]), Ok(()));
}

#[test]
fn lookups_find_names_and_nothing_else() {
    let bootstrap = broken(&[]);
    let find = |label: &[u8]| {
        bootstrap
            .lookup(bootstrap.root(), name(label).as_ref())
            .unwrap()
    };
    assert_eq!(find(b"f"), Some(INO_F));
    assert_eq!(find(b"z"), Some(INO_Z));
    for missing in [b"!".as_slice(), b"-", b"...", b"a", b"ee", b"zz", b"\xff"] {
        assert_eq!(find(missing), None);
    }
}

/// A fifo with two attributes; answers bytes and where the area begins.
fn with_xattrs() -> (Vec<u8>, usize) {
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
    let (image, entries) = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let bytes = encode(&image, &entries, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
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

#[test]
fn the_callers_limits() {
    let (bytes, area) = with_xattrs();
    let limits = Limits {
        max_xattr_len: 35,
        ..Limits::default()
    };
    let bootstrap = Bootstrap::open(Bytes::from(bytes), &limits).unwrap();
    let error = bootstrap.xattrs(Ino((area as u64 - 64) / 32)).unwrap_err();
    let what = "bytes of extended attributes";
    let (found, max) = (36, 35);
    assert_eq!(cause(&error), DecodeError::Limit { what, found, max });

    let copy = |limits: &Limits| {
        let bootstrap = Bootstrap::open(Bytes::from_static(A4), limits).unwrap();
        bootstrap.to_chunked().unwrap_err()
    };
    let limits = Limits {
        max_inodes: 4,
        ..Limits::default()
    };
    let what = "names";
    let (found, max) = (5, 4);
    assert_eq!(copy(&limits), DecodeError::Limit { what, found, max });
    let limits = Limits {
        max_depth: 0,
        ..Limits::default()
    };
    let what = "nested directories";
    let (found, max) = (1, 0);
    assert_eq!(copy(&limits), DecodeError::Limit { what, found, max });
}

#[test]
fn the_copy_refuses_what_is_no_tree() {
    let again = |offset: usize| DecodeError::DirectoryAgain {
        offset: offset as u64,
    };
    let copy = |patches: &[(usize, &[u8])]| broken(patches).to_chunked().unwrap_err();
    // The root in `d`, `d` in `d`, `d` twice in the root.
    let first_in_d = D + 64 + 24;
    assert_eq!(
        copy(&[(first_in_d, &[128]), (first_in_d + 10, &[2])]),
        again(ROOT)
    );
    assert_eq!(
        copy(&[(first_in_d, &[141]), (first_in_d + 10, &[2])]),
        again(D)
    );
    assert_eq!(
        copy(&[(ROOT + 64 + 36, &[141]), (ROOT + 64 + 46, &[2])]),
        again(D)
    );
    // An entry of another kind than its inode.
    let entry = ROOT + 64 + 36;
    let expected = field(
        "directory entry",
        entry,
        "file_type",
        7,
        "the kind of its inode",
    );
    assert_eq!(copy(&[(entry + 10, &[7])]), expected);
    let expected = field(
        "directory entry",
        first_in_d,
        "file_type",
        7,
        "the kind of its inode",
    );
    assert_eq!(copy(&[(first_in_d + 10, &[7])]), expected);
}

/// Many directories that share one block of entries would make a small bootstrap a large image.
#[test]
fn the_copy_refuses_structures_that_overlap() {
    let mut tree = Tree::new(metadata(0o755));
    for number in 0..200 {
        let id = tree.add(metadata(0o755), Node::empty_directory());
        let label = format!("{number:0>40}");
        tree.link(InodeId::ROOT, name(label.as_bytes()), id)
            .unwrap();
    }
    let (image, entries) = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let mut bytes = encode(&image, &entries, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let root = bootstrap.inode(bootstrap.root()).unwrap();
    let mut children = Vec::new();
    let list = &mut |entry: image_model::DirEntry<'_>| {
        children.push(bootstrap.inode(entry.ino).unwrap().offset as usize);
        ControlFlow::Continue(())
    };
    bootstrap.read_directory(bootstrap.root(), list).unwrap();
    for child in children {
        // Plain data, those of the root.
        bytes[child] = 1;
        bytes[child + 8..child + 16].copy_from_slice(&8192u64.to_le_bytes());
        bytes[child + 16..child + 20].copy_from_slice(&root.word.to_le_bytes());
    }
    let error = open(&bytes).unwrap().to_chunked().unwrap_err();
    assert!(
        matches!(error, DecodeError::Crowded { taken, available, .. } if taken > available),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}
