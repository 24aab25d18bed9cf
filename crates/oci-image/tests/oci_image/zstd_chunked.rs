//! Annotations of zstd:chunked layers.

use image_model::{Blame, Digest, DigestAlgorithm, Fault, StoredPiece};
use lazyoci_oci_image::zstd_chunked::*;
use lazyoci_oci_image::{AnnotationError, Annotations, EstargzLayer, ExternalToc, estargz};

const CHECKSUM: Digest = Digest::new(DigestAlgorithm::Sha256, [0x11; 32]);
const TOC_DIGEST: Digest = Digest::new(DigestAlgorithm::Sha256, [0x22; 32]);
const TOC: StoredPiece = StoredPiece::new(364, 539, 1298);
const TAR_SPLIT: StoredPiece = StoredPiece::new(911, 483, 11_564);

fn annotations(entries: &[(&str, &str)]) -> Annotations {
    let mut annotations = Annotations::default();
    for &(key, value) in entries {
        annotations.set(key, value);
    }
    annotations
}

#[test]
fn both_dialects_as_the_reference_tools_write_them() {
    let (checksum, toc_digest) = (CHECKSUM.to_string(), TOC_DIGEST.to_string());
    let estargz = EstargzLayer::new(TOC_DIGEST).uncompressed_size(4096);
    for (layer, expected) in [
        (
            ZstdChunkedLayer::stargz(CHECKSUM, TOC, estargz),
            vec![
                ("containerd.io/snapshot/stargz/toc.digest", &*toc_digest),
                ("io.containers.estargz.uncompressed-size", "4096"),
                ("io.containers.zstd-chunked.manifest-checksum", &*checksum),
                (
                    "io.containers.zstd-chunked.manifest-position",
                    "364:539:1298:1",
                ),
            ],
        ),
        (
            ZstdChunkedLayer::containers(CHECKSUM, TOC).tar_split(TAR_SPLIT),
            vec![
                (
                    "io.github.containers.zstd-chunked.manifest-checksum",
                    &*checksum,
                ),
                (
                    "io.github.containers.zstd-chunked.manifest-position",
                    "364:539:1298:1",
                ),
                (
                    "io.github.containers.zstd-chunked.tarsplit-position",
                    "911:483:11564",
                ),
            ],
        ),
        (
            ZstdChunkedLayer::containers(CHECKSUM, TOC),
            vec![
                (
                    "io.github.containers.zstd-chunked.manifest-checksum",
                    &*checksum,
                ),
                (
                    "io.github.containers.zstd-chunked.manifest-position",
                    "364:539:1298:1",
                ),
            ],
        ),
    ] {
        // Nothing stale stays.
        let mut written = annotations(&[
            (TAR_SPLIT_POSITION, "1:2:3"),
            (TAR_SPLIT_CHECKSUM, "x"),
            (STARGZ_MANIFEST_POSITION, "1:2:3:1"),
            (estargz::UNCOMPRESSED_SIZE, "99"),
        ]);
        layer.write(&mut written);
        assert_eq!(written.iter().collect::<Vec<_>>(), expected);
        assert_eq!(ZstdChunkedLayer::read(&written), Ok(Some(layer)));
        ZstdChunkedLayer::remove(&mut written);
        assert!(written.is_empty());
    }
}

#[test]
fn what_is_not_zstd_chunked() {
    assert_eq!(
        ZstdChunkedLayer::read(&annotations(&[("a", "b")])),
        Ok(None)
    );
    let estargz = annotations(&[(estargz::TOC_DIGEST, &TOC_DIGEST.to_string())]);
    assert_eq!(ZstdChunkedLayer::read(&estargz), Ok(None));
}

#[test]
fn old_names_and_no_tar_split() {
    let checksum = &*CHECKSUM.to_string();
    let old = annotations(&[
        (STARGZ_MANIFEST_CHECKSUM, checksum),
        (STARGZ_MANIFEST_POSITION, "364:539:1298:1"),
    ]);
    let layer = ZstdChunkedLayer::containers(CHECKSUM, TOC);
    assert_eq!(ZstdChunkedLayer::read(&old), Ok(Some(layer)));
    let zero = annotations(&[
        (MANIFEST_CHECKSUM, checksum),
        (MANIFEST_POSITION, "364:539:1298:1"),
        (TAR_SPLIT_POSITION, "0:0:0"),
    ]);
    assert_eq!(ZstdChunkedLayer::read(&zero), Ok(Some(layer)));
}

#[test]
fn positions_have_one_form() {
    let checksum = &*CHECKSUM.to_string();
    for value in [
        "",
        "364:539:1298",
        "364:539:1298:2",
        "364:539:1298:1:1",
        "364:539:1298:1 ",
        " 364:539:1298:1",
        "+364:539:1298:1",
        "-1:539:1298:1",
        "0x1:539:1298:1",
        ":539:1298:1",
        "18446744073709551616:539:1298:1",
    ] {
        let error = ZstdChunkedLayer::read(&annotations(&[
            (MANIFEST_CHECKSUM, checksum),
            (MANIFEST_POSITION, value),
        ]));
        let expected = AnnotationError::Value {
            key: MANIFEST_POSITION,
            value: value.into(),
            expected: "`offset:stored length:length:1`",
        };
        assert_eq!(error, Err(expected));
    }
    for value in ["", "911:483", "911:483:11564:1", "911:483:x"] {
        let error = ZstdChunkedLayer::read(&annotations(&[
            (MANIFEST_CHECKSUM, checksum),
            (MANIFEST_POSITION, "364:539:1298:1"),
            (TAR_SPLIT_POSITION, value),
        ]));
        let expected = AnnotationError::Value {
            key: TAR_SPLIT_POSITION,
            value: value.into(),
            expected: "`offset:stored length:length`",
        };
        assert_eq!(error, Err(expected));
    }
}

#[test]
fn annotations_that_contradict_each_other() {
    let checksum = &*CHECKSUM.to_string();
    let containers = [
        (MANIFEST_CHECKSUM, checksum),
        (MANIFEST_POSITION, "364:539:1298:1"),
    ];
    let stargz = [
        (STARGZ_MANIFEST_CHECKSUM, checksum),
        (STARGZ_MANIFEST_POSITION, "364:539:1298:1"),
    ];
    for (entries, expected) in [
        (
            [&containers[..], &stargz].concat(),
            AnnotationError::Conflict {
                first: STARGZ_MANIFEST_CHECKSUM,
                second: MANIFEST_CHECKSUM,
            },
        ),
        (
            // What podman refuses.
            [&containers[..], &[(estargz::TOC_DIGEST, checksum)]].concat(),
            AnnotationError::Conflict {
                first: estargz::TOC_DIGEST,
                second: MANIFEST_CHECKSUM,
            },
        ),
        (
            containers[..1].to_vec(),
            AnnotationError::Missing {
                key: MANIFEST_POSITION,
                present: MANIFEST_CHECKSUM,
            },
        ),
        (
            stargz[1..].to_vec(),
            AnnotationError::Missing {
                key: STARGZ_MANIFEST_CHECKSUM,
                present: STARGZ_MANIFEST_POSITION,
            },
        ),
    ] {
        let error = ZstdChunkedLayer::read(&annotations(&entries)).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.fault(), Fault::Corrupt);
    }
}

#[test]
fn external_tocs_name_their_layer() {
    let digest = TOC_DIGEST.to_string();
    let mut written = Annotations::default();
    assert_eq!(ExternalToc::read(&written), Ok(None));
    let toc = ExternalToc { layer: TOC_DIGEST };
    toc.write(&mut written);
    let expected = ("containerd.io/snapshot/stargz/layer.digest", &*digest);
    assert_eq!(written.iter().collect::<Vec<_>>(), [expected]);
    assert_eq!(ExternalToc::read(&written), Ok(Some(toc)));
}
