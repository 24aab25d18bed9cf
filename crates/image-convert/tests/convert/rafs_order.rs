//! The order of chunks, and the prefetch table.

use image_model::{Image as _, Limits};
use image_read::{Follow, resolve};
use lazyoci_image_convert::{PrefetchPolicy, RafsOptions, Streaming};
use rafs_format::{Version, v5};

use crate::support::{Image, Tar, layer, path, plain_options};

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

fn with_prefetch(rules: &[&str]) -> RafsOptions {
    plain_options().prefetch(rules.iter().map(|rule| path(rule)).collect())
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
    let convert = |rules: &[&str]| Image::of(&layer, &with_prefetch(rules)).unwrap();
    assert!(convert(&[]).blob().starts_with(b"zb/2ab/1b/c/3m"));
    let image = convert(&["/m", "b", "b/c/3", "empty", "nothing", "a", "m"]);
    assert!(image.blob().starts_with(b"mb/1b/2b/c/3az"));
    assert_eq!(prefetched(&image, &["a", "b", "m"]), ["m", "b", "a"]);
    assert_eq!(image.report.missed, [path("nothing")]);
}

#[test]
fn directories_are_stored_file_by_file_then_downwards() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["z", "b/2", "a", "b/1", "b/c/3", "m"] {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    let opened = image_read::open(directory.path(), &Default::default()).unwrap();
    let image = Image::of(&opened, &plain_options()).unwrap();
    assert!(image.blob().starts_with(b"amzb/1b/2b/c/3"));
    let bootstrap = image.bootstrap();
    let root = bootstrap.attributes(bootstrap.root()).unwrap();
    assert_eq!(root.mtime, Default::default());
}

#[test]
fn images_are_stored_as_they_are_stored_already() {
    let first = Image::of(Streaming::new(&tar()[..]), &plain_options()).unwrap();
    let opened = image_read::open(first.bootstrap_path(), &Default::default()).unwrap();
    let convert = |rules: &[&str]| Image::of(&opened, &with_prefetch(rules)).unwrap();
    assert!(convert(&[]).blob().starts_with(b"zb/2ab/1b/c/3m"));
    assert!(convert(&["b/c", "a"]).blob().starts_with(b"b/c/3azb/2b/1m"));
    let image = Image::of(opened.reader(), &plain_options()).unwrap();
    assert!(image.blob().starts_with(b"zb/2ab/1b/c/3m"));
}

fn version_5(image: &Image) -> v5::Bootstrap {
    let bytes = std::fs::read(image.bootstrap_path()).unwrap();
    v5::Bootstrap::open(bytes.into(), &Limits::default()).unwrap()
}

/// What the blob table of version 5 says of the blob's start.
fn readahead(image: &Image) -> Vec<(u32, u32)> {
    let bootstrap = version_5(image);
    let entries = bootstrap.blob_table();
    entries
        .map(|entry| (entry.readahead_offset, entry.readahead_size))
        .collect()
}

#[test]
fn blobs_say_how_much_of_them_is_prefetched() {
    let layer = layer(tar());
    let rules = ["m", "b", "b/c/3", "empty", "nothing"];
    let convert = |policy, version| {
        let options = with_prefetch(&rules).prefetch_policy(policy);
        Image::of(&layer, &options.version(version)).unwrap()
    };
    let fs = convert(PrefetchPolicy::Fs, Version::V5);
    assert_eq!(readahead(&fs), [(0, 0)]);
    assert_eq!(version_5(&fs).prefetch().count(), 2);

    // "mb/1b/2b/c/3"
    let blob = convert(PrefetchPolicy::Blob, Version::V5);
    assert_eq!(readahead(&blob), [(0, 12)]);
    assert_eq!(version_5(&blob).prefetch().count(), 0);
    assert_eq!(blob.blob(), fs.blob());
    assert_eq!(blob.report.missed, [path("nothing")]);

    let v6 = convert(PrefetchPolicy::Blob, Version::V6);
    assert!(v6.blob().starts_with(b"mb/1b/2b/c/3za"));
    assert_eq!(prefetched(&v6, &[]), [""; 0]);
}

#[test]
fn without_a_policy_rules_are_ignored() {
    let layer = layer(tar());
    for version in [Version::V5, Version::V6] {
        let options = with_prefetch(&["m", "nothing"]).version(version);
        let options = options.prefetch_policy(PrefetchPolicy::None);
        let image = Image::of(&layer, &options).unwrap();
        let plain = Image::of(&layer, &plain_options().version(version)).unwrap();
        assert_eq!(image.blob(), plain.blob());
        assert_eq!(
            std::fs::read(image.bootstrap_path()).unwrap(),
            std::fs::read(plain.bootstrap_path()).unwrap()
        );
        assert_eq!(image.report.missed, []);
    }
}

/// The content of a streamed layer stays in its order: only what happens to come first is named.
#[test]
fn a_stream_names_the_prefetched_files_at_its_start() {
    for (rules, size) in [(["z", "b/2"], 4), (["z", "a"], 1), (["a", "m"], 0)] {
        let options = with_prefetch(&rules).prefetch_policy(PrefetchPolicy::Blob);
        let image = Image::of(Streaming::new(&tar()[..]), &options.version(Version::V5)).unwrap();
        assert_eq!(readahead(&image), [(0, size)], "{rules:?}");
    }
}
