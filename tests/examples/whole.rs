//! Whole images, named on the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lazyoci::model::{ImagePath, Metadata, Node};
use lazyoci::oci_image::Index;
use lazyoci::tar_stream::TarWriter;
use serde_json::{Value, json};

use crate::layout::{GZIP, Layout, annotations};
use crate::{Fixture, complaint, example, json as object, run, text};

/// A layer that adds a file and hides one of the fixture's source.
fn upper(fixture: &Fixture) -> PathBuf {
    let mut tar = TarWriter::new(Vec::new());
    for name in ["etc/.wh.motd", "added"] {
        let node = Node::File {
            size: 0,
            content: (),
        };
        let path = ImagePath::clean(name.as_bytes()).unwrap();
        tar.append(&path, &Metadata::default(), &node).unwrap();
    }
    let path = fixture.path("upper.tar");
    fs::write(&path, tar.finish().unwrap()).unwrap();
    path
}

fn flat(fixture: &Fixture, lower: &Path, upper: &Path) -> String {
    let flat = fixture.path("flat.tar");
    let mut convert = example("convert");
    run(convert.args(["--to", "tar"]).args([lower, upper, &flat]), 0);
    text(example("digest").arg(flat))
}

#[test]
fn layers_of_every_kind_are_one_image() {
    let fixture = Fixture::new();
    let (lower, upper) = (fixture.path("lower.esgz"), upper(&fixture));
    let mut convert = example("convert");
    convert
        .args(["--to", "estargz"])
        .arg(fixture.path("source"));
    let said = object(convert.arg(&lower));
    let layout = Layout::new(fixture.path("layout"));
    let layers = [
        layout.made(&said["blob"], &lower, GZIP),
        layout.object(
            "application/vnd.oci.image.layer.v1.tar",
            &fs::read(&upper).unwrap(),
        ),
    ];
    layout.image(&layers);
    let name = layout.name();
    let expected = flat(&fixture, &lower, &upper);
    assert_eq!(text(example("digest").arg(&name)), expected);
    run(example("verify").arg(&name), 0);
    assert!(
        text(example("ls").arg(&name))
            .lines()
            .any(|line| line.ends_with("added"))
    );
    run(example("cat").arg(&name).arg("etc/motd"), 2);
    let read = run(example("cat").args(["--layer", "0", &name, "etc/motd"]), 0);
    assert_eq!(
        read.stdout,
        fs::read(fixture.path("source/etc/motd")).unwrap()
    );
    let unpacked = fixture.path("unpacked");
    run(example("unpack").arg(&name).arg(&unpacked), 0);
    assert!(unpacked.join("added").exists() && !unpacked.join("etc/motd").exists());
    let converted = fixture.path("converted");
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6"]).arg(&name);
    run(convert.arg(&converted), 0);
    assert_eq!(text(example("digest").arg(&converted)), expected);
    let equal = object(example("diff").arg(&name).arg(&converted));
    assert_eq!((&equal["added"], &equal["changed"]), (&json!(0), &json!(0)));

    let said = complaint(
        example("digest").args(["--platform", "linux/arm64", &name]),
        2,
    );
    assert!(
        said.contains("there is no image for linux/arm64; available: linux/amd64"),
        "{said}"
    );
    let said = complaint(example("digest").arg("--layer").arg("0").arg(&upper), 2);
    assert!(said.contains("--layer needs a whole image"), "{said}");
    let hex = layers[0].digest.strip_prefix("sha256:").unwrap();
    let blob = layout.0.join("blobs/sha256").join(hex);
    let mut bytes = fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, bytes).unwrap();
    let said = complaint(example("verify").arg(&name), 1);
    assert!(
        said.contains("layer 0 (counted from 0, the base): sha256:"),
        "{said}"
    );
}

#[test]
fn a_nydus_image_is_its_bootstrap_over_its_blobs() {
    let fixture = Fixture::new();
    let (source, upper) = (fixture.path("source"), upper(&fixture));
    for version in ["5", "6"] {
        let rafs = fixture.path("rafs").with_extension(version);
        let mut convert = example("convert");
        convert
            .args(["--to", &format!("rafs-v{version}")])
            .arg(&source);
        let said = object(convert.arg(&upper).arg(&rafs));
        let mut tar = TarWriter::new(Vec::new());
        let bootstrap = fs::read(rafs.join("image.boot")).unwrap();
        let node = Node::File {
            size: bootstrap.len() as u64,
            content: (),
        };
        let path = ImagePath::clean(b"image/image.boot").unwrap();
        tar.append(&path, &Metadata::default(), &node).unwrap();
        std::io::Write::write_all(&mut tar, &bootstrap).unwrap();
        let layout = Layout::new(fixture.path("layout").with_extension(version));
        let mut last = layout.object(
            "application/vnd.oci.image.layer.v1.tar",
            &tar.finish().unwrap(),
        );
        last.annotations = annotations(&said["bootstrap"]);
        let blob = &said["blobs"][0];
        let id = blob["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let media_type = blob["media_type"].as_str().unwrap();
        let blob = layout.made(blob, &rafs.join("blobs").join(id), media_type);
        layout.image(&[blob, last]);
        let name = layout.name();
        assert_eq!(
            text(example("digest").arg(&name)),
            text(example("digest").arg(&rafs))
        );
        let said = object(example("verify").arg(&name));
        assert_eq!(said["format"], format!("rafs-v{version}"));
    }
}

/// A layout of three layers, of which one is there twice.
pub(crate) fn three_layers(fixture: &Fixture) -> Layout {
    let (lower, upper) = (fixture.path("lower.tar"), upper(fixture));
    let mut convert = example("convert");
    convert.args(["--to", "tar"]).arg(fixture.path("source"));
    run(convert.arg(&lower), 0);
    let layout = Layout::new(fixture.path("layout"));
    let plain = "application/vnd.oci.image.layer.v1.tar";
    let object = |path: &Path| layout.object(plain, &fs::read(path).unwrap());
    layout.image(&[object(&lower), object(&upper), object(&lower)]);
    layout
}

/// A layout with an image of that layer, which is a tar.
pub(crate) fn of_tar(fixture: &Fixture, layer: &Path) -> Layout {
    let layout = Layout::new(fixture.path("layout"));
    let plain = "application/vnd.oci.image.layer.v1.tar";
    layout.image(&[layout.object(plain, &fs::read(layer).unwrap())]);
    layout
}

/// A layout with an image of that layer, which is gzip.
#[cfg(feature = "gzip-index")]
pub(crate) fn of_gzip(fixture: &Fixture, layer: &Path) -> Layout {
    let layout = Layout::new(fixture.path("layout"));
    layout.image(&[layout.object(GZIP, &fs::read(layer).unwrap())]);
    layout
}

/// A layout of a layer for two platforms.
pub(crate) fn two_platforms(fixture: &Fixture) -> Layout {
    let layout = Layout::new(fixture.path("platforms"));
    let layer = fs::read(upper(fixture)).unwrap();
    let layer = layout.object("application/vnd.oci.image.layer.v1.tar", &layer);
    let manifest = |architecture| layout.manifest(architecture, std::slice::from_ref(&layer));
    layout.publish(vec![manifest("amd64"), manifest("arm64")]);
    layout
}

#[test]
fn whole_images_become_whole_images() {
    let fixture = Fixture::new();
    let source = three_layers(&fixture).name();
    let expected = text(example("digest").arg(&source));
    for (to, layers) in [
        ("nydus", 2),
        ("estargz", 3),
        ("estargz-external-toc", 3),
        ("oci", 3),
    ] {
        let made = format!("oci:{}:v2", fixture.path("made").display());
        let mut convert = example("convert");
        let said = object(convert.args(["--force", "--to", to, &source, &made]));
        assert_eq!(said["format"], to);
        assert_eq!(said["image_layers"].as_array().unwrap().len(), layers);
        assert_eq!(text(example("digest").arg(&made)), expected, "{to}");
        run(example("verify").arg(&made), 0);
        assert_eq!(said["made_before"], false);
        // Nothing is done twice.
        let mut again = example("convert");
        let again = object(again.args(["--to", to, &source, &made]));
        assert_eq!(again["made_before"], true);
        assert_eq!(again["published"], said["published"]);
        // Taken names are kept.
        let other = match to {
            "nydus" => "none",
            "estargz" | "estargz-external-toc" => "gzip:9",
            _ => "gzip:1",
        };
        let mut replacing = example("convert");
        replacing.args(["--compressor", other, "--to", to, &source, &made]);
        let said = complaint(&mut replacing, 2);
        assert!(said.ends_with("exists (--force replaces it)\n"), "{said}");
    }
}

#[test]
fn originals_are_kept_and_all_platforms_converted() {
    let fixture = Fixture::new();
    let source = three_layers(&fixture).name();
    let expected = text(example("digest").arg(&source));
    let kept = format!("oci:{}:v2", fixture.path("kept").display());
    let mut convert = example("convert");
    convert.args(["--to", "nydus", "--keep-original"]);
    let said = object(convert.args([&source, &kept]));
    assert_ne!(said["published"], said["manifest"]["digest"]);
    assert_eq!(text(example("digest").arg(&kept)), expected);
    let origin = object(example("inspect").arg(&source));
    assert_eq!(
        object(example("inspect").arg(&kept))["format"],
        origin["format"]
    );
    let nydus = format!("{kept}-nydus");
    assert_eq!(text(example("digest").arg(&nydus)), expected);
    assert_eq!(object(example("inspect").arg(&nydus))["format"], "rafs-v6");

    let all = format!("oci:{}:v3", fixture.path("all").display());
    let mut convert = example("convert");
    convert.args(["--to", "estargz", "--all-platforms"]);
    let listed = object(convert.args([&kept, &all]));
    assert_eq!(
        listed["left_out"],
        serde_json::json!([said["manifest"]["digest"]])
    );
    assert_eq!(text(example("digest").arg(&all)), expected);

    let tar = fixture.path("out.tar").display().to_string();
    for (option, to, output, what) in [
        (
            "--keep-original",
            "estargz",
            &*all,
            "--keep-original does not apply to estargz",
        ),
        (
            "--all-platforms",
            "tar",
            &*tar,
            "--all-platforms does not apply to tar",
        ),
    ] {
        let mut convert = example("convert");
        let said = complaint(convert.args([option, "--to", to, &source, output]), 2);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn whole_images_become_archives() {
    let fixture = Fixture::new();
    let source = three_layers(&fixture).name();
    let expected = text(example("digest").arg(&source));
    let path = fixture.path("made.tar");
    for (to, transport) in [
        ("oci", "oci-archive"),
        ("estargz", "oci-archive"),
        ("nydus", "oci-archive"),
        ("oci", "docker-archive"),
    ] {
        let made = format!("{transport}:{}:a:v2", path.display());
        let made = match transport {
            "oci-archive" => made.replace("a:v2", "v2"),
            _ => made,
        };
        let mut convert = example("convert");
        let said = object(convert.args(["--force", "--to", to, &source, &made]));
        assert_eq!(
            (&said["format"], &said["output"]),
            (&json!(to), &json!(made))
        );
        assert_eq!(text(example("digest").arg(&made)), expected, "{made}");
        run(example("verify").arg(&made), 0);
        let before = fs::read(&path).unwrap();
        // Also with another name: there would be less then than there was.
        for name in [&made, &format!("{transport}:{}:other", path.display())] {
            let mut again = example("convert");
            let said = complaint(again.args(["--to", to, &source, name]), 2);
            assert!(
                said.ends_with("made.tar exists (--force replaces it)\n"),
                "{said}"
            );
        }
        assert!(fs::read(&path).unwrap() == before);
    }
}

#[test]
fn what_is_no_conversion_of_whole_images_is_refused() {
    let fixture = Fixture::new();
    let source = three_layers(&fixture).name();
    let made = format!("oci:{}:v2", fixture.path("made").display());
    let docker = format!("docker-archive:{}", fixture.path("made").display());
    let unnamed = format!("{docker}:No:name");
    let layer = fixture.path("lower.tar").display().to_string();
    for (arguments, what) in [
        (
            &["nydus", &layer, &made][..],
            "a whole image is converted from another",
        ),
        (
            &["nydus", &source, &source, &made],
            "is converted from exactly one whole image",
        ),
        (
            &["oci", &source, &unnamed],
            "`No:name` is not an image name",
        ),
        (
            &["rafs-v6", &source, &made],
            "whole images cannot be converted to rafs-v6",
        ),
        (
            &["oci", &source, &layer],
            "the output must be a whole image",
        ),
        (
            &["oci", "--fs-version", "5", &source, &made],
            "--fs-version does not apply to oci",
        ),
    ] {
        let mut convert = example("convert");
        let said = complaint(convert.arg("--force").arg("--to").args(arguments), 2);
        assert!(said.contains(what), "{said}");
        assert!(!fixture.path("made").exists());
    }
    let mut convert = example("convert");
    let said = complaint(convert.args(["--to", "nydus", &source, &docker]), 3);
    let what = "a docker-archive cannot hold a nydus image";
    assert_eq!(said, format!("error: {docker}: {what}\n"));
    let mut convert = example("convert");
    let said = complaint(
        convert.args(["--to", "estargz-external-toc", &source, &docker]),
        3,
    );
    let what = "a docker-archive cannot hold external TOCs";
    assert_eq!(said, format!("error: {docker}: {what}\n"));
    assert!(!fixture.path("made").exists());
}

#[test]
fn a_bundle_is_a_configuration_and_a_tree() {
    let fixture = Fixture::new();
    let source = three_layers(&fixture).name();
    let bundle = fixture.path("bundle");
    let unpack = |arguments: &[&str]| {
        let mut unpack = example("unpack");
        unpack.args(arguments).arg("--bundle");
        unpack
    };
    let name = bundle.display().to_string();
    let said = object(&mut unpack(&[&source, &name]));
    assert_eq!(
        (&said["format"], &said["output"]),
        (&json!("bundle"), &json!(name))
    );
    let mut names: Vec<_> = fs::read_dir(&bundle)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "rootfs"]);
    let mode = fs::metadata(&bundle).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let config: Value =
        serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], json!(["sh"]));
    let content = |image: &str| text(example("digest").args(["--profile", "content", image]));
    let rootfs = bundle.join("rootfs").display().to_string();
    assert_eq!(content(&rootfs), content(&source));

    let layer = fixture.path("lower.tar").display().to_string();
    let other = fixture.path("other").display().to_string();
    for (arguments, what) in [
        (
            &[&*source, &name][..],
            "bundle exists (--force replaces it)",
        ),
        (&[&source, "-"], "-: a bundle is a directory"),
        (&[&layer, &other], "a bundle is made from a whole image"),
        (
            &["--layer", "0", &source, &other],
            "--layer cannot be given",
        ),
    ] {
        let said = complaint(&mut unpack(arguments), 2);
        assert!(said.contains(what), "{said}");
    }
    run(&mut unpack(&["--force", &source, &name]), 0);
    assert_eq!(content(&rootfs), content(&source));
    assert!(!fixture.path("other").exists());
}

/// Nothing is unpacked of an image that names a user that it does not have.
#[test]
fn a_bundle_needs_the_user_of_the_image() {
    let fixture = Fixture::new();
    let image = three_layers(&fixture);
    let config = json!({"os": "linux", "rootfs": {"type": "layers"}, "config": {"User": "nobody"}});
    let config = image.object(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
    let manifest = image.object(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    let index = serde_json::to_vec(&Index::new(vec![manifest])).unwrap();
    fs::write(image.0.join("index.json"), index).unwrap();
    let name = format!("oci:{}", image.0.display());
    let bundle = fixture.path("bundle");
    let said = complaint(example("unpack").args(["--bundle", &name]).arg(&bundle), 1);
    let what = "there is no user `nobody` in the image's /etc/passwd";
    assert_eq!(said, format!("error: {name}: {what}\n"));
    assert!(!bundle.exists());
}
