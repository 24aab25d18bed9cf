//! Gzip layers as blobs of RAFS images as they are: ours read by nydusd and nydus-image, theirs by us.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::judge::{listed_tar, read_by_the_crates};
use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, Mount, lazyoci, nydus_image, scratch, tool};

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
