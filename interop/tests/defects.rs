//! What nydus-image 2.2.0 does wrong: ours does not, and of what it wrote that can be read which can, and the rest is
//! refused by what is wrong with it.

use std::path::{Path, PathBuf};

use lazyoci_interop::corpus::walk;
use lazyoci_interop::run::tool;
use lazyoci_interop::{Finished, Mount, lazyoci, nydus_image, scratch};

/// A layer of what `script`, of a shell, puts in an empty directory.
fn layer(dir: &Path, name: &str, script: &str) -> PathBuf {
    let source = dir.join(name);
    std::fs::create_dir(&source).expect("a new directory");
    let _ = tool("sh", &source, &["-ec", script]);
    let tar = dir.join(format!("{name}.tar"));
    let options = [
        "--create",
        "--format=posix",
        "--pax-option=delete=atime,delete=ctime",
        "--xattrs",
        "--xattrs-include=*",
        "--sort=name",
        "--mtime=@1600000000",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--file",
    ];
    let output = tar.to_str().expect("its name is text");
    let _ = tool("tar", &source, &[&options[..], &[output, "."]].concat());
    tar
}

/// The bootstrap that nydus-image makes of `layer`, and the folder of its blob.
fn theirs(layer: &Path, version: &str) -> (PathBuf, PathBuf) {
    let image = layer.with_extension(format!("theirs-{version}"));
    let blobs = image.join("blobs");
    std::fs::create_dir_all(&blobs).expect("a new directory");
    let bootstrap = image.join("image.boot");
    let mut create = nydus_image("create");
    create.args(["-t", "tar-rafs", "-v", version, "--whiteout-spec", "none"]);
    create.args(["--compressor", "none", "--digester", "sha256"]);
    create.args([Path::new("-D"), &blobs, Path::new("-B"), &bootstrap, layer]);
    let _ = Finished::of(&mut create).ok();
    (bootstrap, blobs)
}

/// The bootstrap that we make of `layer`, which nydus-image accepts, and the folder of its blob.
fn ours(layer: &Path, version: &str, options: &[&str]) -> (PathBuf, PathBuf) {
    let image = layer.with_extension(format!("ours-{version}"));
    let mut convert = lazyoci("convert");
    convert.args(["--to", &format!("rafs-v{version}"), "--compat", "2.2"]);
    let _ = Finished::of(convert.args(options).args([layer, &image])).ok();
    let (bootstrap, blobs) = (image.join("image.boot"), image.join("blobs"));
    let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
    (bootstrap, blobs)
}

fn digest(image: &Path) -> String {
    Finished::of(lazyoci("digest").arg(image))
        .ok()
        .text()
        .to_owned()
}

/// What `verify` finds, a line each.
fn findings(image: &Path) -> Vec<String> {
    let verified = Finished::of(lazyoci("verify").arg(image)).exits(1);
    verified.stderr.lines().map(str::to_owned).collect()
}

fn refused_by_nydus_image(bootstrap: &Path) {
    let checked = Finished::of(nydus_image("check").arg("-B").arg(bootstrap));
    assert_ne!(checked.code, 0, "{}", checked.command);
}

/// In version 5 the second name has the attributes, but not the flag that says so, and every inode behind it is said to
/// be where it would be without them.
#[test]
fn hard_links_with_extended_attributes() {
    let dir = scratch();
    let script = "printf hello > a; setfattr -n user.k -v v a; ln a b; printf world > c";
    let layer = layer(dir.path(), "layer", script);
    let (bootstrap, _) = theirs(&layer, "5");
    refused_by_nydus_image(&bootstrap);
    let found = findings(&bootstrap);
    let named = "corrupt: /b, byte 8720: the extended attributes: mismatch with the inode's first record, at byte 8480";
    assert!(found.iter().any(|line| line == named), "{found:#?}");
    for name in ["a", "b"] {
        let read = Finished::of(lazyoci("cat").arg(&bootstrap).arg(name)).ok();
        assert_eq!(read.text(), "hello");
    }
    let displaced = Finished::of(lazyoci("ls").arg(&bootstrap)).exits(1);
    let why = "the inode at byte 8936: i_parent is";
    assert!(displaced.stderr.contains(why), "{}", displaced.stderr);

    // Version 6 has one inode for both.
    let (bootstrap, _) = theirs(&layer, "6");
    let expected = digest(&layer);
    assert_eq!(digest(&bootstrap), expected);
    for version in ["5", "6"] {
        let (bootstrap, blobs) = ours(&layer, version, &[]);
        assert_eq!(digest(&bootstrap), expected, "version {version}");
        let at = dir.path().join(format!("mnt-{version}"));
        let mount = Mount::nydusd(&bootstrap, &blobs, &at);
        assert_eq!(mount.digest(), expected, "version {version}");
    }
}

/// The second name becomes a file. In version 6 the first is that, too, since they share the inode.
#[test]
fn hard_links_to_symbolic_links() {
    let dir = scratch();
    let layer = layer(dir.path(), "layer", "ln -s target s; ln s t; printf x > z");
    let expected = digest(&layer);
    let (bootstrap, _) = theirs(&layer, "5");
    refused_by_nydus_image(&bootstrap);
    // The first record has all that is needed.
    assert_eq!(digest(&bootstrap), expected);
    let named = "corrupt: /t: listed as a file in its directory, but is a symlink";
    let found = findings(&bootstrap);
    assert!(found.iter().any(|line| line == named), "{found:#?}");

    let (bootstrap, _) = theirs(&layer, "6");
    refused_by_nydus_image(&bootstrap);
    let named = "corrupt: /s: listed as a symlink in its directory, but is a file";
    let found = findings(&bootstrap);
    assert!(found.iter().any(|line| line == named), "{found:#?}");
    for version in ["5", "6"] {
        // Only files have several names in either version: the second is a link of its own.
        let (bootstrap, _) = ours(&layer, version, &["--lossy"]);
        let listed = Finished::of(lazyoci("ls").arg("-l").arg(&bootstrap)).ok();
        let targets = listed.text().matches("-> target").count();
        assert_eq!(targets, 2, "{}", listed.text());
    }
}

/// The files are where the tar has them, whatever comes before the directories that it does not.
#[test]
fn entries_without_directories() {
    let dir = scratch();
    let source = dir.path().join("source");
    let script = "mkdir -p z a/x; printf 1 > z/file; printf 2 > a/x/y";
    std::fs::create_dir(&source).expect("a new directory");
    let _ = tool("sh", &source, &["-ec", script]);
    let tar = dir.path().join("layer.tar");
    let output = tar.to_str().expect("its name is text");
    let _ = tool("tar", &source, &["-cf", output, "z/file", "a/x/y"]);
    let expected = digest(&tar);
    for version in ["5", "6"] {
        let (bootstrap, _) = ours(&tar, version, &[]);
        assert_eq!(digest(&bootstrap), expected, "version {version}");
        for (path, content) in [("z/file", "1"), ("a/x/y", "2")] {
            let read = Finished::of(lazyoci("cat").arg(&bootstrap).arg(path)).ok();
            assert_eq!(read.text(), content);
        }
    }
}

/// A directory that becomes a link and a directory again is empty but for what the last layer has, and whiteouts of the
/// lowest layer are no files.
#[test]
fn merged_layers() {
    let dir = scratch();
    let lower = "mkdir d; printf old > d/old; printf x > .wh.gone";
    let layers = [
        layer(dir.path(), "lower", lower),
        layer(dir.path(), "middle", "ln -s elsewhere d"),
        layer(dir.path(), "upper", "mkdir d; printf new > d/new"),
    ];
    let expected = Mount::overlay(&layers, &dir.path().join("overlay")).digest();
    for version in ["5", "6"] {
        let blobs = dir.path().join(format!("blobs-{version}"));
        std::fs::create_dir(&blobs).expect("a new directory");
        let named = dir.path().join(format!("named-{version}"));
        std::fs::create_dir(&named).expect("a new directory");
        let mut bootstraps = Vec::new();
        for layer in &layers {
            let (bootstrap, folder) = theirs(layer, version);
            // nydus-image calls each blob by the name of its bootstrap; the middle layer has none.
            let mut name = layer.file_stem().expect("a name").to_owned();
            for blob in std::fs::read_dir(folder).expect("a directory") {
                name = blob.expect("an entry").file_name();
                let from = bootstrap.with_file_name("blobs").join(&name);
                std::fs::copy(from, blobs.join(&name)).expect("a copy");
            }
            let path = named.join(name);
            std::fs::copy(bootstrap, &path).expect("a copy");
            bootstraps.push(path);
        }
        let theirs = dir.path().join(format!("theirs-{version}.boot"));
        let mut merge = nydus_image("merge");
        let _ = Finished::of(merge.arg("-B").arg(&theirs).args(&bootstraps)).ok();
        let list = |bootstrap: &Path, path: &str| {
            let mut list = lazyoci("ls");
            let listed = Finished::of(list.arg(bootstrap).arg(path)).ok();
            let names = listed.text().lines().map(str::to_owned);
            names.collect::<Vec<_>>()
        };
        assert_eq!(list(&theirs, "/"), [".wh.gone", "d"]);
        assert_eq!(list(&theirs, "/d"), ["new", "old"]);

        let output = dir.path().join(format!("ours-{version}"));
        let mut merge = lazyoci("merge");
        let _ = Finished::of(merge.args(&bootstraps).arg(&output)).ok();
        let ours = output.join("image.boot");
        assert_eq!(list(&ours, "/"), ["d"]);
        assert_eq!(list(&ours, "/d"), ["new"]);
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&ours)).ok();
        let mount = Mount::nydusd(&ours, &blobs, &output.join("mnt"));
        assert_eq!(mount.digest(), expected, "version {version}");
    }
}

/// A folder of all that is in `folders`.
fn together(dir: &Path, folders: &[&Path]) -> PathBuf {
    let blobs = dir.join("all");
    std::fs::create_dir_all(&blobs).expect("a directory");
    for blob in folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a directory"))
    {
        let blob = blob.expect("an entry");
        std::fs::copy(blob.path(), blobs.join(blob.file_name())).expect("a copy");
    }
    blobs
}

/// Over a parent that has one of its chunks, the first new chunk takes the number and the place of the parent's, and
/// nydus-image finds nothing wrong with that.
#[test]
fn a_parent_that_shares_chunks() {
    let dir = scratch();
    let lower = layer(dir.path(), "lower", "seq 20000 > a");
    let upper = layer(dir.path(), "upper", "printf new > b; seq 20000 > same");
    let expected =
        Mount::overlay(&[lower.clone(), upper.clone()], &dir.path().join("overlay")).digest();
    for (version, named) in [
        ("5", "chunk 0 of blob 0 has a second record"),
        (
            "6",
            "uncompressed_size is 0x3, but must be the bytes that its file has there",
        ),
    ] {
        let (parent, blobs) = theirs(&lower, version);
        let child = parent.with_file_name("child.boot");
        let mut create = nydus_image("create");
        create.args(["-t", "tar-rafs", "-v", version, "--whiteout-spec", "oci"]);
        create.args(["--compressor", "none", "--digester", "sha256"]);
        create.args([Path::new("--parent-bootstrap"), &parent, Path::new("-D")]);
        create.args([&blobs, Path::new("-B"), &child, &upper]);
        let _ = Finished::of(&mut create).ok();
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&child)).ok();
        let found = findings(&child);
        assert!(found.iter().any(|line| line.contains(named)), "{found:#?}");
        let mut cat = lazyoci("cat");
        let refused = Finished::of(cat.arg(&child).arg("same")).exits(1);
        let why = "compressed_offset is 0x3, but must be one that ends inside the blob's data";
        assert!(refused.stderr.contains(why), "{}", refused.stderr);

        let (parent, of_parent) = ours(&lower, version, &[]);
        let dictionary = parent.to_str().expect("its name is text");
        let (child, of_child) = ours(&upper, version, &["--chunk-dict", dictionary]);
        let output = dir.path().join(format!("ours-{version}"));
        let mut merge = lazyoci("merge");
        merge.arg("--parent").args([&parent, &child, &output]);
        let _ = Finished::of(&mut merge).ok();
        let merged = output.join("image.boot");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&merged)).ok();
        let all = together(&output, &[&of_parent, &of_child]);
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.arg("--blobs").args([&all, &merged])).ok();
        let mount = Mount::nydusd(&merged, &all, &output.join("mnt"));
        assert_eq!(mount.digest(), expected, "version {version}");
    }
}

/// The root is that of the top layer, even if that has none. A bootstrap cannot say so: who has the layers stacks them.
#[test]
fn a_top_layer_without_a_root() {
    let dir = scratch();
    let lower = layer(dir.path(), "lower", "chmod 711 .; printf old > a");
    let source = dir.path().join("upper");
    std::fs::create_dir(&source).expect("a new directory");
    let _ = tool("sh", &source, &["-ec", "printf new > b"]);
    let upper = dir.path().join("upper.tar");
    let output = upper.to_str().expect("its name is text");
    let _ = tool("tar", &source, &["-cf", output, "--mtime=@0", "b"]);
    let layers = [lower, upper];
    // nydusd shows another root than the image's.
    let mode_of_the_root = |bootstrap: &Path| {
        let dump = Finished::of(lazyoci("inspect").arg("--dump").arg(bootstrap)).ok();
        let mut inodes = dump
            .text()
            .lines()
            .filter_map(|line| line.split_once(" mode="));
        let (_, mode) = inodes.next().expect("a root");
        mode[..6].to_owned()
    };
    let expected = Mount::overlay(&layers, &dir.path().join("overlay")).digest();
    for version in ["5", "6"] {
        let at = dir.path().join(format!("of-{version}"));
        std::fs::create_dir(&at).expect("a new directory");
        let made = layers.each_ref().map(|layer| {
            let (bootstrap, blobs) = theirs(layer, version);
            // nydus-image calls each blob by the name of its bootstrap.
            let mut found = std::fs::read_dir(blobs).expect("a directory");
            let blob = found.next().expect("a blob").expect("an entry").file_name();
            let path = at.join(blob);
            std::fs::copy(bootstrap, &path).expect("a copy");
            path
        });
        let merged = at.join("theirs.boot");
        let mut merge = nydus_image("merge");
        merge.arg("-B").arg(&merged);
        let _ = Finished::of(merge.args(&made)).ok();
        assert_eq!(mode_of_the_root(&merged), "040755", "version {version}");

        let image = at.join("ours");
        let mut stack = lazyoci("convert");
        stack.args(["--to", &format!("rafs-v{version}"), "--compat", "2.2"]);
        let _ = Finished::of(stack.args(&layers).arg(&image)).ok();
        let bootstrap = image.join("image.boot");
        assert_eq!(mode_of_the_root(&bootstrap), "040711", "version {version}");
        assert_eq!(digest(&bootstrap), expected, "version {version}");

        let merged = at.join("merged");
        let mut merge = lazyoci("merge");
        let _ = Finished::of(merge.args(&made).arg(&merged)).ok();
        let merged = merged.join("image.boot");
        assert_eq!(mode_of_the_root(&merged), "040755", "version {version}");
    }
}

/// nydus-image 2.2.0 leaves the root out of the tar that it unpacks; later releases end at the first device.
#[test]
fn devices_are_unpacked() {
    let dir = scratch();
    let script = "chmod 700 .; mknod c c 1 3; mknod b b 8 1; mkfifo p; printf x > f";
    let layer = layer(dir.path(), "layer", script);
    let expected = digest(&layer);
    for version in ["5", "6"] {
        let (bootstrap, blobs) = theirs(&layer, version);
        let mut blob = std::fs::read_dir(&blobs).expect("a directory");
        let blob = blob.next().expect("a blob").expect("an entry").path();
        let tar = dir.path().join(format!("theirs-{version}.tar"));
        let mut unpack = nydus_image("unpack");
        unpack.args([Path::new("-B"), &bootstrap, Path::new("-b"), &blob]);
        let _ = Finished::of(unpack.arg("--output").arg(&tar)).ok();
        let list = tool("tar", dir.path(), &["-tf", tar.to_str().expect("text")]);
        assert_eq!(list.text(), "b\nc\nf\np");

        let ours = dir.path().join(format!("ours-{version}.tar"));
        let mut convert = lazyoci("convert");
        convert.args(["--to", "tar"]).args([&bootstrap, &ours]);
        let _ = Finished::of(&mut convert).ok();
        assert_eq!(digest(&ours), expected, "version {version}");
        let tree = dir.path().join(format!("tree-{version}"));
        let _ = Finished::of(lazyoci("unpack").args([&bootstrap, &tree])).ok();
        assert_eq!(walk(&tree, &[]), expected, "version {version}");
    }
}
