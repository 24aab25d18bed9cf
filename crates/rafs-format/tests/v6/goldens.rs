//! Bootstraps made by nydus-image.

use bytes::Bytes;
use image_model::Limits;
use rafs_format::flags::{Compat, SuperFlags};
use rafs_format::v6::{Bootstrap, Layout, Options};

const GOLDENS: [(&str, &[u8]); 5] = [
    (
        "a4-v6-none-sha256",
        include_bytes!("../goldens/a4-v6-none-sha256.boot"),
    ),
    (
        "a4-v6-none-blake3",
        include_bytes!("../goldens/a4-v6-none-blake3.boot"),
    ),
    (
        "a4-v6-zstd-sha256",
        include_bytes!("../goldens/a4-v6-zstd-sha256.boot"),
    ),
    (
        "a4-v6-lz4_block-blake3",
        include_bytes!("../goldens/a4-v6-lz4_block-blake3.boot"),
    ),
    (
        "a4-v6-none-sha256-toc",
        include_bytes!("../goldens/a4-v6-none-sha256-toc.boot"),
    ),
];

fn open(bytes: &[u8]) -> Bootstrap {
    Bootstrap::open(Bytes::copy_from_slice(bytes), &Limits::default()).unwrap()
}

/// Decoded and encoded again.
fn again(bootstrap: &Bootstrap, compat: Compat) -> Vec<u8> {
    let image = bootstrap.to_chunked().unwrap();
    let flags = bootstrap.ext_superblock().flags;
    let options = Options {
        compat,
        chunk_size: bootstrap.ext_superblock().chunk_size,
        compressor: flags.compressor(),
        digester: flags.digester(),
        explicit_ids: flags.contains(SuperFlags::EXPLICIT_UID_GID),
        prefetch: Vec::new(),
    };
    let layout = Layout::plan(&image, bootstrap.blob_entries(), &options).unwrap();
    let mut bytes = Vec::new();
    layout.write_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn decoded_and_encoded_again_they_are_the_same_bytes() {
    for (name, golden) in GOLDENS {
        let bytes = again(&open(golden), Compat::V2_2);
        assert!(bytes == golden, "{name}");
    }
}

#[test]
fn nothing_is_wrong_with_them() {
    for (name, golden) in GOLDENS {
        let mut findings = Vec::new();
        let summary = open(golden).check(&mut |finding| findings.push(finding.to_string()));
        assert!(findings.is_empty(), "{name}: {findings:#?}");
        assert_eq!(summary.findings, 0);
    }
}
