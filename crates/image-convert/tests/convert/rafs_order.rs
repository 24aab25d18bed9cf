//! The order of chunks, and the prefetch table.

use std::sync::Arc;

use image_model::Image as _;
use image_read::{Follow, LayerImage, resolve};
use lazyoci_image_convert::{RafsOptions, Seekable, Streaming};

use crate::support::{Image, Tar, path, plain_options, reader};

/// Content of each file is its path.
fn tar() -> Vec<u8> {
    let file = |tar: Tar, name: &str| tar.file(name, name.as_bytes());
    let names = ["z", "b/2", "a", "b/1", "b/c/3", "m"];
    let tar = Tar::new()
        .directory("b")
        .directory("b/c")
        .file("empty", b"");
    names.into_iter().fold(tar, file).finish()
}

fn layer(tar: Vec<u8>) -> LayerImage {
    LayerImage::open(Arc::new(tar.into_boxed_slice()), &Default::default()).unwrap()
}

fn with_prefetch(rules: &[&str]) -> RafsOptions {
    RafsOptions {
        prefetch: rules.iter().map(|rule| path(rule)).collect(),
        ..plain_options()
    }
}

/// The paths of the prefetch table.
fn prefetched(image: &Image, candidates: &[&str]) -> Vec<String> {
    let bootstrap = image.bootstrap();
    let named = |ino| {
        let is = |name: &&&str| resolve(&bootstrap, name.as_bytes(), Follow::All).unwrap() == ino;
        candidates.iter().find(is).unwrap().to_string()
    };
    bootstrap.prefetch().map(named).collect()
}

#[test]
fn a_stream_is_stored_in_its_own_order() {
    let image = Image::of(Streaming::new(&tar()[..]), &with_prefetch(&["b/c", "a"])).unwrap();
    assert!(image.blob().starts_with(b"zb/2ab/1b/c/3m"));
    assert_eq!(prefetched(&image, &["a", "b/c"]), ["b/c", "a"]);
}

#[test]
fn a_seekable_tar_stores_prefetched_files_first() {
    let layer = layer(tar());
    let convert = |rules: &[&str]| {
        let source = Seekable::tar(&layer.image, &*layer.source);
        Image::of(source, &with_prefetch(rules)).unwrap()
    };
    assert!(convert(&[]).blob().starts_with(b"zb/2ab/1b/c/3m"));
    let image = convert(&["/m", "b", "b/c/3", "empty", "nothing", "a", "m"]);
    assert!(image.blob().starts_with(b"mb/1b/2b/c/3az"));
    assert_eq!(prefetched(&image, &["a", "b", "m"]), ["m", "b", "a"]);
    assert_eq!(image.report.missed, [path("nothing")]);
}

#[test]
fn directories_are_stored_file_by_file_then_downwards() {
    let layer = layer(tar());
    let directory = Seekable::directory(&layer.image, &*layer.source);
    let image = Image::of(directory, &plain_options()).unwrap();
    assert!(image.blob().starts_with(b"amzb/1b/2b/c/3"));
    let reader = reader(layer.image, layer.source);
    let image = Image::of(Seekable::image(reader), &plain_options()).unwrap();
    assert!(image.blob().starts_with(b"amzb/1b/2b/c/3"));
    let bootstrap = image.bootstrap();
    let root = bootstrap.attributes(bootstrap.root()).unwrap();
    assert_eq!(root.mtime, Default::default());
}
