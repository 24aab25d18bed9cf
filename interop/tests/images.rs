//! Whole images, as builders and copiers write them, against what overlayfs shows.

use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, Mount, lazyoci, nydus_image, scratch, script, tool};

/// The layers of `corpus/stack.py` in `dir`, the lowest first.
fn layers(dir: &Path) -> Vec<PathBuf> {
    let _ = Finished::of(script("corpus/stack.py").arg(dir)).ok();
    let names = ["lower.tar", "middle.tar", "upper.tar"];
    names.map(|name| dir.join(name)).to_vec()
}

fn digest(dir: &Path, image: &str) -> String {
    let mut digest = lazyoci("digest");
    let digest = Finished::of(digest.current_dir(dir).arg(image));
    digest.ok().text().to_owned()
}

/// Digest of a tree without times of directories, which umoci makes anew.
fn content(dir: &Path, image: &str) -> String {
    let mut digest = lazyoci("digest");
    digest
        .current_dir(dir)
        .args(["--profile", "content", image]);
    Finished::of(&mut digest).ok().text().to_owned()
}

/// umoci builds the image, skopeo copies it: gzip and zstd layers in layouts, archives of both kinds.
#[test]
fn images_of_umoci_and_skopeo_are_what_overlayfs_shows() {
    let dir = scratch();
    let dir = dir.path();
    let layers = layers(dir);
    let expected = Mount::overlay(&layers, &dir.join("overlay")).digest();
    tool("umoci", dir, &["init", "--layout", "layout"]);
    tool("umoci", dir, &["new", "--image", "layout:v1"]);
    for layer in &layers {
        let layer = layer.to_str().expect("a plain name");
        tool(
            "umoci",
            dir,
            &["raw", "add-layer", "--image", "layout:v1", layer],
        );
    }
    for (options, to) in [
        (&[][..], "oci-archive:archive.tar:v1"),
        (
            &["--dest-compress-format", "zstd", "--dest-compress"],
            "oci:zstd:v1",
        ),
        (&[], "docker-archive:docker.tar:example.org/a/b:v1"),
    ] {
        let copy = [&["copy", "--quiet"], options, &["oci:layout:v1", to]].concat();
        tool("skopeo", dir, &copy);
    }
    for image in [
        "oci:layout:v1",
        "oci:layout",
        "oci-archive:archive.tar:v1",
        "oci:zstd:v1",
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:example.org/a/b:v1",
    ] {
        assert_eq!(digest(dir, image), expected, "{image}");
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.current_dir(dir).arg(image)).ok();
    }
    // umoci unpacks to what we do, but for the times of directories that it makes or empties.
    tool("umoci", dir, &["unpack", "--image", "layout:v1", "bundle"]);
    let mut unpack = lazyoci("unpack");
    let unpack = unpack.current_dir(dir).args(["oci:layout:v1", "unpacked"]);
    let _ = Finished::of(unpack).ok();
    assert_eq!(content(dir, "bundle/rootfs"), content(dir, "unpacked"));
}

/// What we make of an image is an image to skopeo and umoci, and nydus' own tools read the one that is theirs.
#[test]
fn images_that_we_make_are_images_elsewhere() {
    let dir = scratch();
    let dir = dir.path();
    let layers = layers(dir);
    let expected = Mount::overlay(&layers, &dir.join("overlay")).digest();
    tool("umoci", dir, &["init", "--layout", "layout"]);
    tool("umoci", dir, &["new", "--image", "layout:v1"]);
    for layer in &layers {
        let layer = layer.to_str().expect("a plain name");
        let add = ["raw", "add-layer", "--image", "layout:v1", layer];
        tool("umoci", dir, &add);
    }
    for (options, tag) in [
        (&["--to", "nydus"][..], "nydus"),
        (&["--to", "nydus", "--fs-version", "5"], "nydus-v5"),
        (&["--to", "estargz"], "estargz"),
        (&["--to", "oci"], "oci"),
        (&["--to", "oci", "--compressor", "zstd"], "oci-zstd"),
    ] {
        let made = format!("oci:made:{tag}");
        let mut convert = lazyoci("convert");
        convert.current_dir(dir).args(options);
        let done = Finished::of(convert.args(["oci:layout:v1", &made, "--json"])).ok();
        assert_eq!(digest(dir, &made), expected, "{tag}");
        // Copied with its digest.
        let copied = format!("oci:copied:{tag}");
        tool("skopeo", dir, &["copy", "--quiet", &made, &copied]);
        let mut inspect = std::process::Command::new("skopeo");
        inspect
            .current_dir(dir)
            .args(["inspect", "--format", "{{.Digest}}", &copied]);
        let digest = done.json()["manifest"]["digest"].clone();
        assert_eq!(Finished::of(&mut inspect).ok().text(), digest, "{tag}");
        match tag {
            "nydus" | "nydus-v5" => nydus_reads(dir, &done.json(), &expected, tag == "nydus"),
            // umoci 0.4 does not unpack zstd.
            "oci-zstd" => {}
            _ => {
                let bundle = format!("bundle-{tag}");
                let image = format!("made:{tag}");
                tool("umoci", dir, &["unpack", "--image", &image, &bundle]);
                let rootfs = format!("{bundle}/rootfs");
                if tag == "estargz" {
                    // What makes layers lazy are files to whoever does not know.
                    for name in ["stargz.index.json", ".no.prefetch.landmark"] {
                        std::fs::remove_file(dir.join(&rootfs).join(name)).expect("it is there");
                    }
                }
                assert_eq!(content(dir, &rootfs), content(dir, &made), "{tag}");
            }
        }
    }
}

/// skopeo copies what is in archives that we make: out of that of a layout with its digest, out of Docker's with the
/// layers that it had.
#[test]
fn archives_that_we_make_are_archives_elsewhere() {
    let dir = scratch();
    let dir = dir.path();
    let layers = layers(dir);
    tool("umoci", dir, &["init", "--layout", "layout"]);
    tool("umoci", dir, &["new", "--image", "layout:v1"]);
    for layer in &layers {
        let layer = layer.to_str().expect("a plain name");
        let add = ["raw", "add-layer", "--image", "layout:v1", layer];
        tool("umoci", dir, &add);
    }
    let expected = digest(dir, "oci:layout:v1");
    for (to, archive) in [
        ("oci", "oci-archive:oci.tar:v1"),
        ("nydus", "oci-archive:nydus.tar:v1"),
        ("oci", "docker-archive:docker.tar:example.org/a/b:v1"),
        ("oci", "docker-archive:short.tar:alpine"),
        ("estargz", "docker-archive:estargz.tar:a:v1"),
    ] {
        let mut convert = lazyoci("convert");
        let convert =
            convert
                .current_dir(dir)
                .args(["--json", "--to", to, "oci:layout:v1", archive]);
        let made = Finished::of(convert).ok().json();
        let copied = format!("oci:copied-{}", archive.replace([':', '/'], "-"));
        tool("skopeo", dir, &["copy", "--quiet", archive, &copied]);
        if to == "estargz" {
            // Plain tars, in which there is what made the layers lazy.
            let mut diff = lazyoci("diff");
            let diff = diff
                .current_dir(dir)
                .args(["--json", "oci:layout:v1", &copied]);
            let diff = Finished::of(diff).exits(1).json();
            assert_eq!((&diff["removed"], &diff["changed"]), (&0.into(), &0.into()));
        } else {
            assert_eq!(digest(dir, &copied), expected, "{archive}");
        }
        if archive.starts_with("oci-archive") {
            let inspect = ["inspect", "--format", "{{.Digest}}", archive];
            let found = tool("skopeo", dir, &inspect);
            assert_eq!(found.text(), made["manifest"]["digest"], "{archive}");
        }
    }
    // Byte for byte, names and all, but for what Docker before 1.10 read.
    let copy = [
        "copy",
        "--quiet",
        "docker-archive:short.tar:alpine",
        "docker-archive:theirs.tar:alpine",
    ];
    tool("skopeo", dir, &copy);
    let member = |archive: &str, name: &str| tool("tar", dir, &["-xOf", archive, name]).stdout;
    let (ours, theirs) = ("short.tar", "theirs.tar");
    assert_eq!(
        member(ours, "manifest.json"),
        member(theirs, "manifest.json")
    );
    let names = |archive: &str| {
        let list = tool("tar", dir, &["-tf", archive]);
        let names = list
            .text()
            .lines()
            .filter(|name| !name.contains('/') && *name != "repositories");
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(ours), names(theirs));
    for name in names(ours) {
        assert!(member(ours, &name) == member(theirs, &name), "{name}");
    }
}

/// The bootstrap in the last layer, over the other layers as blobs, is what nydus-image accepts and nydusd
/// mounts.
fn nydus_reads(dir: &Path, made: &serde_json::Value, expected: &str, is_v6: bool) {
    let object = |layer: &serde_json::Value| {
        let digest = layer["digest"].as_str().expect("a digest");
        let hex = digest.strip_prefix("sha256:").expect("SHA-256");
        dir.join("made/blobs/sha256").join(hex)
    };
    let layers = made["image_layers"].as_array().expect("layers");
    let (last, blobs) = layers.split_last().expect("layers");
    let at = tempfile::tempdir_in(dir).expect("a directory");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xzf").arg(object(last)).arg("-C").arg(at.path());
    let _ = Finished::of(&mut tar).ok();
    let bootstrap = at.path().join("image/image.boot");
    let cache = at.path().join("blobs");
    std::fs::create_dir(&cache).expect("a directory");
    for blob in blobs.iter().map(object) {
        let name = blob.file_name().expect("a name");
        std::fs::copy(&blob, cache.join(name)).expect("a copy");
    }
    let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
    let mount = Mount::nydusd(&bootstrap, &cache, &at.path().join("mount"));
    assert_eq!(mount.digest(), expected);
    if !is_v6 {
        return;
    }
    // The chunk information in the bootstrap layer is what nydusd keeps of each blob.
    let state = at.path().join("mount.state/cache");
    for blob in blobs.iter().map(object) {
        let name = blob.file_name().expect("a name").to_string_lossy();
        let name = format!("{name}.blob.meta");
        let ours = std::fs::read(at.path().join("image").join(&name)).expect("in the layer");
        let theirs = std::fs::read(state.join(&name)).expect("in the cache");
        assert!(ours == theirs, "{name}");
    }
}
