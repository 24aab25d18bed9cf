//! Plain EROFS that we write, read by the kernel, fsck.erofs and veritysetup; and what mkfs.erofs writes by us.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lazyoci_interop::corpus::walk;
use lazyoci_interop::judge::listed;
use lazyoci_interop::{Corpus, Finished, Mount, lazyoci, scratch, script};

fn convert(source: &Path, options: &[&str], output: &Path) -> serde_json::Value {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "erofs", "--json"]).args(options);
    convert.arg(source).arg(output);
    Finished::of(&mut convert).ok().json()
}

fn digest(image: &Path, options: &[&str]) -> String {
    let mut digest = lazyoci("digest");
    digest.arg(image).args(options);
    Finished::of(&mut digest).ok().text().to_owned()
}

/// A program of trixie.
fn trixie(program: &str) -> Command {
    let mut command = script("trixie.sh");
    command.arg(program);
    command
}

#[test]
fn the_kernel_shows_the_source_tree() {
    for corpus in Corpus::roots("full") {
        let dir = scratch();
        let image = dir.path().join("image");
        for (source, options) in [
            (corpus.tar(), &[][..]),
            (
                corpus.with("tar.gz"),
                &["--verity", "--chunk-size", "4KiB"][..],
            ),
            (corpus.dir().to_owned(), &[][..]),
        ] {
            convert(&source, &[options, &["--force"]].concat(), &image);
            let _ = Finished::of(lazyoci("verify").arg(&image)).ok();
            assert_eq!(digest(&image, &[]), corpus.digest(), "{}", corpus.name);
            let mount = Mount::erofs(&image, &[], false, &dir.path().join("mnt"));
            assert_eq!(mount.digest(), corpus.digest(), "{}", corpus.name);
        }
    }
}

/// What fsck.erofs 1.8 extracts of the image of `corpus`, in `dir`.
fn extracted(corpus: &Corpus, dir: &Path) -> PathBuf {
    let image = dir.join("image");
    convert(&corpus.tar(), &[], &image);
    let tree = dir.join("tree");
    let mut fsck = trixie("fsck.erofs");
    fsck.args(["--preserve", "--xattrs", "--force"]);
    fsck.arg(format!("--extract={}", tree.display()))
        .arg(&image);
    let _ = Finished::of(&mut fsck).ok();
    tree
}

#[test]
fn fsck_extracts_the_source_tree() {
    let corpus = Corpus::new("packages/peer");
    let dir = scratch();
    let tree = extracted(&corpus, dir.path());
    assert_eq!(walk(&tree, &[]), corpus.digest(), "{}", corpus.name);
}

/// What fsck.erofs 1.8 loses of the other roots.
const HOLES_AT_THE_END: [&str; 4] = [
    "/oddities/sizes/zeros",
    "/oddities/sparse/hole-last",
    "/oddities/sparse/large",
    "/oddities/sparse/only-a-hole",
];
/// It changes the owner behind them.
const CAPABILITIES: [&str; 2] = [
    "/oddities/xattrs/capability",
    "/oddities/xattrs/capability-of-a-namespace",
];
const EMPTY_ATTRIBUTE: &str = "/oddities/xattrs/empty-value";

/// Every line that the walker lists of the source, but for these losses.
#[test]
fn fsck_extracts_odd_trees_with_its_losses() {
    for (corpus, program) in Corpus::roots("full")
        .into_iter()
        .zip([Some("/usr/bin/ping"), None])
    {
        let dir = scratch();
        let tree = extracted(&corpus, dir.path());
        let source = listed(corpus.dir(), &[]);
        let found = listed(&tree, &[]);
        assert_eq!(source.lines().count(), found.lines().count());
        let mut lost = Vec::new();
        for (source, found) in source.lines().zip(found.lines()) {
            if source == found {
                continue;
            }
            let (source, found): (Vec<_>, Vec<_>) =
                (source.split('\t').collect(), found.split('\t').collect());
            let path = source[0];
            lost.push(path);
            if HOLES_AT_THE_END.contains(&path) {
                assert_eq!(source[..8], found[..8], "{path}");
                let [source, found] = [corpus.dir(), &tree].map(|tree| {
                    std::fs::read(tree.join(&path[1..])).expect("it was read by the walker")
                });
                let (start, end) = source.split_at(found.len());
                assert!(
                    start == found && end.iter().all(|&byte| byte == 0),
                    "{path}"
                );
            } else {
                assert_eq!(source[..7], found[..7], "{path}");
                assert_eq!((&source[7][..2], found[7]), ("1:", "-"), "{path}");
                assert_eq!(source[8], found[8], "{path}");
            }
        }
        let expected = [&HOLES_AT_THE_END[..], &CAPABILITIES, &[EMPTY_ATTRIBUTE]].concat();
        let expected: Vec<_> = expected.into_iter().chain(program).collect();
        assert_eq!(lost, expected, "{}", corpus.name);
    }
}

#[test]
fn other_formats_become_the_same_tree() {
    let corpus = Corpus::new("debian/full");
    let dir = scratch();
    for (number, options) in [
        &["--to", "rafs-v6"][..],
        &["--to", "rafs-v5", "--lossy"],
        &["--to", "estargz", "--lossy"],
    ]
    .into_iter()
    .enumerate()
    {
        let between = dir.path().join(format!("between-{number}"));
        let mut convert_to = lazyoci("convert");
        convert_to.args(options).arg(corpus.tar()).arg(&between);
        let _ = Finished::of(&mut convert_to).ok();
        let image = dir.path().join(format!("image-{number}"));
        convert(&between, &[], &image);
        assert_eq!(digest(&image, &[]), digest(&between, &[]), "{options:?}");
        let mount = Mount::erofs(&image, &[], false, &dir.path().join("mnt"));
        assert_eq!(mount.digest(), digest(&between, &[]), "{options:?}");
    }
}

#[test]
fn veritysetup_accepts_the_hash_tree() {
    for name in ["packages/peer", "debian/full"] {
        let dir = scratch();
        let image = dir.path().join("image");
        let report = convert(&Corpus::new(name).tar(), &["--verity"], &image);
        let verity = &report["verity"];
        let root = verity["root"].as_str().expect("a digest");
        let root = &root["sha256:".len()..];
        let verify = || {
            let mut verify = trixie("veritysetup");
            verify.args(["verify", "--no-superblock", "--salt=-"]);
            verify.arg(format!("--hash-offset={}", verity["hash_offset"]));
            verify.arg(format!("--data-blocks={}", verity["data_blocks"]));
            verify.args([&image, &image]).arg(root);
            Finished::of(&mut verify)
        };
        let _ = verify().ok();
        let file = OpenOptions::new().read(true).write(true).open(&image);
        let file = file.expect("our image");
        let len = file.metadata().expect("a file").len();
        // In metadata, in content, in the tree.
        for at in [1200, 9000, len - 4000] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("inside");
            file.write_all_at(&[byte[0] ^ 4], at).expect("inside");
            assert_ne!(verify().code, 0, "{name}: a flipped bit at {at}");
            file.write_all_at(&byte, at).expect("inside");
        }
        let _ = verify().ok();
    }
}

/// By the superblock before the tree, veritysetup knows all but root and offset, as containerd has it.
#[test]
fn the_layer_cache_is_laid_out_as_containerd_reads_it() {
    let corpus = Corpus::new("packages/peer");
    let dir = scratch();
    let mut convert = lazyoci("convert");
    convert.args(["--to", "erofs", "--verity", "--layer-cache"]);
    convert.arg(dir.path()).arg(corpus.tar());
    let _ = Finished::of(&mut convert).ok();
    let hex = lazyoci_interop::run::sha256(&corpus.tar());
    let image = dir.path().join(format!("sha256/{}/{hex}.erofs", &hex[..2]));
    let beside = PathBuf::from(format!("{}.dmverity", image.display()));
    let metadata = std::fs::read(&beside).expect("metadata of verity");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).expect("JSON");
    let root = metadata["roothash"].as_str().expect("a root hash");
    let offset = metadata["hashoffset"].as_u64().expect("an offset");
    let mut verify = trixie("veritysetup");
    verify.arg("verify").arg(format!("--hash-offset={offset}"));
    let _ = Finished::of(verify.args([&image, &image]).arg(root)).ok();
    assert_eq!(digest(&image, &[]), corpus.digest());

    // What can be read once only becomes the same image.
    let piped = scratch();
    let mut from_stdin = lazyoci("convert");
    from_stdin.args(["--to", "erofs", "--verity", "--layer-cache"]);
    from_stdin.arg(piped.path()).arg("-");
    let _ = Finished::reading(&mut from_stdin, &corpus.with("tar.gz")).ok();
    let again = piped
        .path()
        .join(format!("sha256/{}/{hex}.erofs", &hex[..2]));
    assert_eq!(
        lazyoci_interop::run::sha256(&again),
        lazyoci_interop::run::sha256(&image)
    );

    // Metadata of an image that is replaced would be taken for its own.
    let mut again = lazyoci("convert");
    again.args(["--to", "erofs", "--force", "--layer-cache"]);
    let _ = Finished::of(again.arg(dir.path()).arg(corpus.tar())).ok();
    assert!(!beside.exists(), "metadata of another image");
}

/// The images of layers, mounted by the kernel, are the lower directories of overlayfs.
#[test]
fn layers_stack_as_overlayfs_has_them() {
    let dir = scratch();
    let _ = Finished::of(script("corpus/stack.py").args(["--plain"]).arg(dir.path())).ok();
    let layers = ["lower.tar", "middle.tar", "upper.tar"].map(|name| dir.path().join(name));
    let expected = Mount::overlay(&layers, &dir.path().join("expected"));
    let mounts = layers.each_ref().map(|layer| {
        let image = layer.with_extension("erofs");
        convert(layer, &["--overlay-whiteouts"], &image);
        let _ = Finished::of(lazyoci("verify").arg(&image)).ok();
        Mount::erofs(&image, &[], false, &layer.with_extension("mnt"))
    });
    let lower = mounts.each_ref().map(|mount| mount.path().to_owned());
    let overlay = Mount::overlay(&lower, &dir.path().join("overlay"));
    assert_eq!(overlay.digest(), expected.digest());
}

/// What mkfs.erofs makes of the corpora decodes to their trees, and is what the kernel shows. Of a tar it makes a root
/// directory of mode 0777 if no member says otherwise.
#[test]
fn images_of_mkfs_hold_the_source_tree() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let image = dir.path().join("image");
        let device = dir.path().join("device-1");
        let (tar, tree) = (corpus.tar(), corpus.dir().to_owned());
        let expected = listed(&tree, &[]);
        std::fs::write(&device, []).expect("a new file");
        let blobdev = format!("--blobdev={}", device.display());
        for (options, source) in [
            (&["-Enoinline_data"][..], &tree),
            (&[], &tree),
            (&["-b512"], &tree),
            (&["--chunksize=65536"], &tree),
            (&["--chunksize=4096", &blobdev], &tree),
            (&["--tar=f"], &tar),
            (&["--tar=i"], &tar),
        ] {
            let mut mkfs = trixie("mkfs.erofs");
            mkfs.args(["--quiet", "--preserve-mtime"]).args(options);
            mkfs.arg(&image).arg(source);
            let _ = Finished::of(&mut mkfs).ok();
            if options == ["--tar=i"] {
                std::fs::copy(&tar, &device).expect("room for the tar");
            }
            let _ = Finished::of(lazyoci("verify").arg(&image)).ok();
            let devices: &[PathBuf] = match options {
                ["--tar=i"] | [_, _] => std::slice::from_ref(&device),
                _ => &[],
            };
            let mount = Mount::erofs(&image, devices, false, &dir.path().join("mnt"));
            let (found, shown) = (digest(&image, &[]), mount.digest());
            assert_eq!(found, shown, "{} {options:?}", corpus.name);
            if source == &tree {
                assert_eq!(found, corpus.digest(), "{} {options:?}", corpus.name);
            } else {
                let (root, rest) = expected.split_once('\n').expect("not only a root");
                let root = root.replacen("0755", "0777", 1);
                let same = mount.listed() == format!("{root}\n{rest}");
                assert!(same, "{} {options:?}", corpus.name);
            }
        }
    }
}
