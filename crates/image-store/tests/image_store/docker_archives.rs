//! Writing archives of the `docker save` format.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use image_model::{Blame as _, Fault};
use lazyoci_image_store::oci_image::{Descriptor, Family, Manifest, MediaType, nydus};
use lazyoci_image_store::{
    DockerArchiveWriter, ImageStore, ImageStoreError, ImageTarget, Location, copy, put_bytes,
    put_document, resolve,
};

use crate::layouts::expected;
use crate::support::layers;
use crate::written_archives::{GZIP, Place, config, diff_id, gzip, hex, image, put_layers};

#[test]
fn layers_are_plain_tars_in_an_archive_of_docker() {
    let place = Place::new();
    let archive = DockerArchiveWriter::create(place.target()).unwrap();
    let (mut stored, mut diff_ids) = put_layers(&archive);
    // The lowest layer again, and the same tar compressed.
    stored.extend([
        stored[0].clone(),
        put_bytes(&archive, GZIP, &gzip(&layers()[0])).unwrap(),
    ]);
    diff_ids.extend([diff_ids[0].clone(), diff_ids[0].clone()]);
    let image = image(&archive, stored, &diff_ids);
    archive.publish(None, &image).unwrap();
    let config = config(&diff_ids);
    let config_name = format!("{}.json", verify::sha256(config.as_bytes()).hex());
    let file = |position: usize| format!("{}.tar", hex(&diff_ids[position]));
    let list = |tags: &str| {
        let files: Vec<_> = (0..5).map(file).collect();
        let files = serde_json::to_string(&files).unwrap();
        format!(r#"[{{"Config":"{config_name}","RepoTags":{tags},"Layers":{files}}}]"#)
    };
    let written = |tags: &str| {
        let [lower, middle, upper] = layers();
        [
            (format!("-644 {}", file(0)), lower),
            (format!("-644 {}", file(1)), middle),
            (format!("-644 {}", file(2)), upper),
            (format!("-644 {config_name}"), config.clone().into_bytes()),
            ("-644 manifest.json".to_owned(), list(tags).into_bytes()),
        ]
    };
    assert_eq!(place.entries(), written("[]"));
    archive.publish(Some("alpine"), &image).unwrap();
    archive.publish(Some("example.org/a:v1"), &image).unwrap();
    let tags = r#"["docker.io/library/alpine:latest","example.org/a:v1"]"#;
    assert_eq!(place.entries(), written(tags));
    for name in [
        "",
        "alpine",
        "latest",
        "docker.io/library/alpine:latest",
        "example.org/a:v1",
    ] {
        place.digest("docker-archive", name).unwrap();
    }
}

/// Existing files remain, and nothing else is left.
#[test]
fn an_image_that_cannot_be_an_archive_of_docker_leaves_nothing() {
    let refused = |make: &dyn Fn(&dyn ImageTarget) -> (&'static str, Descriptor)| {
        let place = Place::new();
        fs::write(place.target(), "what was there").unwrap();
        let archive = DockerArchiveWriter::create(place.target()).unwrap();
        let (name, image) = make(&archive);
        let error = archive.publish(Some(name), &image).unwrap_err();
        assert_eq!(fs::read(place.target()).unwrap(), b"what was there");
        drop(archive);
        assert_eq!(place.others(), [""; 0]);
        error
    };
    let error = refused(&|archive| {
        let (mut stored, diff_ids) = put_layers(archive);
        stored[2].annotations.set(nydus::BOOTSTRAP, "true");
        ("v1", image(archive, stored, &diff_ids))
    });
    assert_eq!(
        error.to_string(),
        "a docker-archive cannot hold a nydus image"
    );
    assert_eq!(error.fault(), Fault::Unsupported);

    let error = refused(&|archive| {
        let (stored, mut diff_ids) = put_layers(archive);
        diff_ids.swap(1, 2);
        ("v1", image(archive, stored, &diff_ids))
    });
    let ImageStoreError::InLayer { layer: 1, source } = &error else {
        panic!("{error:?}");
    };
    let [_, middle, upper] = layers().map(|tar| diff_id(&tar));
    let said = format!("the digest of its tar is {middle}, but the configuration lists {upper}");
    assert_eq!((source.to_string(), error.fault()), (said, Fault::Corrupt));

    // A damaged layer is reported as such, whatever error its decoder returns.
    let error = refused(&|archive| {
        let (mut stored, diff_ids) = put_layers(archive);
        let mut bytes = gzip(&layers()[1]);
        bytes[20] ^= 1;
        let digest = stored[1].parse_digest().unwrap();
        let mut object = archive.begin().unwrap();
        object.write_all(&bytes).unwrap();
        let written = blob_io::Written::new(digest, bytes.len() as u64);
        object.finish(&written).unwrap();
        stored[1].size = bytes.len() as u64;
        ("v1", image(archive, stored, &diff_ids))
    });
    let ImageStoreError::InLayer { layer: 1, source } = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(**source, ImageStoreError::Digest { .. }),
        "{source}"
    );

    let error = refused(&|archive| {
        let (mut stored, diff_ids) = put_layers(archive);
        stored[1] = put_bytes(archive, GZIP, &gzip(&layers()[1])[..40]).unwrap();
        ("v1", image(archive, stored, &diff_ids))
    });
    let ImageStoreError::InLayer { layer: 1, source } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**source, ImageStoreError::Layer(_)), "{source}");
    assert_eq!(error.fault(), Fault::Corrupt);

    let error = refused(&|archive| {
        let (stored, _) = put_layers(archive);
        (
            "v1",
            image(
                archive,
                stored,
                &["sha256:../../x".to_owned(), String::new(), String::new()],
            ),
        )
    });
    assert!(
        matches!(error, ImageStoreError::InLayer { layer: 0, .. }),
        "{error:?}"
    );

    let error = refused(&|archive| {
        let config = put_bytes(archive, MediaType::Empty, b"{}").unwrap();
        let manifest = Manifest::new(config, Vec::new());
        (
            "v1",
            put_document(archive, MediaType::Manifest(Family::Oci), &manifest).unwrap(),
        )
    });
    assert!(
        matches!(error, ImageStoreError::NotImage { .. }),
        "{error:?}"
    );

    let error = refused(&|archive| {
        let (stored, diff_ids) = put_layers(archive);
        ("No:name", image(archive, stored, &diff_ids))
    });
    let said =
        "`No:name` is not an image name, with or without a tag, that a docker-archive can hold";
    assert_eq!(
        (error.to_string(), error.fault()),
        (said.to_owned(), Fault::Misuse)
    );
}

/// An open archive does not change when its file is replaced.
#[test]
fn an_archive_may_be_made_of_itself() {
    let place = Place::new();
    let location = format!("docker-archive:{}:a", place.target().display());
    let location = Location::parse(&location).unwrap();
    let archive = location.create().unwrap();
    let (stored, diff_ids) = put_layers(&*archive);
    archive
        .publish(Some("a"), &image(&*archive, stored, &diff_ids))
        .unwrap();
    let store: Arc<dyn ImageStore> = location.open(&Default::default()).unwrap();
    let archive = location.create().unwrap();
    let found = resolve(&*store, Some("a"), None).unwrap();
    for object in [&found.descriptor, &found.manifest.config]
        .into_iter()
        .chain(&found.manifest.layers)
    {
        copy(&*store, &*archive, object, &mut ()).unwrap();
    }
    archive.publish(Some("a"), &found.descriptor).unwrap();
    assert_eq!(place.digest("docker-archive", "a").unwrap(), expected());
}
