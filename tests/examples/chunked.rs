//! Layers of other tools that have a TOC, but are not eStargz as `convert` writes it.

use std::fs;
use std::path::PathBuf;

use crate::{Fixture, complaint, example, json, run, text};

pub(crate) fn golden(name: &str) -> PathBuf {
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crates");
    crates.join("estargz-toc/tests/goldens").join(name)
}

/// As stargz-snapshotter and skopeo describe their layers.
const A: &str = r#"{
    "containerd.io/snapshot/stargz/toc.digest": "sha256:fd913dbce41fea99002df991d0665cac206839ae131a313e0f035f72e1a53901",
    "io.containers.estargz.uncompressed-size": "4096",
    "io.containers.zstd-chunked.manifest-checksum": "sha256:0332b867de1be1c39784bb0c2abdc9af9a080c761dd2317c01e49875bac9975e",
    "io.containers.zstd-chunked.manifest-position": "336:410:1063:1"
}"#;
const B: &str = r#"{
    "io.github.containers.zstd-chunked.manifest-checksum": "sha256:0686ec0eb331387870bba68b79594dbb60f2a2f3a44f2431dc3d84b6f5b75738",
    "io.github.containers.zstd-chunked.manifest-position": "364:539:1298:1",
    "io.github.containers.zstd-chunked.tarsplit-position": "911:483:11564"
}"#;
const A_DIFF_ID: &str = "sha256:16534e4bd07b3b73e814827de68b030b55056ea1b2846edd98cc4bb7c5af4621";
const B_DIFF_ID: &str = "sha256:fcbd846df686b7317fe5f4ab5b7b47f4db80cb4e2f61446cfe3d8638138e2ded";

#[test]
fn zstd_chunked_of_both_kinds() {
    let fixture = Fixture::new();
    for (name, told, diff_id) in [
        ("vector-a.tar.zst", A, A_DIFF_ID),
        ("vector-b.tar.zst", B, B_DIFF_ID),
    ] {
        let layer = golden(name);
        let annotations = fixture.path("annotations.json");
        fs::write(&annotations, told).unwrap();
        let value = json(example("inspect").arg(&layer));
        assert_eq!(value["format"], "zstd-chunked");
        // What a manifest should say.
        let expected: serde_json::Value = serde_json::from_str(told).unwrap();
        for (key, found) in value["estargz"]["annotations"].as_object().unwrap() {
            assert_eq!(*found, expected[key], "{key}");
        }
        let mut cat = example("cat");
        cat.arg("--annotations").arg(&annotations);
        assert_eq!(text(cat.arg(&layer).arg("d/a")), "hello");
        assert!(text(example("ls").arg("-R").arg(&layer)).contains("/d/a"));
        let mut verify = example("verify");
        verify.arg("--annotations").arg(&annotations);
        verify.args(["--diff-id", diff_id]).arg(&layer);
        run(&mut verify, 0);
        let other = if diff_id == A_DIFF_ID {
            B_DIFF_ID
        } else {
            A_DIFF_ID
        };
        let mut verify = example("verify");
        let said = complaint(verify.args(["--diff-id", other]).arg(&layer), 1);
        assert!(said.contains(diff_id), "{said}");
    }
    // Of containers/storage the tar is what was there before.
    let layer = golden("vector-b.tar.zst");
    let digest = text(example("digest").arg(&layer));
    assert_eq!(
        text(example("digest").arg("--as-layer").arg(&layer)),
        digest
    );
    let unpacked = fixture.path("unpacked");
    run(example("unpack").arg(&layer).arg(&unpacked), 0);
    assert_eq!(fs::read(unpacked.join("z")).unwrap().len(), 2052);
}

#[test]
fn every_structure_of_zstd_chunked_is_dumped() {
    let layer = golden("vector-b.tar.zst");
    let value = json(example("inspect").arg("--dump").arg(&layer));
    let mut end = 0;
    for frame in value["frames"].as_array().unwrap() {
        assert_eq!(frame["offset"], end);
        end += frame["bytes"].as_u64().unwrap();
    }
    assert_eq!(end, 356);
    assert_eq!(value["toc"]["toc_entries"].as_array().unwrap().len(), 8);
    let items = value["tar_split"]["tar_split_items"].as_array().unwrap();
    assert_eq!(items[3]["crc64"], "3c3eeee2d8100000");
    let lines = text(example("inspect").arg("--dump").arg(&layer));
    assert!(
        lines.contains("0x00000065 frame 1: stored=18 decoded=5 chunk@0+5\n"),
        "{lines}"
    );
    assert!(
        lines.ends_with("0x00000572 footer: bytes=72 dialect=containers\n"),
        "{lines}"
    );
}

#[test]
fn a_toc_that_is_another_blob() {
    let layer = golden("vector-external.esgz");
    let said = complaint(example("cat").arg(&layer).arg("d/a"), 3);
    assert!(said.contains("--as-layer"), "{said}");
    assert_eq!(
        text(example("cat").arg("--as-layer").arg(&layer).arg("d/a")),
        "hello"
    );
    let mut cat = example("cat");
    cat.arg("--external-toc")
        .arg(golden("vector-external.toc.gz"));
    assert_eq!(text(cat.arg(&layer).arg("d/a")), "hello");
    let mut verify = example("verify");
    verify
        .arg("--external-toc")
        .arg(golden("vector-external.toc.gz"));
    run(verify.arg(&layer), 0);
}

#[test]
fn long_chunks_are_read_within_a_larger_bound() {
    let layer = golden("vector-b.tar.zst");
    let within = |bound: &str| {
        let mut cat = example("cat");
        cat.args(["--max-frame", bound]).arg(&layer).arg("z");
        cat
    };
    let said = complaint(&mut within("1025"), 3);
    let why = "1026 bytes of the member at 232 have to be decoded; the limit is 1025 \
               (--max-frame SIZE allows more; --as-layer reads a plain layer instead)\n";
    assert!(said.ends_with(why), "{said}");
    assert_eq!(text(&mut within("1026")).len(), 2052);
    let mut plain = within("1025");
    assert_eq!(text(plain.arg("--as-layer")).len(), 2052);
}
