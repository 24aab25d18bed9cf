//! What RAFS v6 cannot carry.

use image_model::advisory::Oddity;
use image_model::{Blame, Device, Fault, Node};
use image_read::{Follow, resolve};
use lazyoci_image_convert::{ConvertError, Loss, LossKind, Source, Streaming};
use rafs_format::Version;
use rafs_format::v6::CannotCarry;

use crate::erofs;
use crate::support::{Image, Tar, digest_of_tar, layer, metadata, path, plain_options, with_xattr};

fn tar() -> Vec<u8> {
    let device = Device {
        major: 4096,
        minor: 1,
    };
    Tar::new()
        .file_with("a", &with_xattr(b"system.nfs4_acl", b"x"), b"a")
        .node("b", &metadata(0o600), &Node::CharDevice(device))
        .file_with("c", &with_xattr(b"user.ok", b"x"), b"c")
        .finish()
}

fn losses() -> Vec<Loss> {
    let device = Device {
        major: 4096,
        minor: 1,
    };
    vec![
        Loss {
            path: path("a"),
            what: LossKind::Rafs(CannotCarry::XattrName {
                name: (*b"system.nfs4_acl").into(),
            }),
        },
        Loss {
            path: path("b"),
            what: LossKind::Rafs(CannotCarry::Device { device }),
        },
    ]
}

fn check_refused(result: Result<Image, ConvertError>) {
    match result.map(|image| image.report) {
        Err(error @ ConvertError::NotCarried { .. }) => {
            assert_eq!(error.fault(), Fault::Unsupported);
            let ConvertError::NotCarried { target, loss } = error else {
                unreachable!()
            };
            assert_eq!((target, loss), ("RAFS v6", losses().remove(0)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_is_refused_with_its_path() {
    let tar = tar();
    check_refused(Image::of(Streaming::new(&tar[..]), &plain_options()));
    check_refused(Image::of(layer(tar), &plain_options()));
}

#[test]
fn all_are_reported_where_losses_are_allowed() {
    let options = plain_options().lossy(true);
    let image = Image::of_tar(&tar(), &options);
    assert_eq!(image.report.losses, losses());
    assert_eq!(image.report.inodes, 3);
    let without = Tar::new()
        .file("a", b"a")
        .file_with("c", &with_xattr(b"user.ok", b"x"), b"c")
        .finish();
    assert_eq!(image.digest(), digest_of_tar(&without));
}

/// The tar of a file and, before it, a member of type `V`: GNU's volume label.
fn labelled_tar() -> Vec<u8> {
    let mut label = Tar::new().file("label", b"").finish();
    label.truncate(512);
    label[156] = b'V';
    label[148..156].fill(b' ');
    let sum: u32 = label.iter().map(|&b| u32::from(b)).sum();
    label[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    label.extend(Tar::new().file("f", b"f").finish());
    label
}

#[test]
fn members_that_are_no_files() {
    let tar = labelled_tar();
    let error = Image::of(Streaming::new(&tar[..]), &plain_options()).err();
    match error {
        Some(ConvertError::Member(error)) => {
            assert_eq!((error.offset, &*error.path), (0, &b"label"[..]));
            assert_eq!(error.fault(), Fault::Unsupported);
        }
        other => panic!("{other:?}"),
    }
    let options = plain_options().lossy(true);
    let image = Image::of_tar(&tar, &options);
    let loss = Loss {
        path: path("label"),
        what: LossKind::Member { typeflag: b'V' },
    };
    assert_eq!(image.report.losses, [loss]);
    assert_eq!(image.digest(), digest_of_tar(&tar[512..]));
}

/// A layer says nothing of the directories that it only implies; RAFS and EROFS describe them.
#[test]
fn directories_that_no_entry_describes_are_advisories() {
    let tar = Tar::new()
        .directory("etc")
        .file("etc/ssl/certs/ca.crt", b"cert")
        .file("tmp/x", b"x")
        .finish();
    let mut reports = Vec::new();
    for version in [Version::V5, Version::V6] {
        let options = plain_options().version(version);
        let streamed = Image::of(Streaming::new(&tar[..]), &options).unwrap();
        let opened = Image::of(layer(tar.clone()), &options).unwrap();
        reports.extend([streamed.report, opened.report]);
    }
    let (_, streamed) = erofs::of_tar(&tar, &erofs::options());
    let (_, opened) = erofs::converted(layer(tar), &erofs::options()).unwrap();
    reports.extend([streamed.report, opened.report]);
    for report in reports {
        let advisories = &report.advisories;
        let paths: Vec<_> = advisories.kept().iter().map(|a| a.path.clone()).collect();
        let expected = ["etc/ssl", "etc/ssl/certs", "tmp"].map(|at| Some(path(at)));
        assert_eq!(paths, expected);
        assert_eq!(advisories.count(), 3);
        assert!(
            advisories
                .kept()
                .iter()
                .all(|a| a.what == Oddity::Undescribed)
        );
    }
}

/// `/tmp` of the lower layer keeps its mode in a stack, where nothing is lost; by itself the upper layer gives it another
/// one, and says so.
#[test]
fn directories_that_a_lower_layer_describes_are_none_in_a_stack() {
    let sticky = metadata(0o1777);
    let lower = Tar::new().node("tmp", &sticky, &Node::empty_directory());
    let (lower, upper) = (lower.finish(), Tar::new().file("tmp/x", b"x").finish());
    for version in [Version::V5, Version::V6] {
        let options = plain_options().version(version);
        let mode = |image: &Image| {
            let opened = image_read::open(image.bootstrap_path(), &Default::default()).unwrap();
            let tmp = resolve(opened.image(), b"tmp", Follow::All).unwrap();
            opened.image().attributes(tmp).unwrap().mode
        };
        let alone = Image::of_tar(&upper, &options);
        assert_eq!(mode(&alone), 0o755);
        let said: Vec<_> = alone
            .report
            .advisories
            .kept()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            ["/tmp: the directory has no entry, and gets mode 0755 and owner 0:0"]
        );
        let layers = [&lower, &upper].map(|layer| Streaming::new(&layer[..]).into());
        let stacked = Image::of(Source::stack(layers), &options).unwrap();
        assert_eq!(mode(&stacked), 0o1777);
        assert_eq!(stacked.report.advisories.count(), 0);
    }
}

/// A layer that is streamed and one that is opened report the same of what is odd.
#[test]
fn oddities_of_a_layer_are_counted_in_the_report() {
    let tar = Tar::new()
        .directory("usr")
        .directory("usr/lib")
        .symlink("lib", "usr/lib")
        .file("lib/x", b"x")
        .link("y", "lib/x")
        .finish();
    let streamed = Image::of(Streaming::new(&tar[..]), &plain_options()).unwrap();
    let opened = Image::of(layer(tar), &plain_options()).unwrap();
    for image in [streamed, opened] {
        let kept = image.report.advisories.kept().iter();
        let found: Vec<_> = kept.map(|a| a.what.clone()).collect();
        assert_eq!(found, [Oddity::BelowSymlink, Oddity::TargetBelowSymlink]);
    }
}
