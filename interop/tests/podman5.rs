//! zstd:chunked of the kind of containers/storage that we write, pulled partially and run by podman 5.

use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lazyoci::model::{ImagePath, Metadata, Node};
use lazyoci::tar_stream::TarWriter;
use lazyoci_interop::registry::Ranges;
use lazyoci_interop::{
    Finished, Registry, Request, Runnable, interop_dir, lazyoci, scratch, script,
};
use serde_json::Value;

/// One storage of podman serves all tests, one after the other.
static PODMAN: Mutex<()> = Mutex::new(());

fn podman() -> MutexGuard<'static, ()> {
    PODMAN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn podman5(arguments: &[&str]) -> String {
    let mut podman = script("runtimes/podman5.sh");
    Finished::of(podman.args(arguments)).ok().text().to_owned()
}

/// Bytes that nothing compresses.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tar of these files in a directory.
fn tar_of(files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let path = |name: &str| ImagePath::clean(name.as_bytes()).expect("a path");
    let metadata = Metadata::implied_directory();
    let directory = Node::<()>::empty_directory();
    tar.append(&path("data"), &metadata, &directory)
        .expect("memory takes it");
    for (name, bytes) in files {
        let node = Node::File {
            size: bytes.len() as u64,
            content: (),
        };
        tar.append(&path(&name), &metadata, &node)
            .expect("memory takes it");
        tar.write_all(&bytes).expect("memory takes it");
    }
    tar.finish().expect("memory takes it")
}

/// A file with a hole of that length.
fn holey(hole: usize) -> (String, Vec<u8>) {
    let content = [noise(2, 300_000), vec![0; hole], noise(3, 200_000)].concat();
    ("data/holey".to_owned(), content)
}

/// A tar of 35 MB, and one in which a few bytes of a large file differ and a small file is new.
fn pair() -> [Vec<u8>; 2] {
    let changed = |bytes: &mut [u8]| bytes[1_500_000..1_500_007].copy_from_slice(b"changed");
    [false, true].map(|second| {
        let mut random = noise(1, 3 << 20);
        if second {
            changed(&mut random);
        }
        let mut files = vec![holey(2 << 20), ("data/random".to_owned(), random)];
        files.extend((4..11).map(|n| (format!("data/{n}"), noise(n, 4 << 20))));
        if second {
            files.push(("data/new".to_owned(), b"a small file\n".repeat(100)));
        }
        tar_of(files)
    })
}

/// A layout with an image of that tar.
fn layout(tar: &[u8], at: &Path, name: &str) -> PathBuf {
    let (layer, layout) = (at.join("layer.tar"), at.join(format!("{name}.tar")));
    fs::write(&layer, tar).expect("a file");
    let mut make = Command::new(interop_dir().join("estargz/layout.py"));
    let _ = Finished::of(make.arg("make").arg(&layout).arg(&layer)).ok();
    layout
}

/// Publishes a layout's image as ours; what `convert --json` says of its layer.
fn publish(layout: &Path, image: &str) -> Value {
    let mut convert = lazyoci("convert");
    convert.args(["--plain-http", "--force", "--json", "--to", "zstd-chunked"]);
    convert.arg(format!("oci-archive:{}", layout.display()));
    let made = Finished::of(convert.arg(format!("docker://{image}"))).ok();
    made.json()["image_layers"][0].take()
}

/// Publishes it as skopeo 1.18 does, which makes the same blobs as podman (`estargz/goldens.sh` compares them).
fn publish_theirs(layout: &Path, image: &str) {
    let mut copy = script("trixie.sh");
    copy.env("TZ", "UTC")
        .args(["skopeo", "--insecure-policy", "copy", "--quiet"])
        .args(["--dest-tls-verify=false"])
        .args(["--dest-compress-format", "zstd:chunked"])
        .arg(format!("oci-archive:{}", layout.display()))
        .arg(format!("docker://{image}"));
    let _ = Finished::of(&mut copy).ok();
}

/// The bytes of both layers that the registry serves when podman pulls a pair of images, and has neither. Every answer but
/// configurations is partial.
fn bytes_served(registry: &Registry, repository: &str, images: &[String; 2]) -> [u64; 2] {
    let _ = podman5(&["stop"]);
    let before = registry.requests(repository).len();
    let _ = podman5(&["pull", &images[0], &images[1]]);
    let requests = registry.requests(repository).split_off(before);
    let blobs: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "GET" && request.path.contains("/blobs/"))
        .collect();
    // Configurations are read whole.
    let whole = |request: &&Request| request.status == 200;
    let (whole, partial): (Vec<&Request>, Vec<&Request>) = blobs.iter().copied().partition(whole);
    assert!(
        whole.iter().all(|request| request.bytes < 2000),
        "{blobs:?}"
    );
    assert_eq!(whole.len(), 2, "{blobs:?}");
    assert!(
        partial.iter().all(|request| request.status == 206),
        "{blobs:?}"
    );
    let first = partial.first().map(|request| &request.path);
    [true, false].map(|of_first| {
        let of = partial
            .iter()
            .filter(|request| (Some(&request.path) == first) == of_first);
        of.map(|request| request.bytes).sum()
    })
}

/// What a dump of the walker lists, without the times of directories, which podman does not keep.
fn listed(dump: &str) -> Vec<String> {
    let lines = dump.lines().filter(|line| line.starts_with('/'));
    let listed: Vec<_> = lines
        .map(|line| {
            let mut fields: Vec<_> = line.split('\t').collect();
            if fields[1] == "d" {
                fields[4] = "-";
            }
            fields.join("\t")
        })
        .collect();
    assert!(listed.len() >= 3, "{dump}");
    listed
}

/// The tree of an image that podman has is that of `tar`, directories and all. A root without an entry of its own has
/// mode 0555 there.
fn shows(image: &str, tar: &[u8], at: &Path) {
    let (layer, tree) = (at.join("layer.tar"), at.join("tree"));
    fs::write(&layer, tar).expect("a file");
    fs::create_dir(&tree).expect("a new directory");
    let mut unpack = Command::new("tar");
    let _ = Finished::of(unpack.arg("-C").arg(&tree).arg("-xpf").arg(&layer)).ok();
    let root = fs::Permissions::from_mode(0o555);
    fs::set_permissions(&tree, root).expect("it is ours");
    let mut walk = Command::new(interop_dir().join("walker.py"));
    let source = Finished::of(walk.arg("--dump").arg(&tree)).ok();
    let theirs = podman5(&["walk", image, "--dump"]);
    assert_eq!(listed(&theirs), listed(source.text()));
    fs::remove_dir_all(&tree).expect("it was just unpacked");
}

#[test]
fn podman_pulls_the_kind_of_containers_storage_partially() {
    let directory = scratch();
    let at = directory.path();
    let registry = Registry::start();
    let (ours, theirs) = ("chunked", "chunked-theirs");
    let images =
        |repository| ["v1", "v2"].map(|tag| registry.repository(&format!("{repository}:{tag}")));
    let tars = pair();
    for (number, tar) in tars.iter().enumerate() {
        let layout = layout(tar, at, "pair");
        let _ = publish(&layout, &images(ours)[number]);
        publish_theirs(&layout, &images(theirs)[number]);
    }
    let _podman = podman();
    let [_, of_theirs] = bytes_served(&registry, theirs, &images(theirs));
    let [of_first, of_second] = bytes_served(&registry, ours, &images(ours));
    println!("{of_first} bytes, then {of_second}; of theirs {of_theirs}");
    // The first takes less than its tar by the hole. Of the second some chunks, TOC and tar-split are fetched.
    assert!(of_first < 33_100_000, "{of_first}");
    assert!(of_second * 10 <= of_theirs * 11, "{of_second} {of_theirs}");
    for (image, tar) in images(ours).iter().zip(&tars) {
        shows(image, tar, at);
    }
    let _ = podman5(&["stop"]);
}

/// podman makes one range of two that are 1024 bytes apart or less: it takes along, and drops, what 2 MiB of zeros are
/// stored as. What more zeros are stored as it does not ask for.
#[test]
fn podman_asks_for_no_hole() {
    let directory = scratch();
    let at = directory.path();
    let registry = Registry::start();
    let ways = Ranges::of(&registry);
    let _podman = podman();
    for (hole, chunks, is_skipped) in [(2 << 20, 1, false), (64 << 20, 8, true)] {
        let repository = format!("hole-{hole}-{}:v1", std::process::id());
        let tar = tar_of(vec![holey(hole)]);
        let made = publish(&layout(&tar, at, "hole"), &registry.repository(&repository));
        let mut convert = lazyoci("convert");
        convert.args(["--force", "--to", "zstd-chunked"]);
        convert.args([at.join("layer.tar"), at.join("layer")]);
        let _ = Finished::of(&mut convert).ok();
        let stored = zeros(&at.join("layer"));
        assert_eq!(stored.len(), chunks);
        let image = ways.repository(&repository);
        // Else it would have the same chunks of another image.
        let _ = podman5(&["stop"]);
        let _ = podman5(&["pull", &image]);
        let asked = ways.of_blob(made["digest"].as_str().expect("a digest"));
        println!("{hole}: {stored:?} of {asked:?}");
        let len = stored[chunks - 1].end - stored[0].start;
        assert_eq!(len > 1024, is_skipped, "{stored:?}");
        let ends_there = |range: &Range<u64>| range.end == stored[0].start;
        assert_eq!(asked.iter().any(ends_there), is_skipped, "{asked:?}");
        for frame in &stored {
            let is_asked_for =
                |range: &Range<u64>| range.start < frame.end && frame.start < range.end;
            assert_eq!(asked.iter().any(is_asked_for), !is_skipped, "{asked:?}");
        }
        shows(&image, &tar, at);
    }
    let _ = podman5(&["stop"]);
}

/// Where the chunks of a layer lie that its TOC says to be zeros.
fn zeros(layer: &Path) -> Vec<Range<u64>> {
    let mut toc = Command::new(interop_dir().join("estargz/layout.py"));
    let toc = Finished::of(toc.arg("toc").arg(layer)).ok().json();
    let entries = toc["entries"].as_array().expect("entries");
    let chunks = entries.iter().filter(|entry| entry["offset"].is_u64());
    let chunks: Vec<_> = chunks.collect();
    let offset = |entry: &Value| entry["offset"].as_u64().expect("a position");
    let pairs = chunks.windows(2);
    let zeros = pairs.filter(|pair| pair[0]["chunkType"] == "zeros");
    zeros.map(|pair| offset(pair[0])..offset(pair[1])).collect()
}

#[test]
fn podman_runs_a_container_of_layers_that_it_pulled_partially() {
    let _podman = podman();
    let registry = Registry::start();
    let image = Runnable::new(&["--plain"]);
    let repository = format!("lazyoci/chunked-{}", std::process::id());
    let name = format!("{}:v1", registry.repository(&repository));
    let made = image.convert(&["--to", "zstd-chunked"], &format!("docker://{name}"));
    let before = registry.requests(&repository).len();
    image.runs_by_podman5(&name);
    let requests = registry.requests(&repository).split_off(before);
    for layer in made["image_layers"].as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let of_layer = requests
            .iter()
            .filter(|request| request.is_of_blob() && request.path.ends_with(digest));
        let statuses: Vec<_> = of_layer.map(|request| request.status).collect();
        assert!(!statuses.is_empty(), "{requests:?}");
        assert!(
            statuses.iter().all(|&status| status == 206),
            "{digest}: {requests:?}"
        );
    }
}
