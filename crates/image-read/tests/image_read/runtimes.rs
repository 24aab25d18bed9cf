//! Layers mean what the runtimes make of them: what these read alike is read, with an advisory.

use std::sync::Arc;

use image_model::advisory::{Advisories, Oddity};
use image_model::layer::LayerError;
use image_model::{Blame, Fault, FileKind, ImagePath};
use lazyoci_image_read::{
    BlobStore, Follow, LayerImage, LayerImageError, LayerImageOptions, Reader, resolve,
};
use tar_stream::{Refusal, TarError};

use crate::support::tar::Builder;

fn opened(tar: &[u8], lenient: bool) -> Result<LayerImage, LayerImageError> {
    let source = bytes::Bytes::copy_from_slice(tar);
    LayerImage::open(
        Arc::new(source),
        &LayerImageOptions::default().lenient(lenient),
    )
}

fn read(tar: &[u8]) -> LayerImage {
    opened(tar, false).unwrap()
}

/// The content of the file at `path`, which no symbolic link leads to.
fn content(tar: &[u8], path: &str) -> Vec<u8> {
    let layer = read(tar);
    let ino = resolve(&layer.image, path.as_bytes(), Follow::Never).unwrap();
    let reader = Reader::new(
        Arc::new(layer.image),
        BlobStore::single(layer.source),
        Default::default(),
    );
    let mut content = Vec::new();
    reader.read_range(ino, 0..u64::MAX, &mut content).unwrap();
    content
}

fn list(advisories: &Advisories) -> Vec<String> {
    let kept = advisories.kept().iter();
    kept.map(ToString::to_string).collect()
}

/// A member as it is on the tape, its checksum made right.
fn patched(mut tar: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    tar[at..at + bytes.len()].copy_from_slice(bytes);
    let start = at / 512 * 512;
    tar[start + 148..start + 156].fill(b' ');
    let sum: u32 = tar[start..start + 512].iter().map(|b| u32::from(*b)).sum();
    tar[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

/// Merged /usr, pnpm: containerd and podman follow the link.
#[test]
fn files_below_a_symlink_lie_where_it_leads() {
    let mut tar = Builder::new();
    tar.directory("usr/lib");
    tar.symlink("lib", "usr/lib");
    tar.file("lib/x.so", b"shared");
    tar.link("y.so", "lib/x.so");
    let tar = tar.finish();
    assert_eq!(content(&tar, "usr/lib/x.so"), b"shared");
    assert_eq!(content(&tar, "y.so"), b"shared");
    let expected = [
        "/lib/x.so: lies below a symbolic link, and is placed where the link leads",
        "/y.so: hard link through a symbolic link",
    ];
    assert_eq!(list(&read(&tar).advisories), expected);
}

/// containerd makes what is missing, podman fails.
#[test]
fn files_below_a_dangling_symlink_are_refused() {
    let mut tar = Builder::new();
    tar.symlink("pkg", ".store/pkg");
    tar.file("pkg/index.js", b"js");
    let tar = tar.finish();
    let error = opened(&tar, false).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    assert!(matches!(
        error,
        LayerImageError::Entry {
            source: LayerError::BelowDanglingSymlink { .. },
            ..
        }
    ));
    let lenient = opened(&tar, true).unwrap();
    assert!(resolve(&lenient.image, b".store/pkg/index.js", Follow::Never).is_ok());
}

/// Docker's differ wrote such; containerd looks at the name.
#[test]
fn a_whiteout_that_is_a_hard_link_to_nothing_is_a_whiteout() {
    let mut tar = Builder::new();
    tar.directory("var");
    tar.link("var/.wh.cache", "var/lib/old");
    let tar = tar.finish();
    assert_eq!(content(&tar, "var/.wh.cache"), b"");
    let expected = ["/var/.wh.cache: a whiteout that is a hard link"];
    assert_eq!(list(&read(&tar).advisories), expected);
}

/// containerd: "invalid whiteout name".
#[test]
fn whiteouts_of_dots_are_refused_in_both_modes() {
    for name in [".wh.", ".wh..", ".wh..."] {
        let mut tar = Builder::new();
        tar.file(&format!("etc/{name}"), b"");
        let tar = tar.finish();
        for lenient in [false, true] {
            let error = opened(&tar, lenient).unwrap_err();
            assert_eq!(error.fault(), Fault::Corrupt, "{name}");
            assert!(matches!(
                error,
                LayerImageError::Entry {
                    source: LayerError::EmptyWhiteout { .. },
                    ..
                }
            ));
        }
    }
}

/// kaniko wrote the root again as a hard link; containerd ignores it.
#[test]
fn the_root_again_as_a_link_is_ignored() {
    let mut tar = Builder::new();
    tar.directory("/");
    tar.symlink("..", "elsewhere");
    tar.link("/", "/");
    tar.file("a", b"1");
    let tar = tar.finish();
    assert_eq!(content(&tar, "a"), b"1");
    let kinds = [FileKind::Symlink, FileKind::File];
    let found = read(&tar).advisories;
    let found: Vec<_> = found.kept().iter().map(|a| a.what.clone()).collect();
    assert_eq!(found, kinds.map(|kind| Oddity::Root { kind }));
}

#[test]
fn sizes_of_links_and_devices_are_advisories_with_paths() {
    let mut tar = Builder::new();
    tar.symlink("init", "systemd");
    tar.file("after", b"after");
    let tar = patched(tar.finish(), 124, b"00000000026\0");
    assert_eq!(content(&tar, "after"), b"after");
    let found = read(&tar).advisories;
    assert_eq!(
        list(&found),
        ["/init: size 22 for a member without content"]
    );
    assert_eq!(
        found.kept()[0].path,
        Some(ImagePath::clean(b"init").unwrap())
    );
}

#[test]
fn refusals_of_tars_name_the_readers_that_differ() {
    let mut tar = Builder::new();
    tar.file("a", &[0; 512]);
    let tar = patched(tar.finish(), 124, b"\0\0\x001000 \0\0\0\0");
    let error = opened(&tar, false).unwrap_err();
    assert!(matches!(
        &error,
        LayerImageError::Tar(TarError::Refused {
            reason: Refusal::NumberSpelling { .. },
            ..
        })
    ));
    let said = error.to_string();
    for reader in ["Go", "GNU tar", "bsdtar"] {
        assert!(said.contains(reader), "{said}");
    }
    assert!(opened(&tar, true).is_ok());
}
