//! Tars made by hand.

use std::io::Write;

use image_model::{ImagePath, Metadata, Node, Timestamp};
use tar_stream::TarWriter;

/// Writes members one after the other, all with mtime 1600000000 and owner 0:0.
pub(crate) struct Builder(TarWriter<Vec<u8>>);

impl Builder {
    pub(crate) fn new() -> Self {
        Self(TarWriter::new(Vec::new()))
    }

    fn add(&mut self, path: &str, mode: u16, node: &Node<()>) {
        let path = ImagePath::clean(path.as_bytes()).unwrap();
        let metadata = Metadata {
            mode,
            mtime: Timestamp::from_seconds(1_600_000_000),
            ..Metadata::default()
        };
        self.0.append(&path, &metadata, node).unwrap();
    }

    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        let size = content.len() as u64;
        self.add(path, 0o644, &Node::File { size, content: () });
        self.0.write_all(content).unwrap();
    }

    pub(crate) fn directory(&mut self, path: &str) {
        self.add(path, 0o755, &Node::empty_directory());
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.add(path, 0o777, &Node::Symlink(target.as_bytes().into()));
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        let clean = |path: &str| ImagePath::clean(path.as_bytes()).unwrap();
        self.0
            .append_link(&clean(path), &Metadata::default(), &clean(target))
            .unwrap();
    }

    pub(crate) fn node(&mut self, path: &str, node: &Node<()>) {
        self.add(path, 0o600, node);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

/// The tree of the test vector of the tree digest.
pub(crate) fn vector() -> Vec<u8> {
    let mut tar = Builder::new();
    tar.directory("/");
    tar.directory("d");
    tar.file("f", b"hello");
    tar.link("d/h", "f");
    tar.symlink("d/l", "../f");
    tar.file("e", b"");
    tar.file("z", &b"A".repeat(10_000));
    tar.finish()
}
