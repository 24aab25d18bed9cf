//! Written archives.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use blob_io::WriteError;
use flate2::Compression;
use flate2::write::GzEncoder;
use lazyoci_image_store::oci_image::{
    Descriptor, Family, LayerCompression, LayerType, Manifest, MediaType,
};
use lazyoci_image_store::{
    DockerArchiveWriter, ImageStoreError, ImageTarget, Location, OciArchiveWriter, put_bytes,
    put_document, resolve,
};
use tar_stream::{EntryKind, TarReadOptions, TarReader};

use crate::layouts::{digest, expected};
use crate::support::layers;

const PLAIN: MediaType = MediaType::Layer(LayerType::oci(LayerCompression::None));
pub(crate) const GZIP: MediaType = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));

/// A directory in which an archive is written.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.0.path().join("archive.tar")
    }

    /// The other files beside the archive.
    pub(crate) fn others(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "archive.tar").collect()
    }

    /// The digest of the image named `name` in the archive.
    pub(crate) fn digest(&self, transport: &str, name: &str) -> Result<String, ImageStoreError> {
        let location = format!("{transport}:{}:{name}", self.target().display());
        let location = Location::parse(&location).unwrap();
        let store = location.open(&Default::default())?;
        let image = resolve(&*store, location.name.as_deref(), None)?;
        Ok(digest(&image.open(&store, &Default::default(), &mut ())?))
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        entries(&self.target())
    }
}

/// Mode and name, as in a long listing, and content.
pub(crate) type Entry = (String, Vec<u8>);

/// The members of a tar, all of which belong to root and have modification time 0.
fn entries(path: &Path) -> Vec<Entry> {
    let bytes = fs::read(path).unwrap();
    let mut tar = TarReader::new(&bytes[..], TarReadOptions::default());
    let mut entries = Vec::new();
    while let Some(entry) = tar.next_entry().unwrap() {
        assert_eq!((entry.uid, entry.gid, entry.mtime), Default::default());
        assert_eq!((&entry.uname[..], &entry.gname[..]), Default::default());
        let kind = match entry.kind {
            EntryKind::Directory => "d",
            EntryKind::File => "-",
            other => panic!("{other:?}"),
        };
        let name = String::from_utf8(entry.path.clone()).unwrap();
        let mut content = Vec::new();
        tar.read_to_end(&mut content).unwrap();
        entries.push((format!("{kind}{:o} {name}", entry.mode), content));
    }
    entries
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn diff_id(tar: &[u8]) -> String {
    verify::sha256(tar).to_string()
}

pub(crate) fn config(diff_ids: &[String]) -> String {
    let diff_ids = serde_json::to_string(diff_ids).unwrap();
    format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":{diff_ids}}}}}"#
    )
}

/// Writes an image of `layers`, whose tars have the DiffIDs.
pub(crate) fn image(
    target: &dyn ImageTarget,
    layers: Vec<Descriptor>,
    diff_ids: &[String],
) -> Descriptor {
    let config = config(diff_ids);
    let config = put_bytes(target, MediaType::Config(Family::Oci), config.as_bytes()).unwrap();
    let manifest = Manifest::new(config, layers);
    put_document(target, MediaType::Manifest(Family::Oci), &manifest).unwrap()
}

/// The three layers, the middle one compressed if gzip is built in.
pub(crate) fn put_layers(target: &dyn ImageTarget) -> (Vec<Descriptor>, Vec<String>) {
    let tars = layers();
    let put = |media_type, bytes: &[u8]| put_bytes(target, media_type, bytes).unwrap();
    let middle = match cfg!(feature = "gzip") {
        true => put(GZIP, &gzip(&tars[1])),
        false => put(PLAIN, &tars[1]),
    };
    let stored = vec![put(PLAIN, &tars[0]), middle, put(PLAIN, &tars[2])];
    (stored, tars.iter().map(|tar| diff_id(tar)).collect())
}

pub(crate) fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap()
}

fn headers(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|(header, _)| &header[..]).collect()
}

#[test]
fn a_layout_is_written_as_a_tar() {
    let place = Place::new();
    let archive = OciArchiveWriter::create(place.target()).unwrap();
    let (layers, diff_ids) = put_layers(&archive);
    let image = image(&archive, layers.clone(), &diff_ids);
    assert!(archive.has(&image).unwrap());
    assert!(!place.target().exists());
    archive.publish(Some("v1"), &image).unwrap();
    let entries = place.entries();
    let mut objects: Vec<_> = layers.iter().map(|layer| layer.digest.clone()).collect();
    let config_digest = verify::sha256(config(&diff_ids).as_bytes()).to_string();
    objects.extend([config_digest, image.digest.clone()]);
    objects.sort();
    let blobs: Vec<_> = objects
        .iter()
        .map(|digest| format!("-644 blobs/sha256/{}", hex(digest)))
        .collect();
    let mut expected_headers = vec![
        "-644 oci-layout",
        "-644 index.json",
        "d755 blobs/",
        "d755 blobs/sha256/",
    ];
    expected_headers.extend(blobs.iter().map(|blob| &blob[..]));
    assert_eq!(headers(&entries), expected_headers);
    for (digest, (_, content)) in objects.iter().zip(&entries[4..]) {
        assert_eq!(verify::sha256(content).to_string(), *digest);
    }
    assert_eq!(entries[0].1, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#,
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"#,
            r#""annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#
        ),
        image.digest, image.size
    );
    assert_eq!(String::from_utf8_lossy(&entries[1].1), index);
    assert_eq!(place.digest("oci-archive", "v1").unwrap(), expected());
    drop(archive);
    assert_eq!(place.others(), [""; 0]);
}

/// The order of objects does not matter.
#[test]
fn the_same_images_make_the_same_archive() {
    let write = |reversed: bool, docker: bool| {
        let place = Place::new();
        let archive: Box<dyn ImageTarget> = match docker {
            true => Box::new(DockerArchiveWriter::create(place.target()).unwrap()),
            false => Box::new(OciArchiveWriter::create(place.target()).unwrap()),
        };
        if reversed {
            for layer in layers().iter().rev() {
                put_bytes(&*archive, PLAIN, layer).unwrap();
            }
        }
        let (stored, diff_ids) = put_layers(&*archive);
        if !reversed {
            put_bytes(&*archive, PLAIN, &layers()[1]).unwrap();
        }
        let image = image(&*archive, stored, &diff_ids);
        archive.publish(Some("a"), &image).unwrap();
        fs::read(place.target()).unwrap()
    };
    for docker in [false, true] {
        assert!(write(false, docker) == write(true, docker));
    }
}

#[test]
fn archives_take_several_images() {
    for (transport, names) in [
        ("oci-archive", ["a", "b"]),
        (
            "docker-archive",
            ["docker.io/library/a:latest", "docker.io/library/b:latest"],
        ),
    ] {
        let place = Place::new();
        let location = format!("{transport}:{}", place.target().display());
        let archive = Location::parse(&location).unwrap().create().unwrap();
        let (stored, diff_ids) = put_layers(&*archive);
        let first = image(&*archive, stored.clone(), &diff_ids);
        let second = image(&*archive, stored[..1].to_vec(), &diff_ids[..1]);
        archive.publish(Some("a"), &second).unwrap();
        archive.publish(Some("a"), &first).unwrap();
        archive.publish(Some("b"), &second).unwrap();
        assert_eq!(place.digest(transport, "a").unwrap(), expected());
        assert_ne!(place.digest(transport, "b").unwrap(), expected());
        let error = place.digest(transport, "c").unwrap_err();
        let ImageStoreError::NoImage { there, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(there, names);
        assert_eq!(place.others().len(), 1);
    }
}

#[test]
fn a_failed_publish_is_as_if_it_had_not_been() {
    let place = Place::new();
    let archive = OciArchiveWriter::create(place.target()).unwrap();
    let (layers, diff_ids) = put_layers(&archive);
    let image = image(&archive, layers, &diff_ids);
    archive
        .publish(Some("docker.io/library/x:v1"), &image)
        .unwrap();
    let before = fs::read(place.target()).unwrap();
    let error = archive.publish(Some("v1"), &image).unwrap_err();
    assert!(
        matches!(error, ImageStoreError::Ambiguous { .. }),
        "{error}"
    );
    assert!(fs::read(place.target()).unwrap() == before);
    // An existing directory is not replaced.
    fs::remove_file(place.target()).unwrap();
    fs::create_dir(place.target()).unwrap();
    let error = archive.publish(Some("y"), &image).unwrap_err();
    let ImageStoreError::Write(WriteError::Exists { path }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(path, place.target());
    fs::remove_dir(place.target()).unwrap();
    archive
        .publish(Some("docker.io/library/x:v1"), &image)
        .unwrap();
    assert!(fs::read(place.target()).unwrap() == before);
}

#[test]
fn where_nothing_can_be_written_is_found_before_the_work() {
    let place = Place::new();
    let parent = place.0.path().display();
    for (location, exists) in [
        (format!("oci-archive:{parent}"), true),
        (format!("docker-archive:{parent}"), true),
        (format!("oci-archive:{parent}/gone/x.tar"), false),
    ] {
        let error = Location::parse(&location).unwrap().create().unwrap_err();
        let ImageStoreError::Write(error) = error else {
            panic!("{error:?}");
        };
        let found = matches!(error, WriteError::Exists { .. });
        assert_eq!(found, exists, "{error}");
        assert_eq!(
            matches!(error, WriteError::Create { .. }),
            !exists,
            "{error}"
        );
    }
    let location = format!("docker-archive:{parent}/x.tar:No:name");
    let error = Location::parse(&location).unwrap().create().unwrap_err();
    assert!(
        matches!(error, ImageStoreError::NotReference { .. }),
        "{error}"
    );
    assert_eq!(place.others(), [""; 0]);
}
