//! Images as directories of this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use image_model::{
    Blame, Cancelled, Device, Fault, Limits, Metadata, Name, Node, Progress, Timestamp, Tree,
};
use lazyoci_image_convert::{
    ConvertError, FileContent, Loss, LossKind, Ownership, Report, Source, Streaming, UnpackOptions,
    unpack,
};

use crate::support::{
    Image, MTIME, Tar, digest, metadata, noise, path, plain_options, reader, with_xattr,
};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The owner that whoever runs the test may give.
fn owner() -> (u32, u32) {
    if is_root() {
        (1234, 5678)
    } else {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    }
}

fn owned(mode: u16) -> Metadata {
    let (uid, gid) = owner();
    Metadata {
        uid,
        gid,
        mtime: Timestamp {
            seconds: -5,
            nanoseconds: 7,
        },
        ..metadata(mode)
    }
}

/// Everything that the caller may create. Directories that do not let their owner in, too.
fn tar() -> Vec<u8> {
    let mut tar = Tar::new()
        .node(".", &owned(0o700), &Node::empty_directory())
        .node("locked", &owned(0o000), &Node::empty_directory())
        .file_with("locked/f", &owned(0o000), b"behind a lock")
        .node("locked/d", &owned(0o111), &Node::empty_directory())
        .node(
            "locked/d/l",
            &owned(0o777),
            &Node::Symlink((*b"/etc/passwd").into()),
        )
        .node("fifo", &owned(0o640), &Node::Fifo)
        .link("locked/d/fifo", "fifo")
        .file_with(
            "x",
            &Metadata {
                xattrs: with_xattr(b"user.a", b"1\0\n").xattrs,
                ..owned(0o644)
            },
            b"x",
        )
        .link("locked/d/x", "x")
        .link("y", "x")
        .link("locked/d/l2", "locked/d/l");
    let mut deep = String::from("deep");
    for _ in 0..60 {
        tar = tar.node(&deep, &owned(0o755), &Node::empty_directory());
        deep.push('/');
        deep.push_str(&"d".repeat(100));
    }
    let mut sparse = vec![0; 1 << 20];
    sparse[500_000..][..5].copy_from_slice(b"islet");
    tar = tar.file_with("sparse", &owned(0o600), &sparse);
    if is_root() {
        let device = Device { major: 1, minor: 3 };
        tar = tar
            .node("null", &owned(0o666), &Node::CharDevice(device))
            .file_with("suid", &owned(0o4755), b"#!")
            .file_with(
                "cap",
                &Metadata {
                    // cap_net_raw+ep
                    xattrs: with_xattr(b"security.capability", &CAPABILITY).xattrs,
                    ..owned(0o755)
                },
                b"ping",
            );
    }
    tar.finish()
}

const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn unpack_to(
    image: &Image,
    output: &Path,
    options: &UnpackOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    let opened = image_read::open(image.bootstrap_path(), &Default::default()).unwrap();
    unpack(opened, output, options, progress)
}

#[test]
fn a_directory_holds_what_the_image_holds() {
    let image = Image::of_tar(&tar(), &plain_options());
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let options = UnpackOptions::default().ownership(Ownership::Image);
    let report = unpack_to(&image, &output, &options, &mut ()).unwrap();
    assert_eq!(report.inodes, image.report.inodes);
    assert_eq!(report.content_bytes, image.report.content_bytes);
    assert_eq!(report.losses, []);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    let stat = fs::symlink_metadata(output.join("x")).unwrap();
    assert_eq!((stat.nlink(), stat.mode()), (3, 0o100_644));
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (-5, 7));
    let sparse = fs::symlink_metadata(output.join("sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 100_000, "{}", sparse.blocks());
    let locked = output.join("locked");
    assert_eq!(fs::symlink_metadata(&locked).unwrap().mode(), 0o40_000);
    if is_root() {
        assert_eq!(digest(&output), image.digest());
    } else {
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
        let inner = locked.join("d");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(
            fs::read_link(inner.join("l")).unwrap(),
            Path::new("/etc/passwd")
        );
    }
}

#[test]
fn a_caller_that_owns_the_files_gets_no_set_id_bits() {
    let tar = Tar::new()
        .file_with("suid", &owned(0o6755), b"#!")
        .node("tmp", &owned(0o3777), &Node::empty_directory())
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let options = UnpackOptions::default().ownership(Ownership::Caller);
    unpack_to(&image, &output, &options, &mut ()).unwrap();
    let stat = |name| fs::symlink_metadata(output.join(name)).unwrap();
    assert_eq!(stat("suid").mode(), 0o100_755);
    assert_eq!(stat("tmp").mode(), 0o41_777);
    assert_eq!(stat("suid").uid(), rustix::process::geteuid().as_raw());
    assert_eq!(stat("suid").mtime(), -5);
}

/// Root may set attributes of files that nobody may write; for everybody else the order matters. So
/// root has the test run again by nobody, where that one may run it.
#[test]
fn files_that_nobody_may_write_have_attributes_too() {
    if is_root() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = "unpack::files_that_nobody_may_write_have_attributes_too";
        let child = child.args(["--exact", name]).uid(65534).gid(65534);
        match child.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{said}");
                assert!(said.contains("1 passed"), "{said}");
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }
    let readable = |mode| Metadata {
        xattrs: with_xattr(b"user.a", b"1").xattrs,
        ..metadata(mode)
    };
    let tar = Tar::new()
        .file_with("f", &readable(0o444), b"content")
        .node("d", &readable(0o555), &Node::empty_directory())
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let options = UnpackOptions::default().ownership(Ownership::Caller);
    unpack_to(&image, &output, &options, &mut ()).unwrap();
    for (name, mode) in [("f", 0o100_444), ("d", 0o40_555)] {
        let path = output.join(name);
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode(), mode);
        let mut value = [0; 8];
        let len = rustix::fs::getxattr(&path, "user.a", &mut value).unwrap();
        assert_eq!(value[..len], *b"1");
    }
}

#[test]
fn an_attribute_that_the_file_system_refuses_is_refused_or_reported() {
    // No file system takes a namespace that the kernel does not know.
    let tar = Tar::new()
        .file_with("a", &with_xattr(b"unheard.of", b"1"), b"content")
        .finish();
    let source = std::sync::Arc::new(tar.into_boxed_slice());
    let layer = image_read::LayerImage::open(source, &Default::default()).unwrap();
    let reader = reader(layer.image, layer.source);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let unpack = |lossy| {
        let options = UnpackOptions::default()
            .ownership(Ownership::Caller)
            .lossy(lossy);
        unpack(&reader, &output, &options, &mut ())
    };
    let loss = Loss {
        path: path("a"),
        what: LossKind::Xattr {
            name: (*b"unheard.of").into(),
            errno: rustix::io::Errno::NOTSUP.raw_os_error(),
        },
    };
    match unpack(false) {
        Err(ConvertError::NotCarried { loss: found, .. }) => assert_eq!(found, loss),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(unpack(true).unwrap().losses, [loss]);
    assert_eq!(fs::read(output.join("a")).unwrap(), b"content");
}

#[test]
fn failures_leave_nothing() {
    let tar = Tar::new()
        .node("ro", &owned(0o500), &Node::empty_directory())
        .file("ro/f", &noise(1, 10_000))
        .file("z", &noise(2, 10_000))
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let options = UnpackOptions::default().ownership(Ownership::Caller);

    let mut cancel = |done, _| {
        if done >= 18_000 {
            Err(Cancelled)
        } else {
            Ok(())
        }
    };
    let error = unpack_to(&image, &output, &options, &mut cancel).unwrap_err();
    assert_eq!(error.fault(), Fault::Cancelled);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let blobs = image.output().join("blobs");
    let (name, mut bytes) = crate::support::files(&blobs).remove(0);
    bytes[19_000] ^= 1;
    fs::write(blobs.join(name), bytes).unwrap();
    let error = unpack_to(&image, &output, &options, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    fs::create_dir(&output).unwrap();
    fs::write(output.join("mine"), "precious").unwrap();
    let error = unpack_to(&image, &output, &options, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(fs::read(output.join("mine")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// The kernel takes the greatest number for an owner that is not to change: the file would be root's,
/// set-id bits and all.
#[test]
fn an_owner_that_no_file_can_have_is_refused() {
    for (uid, gid) in [(u32::MAX, owner().1), (owner().0, u32::MAX)] {
        let nobody = Metadata {
            uid,
            gid,
            ..metadata(0o6755)
        };
        let tar = Tar::new().file_with("f", &nobody, b"").finish();
        let image = Image::of_tar(&tar, &plain_options());
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("tree");
        let options = UnpackOptions::default()
            .ownership(Ownership::Image)
            .lossy(true);
        let error = unpack_to(&image, &output, &options, &mut ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Unsupported);
        match error {
            ConvertError::Owner {
                path: at,
                uid: u,
                gid: g,
            } => assert_eq!((at, u, g), (path("f"), uid, gid)),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn times_of_directories_are_those_of_the_image() {
    let tar = Tar::new()
        .node(".", &metadata(0o755), &Node::empty_directory())
        .directory("a")
        .directory("a/b")
        .file("a/b/f", b"f")
        .link("a/g", "a/b/f")
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("tree");
    let options = UnpackOptions::default().ownership(Ownership::Caller);
    unpack_to(&image, &output, &options, &mut ()).unwrap();
    for name in ["", "a", "a/b", "a/b/f"] {
        let stat = fs::symlink_metadata(output.join(name)).unwrap();
        assert_eq!(
            (stat.mtime(), stat.mtime_nsec()),
            (MTIME.seconds, 0),
            "{name}"
        );
    }
}

#[test]
fn a_stream_and_a_tree_in_memory_unpack_too() {
    let tar = Tar::new().file("f", b"hello").link("g", "f").finish();
    let mut tree = Tree::new(Metadata::implied_directory());
    let (size, content) = (5, FileContent::from("hello"));
    let file = tree.add(metadata(0o644), Node::File { size, content });
    for name in ["f", "g"] {
        let name = Name::new(name.as_bytes()).unwrap();
        tree.link(Tree::<()>::ROOT, name, file).unwrap();
    }
    let sources: [Source<'_>; 2] = [Streaming::new(&tar[..]).into(), tree.into()];
    for source in sources {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("tree");
        let options = UnpackOptions::default().ownership(Ownership::Caller);
        let report = unpack(source, &output, &options, &mut ()).unwrap();
        assert_eq!((report.inodes, report.content_bytes), (2, 5));
        assert_eq!(fs::read(output.join("g")).unwrap(), b"hello");
        let stat = |name: &str| fs::metadata(output.join(name)).unwrap().ino();
        assert_eq!(stat("f"), stat("g"));
    }
    for (name, size) in [("empty", 0), ("short", 3)] {
        let mut tree = Tree::new(Metadata::implied_directory());
        let content = FileContent::from("not that long");
        let file = tree.add(metadata(0o644), Node::File { size, content });
        let id = Name::new(name.as_bytes()).unwrap();
        tree.link(Tree::<()>::ROOT, id, file).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("tree");
        let options = UnpackOptions::default().ownership(Ownership::Caller);
        let unpacked = unpack(tree, &output, &options, &mut ());
        assert_eq!(unpacked.is_ok(), size == 0, "an empty file is not read");
    }
}

#[test]
fn a_source_brings_its_limits() {
    let image = Image::of_tar(&tar(), &plain_options());
    let limits = Limits::default().max_depth(2);
    let options = image_read::OpenOptions::default().limits(limits.clone());
    let opened = image_read::open(image.bootstrap_path(), &options).unwrap();
    let stream = tar();
    let sources: [Source<'_>; 2] = [
        (&opened).into(),
        Streaming::new(&stream[..]).limits(limits).into(),
    ];
    for source in sources {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("tree");
        let error = unpack(source, &output, &UnpackOptions::default(), &mut ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Limit, "{error:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    let directory = tempfile::tempdir().unwrap();
    let options = UnpackOptions::default().lossy(true);
    let deep = Source::from(&opened).with_limits(Limits::default());
    unpack(deep, &directory.path().join("tree"), &options, &mut ()).unwrap();
}
