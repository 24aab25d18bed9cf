//! Bootstraps made by nydus-image, and the golden vectors of its output.

use image_model::DigestAlgorithm;
use lazyoci_rafs_format::dump::{Dumped, FieldValue};
use lazyoci_rafs_format::flags::Compat;
use lazyoci_rafs_format::v5::Bootstrap;

use crate::common::{Stored, check, encode, open};

macro_rules! golden {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../goldens/", $name, ".boot")) as &[u8],
        )
    };
}

const A4: [(&str, &[u8]); 6] = [
    golden!("a4-v5-none-sha256"),
    golden!("a4-v5-none-blake3"),
    golden!("a4-v5-lz4_block-sha256"),
    golden!("a4-v5-lz4_block-blake3"),
    golden!("a4-v5-zstd-sha256"),
    golden!("a4-v5-zstd-blake3"),
];

/// These have xattrs, which nydus writes in random order.
const ODD: [(&str, &[u8]); 2] = [
    golden!("odd-v5-zstd-sha256-4k"),
    golden!("odd-v5-lz4_block-blake3-64k"),
];

fn again(bootstrap: &Bootstrap) -> Vec<u8> {
    let stored = Stored::decoded(bootstrap);
    encode(&stored, &bootstrap.layout_options().compat(Compat::V2_2)).unwrap()
}

#[test]
fn decoded_and_encoded_again_they_are_the_same_bytes() {
    for (name, golden) in A4 {
        assert!(again(&open(golden).unwrap()) == golden, "{name}");
    }
}

#[test]
fn with_xattrs_they_are_the_same_image() {
    for (name, golden) in ODD {
        let bootstrap = open(golden).unwrap();
        let bytes = again(&bootstrap);
        assert_eq!(bytes.len(), golden.len(), "{name}");
        let second = open(&bytes).unwrap();
        assert!(second.to_chunked() == bootstrap.to_chunked(), "{name}");
        assert!(again(&second) == bytes, "{name}");
        // The xattrs of one inode change places, nothing else.
        let differ: Vec<_> = (0..bytes.len())
            .filter(|&n| bytes[n] != golden[n])
            .collect();
        let span = differ.last().unwrap_or(&0) - differ.first().unwrap_or(&0);
        assert!(span < 256, "{name}: {differ:?}");
    }
}

#[test]
fn nothing_is_wrong_with_them() {
    for (name, golden) in A4.into_iter().chain(ODD) {
        assert_eq!(check(golden), Vec::<String>::new(), "{name}");
    }
}

/// The bootstraps of the specification's appendix A.4, which release 2.4 makes: with CRCs, and inodes
/// in another order than that of 2.2.
#[test]
fn the_golden_vectors_come_out_byte_for_byte() {
    for (golden, expected) in [
        (
            A4[0],
            "5f39601c694cc53917e7a5ced2f56d12af9c5feff19955fa4abe9cf525f70cb9",
        ),
        (
            A4[1],
            "2deaef185b05c49807e756de2d5ff5633c763ac9b8f0fe070bb64c667d5c630a",
        ),
        (
            A4[2],
            "e44cff77c7de57d8688b25d9a6a552100647783cc9d1b67df27bb0e88715bdcb",
        ),
    ] {
        let (name, golden) = golden;
        let bootstrap = open(golden).unwrap();
        let mut stored = Stored::decoded(&bootstrap);
        for chunk in &mut stored.image.chunks {
            let content: &[u8] = match chunk.len {
                5 => b"hello",
                _ => &[b'A'; 10_000],
            };
            chunk.crc32c = Some(verify::crc32c(content));
        }
        let bytes = encode(&stored, &bootstrap.layout_options().compat(Compat::V2_4)).unwrap();
        let digest = verify::digest(DigestAlgorithm::Sha256, &bytes).unwrap();
        assert_eq!(digest.hex(), expected, "{name}");
    }
}

#[test]
fn a_dump_has_every_structure() {
    let mut dump = String::new();
    open(A4[0].1).unwrap().dump(&mut dump).unwrap();
    let lines: Vec<&str> = dump.lines().collect();
    assert_eq!(
        lines[0],
        "0x00000000 superblock: block_size=1048576 flags=0x19 inodes_count=5 \
         inode_table_offset=8192 prefetch_table_offset=8224 blob_table_offset=8224 \
         inode_table_entries=7 prefetch_table_entries=0 blob_table_size=72 \
         extended_blob_table_entries=1 extended_blob_table_offset=8296"
    );
    for line in [
        "0x0000200c inode table entry 4: path=\"d/h\"",
        "0x0000200c hard link 4: path=\"f\"",
        "0x00002550 symlink target: target=\"../f\"",
    ] {
        assert!(lines.contains(&line), "{line}:\n{dump}");
    }
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains(" chunk 0: "))
            .count(),
        3
    );
    assert!(!dump.contains('!'), "{dump}");
}

#[test]
fn structures_have_values_of_types() {
    let bootstrap = lazyoci_rafs_format::Bootstrap::from(open(A4[0].1).unwrap());
    let mut found = Vec::new();
    let told = bootstrap.structures(&mut |dumped| {
        let Dumped::Structure(structure) = dumped else {
            return Err(dumped.to_string());
        };
        let field = |name| structure.fields.iter().find(|field| field.0 == name);
        if let ("inode", Some(&(_, FieldValue::Text(b"l")))) = (structure.name, field("name")) {
            let [size, mode] = ["size", "mode"].map(|name| field(name).unwrap().1.to_string());
            found.push((structure.index, size, mode));
        }
        Ok(())
    });
    assert_eq!(told, Ok(()));
    let [size, mode] = ["4", "120777"].map(str::to_owned);
    assert_eq!(found, [(Some(7), size, mode)]);
    // Whoever hears of them may end it.
    let mut heard = 0;
    let ended = bootstrap.structures(&mut |_| {
        heard += 1;
        Err("enough")
    });
    assert_eq!((ended, heard), (Err("enough"), 1));
}
