//! Gzip layers as blobs of RAFS images as they are: ours read by nydusd and nydus-image, theirs by us.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::judge::{listed_tar, read_by_the_crates};
use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, Mount, lazyoci, nydus_image, scratch, script, tool};

/// A described layer.
struct Image {
    bootstrap: PathBuf,
    blobs: PathBuf,
    /// Length of what describes the layer.
    meta_len: u64,
}

impl Image {
    /// The image of `layer` in `dir`, whose blobs are the layer and one that describes it.
    fn of(dir: &Path, layer: &Path) -> Self {
        let blobs = dir.join("blobs");
        let layer = sha256(layer);
        let entries = fs::read_dir(&blobs).expect("blobs were made");
        let (layers, metas): (Vec<_>, Vec<_>) = entries
            .map(|entry| entry.expect("readable"))
            .partition(|entry| entry.file_name() == layer.as_str());
        assert_eq!((layers.len(), metas.len()), (1, 1), "{}", blobs.display());
        Self {
            bootstrap: dir.join("image.boot"),
            blobs,
            meta_len: metas[0].metadata().expect("readable").len(),
        }
    }

    /// By `convert`.
    fn ours(dir: &Path, layer: &Path, options: &[&str]) -> Self {
        let mut convert = lazyoci("convert");
        convert.args(["--to", "rafs-v6-zran"]).args(options);
        let _ = Finished::of(convert.args([layer, dir])).ok();
        Self::of(dir, layer)
    }

    /// By nydus-image, which expects the layer to be stored by others.
    fn theirs(dir: &Path, layer: &Path) -> Self {
        let blobs = dir.join("blobs");
        fs::create_dir_all(&blobs).expect("a new directory");
        fs::hard_link(layer, blobs.join(sha256(layer))).expect("on one file system");
        let mut create = nydus_image("create");
        create.args(["-t", "targz-ref", "-v", "6", "--whiteout-spec", "none"]);
        create.arg("-D").arg(&blobs);
        create.arg("-B").arg(dir.join("image.boot")).arg(layer);
        let _ = Finished::of(&mut create).ok();
        Self::of(dir, layer)
    }

    /// nydus-image finds no fault, and nydusd shows the tree of this digest.
    fn is_read_by_nydus(&self, expected: &str) {
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&self.bootstrap)).ok();
        let mount = Mount::nydusd(
            &self.bootstrap,
            &self.blobs,
            &self.bootstrap.with_extension("mnt"),
        );
        assert_eq!(mount.digest(), expected, "{}", self.bootstrap.display());
    }

    /// The crates nydus-rafs and nydus-storage read what the walker lists.
    fn is_read_by_the_crates(&self, expected: &str) {
        let read = read_by_the_crates(&self.bootstrap, &self.blobs);
        assert_eq!(read, expected, "{}", self.bootstrap.display());
    }

    /// We find no fault, and the tree of this digest.
    fn is_read_by_us(&self, expected: &str) {
        let _ = Finished::of(lazyoci("verify").arg(&self.bootstrap)).ok();
        assert_eq!(digest(&self.bootstrap), expected);
    }
}

fn digest(image: &Path) -> String {
    let digest = Finished::of(lazyoci("digest").arg(image)).ok();
    digest.text().to_owned()
}

/// Windows hold only what is referred to; there are about as many of them.
#[test]
fn each_reads_the_other_and_ours_has_less_metadata() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let layer = corpus.with("tar.gz");
        let ours = Image::ours(&dir.path().join("ours"), &layer, &[]);
        ours.is_read_by_nydus(&corpus.digest());
        let theirs = Image::theirs(&dir.path().join("theirs"), &layer);
        theirs.is_read_by_us(&corpus.digest());
        let share = ours.meta_len as f64 / theirs.meta_len as f64;
        println!(
            "{}: {} and {} bytes, {share:.3}",
            corpus.name, ours.meta_len, theirs.meta_len
        );
        assert!(share <= 0.30, "{} {share}", corpus.name);
    }
}

#[test]
fn long_spans_need_little_metadata() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let layer = corpus.with("tar.gz");
        let options = ["--zran-span", "8MiB"];
        let ours = Image::ours(&dir.path().join("image"), &layer, &options);
        let layer_len = fs::metadata(&layer).expect("readable").len();
        let share = ours.meta_len as f64 / layer_len as f64;
        println!(
            "{}: {} bytes, {share:.5} of the layer",
            corpus.name, ours.meta_len
        );
        assert!(share <= 0.0035, "{} {share}", corpus.name);
        ours.is_read_by_us(&corpus.digest());
        ours.is_read_by_nydus(&corpus.digest());
    }
}

/// Writes `tar`, of files of all lengths, and the same in gzip members: `files.gz` has one for each header, with the
/// content and the padding behind it; `cut.gz` has one for every 70,000 bytes.
const MEMBERS: &str = r#"
import gzip, io, random, tarfile
noise = random.Random(1)
plain, starts = io.BytesIO(), []
with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
    for number in range(40):
        starts.append(plain.tell())
        file = tarfile.TarInfo(f"{number:02}")
        file.size, file.mtime = number ** 4 + number, 1_600_000_000 + number
        content = bytes(noise.choices(b"abcdefgh", k=file.size))
        tar.addfile(file, io.BytesIO(content))
    starts.append(plain.tell())
plain = plain.getvalue()
def write(name, starts):
    with open(name, "wb") as layer:
        for start, end in zip(starts, [*starts[1:], len(plain)]):
            layer.write(gzip.compress(plain[start:end], mtime=0))
open("tar", "wb").write(plain)
write("files.gz", starts)
write("cut.gz", range(0, len(plain), 70_000))
"#;

/// nydusd 2.2.0 cannot read a chunk that crosses from one member to the next, nor one that ends where its member ends. The
/// crates of a later version can.
#[test]
fn layers_of_many_members() {
    let dir = scratch();
    tool("python3", dir.path(), &["-c", MEMBERS]);
    let expected = digest(&dir.path().join("tar"));
    let listed = listed_tar(&dir.path().join("tar"), &dir.path().join("unpacked"));
    for (layer, read_by_nydusd) in [("files", true), ("cut", false)] {
        let file = dir.path().join(layer).with_extension("gz");
        let ours = Image::ours(&dir.path().join(layer), &file, &[]);
        ours.is_read_by_us(&expected);
        ours.is_read_by_the_crates(&listed);
        if read_by_nydusd {
            ours.is_read_by_nydus(&expected);
        }
    }
}

/// The layers of `corpus/stack.py` in `dir`, the lowest first, without what nydus-image gets wrong, and what overlayfs
/// shows on them.
fn stack(dir: &Path) -> (Vec<PathBuf>, String) {
    let _ = Finished::of(script("corpus/stack.py").args(["--plain"]).arg(dir)).ok();
    let layers = ["lower.tar", "middle.tar", "upper.tar"].map(|name| dir.join(name));
    let expected = Mount::overlay(&layers, &dir.join("overlay")).digest();
    (layers.to_vec(), expected)
}

/// Bootstraps of layers that were described each by itself, by us and by nydus-image: `merge` makes images of them that
/// nydusd reads, and nydus-image one that we read.
#[test]
fn merged_bootstraps_have_the_tree_of_the_stack() {
    let dir = scratch();
    let (layers, expected) = stack(dir.path());
    for layer in &layers {
        let name = layer.to_str().expect("a plain name");
        tool("gzip", dir.path(), &["--keep", name]);
    }
    for whose in ["ours", "theirs"] {
        let dir = dir.path().join(whose);
        let (blobs, named) = (dir.join("blobs"), dir.join("named"));
        for new in [&blobs, &named] {
            fs::create_dir_all(new).expect("a new directory");
        }
        // nydus-image calls each blob by the name of its bootstrap.
        let describe = |(number, layer): (usize, &PathBuf)| {
            let layer = layer.with_extension("tar.gz");
            let alone = dir.join(number.to_string());
            let image = match whose {
                "ours" => Image::ours(&alone, &layer, &["--compat", "2.2"]),
                _ => Image::theirs(&alone, &layer),
            };
            for blob in fs::read_dir(&image.blobs).expect("a directory") {
                let blob = blob.expect("an entry");
                fs::copy(blob.path(), blobs.join(blob.file_name())).expect("a copy");
            }
            let path = named.join(sha256(&layer));
            fs::copy(&image.bootstrap, &path).expect("a copy");
            path
        };
        let bootstraps: Vec<_> = layers.iter().enumerate().map(describe).collect();
        let output = dir.join("merged");
        let mut merge = lazyoci("merge");
        let _ = Finished::of(merge.args(&bootstraps).arg(&output)).ok();
        let ours = output.join("image.boot");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&ours)).ok();
        let mount = Mount::nydusd(&ours, &blobs, &dir.join("mnt"));
        assert_eq!(mount.digest(), expected, "{whose}");
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.arg(&ours).arg("--blobs").arg(&blobs)).ok();

        let theirs = dir.join("theirs.boot");
        let mut merge = nydus_image("merge");
        let _ = Finished::of(merge.arg("-B").arg(&theirs).args(&bootstraps)).ok();
        let mut command = lazyoci("digest");
        let digest = Finished::of(command.arg(&theirs).arg("--blobs").arg(&blobs));
        assert_eq!(digest.ok().text(), expected, "{whose}, by nydus-image");
    }
}

/// A whole image over the layers of another one, which are not written anew: nydusd reads it by the bootstrap in its last
/// layer.
#[test]
fn whole_images_keep_their_layers() {
    let dir = scratch();
    let dir = dir.path();
    let (layers, expected) = stack(dir);
    tool("umoci", dir, &["init", "--layout", "layout"]);
    tool("umoci", dir, &["new", "--image", "layout:v1"]);
    for layer in &layers {
        let layer = layer.to_str().expect("a plain name");
        let add = ["raw", "add-layer", "--image", "layout:v1", layer];
        tool("umoci", dir, &add);
    }
    let mut convert = lazyoci("convert");
    convert.current_dir(dir).args(["--to", "rafs-v6-zran"]);
    let done = convert.args(["oci:layout:v1", "oci:made:v1", "--json"]);
    let made = Finished::of(done).ok().json();
    let mut digest = lazyoci("digest");
    let digest = Finished::of(digest.current_dir(dir).arg("oci:made:v1")).ok();
    assert_eq!(digest.text(), expected);
    let mut verify = lazyoci("verify");
    let _ = Finished::of(verify.current_dir(dir).arg("oci:made:v1")).ok();

    let blobs = dir.join("made/blobs/sha256");
    let of = |layer: &serde_json::Value| {
        let digest = layer["digest"].as_str().expect("a digest");
        digest["sha256:".len()..].to_owned()
    };
    let image_layers = made["image_layers"].as_array().expect("layers");
    let (bootstrap, others) = image_layers.split_last().expect("a bootstrap");
    let kept: Vec<_> = others.iter().take(layers.len()).map(of).collect();
    for name in &kept {
        let (before, after) = (dir.join("layout/blobs/sha256").join(name), blobs.join(name));
        assert_eq!(sha256(&before), sha256(&after));
    }
    let bootstrap = blobs.join(of(bootstrap));
    let bootstrap = bootstrap.to_str().expect("a plain name");
    tool("tar", dir, &["-xzf", bootstrap, "image/image.boot"]);
    let bootstrap = dir.join("image/image.boot");
    let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
    let mount = Mount::nydusd(&bootstrap, &blobs, &dir.join("mnt"));
    assert_eq!(mount.digest(), expected);
    tool(
        "skopeo",
        dir,
        &["copy", "--quiet", "oci:made:v1", "oci:copied:v1"],
    );
}
