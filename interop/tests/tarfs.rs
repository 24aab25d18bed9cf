//! Tars as blobs of RAFS images as they are, which the kernel mounts, and eStargz layers: ours read by the kernel, nydusd and
//! the crates of nydus, theirs by us.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::judge::{listed_tar, read_by_the_crates};
use lazyoci_interop::run::sha256;
use lazyoci_interop::{
    Corpus, Finished, Mount, interop_dir, lazyoci, nydus_image, scratch, script, tool,
};

/// An image in tarfs mode.
struct Image {
    bootstrap: PathBuf,
    tar: PathBuf,
}

impl Image {
    /// That of `layer`, in `dir`.
    fn ours(dir: &Path, layer: &Path, options: &[&str]) -> Self {
        let mut convert = lazyoci("convert");
        convert.args(["--to", "rafs-v6-tarfs"]).args(options);
        let _ = Finished::of(convert.args([layer, dir])).ok();
        let mut blobs = fs::read_dir(dir.join("blobs")).expect("blobs were made");
        let tar = blobs.next().expect("a blob").expect("readable").path();
        assert!(blobs.next().is_none(), "{}", dir.display());
        Self {
            bootstrap: dir.join("image.boot"),
            tar,
        }
    }

    /// That of `tar`, in `dir`, by nydus-builder.
    fn theirs(dir: &Path, tar: &Path, chunk_size: &str) -> Self {
        let blobs = dir.join("blobs");
        fs::create_dir_all(&blobs).expect("a new directory");
        let stored = blobs.join(sha256(tar));
        fs::hard_link(tar, &stored).expect("on one file system");
        let bootstrap = dir.join("image.boot");
        let mut builder = script("nydus/judge.sh");
        builder.args(["tarfs", chunk_size]).args([tar, &bootstrap]);
        let _ = Finished::of(&mut builder).ok();
        Self {
            bootstrap,
            tar: stored,
        }
    }

    /// The kernel shows the tree of this digest, with plain files and with loop devices.
    fn is_mounted(&self, expected: &str) {
        is_mounted(&self.bootstrap, std::slice::from_ref(&self.tar), expected);
    }

    /// We find no fault, and the tree of this digest.
    fn is_read_by_us(&self, expected: &str) {
        let _ = Finished::of(lazyoci("verify").arg(&self.bootstrap)).ok();
        assert_eq!(digest(&self.bootstrap), expected);
    }
}

fn is_mounted(bootstrap: &Path, tars: &[PathBuf], expected: &str) {
    for loop_devices in [false, true] {
        let mount = Mount::erofs(
            bootstrap,
            tars,
            loop_devices,
            &bootstrap.with_extension("mnt"),
        );
        assert_eq!(mount.digest(), expected, "{}", bootstrap.display());
    }
}

fn digest(image: &Path) -> String {
    let digest = Finished::of(lazyoci("digest").arg(image)).ok();
    digest.text().to_owned()
}

/// What nydus-builder says of the names and chunks of an image.
fn loaded_by_nydus(bootstrap: &Path) -> String {
    let loaded = Finished::of(script("nydus/judge.sh").arg("check").arg(bootstrap)).ok();
    loaded.text().to_owned()
}

/// Writes `tar`, of links of all lengths, and files that end at the end of a chunk, a sector, and elsewhere.
const EDGES: &str = r#"
import io, random, tarfile
noise = random.Random(1)
with tarfile.open("tar", mode="w", format=tarfile.PAX_FORMAT) as tar:
    def add(name, **fields):
        entry = tarfile.TarInfo(name)
        entry.mtime = 1_600_000_000
        content = fields.pop("content", b"")
        for field, value in fields.items():
            setattr(entry, field, value)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 65536, 1 << 20, (1 << 20) + 1, 3 << 20, 5_000_000]
    for size in sizes:
        add(f"file-{size}", content=noise.randbytes(size))
    add("hard", type=tarfile.LNKTYPE, linkname="file-4097")
    for length in [1, 255, 256, 447, 448, 449, 511, 512, 513, 700, 960, 1024, 1500, 2048, 3000, 4095]:
        target = "/".join(["x" * 199] * 21)[:length]
        add(f"link-{length}", type=tarfile.SYMTYPE, linkname=target, mode=0o777)
    add("d", type=tarfile.DIRTYPE, mode=0o755)
    for number in range(300):
        add(f"d/{number:03}", content=b"%d" % number, pax_headers={"SCHILY.xattr.user.n": "v" * number})
"#;

fn edges(dir: &Path) -> (PathBuf, String) {
    tool("python3", dir, &["-c", EDGES]);
    let tar = dir.join("tar");
    let expected = digest(&tar);
    (tar, expected)
}

#[test]
fn the_kernel_reads_every_file_of_ours() {
    let dir = scratch();
    for corpus in Corpus::roots("peer") {
        let at = dir.path().join(corpus.name.replace('/', "-"));
        let ours = Image::ours(&at, &corpus.tar(), &[]);
        assert_eq!(sha256(&ours.tar), sha256(&corpus.tar()));
        ours.is_mounted(&corpus.digest());
        ours.is_read_by_us(&corpus.digest());
        loaded_by_nydus(&ours.bootstrap);
    }
}

#[test]
fn links_and_files_of_all_lengths() {
    let dir = scratch();
    let (tar, expected) = edges(dir.path());
    for chunk_size in ["4KiB", "64KiB", "1MiB", "16MiB"] {
        let at = dir.path().join(chunk_size);
        let ours = Image::ours(&at, &tar, &["--chunk-size", chunk_size]);
        ours.is_mounted(&expected);
        ours.is_read_by_us(&expected);
    }
}

/// A compressed layer gives the image of its tar.
#[test]
fn compressed_layers() {
    let dir = scratch();
    let corpus = Corpus::new("packages/peer");
    let plain = Image::ours(&dir.path().join("plain"), &corpus.tar(), &[]);
    for extension in ["tar.gz", "tar.zst"] {
        let at = dir.path().join(extension);
        let ours = Image::ours(&at, &corpus.with(extension), &[]);
        assert_eq!(ours.tar.file_name(), plain.tar.file_name());
        assert_eq!(sha256(&ours.bootstrap), sha256(&plain.bootstrap));
    }
}

/// The only differences are the order of extended attributes, which nydus takes out of a hash map: there are none here.
#[test]
fn ours_is_what_nydus_builder_makes() {
    let dir = scratch();
    let corpus = Corpus::new("packages/peer");
    for (ours, theirs) in [("1MiB", "1048576"), ("4KiB", "4096")] {
        let at = |who: &str| dir.path().join(format!("{who}-{theirs}"));
        let ours = Image::ours(&at("ours"), &corpus.tar(), &["--chunk-size", ours]);
        let theirs = Image::theirs(&at("theirs"), &corpus.tar(), theirs);
        theirs.is_read_by_us(&corpus.digest());
        theirs.is_mounted(&corpus.digest());
        assert_eq!(
            loaded_by_nydus(&ours.bootstrap),
            loaded_by_nydus(&theirs.bootstrap)
        );
        assert_eq!(sha256(&ours.bootstrap), sha256(&theirs.bootstrap));
    }
}

/// Writes `lower` and `upper`, which hides some of it.
const LAYERS: &str = r#"
import io, tarfile
def layer(name, files):
    with tarfile.open(name, mode="w") as tar:
        for path, content in files:
            entry = tarfile.TarInfo(path)
            entry.mtime, entry.size = 1_600_000_000, len(content or b"")
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry, io.BytesIO(content or b""))
layer("lower", [("d", None), ("d/a", b"a" * 5000), ("d/b", b"b" * 512), ("kept", b"k" * 70000), ("gone", b"g")])
layer("upper", [("d", None), ("d/a", b"A" * 6000), (".wh.gone", b""), ("new", b"n" * 4096)])
"#;

#[test]
fn several_are_merged() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    tool("python3", dir.path(), &["-c", LAYERS]);
    let layers = ["lower", "upper"].map(|layer| {
        let image = path(&format!("image-{layer}"));
        Image::ours(&image, &path(layer), &["--chunk-size", "4KiB"])
    });
    let merged = path("merged");
    let mut merge = lazyoci("merge");
    merge.args(layers.iter().map(|layer| &layer.bootstrap));
    let _ = Finished::of(merge.arg(&merged)).ok();
    let blobs = merged.join("blobs");
    if !blobs.exists() {
        fs::create_dir(&blobs).expect("a new directory");
    }
    for layer in &layers {
        let name = layer.tar.file_name().expect("a blob has a name");
        fs::copy(&layer.tar, blobs.join(name)).expect("a copy");
    }
    let mut stacked = lazyoci("convert");
    stacked
        .args(["--to", "tar"])
        .args([path("lower"), path("upper")]);
    let _ = Finished::of(stacked.arg(path("stacked.tar"))).ok();
    let expected = digest(&path("stacked.tar"));
    let bootstrap = merged.join("image.boot");
    let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
    assert_eq!(digest(&bootstrap), expected);
    // In the order of the blob table, which is that in which files need them.
    let devices = devices(&bootstrap, &blobs);
    assert_eq!(devices.len(), 2);
    is_mounted(&bootstrap, &devices, &expected);
    loaded_by_nydus(&bootstrap);
}

/// The devices of an image, in the order of its table.
fn devices(bootstrap: &Path, blobs: &Path) -> Vec<PathBuf> {
    let inspected = Finished::of(lazyoci("inspect").arg("--json").arg(bootstrap)).ok();
    let inspected = inspected.json();
    let listed = inspected["blobs"].as_array().expect("a list of blobs");
    let ids = listed
        .iter()
        .map(|blob| blob["id"].as_str().expect("an id"));
    ids.map(|id| blobs.join(id)).collect()
}

/// An eStargz layer that stays as it is.
fn estargz_ref(dir: &Path, layer: &Path, options: &[&str]) -> PathBuf {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "rafs-v6-estargz-ref"]).args(options);
    let _ = Finished::of(convert.args([layer, dir])).ok();
    assert!(dir.join("blobs").join(sha256(layer)).exists());
    dir.join("image.boot")
}

/// The layer of `tar` as eStargz, whose files are cut into chunks of `chunk_size`.
fn estargz(tar: &Path, layer: &Path, chunk_size: &str) {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "estargz", "--chunk-size", chunk_size]);
    let _ = Finished::of(convert.args([tar, layer])).ok();
}

/// nydusd 2.2.0 cannot read a chunk that ends where its gzip member ends. So does the last chunk in each chunk of an eStargz but
/// for the last one of a file; here every file is one chunk.
#[test]
fn nydus_reads_estargz_layers_by_ours() {
    let dir = scratch();
    let corpus = Corpus::new("packages/peer");
    let layer = dir.path().join("layer.esgz");
    estargz(&corpus.tar(), &layer, "64MiB");
    let expected = digest(&layer);
    let at = dir.path().join("ours");
    let ours = estargz_ref(&at, &layer, &[]);
    let _ = Finished::of(lazyoci("verify").arg(&ours)).ok();
    assert_eq!(digest(&ours), expected);
    let _ = Finished::of(nydus_image("check").arg("-B").arg(&ours)).ok();
    let mount = Mount::nydusd(&ours, &at.join("blobs"), &dir.path().join("mnt"));
    assert_eq!(mount.digest(), expected);
}

/// The crates of a later version cannot read such chunks either, whoever describes the layer. We can.
#[test]
fn the_crates_read_estargz_layers_but_chunks_that_end_with_a_member() {
    let dir = scratch();
    let (tar, expected) = edges(dir.path());
    let listed = listed_tar(&tar, &dir.path().join("unpacked"));
    let refuse = |bootstrap: &Path, blobs: &Path| {
        let mut judge = script("nydus/judge.sh");
        let read = judge.arg("read").args([bootstrap, blobs]);
        let refused = Finished::of(read).exits(1);
        assert_eq!(
            refused.stderr.trim_end(),
            "Input/output error (os error 5)",
            "{}",
            bootstrap.display()
        );
    };
    for chunk_size in ["64KiB", "1MiB", "64MiB"] {
        let at = dir.path().join(chunk_size);
        let layer = at.with_extension("esgz");
        estargz(&tar, &layer, chunk_size);
        let ours = estargz_ref(&at, &layer, &[]);
        let _ = Finished::of(lazyoci("verify").arg(&ours)).ok();
        assert_eq!(digest(&ours), expected, "{chunk_size}");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&ours)).ok();
        let blobs = at.join("blobs");
        if chunk_size == "64MiB" {
            assert_eq!(read_by_the_crates(&ours, &blobs), listed);
        } else {
            refuse(&ours, &blobs);
        }
        let theirs = estargz_ref_of_nydus_image(&at.join("theirs"), &layer);
        refuse(&theirs, &at.join("theirs/blobs"));
    }
}

/// The same by nydus-image, which expects the layer to be stored by others.
fn estargz_ref_of_nydus_image(dir: &Path, layer: &Path) -> PathBuf {
    let blobs = dir.join("blobs");
    fs::create_dir_all(&blobs).expect("a new directory");
    fs::copy(layer, blobs.join(sha256(layer))).expect("a copy");
    let bootstrap = dir.join("image.boot");
    let mut create = nydus_image("create");
    create.args(["-t", "estargz-ref", "-v", "6", "--whiteout-spec", "none"]);
    create.arg("-D").arg(&blobs).arg("-B").arg(&bootstrap);
    let _ = Finished::of(create.arg(layer)).ok();
    bootstrap
}

/// nydus-image makes contexts that cannot be entered of members that end with their data, as ours do; those of Go end with an
/// empty block.
#[test]
fn we_read_estargz_layers_by_theirs() {
    let dir = scratch();
    for layer in ["vector1", "vector2"] {
        let goldens = interop_dir().join("../crates/estargz-toc/tests/goldens");
        let layer = goldens.join(layer).with_extension("esgz");
        let theirs = dir.path().join(sha256(&layer));
        let bootstrap = estargz_ref_of_nydus_image(&theirs, &layer);
        let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
        assert_eq!(digest(&bootstrap), digest(&layer));
    }
}
