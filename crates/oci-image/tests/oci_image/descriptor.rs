//! Descriptors as JSON.

use image_model::{Digest, DigestAlgorithm};
use lazyoci_oci_image::{Descriptor, EstargzLayer, Family, LayerCompression, LayerType, MediaType};

const LAYER: &str = r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b","size":32654}"#;

fn refused(json: &str) -> String {
    serde_json::from_str::<Descriptor>(json)
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn a_descriptor_is_written_as_it_was_read() {
    for json in [
        LAYER,
        // An unknown algorithm, unknown fields and an unknown type are none of our business.
        r#"{"mediaType":"application/x","digest":"sha512:00","size":18446744073709551615,"annotations":{"a":"1","b":""},"platform":{"architecture":"amd64","os":"linux","os.features":["nydus.remoteimage.v1"]},"urls":[],"artifactType":"x/y","x":null,"data":"e30="}"#,
    ] {
        let descriptor: Descriptor = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), json);
    }
}

#[test]
fn fields_are_typed_on_demand() {
    let descriptor: Descriptor = serde_json::from_str(LAYER).unwrap();
    let gzip = LayerType::new(Family::Oci, LayerCompression::Gzip, true).unwrap();
    assert_eq!(descriptor.parse_media_type(), Ok(MediaType::Layer(gzip)));
    let digest = descriptor.parse_digest().unwrap();
    assert_eq!(digest.algorithm(), DigestAlgorithm::Sha256);
    let size = descriptor.size;
    assert_eq!(
        Descriptor::new(MediaType::Layer(gzip), &digest, size),
        descriptor
    );

    let mut other = descriptor;
    other.digest = "sha512:00".into();
    other.media_type = "application/x".into();
    assert_eq!(other.parse_digest().unwrap_err().text, "sha512:00");
    assert_eq!(other.parse_media_type().unwrap_err().text, "application/x");
}

#[test]
fn annotations_are_added_in_order() {
    let mut descriptor: Descriptor = serde_json::from_str(LAYER).unwrap();
    descriptor.annotations.set("z", "last");
    EstargzLayer::new(Digest::new(DigestAlgorithm::Sha256, [0x11; 32]))
        .uncompressed_size(10_240)
        .write(&mut descriptor.annotations);
    let annotations = format!(
        r#"{{"containerd.io/snapshot/stargz/toc.digest":"sha256:{}","io.containers.estargz.uncompressed-size":"10240","z":"last"}}"#,
        "11".repeat(32)
    );
    assert_eq!(
        serde_json::to_string(&descriptor).unwrap(),
        LAYER.replace(
            r#""size":32654"#,
            &format!(r#""size":32654,"annotations":{annotations}"#)
        )
    );
}

#[test]
fn no_annotations_are_none() {
    for annotations in ["null", "{}"] {
        let json = LAYER.replace('}', &format!(r#","annotations":{annotations}}}"#));
        let descriptor: Descriptor = serde_json::from_str(&json).unwrap();
        assert!(descriptor.annotations.is_empty());
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), LAYER);
    }
}

#[test]
fn what_readers_read_differently_is_refused() {
    for (more, reason) in [
        (r#""size":1"#, "duplicate field `size`"),
        (r#""x":1,"x":2"#, "duplicate key `x`"),
        (r#""annotations":{"a":"1","a":"2"}"#, "duplicate key `a`"),
        (
            r#""Digest":"sha256:00""#,
            "key `Digest` reads as `digest` where case does not count",
        ),
        (
            r#""annotationſ":{}"#,
            "key `annotationſ` reads as `annotations` where case does not count",
        ),
    ] {
        let error = refused(&LAYER.replace('}', &format!(",{more}}}")));
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn incomplete_descriptors_are_refused() {
    for (json, reason) in [
        (
            r#"{"digest":"sha256:00","size":1}"#,
            "missing field `mediaType`",
        ),
        (r#"{"mediaType":"a/b","size":1}"#, "missing field `digest`"),
        (
            r#"{"mediaType":"a/b","digest":"sha256:00"}"#,
            "missing field `size`",
        ),
        (
            r#"{"mediaType":"a/b","digest":"sha256:00","size":-1}"#,
            "invalid value: integer `-1`, expected u64",
        ),
        (
            r#"{"mediaType":"a/b","digest":"sha256:00","size":1,"annotations":{"a":1}}"#,
            "invalid type: integer `1`, expected a string",
        ),
        (
            r#"{"mediaType":"a/b","digest":"sha256:00","size":1,"annotations":[]}"#,
            "invalid type: sequence, expected an object",
        ),
    ] {
        let error = refused(json);
        assert!(error.starts_with(reason), "{error}");
    }
}
