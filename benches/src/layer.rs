//! Layers like those of distributions.

use std::io::Write as _;
use std::path::Path;

use lazyoci::convert::{EstargzOptions, RafsOptions, Streaming, to_estargz, to_rafs_v6};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{ImagePath, Metadata, Node, Timestamp};
use lazyoci::tar_stream::TarWriter;

use crate::content::{Kind, Random, bytes};

/// How large a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of files.
    pub files: u32,
    /// Bytes of a middling file; most are smaller, some much larger.
    pub file_len: u32,
}

impl Shape {
    /// 4,000 entries, 47 MB of tar: content counts.
    pub const CONTENT: Self = Self {
        files: 4_000,
        file_len: 16_000,
    };
    /// 40,000 entries, 37 MB of tar, files of at most some hundred bytes: names and inodes count.
    pub const METADATA: Self = Self {
        files: 40_000,
        file_len: 60,
    };

    /// The tar.
    ///
    /// Directories of 40 entries, three levels deep. Of 100 entries 6 are symbolic and 2 hard links;
    /// one file of 16 is the copy of an earlier one; one of 50 is 32 times as long as others.
    ///
    /// # Panics
    /// Never: a vector takes all bytes.
    #[must_use]
    pub fn tar(self) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new());
        let mut add = |path: &str, metadata: &Metadata, node: &Node<()>, content: &[u8]| {
            tar.append(&clean(path), metadata, node)
                .expect("a vector takes all bytes");
            tar.write_all(content).expect("as many as were announced");
        };
        let mut last_directory = String::new();
        for number in 0..self.files {
            let directory = directory(number);
            if directory != last_directory {
                add(
                    &directory,
                    &metadata(0o755, number),
                    &Node::empty_directory(),
                    b"",
                );
                last_directory = directory;
            }
            let path = path(number);
            match number % 100 {
                10..16 => {
                    let target = format!("../{}", name(number - 10));
                    let node = Node::Symlink(target.into_bytes().into());
                    add(&path, &metadata(0o777, number), &node, b"");
                }
                _ => {
                    let content = self.content(number);
                    let size = content.len() as u64;
                    let node = Node::File { size, content: () };
                    add(&path, &metadata(0o644, number), &node, &content);
                }
            }
        }
        for number in (0..self.files).filter(|number| number % 100 == 50) {
            let metadata = metadata(0o644, number);
            for copy in ["a", "b"] {
                let path = clean(&format!("{}.{copy}", path(number)));
                let target = clean(&self::path(number));
                tar.append_link(&path, &metadata, &target)
                    .expect("a vector takes all bytes");
            }
        }
        tar.finish().expect("all payloads are complete")
    }

    fn content(self, number: u32) -> Vec<u8> {
        let seed = match number % 16 {
            15 => u64::from(number / 2),
            _ => u64::from(number),
        };
        let random = &mut Random::new(seed);
        let usual = random.skewed(u64::from(self.file_len.ilog2()) + 3);
        let len = match seed % 50 {
            7 => 32 * self.file_len as usize,
            _ => usual as usize,
        };
        let kind = match seed % 10 {
            0..4 => Kind::Text,
            4..8 => Kind::Binary,
            8 => Kind::Random,
            _ => Kind::Zeros,
        };
        bytes(kind, seed, len)
    }

    /// Writes the RAFS v6 image of the layer to the new directory `output`.
    ///
    /// # Panics
    /// If that cannot be written.
    pub fn rafs_v6(self, output: &Path) {
        let options = RafsOptions {
            compression: Compression::Lz4Block,
            ..RafsOptions::default()
        };
        let tar = self.tar();
        to_rafs_v6(Streaming::new(&tar[..]), output, &options, &mut ())
            .expect("the layer can be converted");
    }

    /// The eStargz layer.
    ///
    /// # Panics
    /// Never: a TOC can carry the layer.
    #[must_use]
    pub fn estargz(self) -> Vec<u8> {
        let tar = self.tar();
        let mut layer = Vec::new();
        let source = Streaming::new(&tar[..]);
        to_estargz(source, &mut layer, &EstargzOptions::default(), &mut ())
            .expect("the layer can be converted");
        layer
    }
}

/// Path of entry `number` from the root.
#[must_use]
pub fn path(number: u32) -> String {
    format!("{}/{}", directory(number), name(number))
}

fn directory(number: u32) -> String {
    let leaf = number / 40;
    format!("usr/share/package-{:03}/part-{leaf:04}", leaf / 20)
}

fn name(number: u32) -> String {
    const SUFFIXES: [&str; 5] = ["", ".so.1", ".conf", ".txt", ".py"];
    format!("file-{number:06}{}", SUFFIXES[number as usize % 5])
}

fn metadata(mode: u16, number: u32) -> Metadata {
    Metadata {
        mode,
        uid: number % 3,
        mtime: Timestamp::from_seconds(1_600_000_000 + i64::from(number)),
        ..Metadata::default()
    }
}

fn clean(path: &str) -> ImagePath {
    ImagePath::clean(path.as_bytes()).expect("names hold neither slash nor NUL")
}
