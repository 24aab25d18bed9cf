//! Images in archives.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_model::{Blame as _, Fault, ImagePath, Metadata, Node};
use lazyoci_image_store::{ImageStore, ImageStoreError, Location, Transport, resolve};
use tar_stream::TarWriter;

use crate::layouts::{digest, expected};
use crate::support::{Images, layers};

/// A tar of files and symbolic links.
#[derive(Default)]
struct Archive(Vec<(String, Result<Vec<u8>, String>)>);

impl Archive {
    fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push((name.into(), Ok(bytes.into())));
        self
    }

    fn link(mut self, name: &str, target: &str) -> Self {
        self.0.push((name.into(), Err(target.into())));
        self
    }

    fn write(&self, directory: &Path) -> PathBuf {
        let mut tar = TarWriter::new(Vec::new());
        for (name, content) in &self.0 {
            let path = ImagePath::clean(name.as_bytes()).unwrap();
            let node = match content {
                Ok(bytes) => Node::File {
                    size: bytes.len() as u64,
                    content: (),
                },
                Err(target) => Node::Symlink(target.as_bytes().into()),
            };
            tar.append(&path, &Metadata::default(), &node).unwrap();
            tar.write_all(content.as_deref().unwrap_or_default())
                .unwrap();
        }
        let path = directory.join("archive.tar");
        fs::write(&path, tar.finish().unwrap()).unwrap();
        path
    }
}

fn location(transport: &str, path: &Path) -> Location {
    Location::parse(&format!("{transport}:{}", path.display())).unwrap()
}

fn open(location: &Location) -> Result<String, ImageStoreError> {
    let store = location.open(&Default::default())?;
    let image = resolve(&*store, location.name.as_deref(), None)?;
    let opened = image.open(&store, &Default::default(), &mut ())?;
    Ok(digest(&opened))
}

#[test]
fn a_layout_is_read_out_of_its_archive() {
    let mut images = Images::new();
    let image = images.image(images.plain(&layers()));
    images.name(image, "v1");
    let mut archive = Archive::default();
    for file in ["oci-layout", "index.json"] {
        archive = archive.file(file, fs::read(images.path().join(file)).unwrap());
    }
    for blob in fs::read_dir(images.path().join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let name = format!("blobs/sha256/{}", blob.file_name().to_str().unwrap());
        archive = archive.file(&name, fs::read(blob.path()).unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = archive.write(directory.path());
    assert_eq!(open(&location("oci-archive", &path)).unwrap(), expected());
    let named = location("oci-archive", &path.with_file_name("archive.tar:v1"));
    assert_eq!(
        (named.name.as_deref(), open(&named).unwrap()),
        (Some("v1"), expected())
    );
    let error = open(&location("docker-archive", &path)).unwrap_err();
    assert!(
        matches!(
            &error,
            ImageStoreError::Missing {
                file: "manifest.json",
                ..
            }
        ),
        "{error}"
    );
}

fn config(diff_ids: &[String]) -> String {
    let diff_ids: Vec<_> = diff_ids.iter().map(|id| format!("\"{id}\"")).collect();
    let diff_ids = diff_ids.join(",");
    format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
    )
}

fn diff_ids() -> Vec<String> {
    let digest = |layer: &Vec<u8>| verify::sha256(layer).to_string();
    layers().iter().map(digest).collect()
}

/// As written by skopeo and old versions of Docker, with one layer as a link; with and without a name.
fn docker_archive(tags: &str) -> Archive {
    let [lower, middle, upper] = layers();
    Archive::default()
        .file("lower.tar", lower)
        .link("1234/layer.tar", "../lower.tar")
        .file("middle/layer.tar", middle)
        .file("upper/layer.tar", upper)
        .file("5678.json", config(&diff_ids()))
        .file(
            "manifest.json",
            format!(
                r#"[{{"Config":"5678.json","RepoTags":{tags},"Layers":["1234/layer.tar","middle/layer.tar","upper/layer.tar"]}}]"#
            ),
        )
}

#[test]
fn an_archive_of_docker_is_an_image() {
    for tags in [
        "null",
        "[]",
        r#"["example.org/a/b:v1","example.org/a/b:v2"]"#,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = docker_archive(tags).write(directory.path());
        let location = location("docker-archive", &path);
        assert_eq!(open(&location).unwrap(), expected(), "{tags}");
        let again = location.open(&Default::default()).unwrap();
        assert_eq!(
            again.index(),
            location.open(&Default::default()).unwrap().index()
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let path = docker_archive(r#"["example.org/a/b:v1"]"#).write(directory.path());
    for (name, there) in [("v1", true), ("example.org/a/b:v1", true), ("v2", false)] {
        let path = path.with_file_name(format!("archive.tar:{name}"));
        let opened = open(&location("docker-archive", &path));
        match opened {
            Ok(digest) => assert!(there && digest == expected()),
            Err(error) => assert!(!there && matches!(error, ImageStoreError::NoImage { .. })),
        }
    }
}

#[test]
fn archives_that_are_wrong_are_refused() {
    let refused = |archive: Archive| {
        let directory = tempfile::tempdir().unwrap();
        let path = archive.write(directory.path());
        open(&location("docker-archive", &path)).unwrap_err()
    };
    let archive = || docker_archive("null");
    // The last file of a name is used.
    let mut wrong = layers()[1].clone();
    wrong[0] ^= 1;
    let ImageStoreError::InLayer { layer: 1, source } =
        refused(archive().file("middle/layer.tar", wrong))
    else {
        panic!("a layer is another one")
    };
    assert!(
        matches!(*source, ImageStoreError::Digest { .. }),
        "{source}"
    );
    let few = refused(archive().file("5678.json", config(&diff_ids()[1..])));
    assert!(
        matches!(
            few,
            ImageStoreError::Layers {
                listed: 2,
                layers: 3
            }
        ),
        "{few}"
    );
    let ImageStoreError::InLayer { layer: 0, source } =
        refused(archive().link("1234/layer.tar", "../gone.tar"))
    else {
        panic!("a layer does not exist")
    };
    assert!(
        matches!(*source, ImageStoreError::NoObject { .. }),
        "{source}"
    );
    let text = refused(archive().file("manifest.json", "{"));
    assert!(matches!(text, ImageStoreError::Document { .. }), "{text}");
    assert_eq!(text.fault(), Fault::Corrupt);
    let directory = refused(archive().link("manifest.json", "middle"));
    assert!(
        matches!(directory, ImageStoreError::NotFile { .. }),
        "{directory}"
    );
    let missing = Location::parse("docker-archive:/nowhere/at/all").unwrap();
    assert!(matches!(
        open(&missing).unwrap_err(),
        ImageStoreError::Io { .. }
    ));
}

/// A layer of a type that is not a tar: nydus blobs are not valid in such an archive.
#[test]
fn a_nydus_blob_is_no_layer_of_docker() {
    let blob = vec![7; 10_000];
    let diff_id = verify::sha256(&blob).to_string();
    let archive = Archive::default()
        .file("blob", blob)
        .file("c", config(&[diff_id]))
        .file("manifest.json", r#"[{"Config":"c","Layers":["blob"]}]"#);
    let directory = tempfile::tempdir().unwrap();
    let path = archive.write(directory.path());
    let store: Arc<dyn ImageStore> = location("docker-archive", &path)
        .open(&Default::default())
        .unwrap();
    let image = resolve(&*store, None, None).unwrap();
    let error = image
        .open(&store, &Default::default(), &mut ())
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    assert!(
        matches!(error, ImageStoreError::InLayer { layer: 0, .. }),
        "{error}"
    );
}

#[test]
fn locations_are_written_as_elsewhere() {
    for (text, transport, path, name) in [
        ("oci:dir", Transport::Oci, "dir", None),
        ("oci:/a:b/c", Transport::Oci, "/a:b/c", None),
        ("oci:/a:b/c:tag", Transport::Oci, "/a:b/c", Some("tag")),
        (
            "oci-archive:x.tar:t",
            Transport::OciArchive,
            "x.tar",
            Some("t"),
        ),
        (
            "docker-archive:x.tar:docker.io/library/a:1",
            Transport::DockerArchive,
            "x.tar",
            Some("docker.io/library/a:1"),
        ),
    ] {
        let location = Location::parse(text).unwrap();
        assert_eq!(location.transport, transport);
        assert_eq!(
            (location.path.to_str().unwrap(), location.name.as_deref()),
            (path, name)
        );
    }
    for text in ["", "dir", "ocidir:x", "/oci:x"] {
        assert_eq!(Location::parse(text), None);
    }
}
