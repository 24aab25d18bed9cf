//! Annotations of lazy formats.

use image_model::{Blame, Digest, DigestAlgorithm, Fault};
use lazyoci_oci_image::nydus::{self, FsVersion, NydusLayer};
use lazyoci_oci_image::{AnnotationError, Annotations, EstargzLayer, estargz};

const DIGEST: Digest = Digest::new(DigestAlgorithm::Sha256, [0x11; 32]);

fn annotations(entries: &[(&str, &str)]) -> Annotations {
    let mut annotations = Annotations::default();
    for &(key, value) in entries {
        annotations.set(key, value);
    }
    annotations
}

fn entries(annotations: &Annotations) -> Vec<(&str, &str)> {
    annotations.iter().collect()
}

#[test]
fn estargz_layers_say_so() {
    let digest = DIGEST.to_string();
    for (uncompressed_size, expected) in [
        (
            Some(5),
            vec![
                ("containerd.io/snapshot/stargz/toc.digest", &*digest),
                ("io.containers.estargz.uncompressed-size", "5"),
            ],
        ),
        (
            None,
            vec![("containerd.io/snapshot/stargz/toc.digest", &*digest)],
        ),
    ] {
        let layer = EstargzLayer::new(DIGEST).uncompressed_size(uncompressed_size);
        // A stale size does not stay.
        let mut written = annotations(&[(estargz::UNCOMPRESSED_SIZE, "99")]);
        layer.write(&mut written);
        assert_eq!(entries(&written), expected);
        assert_eq!(EstargzLayer::read(&written), Ok(Some(layer)));
        EstargzLayer::remove(&mut written);
        assert!(written.is_empty());
    }
}

#[test]
fn ordinary_layers_say_nothing() {
    let ordinary = annotations(&[("a", "b"), (estargz::UNCOMPRESSED_SIZE, "5")]);
    assert_eq!(EstargzLayer::read(&ordinary), Ok(None));
    assert_eq!(NydusLayer::read(&ordinary), Ok(None));
}

#[test]
fn estargz_values_have_one_form() {
    let toc_digest = DIGEST.to_string();
    let blake3 = Digest::new(DigestAlgorithm::Blake3, [1; 32]).to_string();
    for value in ["", "sha256:11", &blake3, &toc_digest.to_uppercase()] {
        assert_eq!(
            EstargzLayer::read(&annotations(&[(estargz::TOC_DIGEST, value)])),
            Err(AnnotationError::Value {
                key: estargz::TOC_DIGEST,
                value: value.into(),
                expected: "a sha256 digest"
            })
        );
    }
    for value in ["", "+5", "-5", " 5", "5 ", "0x5", "18446744073709551616"] {
        let error = EstargzLayer::read(&annotations(&[
            (estargz::TOC_DIGEST, &toc_digest),
            (estargz::UNCOMPRESSED_SIZE, value),
        ]))
        .unwrap_err();
        assert_eq!(
            error,
            AnnotationError::Value {
                key: estargz::UNCOMPRESSED_SIZE,
                value: value.into(),
                expected: "a decimal number"
            }
        );
        assert_eq!(error.fault(), Fault::Corrupt);
    }
}

#[test]
fn nydus_layers_say_what_they_are() {
    let digest = DIGEST.to_string();
    for (layer, expected) in [
        (
            NydusLayer::Blob {
                reference: None,
                encrypted: false,
            },
            vec![("containerd.io/snapshot/nydus-blob", "true")],
        ),
        (
            NydusLayer::Blob {
                reference: Some(DIGEST),
                encrypted: true,
            },
            vec![
                ("containerd.io/snapshot/nydus-blob", "true"),
                ("containerd.io/snapshot/nydus-encrypted-blob", "true"),
                ("containerd.io/snapshot/nydus-ref", &digest),
            ],
        ),
        (
            NydusLayer::Bootstrap {
                fs_version: FsVersion::V5,
            },
            vec![
                ("containerd.io/snapshot/nydus-bootstrap", "true"),
                ("containerd.io/snapshot/nydus-fs-version", "5"),
            ],
        ),
        (
            NydusLayer::Bootstrap {
                fs_version: FsVersion::V7,
            },
            vec![
                ("containerd.io/snapshot/nydus-bootstrap", "true"),
                ("containerd.io/snapshot/nydus-fs-version", "7"),
            ],
        ),
    ] {
        let mut written = annotations(&[(nydus::FS_VERSION, "6"), (nydus::BLOB, "true")]);
        layer.write(&mut written);
        assert_eq!(entries(&written), expected);
        assert_eq!(NydusLayer::read(&written), Ok(Some(layer)));
        NydusLayer::remove(&mut written);
        assert!(written.is_empty());
    }
}

#[test]
fn nydus_layers_need_not_say_much() {
    assert_eq!(
        NydusLayer::read(&annotations(&[(nydus::BOOTSTRAP, "true")])),
        Ok(Some(NydusLayer::Bootstrap {
            fs_version: FsVersion::V6
        }))
    );
    assert_eq!(
        NydusLayer::read(&annotations(&[(nydus::BLOB, "")])),
        Ok(Some(NydusLayer::Blob {
            reference: None,
            encrypted: false
        }))
    );
}

#[test]
fn nydus_layers_that_contradict_themselves_are_refused() {
    for (entries, expected) in [
        (
            [(nydus::BLOB, "true"), (nydus::BOOTSTRAP, "true")],
            AnnotationError::Conflict {
                first: nydus::BLOB,
                second: nydus::BOOTSTRAP,
            },
        ),
        (
            [(nydus::BOOTSTRAP, "true"), (nydus::FS_VERSION, "4")],
            AnnotationError::Value {
                key: nydus::FS_VERSION,
                value: "4".into(),
                expected: "`5`, `6` or `7`",
            },
        ),
        (
            [(nydus::BLOB, "true"), (nydus::REFERENCE, "latest")],
            AnnotationError::Value {
                key: nydus::REFERENCE,
                value: "latest".into(),
                expected: "a sha256 digest",
            },
        ),
    ] {
        let error = NydusLayer::read(&annotations(&entries)).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.fault(), Fault::Corrupt);
    }
}
