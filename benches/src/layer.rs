//! Layers like those of distributions.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use lazyoci::blob_io::{DirectoryOutput, WriterOutput};
use lazyoci::convert::{
    ErofsOptions, EstargzOptions, RafsOptions, Streaming, to_erofs, to_estargz, to_rafs,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{ImagePath, Metadata, Node, Timestamp};
use lazyoci::rafs_format::Version;
use lazyoci::tar_stream::TarWriter;

use crate::content::{Kind, Random, bytes};

/// How large a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of files.
    pub files: u32,
    /// Bytes of a middling file; most are smaller, some much larger.
    pub file_len: u32,
    /// Number of files of [`LONG_LEN`] bytes. If there are any, one of [`LONGEST_LEN`] follows them.
    pub long_files: u32,
}

/// Bytes of a long file.
pub const LONG_LEN: u32 = 256 << 10;
/// Bytes of the longest file.
pub const LONGEST_LEN: u32 = 16 << 20;

impl Shape {
    /// 4,000 entries, 47 MB of tar: content counts.
    pub const CONTENT: Self = Self {
        files: 4_000,
        file_len: 16_000,
        long_files: 0,
    };
    /// 40,000 entries, 37 MB of tar, files of at most some hundred bytes: names and inodes count.
    pub const METADATA: Self = Self {
        files: 40_000,
        file_len: 60,
        long_files: 0,
    };
    /// The same with 65 long files: in chunks of 4 KiB 64 have 64 chunks each, and one has 4,096.
    pub const LOOKUPS: Self = Self {
        long_files: 64,
        ..Self::METADATA
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
        for (number, len) in self.long_lens().enumerate() {
            let path = clean(&format!("var/lib/long/file-{number:02}"));
            let content = bytes(Kind::Random, u64::MAX - number as u64, len as usize);
            let size = content.len() as u64;
            let node = Node::File { size, content: () };
            tar.append(&path, &metadata(0o644, 0), &node)
                .expect("a vector takes all bytes");
            tar.write_all(&content).expect("as many as were announced");
        }
        tar.finish().expect("all payloads are complete")
    }

    fn long_lens(self) -> impl Iterator<Item = u32> {
        let long = (0..self.long_files).map(|_| LONG_LEN);
        long.chain((self.long_files != 0).then_some(LONGEST_LEN))
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

    /// Writes the RAFS image of the layer, in chunks of `chunk_size` bytes, to the new directory
    /// `output`.
    ///
    /// # Panics
    /// If that cannot be written, or is no chunk size.
    pub fn rafs(self, version: Version, output: &Path, chunk_size: u32) {
        let options = RafsOptions::default()
            .version(version)
            .compression(Compression::Lz4Block)
            .chunk_size(chunk_size);
        let tar = self.tar();
        let mut output = DirectoryOutput::create(output).expect("nothing is there");
        to_rafs(Streaming::new(&tar[..]), &mut output, &options, &mut ())
            .expect("the layer can be converted");
    }

    /// Writes the plain EROFS image of the layer, in chunks of `chunk_size` bytes, to the new file `output`.
    ///
    /// # Panics
    /// If that cannot be written, or is no chunk size.
    pub fn erofs(self, output: &Path, chunk_size: u32) {
        let options = ErofsOptions::default().chunk_size(chunk_size);
        let tar = self.tar();
        let mut output = WriterOutput::new(File::create(output).expect("there is room"));
        to_erofs(Streaming::new(&tar[..]), &mut output, &options, &mut ())
            .expect("the layer can be converted");
    }

    /// The eStargz layer, in chunks of `chunk_size` bytes.
    ///
    /// # Panics
    /// If `chunk_size` is 0; a TOC can carry the layer.
    #[must_use]
    pub fn estargz(self, chunk_size: u32) -> Vec<u8> {
        let options = EstargzOptions::default().chunk_size(chunk_size);
        let tar = self.tar();
        let mut layer = Vec::new();
        let source = Streaming::new(&tar[..]);
        let mut output = WriterOutput::new(&mut layer);
        to_estargz(source, &mut output, &options, &mut ()).expect("the layer can be converted");
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
