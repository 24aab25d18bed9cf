//! Bootstraps of layers over an image that was merged before, and dictionaries with which layers were made.

use image_model::walk::Walk;
use image_model::{BlobId, Limits};
use lazyoci_image_convert::RafsOptions;
use rafs_format::merge::{Merge, MergeError, MergeOptions, Merged};
use rafs_format::{Bootstrap, Version};

use crate::support::{Image, Tar, noise, plain_options};

fn bootstrap(tar: &[u8], options: &RafsOptions) -> Bootstrap {
    let image = Image::of_tar(tar, options);
    let bytes = std::fs::read(image.bootstrap_path()).unwrap();
    Bootstrap::open(bytes.into(), &Limits::default()).unwrap()
}

/// Of version 5 and 6.
fn both(check: impl Fn(&RafsOptions)) {
    for version in [Version::V5, Version::V6] {
        check(&plain_options().version(version));
    }
}

fn opened(merged: &Merged) -> Bootstrap {
    let bytes = merged.to_bytes().unwrap();
    Bootstrap::open(bytes.into(), &Limits::default()).unwrap()
}

fn paths(merged: &Merged) -> Vec<String> {
    let mut paths = Vec::new();
    let mut walk = Walk::new(merged.image(), &Limits::default());
    while let Some(entry) = walk.next_entry() {
        paths.push(entry.unwrap().path.to_string());
    }
    paths
}

fn blobs(merged: &Merged) -> Vec<BlobId> {
    let bootstrap = opened(merged);
    let blobs = bootstrap.blob_entries().iter();
    blobs.map(|entry| entry.id.clone()).collect()
}

fn lower() -> Vec<u8> {
    Tar::new()
        .directory("d")
        .file("d/below", &noise(1, 9000))
        .file("f", b"below")
        .finish()
}

#[test]
fn layers_apply_to_a_parent() {
    let upper = Tar::new()
        .directory("d")
        .file("d/.wh.below", b"")
        .file("d/above", &noise(2, 5000))
        .finish();
    both(|options| {
        let (lower, upper) = (bootstrap(&lower(), options), bootstrap(&upper, options));
        let mut merge = Merge::new(MergeOptions::default());
        merge.push_parent(&lower).unwrap();
        merge.push(&upper, None).unwrap();
        let merged = merge.finish();
        assert_eq!(paths(&merged), ["/", "/d", "/d/above", "/f"]);
        let ids = [&lower, &upper].map(|layer| layer.blob_entries()[0].id.clone());
        // Either has a file, in the order of the inodes.
        assert_eq!(blobs(&merged).len(), 2);
        assert!(ids.iter().all(|id| blobs(&merged).contains(id)));
        // The same as two layers.
        let mut layers = Merge::new(MergeOptions::default());
        layers.push(&lower, None).unwrap();
        layers.push(&upper, None).unwrap();
        assert_eq!(
            layers.finish().to_bytes().unwrap(),
            merged.to_bytes().unwrap()
        );
    });
}

/// nydus-image keeps the blobs of parents of which nothing is left.
#[test]
fn of_a_parent_that_is_hidden_no_blob_stays() {
    let upper = Tar::new()
        .file(".wh..wh..opq", b"")
        .file("above", &noise(2, 5000))
        .finish();
    both(|options| {
        let (lower, upper) = (bootstrap(&lower(), options), bootstrap(&upper, options));
        let mut merge = Merge::new(MergeOptions::default());
        merge.push_parent(&lower).unwrap();
        merge.push(&upper, None).unwrap();
        let merged = merge.finish();
        assert_eq!(paths(&merged), ["/", "/above"]);
        assert_eq!(blobs(&merged), [upper.blob_entries()[0].id.clone()]);
        assert_eq!(merged.image().chunks.len(), 2);
    });
}

/// What looks like a whiteout in a parent is a file.
#[test]
fn a_parent_has_no_whiteouts() {
    let tar = Tar::new().file(".wh.f", b"").file("g", b"g").finish();
    both(|options| {
        let parent = bootstrap(&tar, options);
        let mut merge = Merge::new(MergeOptions::default());
        merge.push_parent(&parent).unwrap();
        assert_eq!(paths(&merge.finish()), ["/", "/.wh.f", "/g"]);
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&parent, None).unwrap();
        assert_eq!(paths(&merge.finish()), ["/", "/g"]);
    });
}

#[test]
fn chunks_that_a_layer_shares_with_its_parent_stay() {
    both(|options| {
        let parent = bootstrap(&lower(), options);
        let mut merge = Merge::new(MergeOptions::default());
        merge.push_parent(&parent).unwrap();
        merge.push(&parent, None).unwrap();
        let merged = merge.finish();
        assert_eq!(blobs(&merged), [parent.blob_entries()[0].id.clone()]);
        assert_eq!(merged.image().chunks.len(), 4);
    });
}

/// A dictionary adds nothing; it has to fit.
#[test]
fn dictionaries_are_checked() {
    both(|options| {
        let (layer, dictionary) = (
            bootstrap(&lower(), options),
            bootstrap(&Tar::new().file("other", &noise(3, 100)).finish(), options),
        );
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&layer, None).unwrap();
        let alone = merge.finish().to_bytes().unwrap();
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&layer, None).unwrap();
        merge.check_dictionary(&dictionary, None).unwrap();
        merge.check_dictionary(&layer, None).unwrap();
        assert_eq!(merge.finish().to_bytes().unwrap(), alone);
        let other = bootstrap(&lower(), &options.clone().chunk_size(8192));
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&layer, None).unwrap();
        let what = "chunk size";
        let refused = merge.check_dictionary(&other, None);
        assert_eq!(refused, Err(MergeError::Mismatch { layer: 1, what }));
    });
}
