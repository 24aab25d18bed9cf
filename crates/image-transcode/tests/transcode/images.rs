//! Single-platform images.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use frame_codec::Decoder;
use image_model::{BlobIndex, Limits};
use image_read::OpenOptions;
use image_read::rafs_format::blob::BlobMeta;
use image_read::rafs_format::{Version, v6};
use lazyoci_image_transcode::before::SOURCE_DIGEST;
use lazyoci_image_transcode::convert::{
    ChunkDictionary, EstargzOptions, RafsOptions, ZstdChunkedDialect, ZstdChunkedOptions,
};
use lazyoci_image_transcode::oci_image::zstd_chunked::Dialect;
use lazyoci_image_transcode::oci_image::{
    Annotations, EstargzLayer, NydusLayer, ZstdChunkedLayer, nydus,
};
use lazyoci_image_transcode::store::{ImageStore, ImageStoreError, Layout, resolve};
use lazyoci_image_transcode::{ImageFormat, TranscodeError};

use crate::support::*;

#[test]
fn every_format_has_the_tree_of_the_source_and_its_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("source");
    let expected = digest(&source(&from));
    let formats = [
        ("nydus", ImageFormat::Nydus(RafsOptions::default())),
        ("estargz", ImageFormat::Estargz(EstargzOptions::default())),
        ("zstd-chunked-a", chunked(ZstdChunkedDialect::Stargz)),
        ("zstd-chunked-b", chunked(ZstdChunkedDialect::Containers)),
        ("oci", oci()),
    ];
    for (name, format) in formats {
        let to = directory.path().join(name);
        let done = make(&from, &to, format).unwrap();
        let made = find(&to);
        assert_eq!(digest(&made), expected, "{name}");
        let (_, image) = made;
        assert_eq!(image.manifest, done.manifest);
        let text = |key| image.manifest.annotations.text(key);
        assert_eq!(text("com.example.image"), Some("yes"));
        assert_eq!(text("com.amazon.soci.index-digest"), None);
        let (_, origin) = find(&from);
        assert_eq!(text(SOURCE_DIGEST), Some(&*origin.descriptor.digest));
        let config = image.config.unwrap();
        assert_eq!(config.rest["config"]["Healthcheck"]["Test"][0], "NONE");
        assert_eq!(config.rootfs.diff_ids.len(), image.manifest.layers.len());
        let of_layers = config.history.iter().filter(|entry| !entry.empty_layer);
        assert_eq!(of_layers.count(), image.manifest.layers.len(), "{name}");
    }
}

#[test]
fn a_nydus_image_has_a_blob_for_each_layer_with_content() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let done = make(&from, &to, ImageFormat::Nydus(RafsOptions::default())).unwrap();
    let kind = |annotations: &Annotations| NydusLayer::read(annotations).unwrap().unwrap();
    let kinds: Vec<_> = done
        .layers
        .iter()
        .map(|layer| kind(&layer.descriptor.annotations))
        .collect();
    let blob = NydusLayer::Blob {
        reference: None,
        encrypted: false,
    };
    let fs_version = nydus::FsVersion::V6;
    // The second layer has no content, and the last one none that the first one lacks.
    assert_eq!(kinds, [blob, blob, NydusLayer::Bootstrap { fs_version }]);
    let (_, image) = find(&from);
    let source = |layer: usize| Some(image.manifest.layers[layer].digest.clone());
    let sources: Vec<_> = done
        .layers
        .iter()
        .map(|layer| layer.source.clone())
        .collect();
    assert_eq!(sources, [source(0), source(2), None]);
    let config = find(&to).1.config.unwrap();
    let last = config.history.last().unwrap();
    assert_eq!(last.comment.as_deref(), Some("Nydus Bootstrap Layer"));
}

#[test]
fn the_bootstrap_layer_has_the_chunk_information_of_every_blob() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("a");
    source(&from);
    let defaults = || Default::default();
    for (version, metas) in [(Version::V6, 2), (Version::V5, 0)] {
        let to = directory.path().join(format!("{version:?}"));
        let options = RafsOptions::default().version(version);
        let done = make(&from, &to, ImageFormat::Nydus(options)).unwrap();
        let (store, image) = find(&to);
        let layer = image
            .bootstrap_layer(&*store, &defaults(), &mut ())
            .unwrap()
            .unwrap();
        assert_eq!(
            (layer.backend.as_ref(), layer.prefetch_files.as_ref()),
            (None, None)
        );
        let blobs = &done.layers[..done.layers.len() - 1];
        assert_eq!(blobs.len(), 2);
        let blobs = &blobs[..metas];
        let digests: BTreeSet<_> = blobs
            .iter()
            .map(|blob| blob.descriptor.parse_digest().unwrap())
            .collect();
        assert!(layer.blob_metas.keys().eq(&digests));
        if version == Version::V5 {
            continue;
        }
        let one = OpenOptions::default().limits(Limits::default().max_blobs(1));
        let error = image.bootstrap_layer(&*store, &one, &mut ()).unwrap_err();
        let ImageStoreError::InLayer { source, .. } = error else {
            panic!("{error}");
        };
        assert!(matches!(*source, ImageStoreError::BlobMetas { limit: 1 }));
        let limits = Limits::default();
        let bootstrap = v6::Bootstrap::open(layer.bootstrap.clone(), &limits).unwrap();
        for (index, entry) in (0..).map(BlobIndex).zip(bootstrap.blob_entries()) {
            let meta = layer.blob_meta(entry, &defaults()).unwrap().unwrap();
            meta.compare(&bootstrap, index, &mut |found| panic!("{found}"));
            // As the blob has it.
            let descriptor = blobs
                .iter()
                .find(|blob| blob.diff_id.ends_with(entry.id.as_str()));
            let blob = store.open(&descriptor.unwrap().descriptor).unwrap();
            let range = BlobMeta::range(entry, &limits).unwrap();
            let stored = blob
                .read_bytes(range.start, (range.end - range.start) as usize)
                .unwrap();
            let inside = BlobMeta::decode(entry, &stored, &mut Decoder::new(), &limits).unwrap();
            assert_eq!(meta.chunk_count(), inside.chunk_count());
            for chunk in 0..meta.chunk_count() {
                assert_eq!(meta.chunk(chunk).unwrap(), inside.chunk(chunk).unwrap());
            }
        }
    }
}

#[test]
fn images_of_other_kinds_have_no_bootstrap_layer() {
    let directory = tempfile::tempdir().unwrap();
    source(directory.path());
    let (store, image) = find(directory.path());
    let layer = image.bootstrap_layer(&*store, &Default::default(), &mut ());
    assert_eq!(layer.unwrap(), None);
}

#[test]
fn layers_keep_their_tars_and_what_is_said_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let done = make(&from, &to, oci()).unwrap();
    for (made, tar) in done.layers.iter().zip(layers()) {
        assert_eq!(made.diff_id, verify::sha256(&tar).to_string());
        let text = |key| made.descriptor.annotations.text(key);
        assert_eq!(text("com.example.team"), Some("base"));
        assert_eq!(text("com.amazon.soci.span-size"), None);
    }
    // A repeated layer is converted once.
    let repeated: Vec<_> = done.layers.iter().map(|layer| layer.repeated).collect();
    assert_eq!(repeated, [false, false, false, true]);
    assert_eq!(done.report.inodes, 3 + 3 + 3);
    assert_eq!(
        done.layers[0].descriptor.digest,
        done.layers[3].descriptor.digest
    );
}

#[test]
fn there_is_a_way_back() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let expected = digest(&source(&at("source")));
    make(
        &at("source"),
        &at("nydus"),
        ImageFormat::Nydus(RafsOptions::default()),
    )
    .unwrap();
    let back = make(&at("nydus"), &at("from nydus"), oci()).unwrap();
    assert_eq!(back.layers.len(), 1);
    assert_eq!(digest(&find(&at("from nydus"))), expected);

    let estargz = ImageFormat::Estargz(EstargzOptions::default());
    make(&at("source"), &at("estargz"), estargz).unwrap();
    let back = make(&at("estargz"), &at("from estargz"), oci()).unwrap();
    assert_eq!(back.layers.len(), 4);
    assert_eq!(digest(&find(&at("from estargz"))), expected);
}

#[test]
fn the_same_image_becomes_the_same_image() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("source");
    source(&from);
    let mut found = Vec::new();
    for threads in [1, 4] {
        let to = directory.path().join(threads.to_string());
        let rafs = RafsOptions::default().threads(threads);
        let done = make(&from, &to, ImageFormat::Nydus(rafs)).unwrap();
        found.push(done.image.digest);
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_damaged_layer_is_found_and_nothing_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (_, image) = source(&from);
    let digest = image.manifest.layers[2].digest.clone();
    let path = from
        .join("blobs/sha256")
        .join(digest.strip_prefix("sha256:").unwrap());
    let mut bytes = fs::read(&path).unwrap();
    // The time in the gzip header: only the digest detects the change.
    bytes[4] ^= 1;
    fs::write(&path, bytes).unwrap();
    for format in [
        ImageFormat::Nydus(RafsOptions::default()),
        ImageFormat::Estargz(EstargzOptions::default()),
        oci(),
    ] {
        let error = make(&from, &to, format).unwrap_err();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        assert!(cause.to_string().contains(&digest), "{error:?}");
    }
    let names = Layout::open(&to).unwrap().index().manifests.len();
    assert_eq!(names, 0);
    let error = resolve(&Layout::open(&to).unwrap(), Some(NAME), None);
    assert!(matches!(error, Err(ImageStoreError::NoImage { .. })));
}

#[test]
fn a_layer_of_another_diff_id_is_refused_where_its_tar_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let right = verify::sha256(&layers()[2]).to_string();
    let wrong = format!("sha256:{}", "7".repeat(64));
    source_with(&from, |config| config.replace(&right, &wrong));
    let error = make(&from, &to, oci()).unwrap_err();
    let TranscodeError::DiffId {
        layer,
        listed,
        found,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((layer, listed, found), (2, wrong, right));
}

#[test]
fn images_that_cannot_be_made_are_refused_before_the_work() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source_with(&from, |config| config.replace("linux", "windows"));
    let error = make(&from, &to, oci()).unwrap_err();
    assert!(matches!(error, TranscodeError::System { os } if os == "windows"));
    assert_eq!(fs::read_dir(to.join("blobs")).unwrap().count(), 0);

    let from = directory.path().join("c");
    source(&from);
    let dictionary = ChunkDictionary::of_blobs(Default::default(), |_| true);
    let rafs = RafsOptions::default().dictionary(Some(Arc::new(dictionary)));
    let error = make(&from, &to, ImageFormat::Nydus(rafs)).unwrap_err();
    assert!(matches!(error, TranscodeError::Dictionary));
}

/// An image without a history remains without one.
#[test]
fn an_image_without_history_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source_with(&from, |config| {
        let (config, _) = config.split_once(r#","history""#).unwrap();
        format!("{config}}}")
    });
    make(&from, &to, ImageFormat::Nydus(RafsOptions::default())).unwrap();
    assert_eq!(find(&to).1.config.unwrap().history, []);
}

fn chunked(dialect: ZstdChunkedDialect) -> ImageFormat {
    ImageFormat::ZstdChunked(ZstdChunkedOptions::default().dialect(dialect))
}

/// No layer has the annotations of both kinds, which podman refuses, and one that its kind cannot describe stays plain.
#[test]
fn layers_of_zstd_chunked_are_of_one_kind() {
    for dialect in [ZstdChunkedDialect::Stargz, ZstdChunkedDialect::Containers] {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        source(&from);
        let done = make(&from, &to, chunked(dialect)).unwrap();
        let kinds: Vec<_> = done
            .layers
            .iter()
            .map(|layer| {
                let annotations = &layer.descriptor.annotations;
                let read = ZstdChunkedLayer::read(annotations).unwrap();
                read.map(|layer| matches!(layer.dialect, Dialect::Containers { .. }))
            })
            .collect();
        let is_b = dialect == ZstdChunkedDialect::Containers;
        assert_eq!(kinds, [Some(is_b), None, Some(is_b), Some(is_b)]);
        for (position, (layer, tar)) in done.layers.iter().zip(layers()).enumerate() {
            let media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
            assert_eq!(layer.descriptor.media_type, media_type);
            let kept = layer.diff_id == verify::sha256(&tar).to_string();
            assert_eq!(kept, is_b || position == 1);
        }
    }
}

/// No reader of a TOC accepts a hard link to a file outside it.
#[test]
fn a_layer_with_links_into_lower_ones_stays_plain() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let estargz = ImageFormat::Estargz(EstargzOptions::default());
    let done = make(&from, &to, estargz).unwrap();
    let is_estargz = |annotations| EstargzLayer::read(annotations).unwrap().is_some();
    let lazy = done.layers.iter();
    let lazy: Vec<_> = lazy
        .map(|layer| is_estargz(&layer.descriptor.annotations))
        .collect();
    assert_eq!(lazy, [true, false, true, true]);
    let plain = verify::sha256(&layers()[1]).to_string();
    assert_eq!(done.layers[1].diff_id, plain);
}
