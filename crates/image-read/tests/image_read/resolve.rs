//! From paths to inodes.

use std::sync::Arc;

use bytes::Bytes;
use image_model::name::NameError;
use image_model::{Blame, Fault, FileKind, Image};
use lazyoci_image_read::{Follow, LayerImage, ResolveError, TreeImage, resolve};

use crate::support::tar;

/// Links that lead about.
fn maze() -> TreeImage {
    let mut members = tar::Builder::new();
    members.directory("usr");
    members.directory("usr/bin");
    members.file("usr/bin/sh", b"#!");
    members.symlink("bin", "usr/bin");
    members.symlink("abs", "/usr/bin/sh");
    members.symlink("usr/up", "../../../../bin/./sh");
    members.symlink("loop", "loop");
    members.symlink("dangling", "usr/nothing");
    members.symlink("bad", &format!("usr/{}", "x".repeat(256)));
    let mut name = "sh".to_owned();
    for i in 0..41 {
        members.symlink(&format!("usr/bin/chain{i}"), &name);
        name = format!("chain{i}");
    }
    let tar: Bytes = members.finish().into();
    LayerImage::open(Arc::new(tar), &Default::default())
        .unwrap()
        .image
}

#[test]
fn links_are_followed_inside_the_root() {
    let image = maze();
    let sh = resolve(&image, b"usr/bin/sh", Follow::Never).unwrap();
    for path in [
        "bin/sh",
        "/bin/sh",
        "abs",
        "usr/up",
        "bin/../bin/sh",
        "../../bin//sh",
        "./bin/./sh",
        "usr/bin/chain39",
    ] {
        assert_eq!(
            resolve(&image, path.as_bytes(), Follow::All).unwrap(),
            sh,
            "{path}"
        );
    }
    // `..` of what a link leads to, not of where the link is.
    let usr = resolve(&image, b"usr", Follow::Never).unwrap();
    assert_eq!(resolve(&image, b"bin/..", Follow::All).unwrap(), usr);
    assert_eq!(
        resolve(&image, b"bin/..", Follow::Never).unwrap(),
        image.root()
    );
    assert_eq!(resolve(&image, b"", Follow::All).unwrap(), image.root());
    assert_eq!(
        resolve(&image, b"/../..", Follow::All).unwrap(),
        image.root()
    );

    let kind = |path: &[u8], follow| {
        let ino = resolve(&image, path, follow).unwrap();
        image.attributes(ino).unwrap().kind
    };
    assert_eq!(kind(b"bin", Follow::All), FileKind::Directory);
    assert_eq!(kind(b"bin", Follow::Parents), FileKind::Symlink);
    assert_eq!(kind(b"bin", Follow::Never), FileKind::Symlink);
    assert_eq!(kind(b"bin/sh", Follow::Parents), FileKind::File);
    assert_eq!(kind(b"dangling", Follow::Parents), FileKind::Symlink);
}

#[test]
fn where_a_way_ends_is_told() {
    let image = maze();
    let error = |path: &[u8], follow| resolve(&image, path, follow).unwrap_err();

    let not_found = error(b"dangling", Follow::All);
    assert!(
        matches!(&not_found, ResolveError::NotFound { path } if path.as_bytes() == b"usr/nothing"),
        "{not_found:?}"
    );
    assert_eq!(not_found.fault(), Fault::Misuse);
    for (path, follow, at, expected) in [
        (
            &b"abs/x"[..],
            Follow::All,
            &b"usr/bin/sh"[..],
            FileKind::File,
        ),
        (b"bin/sh", Follow::Never, b"bin", FileKind::Symlink),
    ] {
        let error = error(path, follow);
        assert!(
            matches!(&error, ResolveError::NotADirectory { path, kind } if path.as_bytes() == at && *kind == expected),
            "{error:?}"
        );
    }
    for path in [&b"loop"[..], b"usr/bin/chain40"] {
        let error = error(path, Follow::All);
        assert!(
            matches!(&error, ResolveError::TooManyLinks { .. }),
            "{error:?}"
        );
        assert_eq!(error.fault(), Fault::Limit);
    }
    assert!(matches!(error(b"a\0b", Follow::All), ResolveError::Path(_)));
    let target = error(b"bad", Follow::All);
    assert!(
        matches!(&target, ResolveError::Target { path, source: NameError::TooLong { len: 256 } } if path.as_bytes() == b"usr"),
        "{target:?}"
    );
    assert_eq!(target.fault(), Fault::Corrupt);
}
