//! Whole images, as builders and copiers write them, against what overlayfs shows.

use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, Mount, lazyoci, scratch, script};

/// The layers of `corpus/stack.py` in `dir`, the lowest first.
fn layers(dir: &Path) -> Vec<PathBuf> {
    let _ = Finished::of(script("corpus/stack.py").arg(dir)).ok();
    let names = ["lower.tar", "middle.tar", "upper.tar"];
    names.map(|name| dir.join(name)).to_vec()
}

fn tool(name: &str, dir: &Path, arguments: &[&str]) {
    let mut command = std::process::Command::new(name);
    let _ = Finished::of(command.current_dir(dir).args(arguments)).ok();
}

fn digest(dir: &Path, image: &str) -> String {
    let mut digest = lazyoci("digest");
    let digest = Finished::of(digest.current_dir(dir).arg(image));
    digest.ok().text().to_owned()
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
    let content = |path: &str| {
        let mut digest = lazyoci("digest");
        digest.current_dir(dir).args(["--profile", "content", path]);
        Finished::of(&mut digest).ok().text().to_owned()
    };
    assert_eq!(content("bundle/rootfs"), content("unpacked"));
}
