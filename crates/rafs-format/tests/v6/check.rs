//! The whole check: one corruption for each thing that it finds, with path and offset.

use std::ops::ControlFlow;

use image_model::advisory::Oddity;
use image_model::metadata::Xattr;
use image_model::{
    Blame, DigestAlgorithm, Fault, Image, ImagePath, Ino, InodeId, Metadata, Node, Tree, Xattrs,
};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::v6::{CheckFinding, Inconsistency};

use crate::common::{
    A4, Store, a4, a4_options, encode, field, metadata, name, open, options, patched,
};

const EXT: usize = 1152;
const DEVICE: usize = 1408;
const BLOB: usize = 4096;
const ROOT: usize = 0x3000;
const E: usize = 0x30a0;
const F: usize = 0x30e0;
const D: usize = 0x31a0;
const L: usize = 0x3220;
const CHUNKS: usize = 0x4000;
const CHUNK_FORMAT: &str = "of the image's chunk size, or of one that holds the whole file if its \
                            chunks lie one behind the other";

fn check(bytes: &[u8]) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    let summary = open(bytes)
        .unwrap()
        .check(&mut |finding| findings.push(finding));
    assert_eq!(summary.findings, findings.len() as u64);
    findings
}

fn finding(path: Option<&str>, offset: usize, what: impl Into<Inconsistency>) -> CheckFinding {
    CheckFinding {
        path: path.map(|path| ImagePath::clean(path.as_bytes()).unwrap()),
        offset: offset as u64,
        what: what.into(),
    }
}

fn mismatch(
    structure: &'static str,
    field: &'static str,
    found: u64,
    expected: u64,
) -> Inconsistency {
    Inconsistency::Mismatch {
        structure,
        field,
        found,
        expected,
    }
}

/// The change leads to these findings and no other.
#[track_caller]
fn finds(patches: &[(usize, &[u8])], expected: &[CheckFinding]) {
    assert_eq!(check(&patched(A4, patches)), expected);
}

#[test]
fn the_summary_counts() {
    let summary = open(A4).unwrap().check(&mut |finding| panic!("{finding}"));
    assert_eq!((summary.inodes, summary.names), (6, 7));
    assert_eq!((summary.chunks, summary.findings), (2, 0));
}

#[test]
fn counts_of_the_superblock() {
    let inos = mismatch("superblock", "inos", 8, 7);
    finds(&[(1024 + 16, &[8])], &[finding(None, 1024, inos)]);
    let blocks = mismatch("superblock", "blocks", 5, 4);
    finds(&[(1024 + 36, &[5])], &[finding(None, 1024, blocks)]);
    let compat = mismatch("superblock", "feature_compat", 0x4000_0001, 0x4000_0000);
    finds(&[(1024 + 8, &[1])], &[finding(None, 1024, compat)]);
    let flags = mismatch("extended superblock", "flags", 0x119, 0x19);
    finds(&[(EXT + 1, &[1])], &[finding(None, EXT, flags)]);
}

/// What nydus-image 2.0 and 2.1 wrote is no fault.
#[test]
fn old_releases() {
    let released = |patches: &[(usize, &[u8])]| {
        let bootstrap = open(&patched(A4, patches)).unwrap();
        let summary = bootstrap.check(&mut |finding| panic!("{finding}"));
        let advisories = summary.advisories.kept().iter();
        let releases = advisories.map(|advisory| match advisory.what {
            Oddity::Release { releases, .. } => releases,
            ref other => panic!("{other}"),
        });
        releases.collect::<Vec<_>>()
    };
    let both = "nydus-image 2.0 and 2.1";
    assert_eq!(released(&[]), [""; 0]);
    assert_eq!(released(&[(1024 + 36, &[0, 0x10])]), [both]);
    let ci_offset = &A4[BLOB + 112..BLOB + 120];
    assert_eq!(released(&[(BLOB + 88, ci_offset)]), [both]);
    assert_eq!(released(&[(CHUNKS + 80, &[0x2b])]), ["nydus-image 2.0"]);
}

#[test]
fn reserved_bytes() {
    for (offset, structure, at, path) in [
        (1024 + 127, "superblock", 1024, None),
        (EXT + 52, "extended superblock", EXT, None),
        (EXT + 255, "extended superblock", EXT, None),
        (DEVICE + 72, "device slot", DEVICE, None),
        (BLOB + 255, "blob table entry", BLOB, None),
        (F + 6, "inode", F, Some("/f")),
        (F + 63, "inode", F, Some("/f")),
        (D + 64 + 11, "directory block", D + 64, Some("/d")),
    ] {
        let what = Inconsistency::Reserved { structure };
        finds(&[(offset, &[1])], &[finding(path, at, what)]);
    }
    for stray in [0, 1023, 1536, 0x1100, 0x2fff, 0x3264, 0x40a0, 0x4fff] {
        finds(
            &[(stray, &[1])],
            &[finding(None, stray, Inconsistency::Stray)],
        );
    }
}

#[test]
fn devices() {
    finds(
        &[(DEVICE, b"x")],
        &[finding(None, DEVICE, Inconsistency::DeviceTag)],
    );
    let blocks = mismatch("device slot", "blocks", 5, 4);
    let sum = mismatch("superblock", "blocks", 4, 5);
    let expected = [finding(None, 1024, sum), finding(None, DEVICE, blocks)];
    finds(&[(DEVICE + 64, &[5])], &expected);
    // The bootstrap itself takes blocks 0 to 4.
    let mapped = mismatch("device slot", "mapped_blkaddr", 4, 5);
    finds(&[(DEVICE + 68, &[4])], &[finding(None, DEVICE, mapped)]);
    finds(&[(DEVICE + 68, &[5])], &[]);
}

#[test]
fn blob_table_entries() {
    let toc = "0, or 512 and 128 for each section";
    let no_toc = "0 without a TOC";
    let neither = "0 for a blob that is neither separate nor encrypted";
    let inside = "one that ends, with the header behind it, inside the blob";
    let cases: [(usize, u8, &str, u64, &str); 7] = [
        (105, 2, "blob_toc_size", 512, toc),
        (104, 1, "blob_toc_size", 1, toc),
        (136, 9, "blob_toc_digest", 9, no_toc),
        (168, 9, "blob_meta_digest", 9, neither),
        (200, 9, "blob_meta_size", 9, neither),
        (208, 9, "cipher_iv", 9, "0 for a blob that is not encrypted"),
        (112, 0x16, "ci_offset", 10_006, inside),
    ];
    for (offset, byte, name, found, rule) in cases {
        let what = field("blob table entry", BLOB, name, found, rule);
        finds(&[(BLOB + offset, &[byte])], &[finding(None, BLOB, what)]);
    }
    let what = field(
        "blob table entry",
        BLOB,
        "uncompressed_size",
        0x4001,
        "a multiple of 4096",
    );
    finds(&[(BLOB + 96, &[1])], &[finding(None, BLOB, what)]);
}

#[test]
fn links() {
    let what = |found, expected| mismatch("inode", "i_nlink", found, expected);
    finds(&[(F + 44, &[3])], &[finding(Some("/d/h"), F, what(3, 2))]);
    finds(&[(E + 44, &[0])], &[finding(Some("/e"), E, what(0, 1))]);
    finds(&[(D + 44, &[3])], &[finding(Some("/d"), D, what(3, 2))]);
    finds(
        &[(ROOT + 44, &[2])],
        &[finding(Some("/"), ROOT, what(2, 3))],
    );
}

#[test]
fn dots() {
    let (own, parent) = (D + 64, D + 64 + 12);
    let nid = |found, expected| mismatch("directory entry", "nid", found, expected);
    finds(&[(own, &[128])], &[finding(Some("/d"), own, nid(128, 141))]);
    finds(
        &[(parent, &[141])],
        &[finding(Some("/d"), parent, nid(141, 128))],
    );
    let root = ROOT + 64 + 12;
    finds(
        &[(root, &[141])],
        &[finding(Some("/"), root, nid(141, 128))],
    );
    let kind = field(
        "directory entry",
        own,
        "file_type",
        1,
        "the kind of its inode",
    );
    finds(&[(own + 10, &[1])], &[finding(Some("/d"), own, kind)]);
    // `..` becomes `.-`, which is another name of the root.
    let again = DecodeError::DirectoryAgain {
        offset: ROOT as u64,
    };
    let dots = Inconsistency::NoDots { name: ".." };
    let expected = [
        finding(Some("/d/.-"), parent, again),
        finding(Some("/d"), D, dots),
        finding(None, 1024, mismatch("superblock", "inos", 7, 8)),
    ];
    finds(&[(D + 64 + 48 + 2, b"-")], &expected);
}

#[test]
fn entries() {
    let entry = ROOT + 64 + 36;
    let kind = field(
        "directory entry",
        entry,
        "file_type",
        2,
        "the kind of its inode",
    );
    finds(&[(entry + 10, &[2])], &[finding(Some("/e"), entry, kind)]);
    let order = DecodeError::NameOrder {
        offset: entry as u64,
    };
    finds(
        &[(ROOT + 64 + 76, b"a")],
        &[finding(Some("/"), entry, order)],
    );
    // A second name for the directory `d`: a loop or not, it has one parent only.
    let again = DecodeError::DirectoryAgain { offset: D as u64 };
    let h = D + 64 + 24;
    let links = mismatch("inode", "i_nlink", 2, 1);
    let expected = [
        finding(Some("/d/h"), h, again),
        finding(Some("/f"), F, links),
    ];
    finds(&[(h, &[141])], &expected);
}

#[test]
fn a_damaged_inode_does_not_hide_the_others() {
    let mode = field("inode", E, "i_mode", 0o644, "of a known file type");
    let format = "such that data are left for the tail, which lies in one block";
    let expected = [
        finding(Some("/e"), E, mode),
        finding(Some("/d/l"), L, field("inode", L, "i_size", 0x1000, format)),
    ];
    // The target is looked at twice: as bytes that belong to the inode, and as a target.
    let bytes = patched(A4, &[(E + 5, &[1]), (L + 8, &[0, 0x10])]);
    let mut found = check(&bytes);
    found.dedup();
    assert_eq!(found, expected);
}

#[test]
fn content() {
    let address = F + 64;
    let missing = DecodeError::ChunkMissing {
        offset: address as u64,
        blob: 0,
        index: 7,
    };
    finds(&[(address, &[7])], &[finding(Some("/f"), address, missing)]);
    let format = field("inode", F, "i_u", 0x27, CHUNK_FORMAT);
    finds(&[(F + 16, &[0x27])], &[finding(Some("/f"), F, format)]);
    finds(&[(F + 16, &[0x29])], &[]);
}

/// EROFS looks for byte `n` at address `n >> bits`, where only the first one is right if the bits
/// are not the image's.
#[test]
fn chunks_of_erofs() {
    let mut store = Store::new(DigestAlgorithm::Sha256, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let content: Vec<u8> = (0..2500u32).flat_map(u32::to_le_bytes).collect();
    let file = tree.add(metadata(0o644), store.file(&content));
    tree.link(InodeId::ROOT, name(b"file"), file).unwrap();
    let stored = store.image(tree);
    let bytes = encode(&stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let ino = bootstrap.lookup(bootstrap.root(), name(b"file").as_ref());
    let inode = bootstrap.inode(ino.unwrap().unwrap()).unwrap();
    let offset = inode.offset as usize;
    assert_eq!((inode.size, inode.word), (10_000, 0x22));
    let with = |word: u8| check(&patched(&bytes, &[(offset + 16, &[word])]));
    let format = field("inode", offset, "i_u", 0x21, CHUNK_FORMAT);
    assert_eq!(with(0x21), [finding(Some("/file"), offset, format)]);
    for word in [0x20, 0x23, 0x3f] {
        assert_eq!(with(word), []);
    }
    // The view goes by the image's chunk size, whatever the inode says.
    let view = open(&patched(&bytes, &[(offset + 16, &[0x21])])).unwrap();
    let mut starts = Vec::new();
    let read = view.extents(Ino(inode.nid), 0..u64::MAX, &mut |extent| {
        starts.push(extent.file_offset);
        ControlFlow::Continue(())
    });
    read.unwrap();
    assert_eq!(starts, [0, 4096, 8192]);
}

#[test]
fn chunk_records() {
    let second = CHUNKS + 80;
    finds(&[(second, &[0x2b])], &[]);
    let rule = "a multiple of the chunk size";
    let file = field("chunk record", CHUNKS, "file_offset", 1, rule);
    finds(&[(CHUNKS + 64, &[1])], &[finding(None, CHUNKS, file)]);
    let blob = field(
        "chunk record",
        CHUNKS,
        "blob_index",
        1,
        "the position of a blob",
    );
    let missing = DecodeError::ChunkMissing {
        offset: F as u64 + 64,
        blob: 0,
        index: 0,
    };
    let expected = [
        finding(None, CHUNKS, blob),
        finding(Some("/f"), F + 64, missing),
    ];
    finds(&[(CHUNKS + 32, &[1])], &expected);
    let overlap = |field| Inconsistency::ChunkOverlap { field, before: 0 };
    let expected = [finding(None, second, overlap("compressed_offset"))];
    finds(&[(second + 48, &[4])], &expected);
    let startblk = "the uncompressed offset of the chunk's record";
    let expected = [
        finding(None, second, overlap("uncompressed_offset")),
        finding(
            Some("/z"),
            0x3180,
            field("chunk address", 0x3180, "startblk", 1, startblk),
        ),
    ];
    finds(&[(second + 57, &[0])], &expected);
    let duplicate = Inconsistency::DuplicateRecord {
        blob: 0,
        index: 0,
        position: 0,
    };
    let found = check(&patched(A4, &[(second + 72, &[0])]));
    assert_eq!(found[0], finding(None, second, duplicate));
}

#[test]
fn overlaps() {
    // The data of `d/l` are those of the root.
    let bytes = patched(A4, &[(L, &[1]), (L + 8, &[64]), (L + 16, &[3])]);
    let overlap = Inconsistency::Overlap {
        structure: "inode",
        other: "data blocks",
        other_offset: ROOT as u64,
    };
    let found = check(&bytes);
    assert!(found.contains(&finding(None, ROOT, overlap)), "{found:#?}");
    // The chunk table begins in front of the last inodes.
    let bytes = patched(A4, &[(EXT + 25, &[0x30])]);
    let overlap = |structure, other, other_offset| Inconsistency::Overlap {
        structure,
        other,
        other_offset,
    };
    let found = check(&bytes);
    let expected = finding(None, ROOT, overlap("chunk table", "inode", ROOT as u64));
    assert!(found.contains(&expected), "{found:#?}");
}

#[test]
fn prefetched_inodes() {
    let stored = a4(DigestAlgorithm::Sha256);
    let options = a4_options().prefetch(vec![InodeId::new(4)]);
    let bytes = encode(&stored, &options).unwrap();
    let found = check(&patched(&bytes, &[(4352, &[139])]));
    let expected = finding(None, 4352, Inconsistency::Prefetch { nid: 139 });
    assert_eq!(found, [expected]);
}

#[test]
fn extended_attributes() {
    let xattr = Xattr {
        name: (*b"user.a").into(),
        value: (*b"1").into(),
    };
    let metadata = Metadata {
        xattrs: Xattrs::new([xattr]).unwrap(),
        ..metadata(0o755)
    };
    let mut tree = Tree::new(metadata);
    let fifo = tree.add(self::metadata(0o600), Node::Fifo);
    tree.link(InodeId::ROOT, name(b"fifo"), fifo).unwrap();
    let stored = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let bytes = encode(&stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
    assert_eq!(check(&bytes), []);
    let area = 4096 + 64;
    let structure = "extended attributes";
    let what = Inconsistency::Reserved { structure };
    let found = check(&patched(&bytes, &[(area, &[1])]));
    assert_eq!(found, [finding(Some("/"), area, what)]);
    let flags = mismatch("extended superblock", "flags", 0x0100_0119, 0x0100_0139);
    let found = check(&patched(&bytes, &[(EXT, &[0x19])]));
    assert_eq!(found, [finding(None, EXT, flags)]);
}

#[test]
fn findings_say_where_and_whose_fault() {
    let found = check(&patched(A4, &[(F + 44, &[3])]));
    assert_eq!(
        found[0].to_string(),
        "/d/h, byte 12512: i_nlink of the inode is 0x3, expected 0x2"
    );
    assert_eq!(found[0].what.fault(), Fault::Corrupt);
}
