//! Whole images that we make, run by containerd with nydus-snapshotter and nydusd, by containerd alone, and by podman.

use std::collections::BTreeSet;

use lazyoci_interop::{Registry, Runnable, runnable, tool};

#[test]
fn nydus_images_run_lazily_by_containerd() {
    let registry = Registry::start();
    let image = Runnable::new(&[]);
    for version in ["6", "5"] {
        let repository = format!("lazyoci/nydus-v{version}-{}", std::process::id());
        let name = format!("{}:v1", registry.repository(&repository));
        let published = format!("docker://{name}");
        let made = image.convert(&["--to", "nydus", "--fs-version", version], &published);
        image.survives_skopeo(&name, &made["published"]);
        assert_eq!(image.digest_of(&published), image.expected);

        let before = registry.requests(&repository).len();
        assert_eq!(runnable::run("nydus", &name, &runnable::SAY), "runs");
        let requests = registry.requests(&repository);
        let served = requests[before..]
            .iter()
            .filter(|request| request.is_of_blob());
        let bytes: u64 = served.clone().map(|request| request.bytes).sum();
        let layers_len = image.layers_len();
        println!("v{version}: {bytes} bytes served of {layers_len}");
        assert!(bytes * 10 < layers_len, "{bytes} bytes of {layers_len}");
        let layers = made["image_layers"].as_array().expect("layers");
        for blob in &layers[..layers.len() - 1] {
            let digest = blob["digest"].as_str().expect("a digest");
            let of_blob = served
                .clone()
                .filter(|request| request.path.ends_with(digest));
            let whole: Vec<_> = of_blob.filter(|request| request.status != 206).collect();
            assert!(whole.is_empty(), "{whole:?}");
        }
        image.runs_lazily(&name);

        // A new version over the blobs of this one adds only what five files hold that upper layers hide: the metadata
        // of an image does not list the chunks of these.
        let next = name.replace(":v1", ":v2");
        let options = ["--to", "nydus", "--fs-version", version, "--chunk-dict"];
        let options = [&options[..], &[&published]].concat();
        let made = image.convert(&options, &format!("docker://{next}"));
        assert_eq!(made["stored_chunks"], 5);
        image.runs_lazily(&next);
    }
}

/// Publishes `from`, an image of the folder of `image`, converted with `options`; containerd and podman take it whole,
/// and run it. `known` are the DiffIDs of lowest layers that they have: they would not unpack such a layer again, nor
/// those above it.
fn published_image_runs_unpacked(
    registry: &Registry,
    image: &Runnable,
    (way, from, options): (&str, &str, &[&str]),
    known: &mut BTreeSet<String>,
) {
    let repository = format!("lazyoci/{way}-{}", std::process::id());
    let name = format!("{}:v1", registry.repository(&repository));
    let published = format!("docker://{name}");
    let made = image.convert_from(from, options, &published);
    let diff_id = made["image_layers"][0]["diff_id"].as_str();
    let diff_id = diff_id.expect("a DiffID").to_owned();
    assert!(known.insert(diff_id), "{way} is unpacked already");
    image.survives_skopeo(&name, &made["published"]);
    assert_eq!(image.digest_of(&published), image.expected, "{way}");
    image.runs_unpacked(&name);
}

/// What containerd and podman take whole: the layers are such as they apply, which hard links into lower ones are not.
#[test]
fn estargz_and_plain_images_run_by_containerd_and_podman() {
    let registry = Registry::start();
    let image = Runnable::new(&["--plain"]);
    let _ = image.convert(&["--to", "nydus"], "oci:nydus:v1");
    let mut known = BTreeSet::new();
    for way in [
        ("estargz", "oci:layout:v1", &["--to", "estargz"][..]),
        ("oci", "oci:layout:v1", &["--to", "oci"]),
        // The way back.
        ("back", "oci:nydus:v1", &["--to", "oci"]),
    ] {
        published_image_runs_unpacked(&registry, &image, way, &mut known);
    }
}

/// So they do layers whose TOC is another blob, or a frame that zstd skips. The tars of the first two are the same, and the
/// other dialect has those of the source: each needs an image of its own.
#[test]
fn external_toc_and_zstd_chunked_images_run_by_containerd_and_podman() {
    let registry = Registry::start();
    let mut known = BTreeSet::new();
    for (way, options) in [
        ("external", &["--to", "estargz-external-toc"][..]),
        ("chunked-a", &["--to", "zstd-chunked", "--dialect", "a"]),
        ("chunked-b", &["--to", "zstd-chunked", "--dialect", "b"]),
    ] {
        let image = Runnable::new(&["--plain"]);
        let way = (way, "oci:layout:v1", options);
        published_image_runs_unpacked(&registry, &image, way, &mut known);
    }
}

/// An index of the original and the nydus image: who does not know nydus takes the first one, and skopeo copies both, into an
/// archive and back, with the digest of the index.
#[test]
fn originals_run_where_nydus_is_not_known() {
    let registry = Registry::start();
    let image = Runnable::new(&["--plain"]);
    let at = image.dir.path();
    let repository = format!("lazyoci/both-{}", std::process::id());
    let name = format!("{}:v1", registry.repository(&repository));
    let published = format!("docker://{name}");
    let made = image.convert(&["--to", "nydus", "--keep-original"], &published);
    image.runs_unpacked(&name);
    image.runs_lazily(&format!("{name}-nydus"));

    let copy = ["copy", "--quiet", "--all", "--src-tls-verify=false"];
    let archive = "oci-archive:both.tar:v1";
    let _ = tool("skopeo", at, &[&copy[..], &[&published, archive]].concat());
    // The index of the archive lists that of the image.
    let index = tool("tar", at, &["-xOf", "both.tar", "index.json"]);
    let index: serde_json::Value = serde_json::from_slice(&index.stdout).expect("an index");
    assert_eq!(index["manifests"][0]["digest"], made["published"]);
    assert_eq!(image.digest_of(archive), image.expected);

    let copied = published.replace(":v1", ":copied");
    let copy = ["copy", "--quiet", "--all", "--dest-tls-verify=false"];
    let _ = tool("skopeo", at, &[&copy[..], &[archive, &copied]].concat());
    let inspect = ["inspect", "--raw", "--tls-verify=false"];
    let raw = tool("skopeo", at, &[&inspect[..], &[&copied]].concat());
    let kept = tool("skopeo", at, &[&inspect[..], &[&published]].concat());
    assert_eq!(raw.stdout, kept.stdout);
}
