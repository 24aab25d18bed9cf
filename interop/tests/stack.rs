//! Several layers as one image, against what overlayfs shows on the unpacked layers.

use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, Mount, lazyoci, nydus_image, scratch, script};

/// The three layers of `corpus/stack.py`, the lowest first, in `dir`.
fn layers(dir: &Path) -> Vec<PathBuf> {
    layers_of(&[], dir)
}

/// The same with options.
fn layers_of(options: &[&str], dir: &Path) -> Vec<PathBuf> {
    let _ = Finished::of(script("corpus/stack.py").args(options).arg(dir)).ok();
    let names = ["lower.tar", "middle.tar", "upper.tar"];
    names.map(|name| dir.join(name)).to_vec()
}

fn convert(layers: &[PathBuf], options: &[&str], output: &Path) {
    let mut convert = lazyoci("convert");
    convert.args(options).args(layers).arg(output);
    let _ = Finished::of(&mut convert).ok();
}

fn digest(image: &Path) -> String {
    Finished::of(lazyoci("digest").arg(image))
        .ok()
        .text()
        .to_owned()
}

/// What overlayfs makes of `layers`.
fn expected(dir: &Path, layers: &[PathBuf]) -> String {
    Mount::overlay(layers, &dir.join("overlay")).digest()
}

#[test]
fn nydusd_shows_what_overlayfs_shows() {
    let dir = scratch();
    let layers = layers(dir.path());
    let expected = expected(dir.path(), &layers);
    for to in ["rafs-v6", "rafs-v5"] {
        for compressor in ["zstd", "lz4", "none"] {
            let image = dir.path().join(format!("{to}-{compressor}"));
            convert(&layers, &["--to", to, "--compressor", compressor], &image);
            let (bootstrap, blobs) = (image.join("image.boot"), image.join("blobs"));
            let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
            let _ = Finished::of(lazyoci("verify").arg(&image)).ok();
            let count = std::fs::read_dir(&blobs).expect("a directory").count();
            assert_eq!(count, 3, "a blob for each layer");
            let at = image.join("mnt");
            let mount = match to {
                "rafs-v5" => Mount::nydusd_validating(&bootstrap, &blobs, &at),
                _ => Mount::nydusd(&bootstrap, &blobs, &at),
            };
            assert_eq!(mount.digest(), expected, "{to} {compressor}");
        }
    }
}

#[test]
fn the_kernel_mounts_the_blobs_of_a_stack() {
    let dir = scratch();
    let layers = layers(dir.path());
    let image = dir.path().join("image");
    let options = ["--to", "rafs-v6", "--compressor", "none", "--aligned"];
    let mut command = lazyoci("convert");
    command
        .args(options)
        .args(&layers)
        .arg(&image)
        .arg("--json");
    let report = Finished::of(&mut command).ok().json();
    let blobs = report["blobs"].as_array().expect("a list of blobs");
    let devices: Vec<_> = (blobs.iter())
        .map(|blob| {
            let digest = blob["digest"].as_str().expect("a digest");
            image.join("blobs").join(&digest["sha256:".len()..])
        })
        .collect();
    assert_eq!(devices.len(), 3);
    let bootstrap = image.join("image.boot");
    let mount = Mount::erofs(&bootstrap, &devices, false, &dir.path().join("mnt"));
    assert_eq!(mount.digest(), expected(dir.path(), &layers));
}

/// The bootstraps of `layers`, each converted alone, and the folder of all their blobs.
fn alone(dir: &Path, layers: &[PathBuf], options: &[&str]) -> (Vec<PathBuf>, PathBuf) {
    let blobs = dir.join("blobs");
    std::fs::create_dir(&blobs).expect("a new directory");
    let convert_one = |(number, layer): (usize, &PathBuf)| {
        let image = dir.join(format!("alone{number}"));
        convert(std::slice::from_ref(layer), options, &image);
        for blob in std::fs::read_dir(image.join("blobs")).expect("a directory") {
            let blob = blob.expect("an entry");
            std::fs::copy(blob.path(), blobs.join(blob.file_name())).expect("a copy");
        }
        image.join("image.boot")
    };
    let bootstraps = layers.iter().enumerate().map(convert_one).collect();
    (bootstraps, blobs)
}

/// `merge` and nydus-image merge bootstraps to the same tree, but where the latter is wrong: whiteouts of
/// the lowest layer stay, and what a later layer replaced by a directory twice. Layers without those.
#[test]
fn merged_bootstraps_have_the_tree_of_the_stack() {
    let dir = scratch();
    let layers = layers_of(&["--plain"], dir.path());
    let expected = expected(dir.path(), &layers);
    for to in ["rafs-v6", "rafs-v5"] {
        let dir = tempfile::tempdir_in(dir.path()).expect("a directory");
        let (bootstraps, blobs) = alone(dir.path(), &layers, &["--to", to, "--compat", "2.2"]);
        let output = dir.path().join("merged");
        let mut merge = lazyoci("merge");
        let _ = Finished::of(merge.args(&bootstraps).arg(&output)).ok();
        let ours = output.join("image.boot");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&ours)).ok();
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.arg(&ours).arg("--blobs").arg(&blobs)).ok();
        let mount = Mount::nydusd(&ours, &blobs, &dir.path().join("mnt"));
        assert_eq!(mount.digest(), expected, "{to}");

        let theirs = merged_by_nydus_image(dir.path(), &bootstraps);
        let mut command = lazyoci("digest");
        let digest = Finished::of(command.arg(&theirs).arg("--blobs").arg(&blobs));
        assert_eq!(digest.ok().text(), expected, "{to}, by nydus-image");
    }
}

/// nydus-image calls each blob by the name of its bootstrap.
fn merged_by_nydus_image(dir: &Path, bootstraps: &[PathBuf]) -> PathBuf {
    let named = dir.join("named");
    std::fs::create_dir(&named).expect("a new directory");
    let named: Vec<_> = (bootstraps.iter())
        .map(|bootstrap| {
            let mut inspect = lazyoci("inspect");
            let json = Finished::of(inspect.arg(bootstrap).arg("--json"))
                .ok()
                .json();
            let id = json["blobs"][0]["id"].as_str().expect("an id").to_owned();
            let path = named.join(id);
            std::fs::copy(bootstrap, &path).expect("a copy");
            path
        })
        .collect();
    let theirs = dir.join("theirs.boot");
    let mut merge = nydus_image("merge");
    let _ = Finished::of(merge.arg("-B").arg(&theirs).args(&named)).ok();
    theirs
}

/// The lines of `listed` that `other` does not have.
fn only_in<'a>(listed: &'a str, other: &str) -> Vec<&'a str> {
    let other: Vec<_> = other.lines().collect();
    let only = listed.lines().filter(|line| !other.contains(line));
    only.collect()
}

/// Whiteouts in the lowest layer, replaced kinds, opaque directories and all: the tree of the stack, but for directories that
/// a layer only implies. Converted alone, it describes them, as of mode 0755, owner 0:0 and time 0. nydus-image shows two
/// paths more: a whiteout of the lowest layer, and what was in a directory that was replaced twice.
#[test]
fn merged_bootstraps_differ_from_the_stack_by_implied_directories() {
    let dir = scratch();
    let layers = layers_of(&["--mergeable"], dir.path());
    let expected = Mount::overlay(&layers, &dir.path().join("overlay")).listed();
    for to in ["rafs-v6", "rafs-v5"] {
        let dir = tempfile::tempdir_in(dir.path()).expect("a directory");
        let stack = dir.path().join("stack");
        convert(&layers, &["--to", to], &stack);
        let (bootstrap, blobs) = (stack.join("image.boot"), stack.join("blobs"));
        let mount = Mount::nydusd(&bootstrap, &blobs, &dir.path().join("stack.mnt"));
        assert_eq!(mount.listed(), expected, "{to}");

        let (bootstraps, blobs) = alone(dir.path(), &layers, &["--to", to, "--compat", "2.2"]);
        let output = dir.path().join("merged");
        let mut merge = lazyoci("merge");
        let _ = Finished::of(merge.args(&bootstraps).arg(&output)).ok();
        let merged = output.join("image.boot");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&merged)).ok();
        let mount = Mount::nydusd(&merged, &blobs, &dir.path().join("mnt"));
        let listed = mount.listed();
        assert_eq!(
            only_in(&listed, &expected),
            ["/etc", "/opaque", "/tmp"]
                .map(|path| format!("{path}\td\t0755\t0:0\t0\t0,0\t-\t-\t-")),
            "{to}"
        );
        let lost = only_in(&expected, &listed);
        let lost = lost
            .iter()
            .map(|line| line.split_once('\t').expect("a path"));
        let (paths, shown): (Vec<_>, Vec<_>) = lost.unzip();
        assert_eq!(paths, ["/etc", "/opaque", "/tmp"], "{to}");
        assert!(shown[2].starts_with("d\t1777\t"), "{to}: {}", shown[2]);

        let theirs = merged_by_nydus_image(dir.path(), &bootstraps);
        let mount = Mount::nydusd(&theirs, &blobs, &dir.path().join("theirs"));
        let theirs = mount.listed();
        assert_eq!(only_in(&listed, &theirs), [""; 0], "{to}");
        let more = only_in(&theirs, &listed);
        let more = more.iter().map(|line| line.split('\t').next());
        let more: Vec<_> = more.flatten().collect();
        assert_eq!(more, ["/.wh.nothing", "/turns/into"], "{to}");
    }
}

/// A layer alone cannot have a link into a lower one.
#[test]
fn hard_links_into_lower_layers_are_refused_alone() {
    let dir = scratch();
    let layers = layers(dir.path());
    let links = [("/etc/again", "/etc/motd"), ("/kept", "/opaque/above")];
    for (layer, (link, target)) in layers[1..].iter().zip(links) {
        for to in ["rafs-v6", "rafs-v5"] {
            let mut convert = lazyoci("convert");
            convert.args(["--to", to]).arg(layer);
            let refused = Finished::of(convert.arg(dir.path().join("image"))).exits(3);
            let why = format!("{link}: hard link to {target}, which this layer does not hold");
            let message = format!("error: cannot make a tree of the layer: {why}");
            assert_eq!(refused.stderr.trim_end(), message, "{to}");
        }
    }
}

#[test]
fn a_stack_in_one_layer_has_its_tree() {
    let dir = scratch();
    let layers = layers(dir.path());
    let expected = expected(dir.path(), &layers);
    for to in ["estargz", "tar", "tar-gzip", "tar-zstd"] {
        let image = dir.path().join(to);
        convert(&layers, &["--to", to], &image);
        assert_eq!(digest(&image), expected, "{to}");
    }
}

#[test]
fn a_stack_has_the_same_bytes_at_any_number_of_threads() {
    let dir = scratch();
    let layers = layers(dir.path());
    let made = ["1", "2", "7"].map(|threads| {
        let image = dir.path().join(threads);
        convert(&layers, &["--to", "rafs-v6", "--threads", threads], &image);
        lazyoci_interop::run::sha256(&image.join("image.boot"))
    });
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
}
