//! Indexes, manifests and configurations as JSON.

use image_model::{Blame as _, Fault};
use lazyoci_oci_image::document::MAX_DOCUMENT_LEN;
use lazyoci_oci_image::{Document, DocumentError, Family, ImageConfig, Index, MediaType, Platform};

const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

fn manifest(fields: &str) -> String {
    format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[]{fields}}}"#)
}

fn written(document: &Document) -> String {
    let text = match document {
        Document::Index(index) => serde_json::to_string(index),
        Document::Manifest(manifest) => serde_json::to_string(manifest),
    };
    text.expect("it can be written")
}

#[test]
fn documents_are_written_as_they_were_read() {
    let entry = CONFIG.replace(
        r#""size":2"#,
        r#""size":2,"platform":{"architecture":"arm64","os":"linux","variant":"v8","x":[1]},"z":1,"a":2"#,
    );
    for (json, is_index) in [
        (
            manifest(r#","annotations":{"k":"v"},"zz":{"b":1,"a":2},"artifactType":"x/y""#),
            false,
        ),
        (manifest(&format!(r#","subject":{CONFIG}"#)), false),
        (
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entry},{CONFIG}],"z":1,"a":2}}"#
            ),
            true,
        ),
    ] {
        let document = Document::parse(json.as_bytes(), None).unwrap();
        assert_eq!(matches!(document, Document::Index(_)), is_index);
        assert_eq!(written(&document), json);
    }
    let json = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:00"]},"history":[{"created":"2020-01-01T00:00:00Z","created_by":"RUN x","empty_layer":true,"z":1},{"comment":"c"}],"created":"x","container_config":{"OnBuild":null},"config":{"Env":["A=b"],"Cmd":null}}"#;
    let config = ImageConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&config).unwrap(), json);
    assert_eq!(config.rootfs.diff_ids, ["sha256:00"]);
    assert!(config.history[0].empty_layer && !config.history[1].empty_layer);
}

#[test]
fn what_is_read_differently_is_refused() {
    let refused = |json: &str, media_type: Option<MediaType>| {
        let media_type = media_type.map(|media_type| media_type.to_string());
        Document::parse(json.as_bytes(), media_type.as_deref()).unwrap_err()
    };
    let both = manifest(r#","manifests":[]"#);
    assert_eq!(refused(&both, None), DocumentError::Ambiguous);
    let oci = MediaType::Manifest(Family::Oci);
    assert_eq!(refused(&both, Some(oci)), DocumentError::Ambiguous);

    let schema = refused(r#"{"schemaVersion":1,"fsLayers":[]}"#, None);
    assert_eq!(schema, DocumentError::Schema { version: 1 });
    assert_eq!(schema.fault(), Fault::Unsupported);

    let docker = MediaType::Manifest(Family::Docker);
    let json = manifest(&format!(r#","mediaType":"{docker}""#));
    let error = refused(&json, Some(oci));
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(
        error.to_string(),
        format!("the document says it is `{docker}`, but its descriptor says `{oci}`")
    );
    // What refers to it says what it is.
    let index = refused(&manifest(""), Some(MediaType::Index(Family::Oci)));
    assert!(
        index.to_string().contains("missing field `manifests`"),
        "{index}"
    );

    for (fields, expected) in [
        (r#","Layers":[]"#, "key `Layers` reads as `layers`"),
        (r#","layers":[]"#, "duplicate field `layers`"),
        (r#","x":1,"x":2"#, "duplicate key `x`"),
    ] {
        let error = refused(&manifest(fields), None);
        assert!(matches!(error, DocumentError::Json { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }

    let long = vec![b' '; MAX_DOCUMENT_LEN as usize + 1];
    let error = Document::parse(&long, None).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
}

#[test]
fn the_first_image_of_a_platform_is_taken() {
    let entry = |digit: char, platform: &str| {
        let digest = digit.to_string().repeat(64);
        format!(r#"{{"mediaType":"m","digest":"sha256:{digest}","size":1,"platform":{platform}}}"#)
    };
    let entries = [
        entry('0', r#"{"architecture":"unknown","os":"unknown"}"#),
        entry(
            '1',
            r#"{"architecture":"amd64","os":"windows","os.version":"10"}"#,
        ),
        entry('2', r#"{"architecture":"amd64","os":"linux"}"#),
        entry(
            '3',
            r#"{"architecture":"amd64","os":"linux","os.features":["nydus.remoteimage.v1"]}"#,
        ),
        entry('4', r#"{"architecture":"arm","os":"linux","variant":"v6"}"#),
        entry('5', r#"{"architecture":"arm","os":"linux"}"#),
        entry('6', r#"{"architecture":"arm64","os":"linux"}"#),
    ];
    let json = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    );
    let index: Index = serde_json::from_str(&json).unwrap();
    for (platform, expected) in [
        ("linux/amd64", Some('2')),
        ("linux/x86_64", Some('2')),
        ("linux/arm", Some('4')),
        ("linux/arm/v7", Some('5')),
        ("linux/arm64/v8", Some('6')),
        ("linux/arm64/v9", None),
        ("windows/amd64", Some('1')),
        ("linux/riscv64", None),
    ] {
        let found = index.select(&platform.parse().unwrap());
        let found = found.map(|found| found.digest.chars().last().unwrap());
        assert_eq!(found, expected, "{platform}");
    }
    for text in ["", "linux", "linux/", "/amd64", "linux/arm/", "a/b/c/d"] {
        let error = text.parse::<Platform>().unwrap_err();
        assert_eq!((error.text.as_str(), error.fault()), (text, Fault::Misuse));
    }
    assert_eq!(Platform::host().os, "linux");
}

#[test]
fn images_of_a_layout_are_known_by_tag_and_by_reference() {
    let called = |key: &str, name: &str| {
        let json = CONFIG.replace(
            r#""size":2"#,
            &format!(r#""size":2,"annotations":{{"{key}":"{name}"}}"#),
        );
        serde_json::from_str::<lazyoci_oci_image::Descriptor>(&json).unwrap()
    };
    let tag = called("org.opencontainers.image.ref.name", "v1");
    assert!(tag.is_called("v1") && !tag.is_called("v") && !tag.is_called(""));
    let reference = called("io.containerd.image.name", "docker.io/library/x:v1");
    assert!(reference.is_called("v1") && reference.is_called("docker.io/library/x:v1"));
    assert!(!reference.is_called("library/x:v1"));
    assert_eq!(reference.name(), Some("docker.io/library/x:v1"));
}
