//! Other readers of tars, and what each makes of one.

mod corpus;
mod fold;
mod tape;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, Limits};
use lazyoci::read::{
    BlobStore, LayerImage, LayerImageError, LayerImageOptions, ReadOptions, Reader, open,
};
use lazyoci::verify::Hasher;
use serde_json::Value;

use crate::{Finished, interop_dir};
pub use corpus::{Odd, corpus};
pub use fold::fold;

/// A file of a tree, as far as readers can agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: &'static str,
    /// Whether no entry describes it: then its kind alone counts.
    pub implied: bool,
    /// The low 12 bits; those of a symbolic link are nobody's.
    pub mode: u64,
    /// Owner and group.
    pub owner: (i64, i64),
    /// Time of modification, in seconds and nanoseconds.
    pub time: (i64, i64),
    /// Device numbers.
    pub device: (u64, u64),
    /// Length of its content.
    pub size: u64,
    /// Digest of its content, or its target.
    pub content: String,
    /// Extended attributes, in hex.
    pub xattrs: BTreeMap<String, String>,
    /// The first of its names, which tells hard links.
    pub first: Vec<u8>,
}

/// What a reader makes of a tar: its tree by cleaned paths, or why it makes none.
pub type Made = Result<BTreeMap<Vec<u8>, Seen>, String>;

/// Runs `command` once over all of `paths`, and folds what it says of each.
fn by_program(command: &mut Command, paths: &[PathBuf]) -> Vec<Made> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("missing program: {command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let list: String = paths
        .iter()
        .map(|path| format!("{}\n", path.display()))
        .collect();
    let feeder = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output().expect("it ran");
    feeder.join().expect("no panic").expect("it reads its list");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let made: Vec<_> = text
        .lines()
        .map(|line| fold(&serde_json::from_str::<Value>(line).expect("one JSON object a line")))
        .collect();
    assert_eq!(made.len(), paths.len(), "{command:?}");
    made
}

/// Go's `archive/tar`, which containerd, podman and Docker read by; built in `scratch`.
#[must_use]
pub fn go(scratch: &Path, paths: &[PathBuf]) -> Vec<Made> {
    let program = scratch.join("reader");
    let mut build = Command::new("go");
    build
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .env("GOCACHE", scratch.join("go"))
        .args(["build", "-o"])
        .arg(&program)
        .arg(interop_dir().join("readers/reader.go"));
    let _ = Finished::of(&mut build).ok();
    by_program(&mut Command::new(program), paths)
}

/// Python's `tarfile`, or `libarchive`, which bsdtar is made of.
#[must_use]
pub fn python(reader: &str, paths: &[PathBuf]) -> Vec<Made> {
    let script = interop_dir().join("readers/reader.py");
    by_program(Command::new("python3").arg(script).arg(reader), paths)
}

/// GNU tar: what it extracts.
#[must_use]
pub fn gnu(scratch: &Path, paths: &[PathBuf]) -> Vec<Made> {
    let extract = |(index, path): (usize, &PathBuf)| {
        let directory = scratch.join(format!("gnu-{index}"));
        fs::create_dir(&directory).expect("a new directory");
        let mut tar = Command::new("tar");
        tar.env("LC_ALL", "C")
            .args([
                "--extract",
                "--numeric-owner",
                "--same-owner",
                "--same-permissions",
            ])
            .args([
                "--xattrs",
                "--xattrs-include=*",
                "--delay-directory-restore",
                "--file",
            ])
            .arg(path)
            .arg("--directory")
            .arg(&directory);
        let ended = Finished::of(&mut tar);
        let made = match ended.code {
            0 => open(&directory, &Default::default())
                .map_err(|e| e.to_string())
                .and_then(|image| of_image(image.reader())),
            _ => Err(ended.stderr),
        };
        fs::remove_dir_all(&directory).expect("it is ours");
        made
    };
    paths.iter().enumerate().map(extract).collect()
}

/// Ours.
///
/// # Errors
/// What it is refused with.
pub fn ours(tar: &[u8], lenient: bool) -> Result<BTreeMap<Vec<u8>, Seen>, LayerImageError> {
    let options = LayerImageOptions::default().lenient(lenient);
    let source = lazyoci::read::bytes::Bytes::copy_from_slice(tar);
    let LayerImage { image, source, .. } = LayerImage::open(Arc::new(source), &options)?;
    let options = ReadOptions::default().threads(1);
    let reader = Reader::new(Arc::new(image), BlobStore::single(source), options);
    Ok(of_image(&reader).expect("what is open can be read"))
}

/// The tree of an image whose content `reader` reads.
fn of_image(reader: &Reader) -> Made {
    let image = &**reader.image();
    let mut tree = BTreeMap::new();
    let mut walk = Walk::new(image, &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry.map_err(|e| e.to_string())?;
        let path = entry.path.as_bytes();
        let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        if path.is_empty() {
            continue;
        }
        let (ino, attributes) = (entry.ino, &entry.attributes);
        let wrong = |e: &dyn std::error::Error| e.to_string();
        let (kind, content) = match attributes.kind {
            FileKind::File => {
                let mut content = Vec::new();
                reader
                    .read_range(ino, 0..attributes.size, &mut content)
                    .map_err(|e| wrong(&e))?;
                let mut hasher = Hasher::sha256();
                hasher.update(&content);
                ("file", hex(hasher.finish().as_bytes()))
            }
            FileKind::Symlink => (
                "symlink",
                hex(&image.symlink_target(ino).map_err(|e| wrong(&e))?),
            ),
            FileKind::Directory => ("directory", String::new()),
            FileKind::CharDevice => ("char", String::new()),
            FileKind::BlockDevice => ("block", String::new()),
            FileKind::Fifo => ("fifo", String::new()),
            FileKind::Socket => ("socket", String::new()),
        };
        let xattrs = image.xattrs(ino).map_err(|e| wrong(&e))?;
        let seen = Seen {
            kind,
            implied: image.is_implied(ino),
            mode: attributes.mode.into(),
            owner: (attributes.uid.into(), attributes.gid.into()),
            time: (
                attributes.mtime.seconds,
                attributes.mtime.nanoseconds.into(),
            ),
            device: match kind {
                "char" | "block" => (
                    attributes.device.major.into(),
                    attributes.device.minor.into(),
                ),
                _ => (0, 0),
            },
            size: if kind == "file" { attributes.size } else { 0 },
            content,
            xattrs: xattrs
                .iter()
                .map(|x| (hex(&x.name), hex(&x.value)))
                .collect(),
            first: Vec::new(),
        };
        tree.insert(path, (ino, seen));
    }
    Ok(with_first_names(tree))
}

/// The files of a tree, each with the first name of its inode, which whiteouts are none of.
fn with_first_names<I: Ord + Clone>(tree: BTreeMap<Vec<u8>, (I, Seen)>) -> BTreeMap<Vec<u8>, Seen> {
    let mut names = BTreeMap::new();
    let named = tree.into_iter().map(|(path, (inode, mut seen))| {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        seen.first = match name.starts_with(b".wh.") {
            true => path.clone(),
            false => names.entry(inode).or_insert_with(|| path.clone()).clone(),
        };
        (path, seen)
    });
    named.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last second that ext4 can hold.
const LATEST: i64 = 15_032_385_535;

/// What makes two readings differ, if anything does. The times of `whole_seconds` readers are compared
/// without fractions.
#[must_use]
pub fn difference(one: &Made, other: &Made, whole_seconds: bool) -> Option<String> {
    let (one, other) = match (one, other) {
        (Err(_), Err(_)) => return None,
        (Err(why), Ok(_)) => return Some(format!("the first refuses: {}", why.trim_end())),
        (Ok(_), Err(why)) => return Some(format!("the second refuses: {}", why.trim_end())),
        (Ok(one), Ok(other)) => (one, other),
    };
    let name = |path: &[u8]| path.escape_ascii().to_string();
    if let Some(path) = one.keys().find(|path| !other.contains_key(*path)) {
        return Some(format!("only the first has {}", name(path)));
    }
    if let Some(path) = other.keys().find(|path| !one.contains_key(*path)) {
        return Some(format!("only the second has {}", name(path)));
    }
    one.iter().zip(other.values()).find_map(|((path, a), b)| {
        let (mut a, mut b) = (a.clone(), b.clone());
        for seen in [&mut a, &mut b] {
            if seen.kind == "symlink" {
                seen.mode = 0;
            }
            // What the file system that GNU tar unpacks to cannot hold it bends.
            let bent = seen.time.0.clamp(i64::from(i32::MIN), LATEST);
            if whole_seconds || bent != seen.time.0 {
                seen.time = (bent, 0);
            }
            if bent == LATEST || bent == i64::from(i32::MIN) {
                seen.time.1 = 0;
            }
        }
        let same = match a.implied || b.implied {
            true => a.kind == b.kind,
            false => a == b,
        };
        (!same).then(|| format!("{}: {a:?} and {b:?}", name(path)))
    })
}
