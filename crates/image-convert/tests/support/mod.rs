//! What the tests share.

use std::fs;
use std::path::Path;

use image_model::{DigestAlgorithm, ImagePath, Metadata, Node, Timestamp};
use tar_stream::TarWriter;

/// 2020-09-13T12:26:40Z, the time of the golden trees.
pub const MTIME: i64 = 1_600_000_000;

/// The SHA-256 of `bytes` in hex.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = verify::digest(DigestAlgorithm::Sha256, bytes).unwrap();
    digest.hex()
}

pub fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

pub fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        mtime: Timestamp::from_seconds(MTIME),
        ..Metadata::default()
    }
}

/// A tar under construction.
pub struct Tar(pub TarWriter<Vec<u8>>);

impl Tar {
    pub fn new() -> Self {
        Self(TarWriter::new(Vec::new()))
    }

    pub fn node(mut self, name: &str, mode: u16, node: Node<()>) -> Self {
        self.0.append(&path(name), &metadata(mode), &node).unwrap();
        self
    }

    pub fn directory(self, name: &str) -> Self {
        self.node(name, 0o755, Node::empty_directory())
    }

    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        use std::io::Write as _;
        let size = bytes.len() as u64;
        let mut this = self.node(name, 0o644, Node::File { size, content: () });
        this.0.write_all(bytes).unwrap();
        this
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.node(name, 0o777, Node::Symlink(target.as_bytes().into()))
    }

    pub fn link(mut self, name: &str, target: &str) -> Self {
        let attributes = metadata(0o644);
        self.0
            .append_link(&path(name), &attributes, &path(target))
            .unwrap();
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

/// The tree of the golden vectors. The root is implied: its time is 0, as nydus has it for directories.
pub fn golden_tar() -> Vec<u8> {
    Tar::new()
        .directory("d")
        .file("f", b"hello")
        .link("d/h", "f")
        .symlink("d/l", "../f")
        .file("e", b"")
        .file("z", &[b'A'; 10_000])
        .finish()
}

/// Every file below `directory` by its path there, and its bytes.
pub fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap();
                found.push((name.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
