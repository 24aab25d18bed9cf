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

    /// Bytes so far, up to the header of the next member.
    pub(crate) fn position(&self) -> u64 {
        self.0.position().next_multiple_of(512)
    }

    /// A file whose header block is changed; its checksum is made right.
    pub(crate) fn changed(&mut self, path: &str, content: &[u8], change: impl FnOnce(&mut [u8])) {
        let mut alone = Self::new();
        alone.file(path, content);
        let mut header = alone.finish();
        header.truncate(512);
        change(&mut header);
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let padding = vec![0; (self.position() - self.0.position()) as usize];
        let raw = [padding, header].concat();
        self.0.append_raw(&raw, content.len() as u64).unwrap();
        self.0.write_all(content).unwrap();
    }

    /// An extension header of type `x`, `g`, `L` or `K`.
    pub(crate) fn extension(&mut self, typeflag: u8, payload: &[u8]) {
        self.changed("extension", payload, |header| header[156] = typeflag);
    }

    /// A PAX header: `x` for the next member, `g` for all further ones.
    pub(crate) fn pax(&mut self, typeflag: u8, records: &[(&str, &str)]) {
        let records = records.iter().map(|(key, value)| {
            let rest = key.len() + value.len() + 3;
            let mut len = (rest..).filter(|len| rest + len.to_string().len() == *len);
            format!("{} {key}={value}\n", len.next().unwrap())
        });
        self.extension(typeflag, records.collect::<String>().as_bytes());
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
