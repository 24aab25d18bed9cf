//! One field that is wrong, and the error that says so.

use bytes::Bytes;
use image_model::{Blame, Fault, Image, Ino, Limits, Name};
use lazyoci_erofs_format::{DecodeError, ErofsImage, StructureError};

use crate::goldens::golden;

/// `name` with `bytes` at `at`.
fn patched(name: &str, at: usize, bytes: &[u8]) -> Bytes {
    let mut image = golden(name).to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    // Without a checksum other faults show.
    let compat = image[1024 + 8];
    image[1024 + 8] = compat & !1;
    image[1024 + 4..1024 + 8].fill(0);
    image.into()
}

fn opened(image: Bytes) -> Result<ErofsImage, DecodeError> {
    ErofsImage::open(image, &Limits::default())
}

fn findings(image: Bytes) -> Vec<String> {
    let mut found = Vec::new();
    opened(image)
        .unwrap()
        .check(&mut |finding| found.push(finding.to_string()));
    found
}

/// The place and the inode of a file.
fn inode_of(name: &str, file: &[u8]) -> (usize, lazyoci_erofs_format::Inode) {
    let image = opened(golden(name)).unwrap();
    let file = Name::new(file.to_vec()).unwrap();
    let ino: Ino = image.lookup(image.root(), file.as_ref()).unwrap().unwrap();
    let inode = image.inode(ino).unwrap();
    (usize::try_from(inode.offset).unwrap(), inode)
}

#[test]
fn superblocks() {
    for (at, bytes, said) in [
        (
            0,
            &[0][..],
            "the superblock at byte 1024: magic is 0xe0f5e100, but must be 0xe0f5e1e2",
        ),
        (
            12,
            &[17],
            "the superblock at byte 1024: blkszbits is 0x11, but must be 9 to 16",
        ),
        (
            32,
            &[0xff; 4],
            "the superblock at byte 1024: build_time_nsec is 0xffffffff, but must be less than a second",
        ),
        (
            90,
            &[1],
            "the superblock at byte 1024 needs directory blocks of several blocks, which is not supported",
        ),
    ] {
        let error = opened(patched("plain", 1024 + at, bytes)).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn checksums() {
    let mut image = golden("plain").to_vec();
    image[1024 + 64] ^= 1;
    let error = opened(image.into()).unwrap_err();
    assert!(matches!(error, DecodeError::Checksum { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn images_that_end_too_early() {
    let image = golden("plain");
    for len in [0, 1000, 1100, 1024 + 128] {
        let error = opened(image.slice(..len)).unwrap_err();
        let truncated = matches!(
            error,
            DecodeError::Structure(StructureError::Truncated { .. })
        );
        assert!(truncated, "{len}: {error:?}");
    }
}

#[test]
fn content_outside_the_image() {
    let (at, inode) = inode_of("plain", b"n");
    let far = 0x1000u32.to_le_bytes();
    let found = findings(patched("plain", at + 16, &far));
    let expected = format!(
        "/n, byte {at}: the inode at byte {at}: byte 0 of its content is at byte 16777216 of device 0, which has only {}",
        golden("plain").len()
    );
    assert_eq!(found, [expected]);
    assert_eq!(inode.size, 10_000);
}

#[test]
fn devices_that_are_not_there() {
    let (_, inode) = inode_of("blobdev", b"o");
    let address = usize::try_from(inode.chunk_addresses()).unwrap();
    // Two devices are told apart by one bit: a larger number is masked, as the kernel does.
    assert_eq!(
        findings(patched("blobdev", address + 2, &[3, 0])),
        Vec::<String>::new()
    );
    let mut image = golden("blobdev").to_vec();
    image[1024 + 86] = 2;
    image[address + 2] = 3;
    image[1024 + 8] &= !1;
    image[1024 + 4..1024 + 8].fill(0);
    let found = findings(image.into());
    let said = format!(
        "the chunk address at byte {address}: device_id is 0x3, but must be a slot of the device table"
    );
    assert!(
        found.iter().any(|found| found.ends_with(&said)),
        "{found:?}"
    );
}

#[test]
fn chunk_formats() {
    let (at, inode) = inode_of("chunks", b"n");
    for (word, said) in [
        (inode.word | 0x40, "needs chunk addresses of 48 bits"),
        (
            inode.word | 0x80,
            "i_u is 0x81, but must be of a chunk format",
        ),
    ] {
        let found = findings(patched("chunks", at + 16, &word.to_le_bytes())).concat();
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn directories() {
    let (at, inode) = inode_of("plain", b"d");
    // All of it is inline.
    let block = usize::try_from(inode.end()).unwrap();
    for (at, bytes, said) in [
        // The first name begins inside the entries.
        (
            block + 8,
            &[13, 0][..],
            "nameoff is 0xd, but must be a multiple of 12",
        ),
        (
            block + 10,
            &[9],
            "file_type is 0x9, but must be 1 (file) to 7 (symlink)",
        ),
        // The directory itself is called something else.
        (block, &[1], "nid of the directory entry is"),
        (
            at + 8,
            &[0; 4],
            "i_size is 0x0, but must be not 0 for this kind",
        ),
    ] {
        let found = findings(patched("plain", at, bytes)).concat();
        assert!(found.contains(said), "{said}: {found}");
    }
}

#[test]
fn overlapping_structures() {
    // The content of a file lies over the superblock.
    let (at, _) = inode_of("plain", b"o");
    let found = findings(patched("plain", at + 16, &[0; 4])).concat();
    assert!(found.contains("overlaps the content at byte 0"), "{found}");
}

#[test]
fn limits() {
    for (limits, said) in [
        (
            Limits::default().max_symlink_len(10),
            "bytes of a symbolic link's target",
        ),
        (
            Limits::default().max_xattr_len(16),
            "bytes of extended attributes",
        ),
        (Limits::default().max_depth(0), "nested directories"),
    ] {
        let image = ErofsImage::open(golden("inline"), &limits).unwrap();
        let mut found = String::new();
        image.check(&mut |finding| found += &finding.to_string());
        assert!(found.contains(said), "{said}: {found}");
    }
    let limits = Limits::default().max_blobs(0);
    let error = ErofsImage::open(golden("blobdev"), &limits).unwrap_err();
    assert_eq!(error.to_string(), "1 devices; at most 0 are accepted");
    assert_eq!(error.fault(), Fault::Limit);
}

/// Where the only long prefix of `xattr-prefix` is.
fn long_prefix() -> usize {
    let image = golden("xattr-prefix");
    let text = b"long.prefix.";
    let at = image.windows(text.len()).position(|bytes| bytes == text);
    // After a length of 2 bytes and the index of the fixed prefix.
    at.unwrap() - 3
}

#[test]
fn long_prefixes() {
    let at = long_prefix();
    let place = format!("the long prefix of extended attributes at byte {at}");
    for (bytes, said) in [
        (
            &[0, 0][..],
            ": size is 0x0, but must be 1 (the fixed prefix alone) to 256",
        ),
        (
            &[1, 1],
            ": size is 0x101, but must be 1 (the fixed prefix alone) to 256",
        ),
        (&[0, 1], " takes 258 bytes, but the image has only "),
        (
            &[13, 0, 5],
            ": e_name_index is 0x5, but must be of a known prefix: 1, 2, 3, 4 or 6",
        ),
    ] {
        let error = opened(patched("xattr-prefix", at, bytes)).unwrap_err();
        let said = format!("{place}{said}");
        assert!(error.to_string().starts_with(&said), "{said}: {error}");
        assert_eq!(error.fault(), Fault::Corrupt);
    }
}

#[test]
fn shared_attributes_beyond_the_area() {
    let (at, inode) = inode_of("inline", b"f");
    let area = at + usize::try_from(inode.header_len()).unwrap();
    let found = findings(patched("inline", area + 4, &[255]));
    let said = format!(
        "the extended attributes at byte {area} takes 1032 bytes, but the image has only {}",
        inode.end()
    );
    assert!(found.iter().any(|found| found.contains(&said)), "{found:?}");
}

/// A second slot for the same blocks.
#[test]
fn devices_that_overlap() {
    let mut image = golden("tar-i").to_vec();
    let table = usize::try_from(opened(golden("tar-i")).unwrap().superblock().device_table());
    let table = table.unwrap();
    let slot = image[table..table + 128].to_vec();
    image.splice(table + 128..table + 256, slot);
    image[1024 + 86] = 2;
    image[1024 + 8] &= !1;
    image[1024 + 4..1024 + 8].fill(0);
    let error = opened(image.into()).unwrap_err().to_string();
    let place = format!(
        "the device slot at byte {}: mapped_blkaddr is ",
        table + 128
    );
    assert!(error.starts_with(&place), "{error}");
    let rule = "must be outside of the blocks that another device has";
    assert!(error.ends_with(rule), "{error}");
}

#[test]
fn chunks_beyond_the_limit() {
    let image = ErofsImage::open(golden("chunks"), &Limits::default()).unwrap();
    let extents = image.check(&mut |_| {}).extents;
    for (max, expected) in [(extents, 0), (extents - 1, 1), (1, 1)] {
        let limits = Limits::default().max_chunks(u32::try_from(max).unwrap());
        let image = ErofsImage::open(golden("chunks"), &limits).unwrap();
        let mut found = Vec::new();
        image.check(&mut |finding| found.push(finding));
        assert_eq!(found.len(), expected, "{max}: {found:?}");
        assert!(found.iter().all(|found| found.what.fault() == Fault::Limit));
    }
}

/// Paths that are long together take no more room than reports have.
#[test]
fn paths_of_findings() {
    let image = patched("plain", inode_of("plain", b"n").0 + 16, &[0xff; 3]);
    let paths = |limits: &Limits| {
        let mut paths = Vec::new();
        let image = ErofsImage::open(image.clone(), limits).unwrap();
        image.check(&mut |finding| paths.push(finding.path.is_some()));
        paths
    };
    assert_eq!(paths(&Limits::default()), [true]);
    assert_eq!(paths(&Limits::default().max_report_len(0)), [false]);
}
