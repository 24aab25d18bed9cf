//! Reading the content of an image.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use lazyoci::model::walk::Walk;
use lazyoci::model::{Extent, ExtentSource, FileKind, Image, Ino, Limits};
use lazyoci::read::{FileOrder, Follow, OpenImage, ReadError, ReadOptions, Reader};

use crate::content::Random;

/// Visits every path of `image`; how many there are.
///
/// # Panics
/// If the image is damaged.
pub fn count_paths(image: &dyn Image) -> u64 {
    let mut walk = Walk::new(image, &Limits::default());
    let mut count = 0;
    while let Some(entry) = walk.next_entry() {
        entry.expect("the image is sound");
        count += 1;
    }
    count
}

/// A name of a regular file.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is.
    pub path: String,
    /// The file.
    pub ino: Ino,
    /// Its bytes.
    pub size: u64,
}

/// The regular files of `image`, in the order of their paths.
///
/// # Panics
/// If the image is damaged, or not ours.
#[must_use]
pub fn files(image: &dyn Image) -> Vec<File> {
    let mut walk = Walk::new(image, &Limits::default());
    let mut files = Vec::new();
    while let Some(entry) = walk.next_entry() {
        let entry = entry.expect("the image is sound");
        if entry.attributes.kind == FileKind::File {
            let path = entry.path.as_bytes().to_vec();
            files.push(File {
                path: String::from_utf8(path).expect("our names are ASCII"),
                ino: entry.ino,
                size: entry.attributes.size,
            });
        }
    }
    files
}

/// Paths and offsets of `count` different files of `files`, none of them empty.
///
/// # Panics
/// If there are not as many.
#[must_use]
pub fn places(files: &[File], count: usize) -> Vec<(String, u64)> {
    let random = &mut Random::new(3);
    let full = files.iter().filter(|file| file.size != 0).collect();
    let chosen = random.choose(full, count).into_iter();
    let place = |file: &File| (file.path.clone(), random.below(file.size));
    chosen.map(place).collect()
}

/// Finds each path, reads and verifies at most `len` bytes from the offset on; how many bytes were
/// got. The frames that were read last are cached.
///
/// # Panics
/// If the image is damaged or lacks a path.
#[must_use]
pub fn read_places(image: &OpenImage, places: &[(String, u64)], len: u64) -> u64 {
    let mut sink = std::io::sink();
    let lens = places.iter().map(|(path, offset)| {
        let ino = image.resolve(path.as_bytes(), Follow::All);
        let ino = ino.expect("it is there");
        let read = image.read_range(ino, *offset..offset + len, &mut sink);
        read.expect("the blobs are sound")
    });
    lens.sum()
}

/// A range of a file.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub ino: Ino,
    /// Its bytes, inside the file.
    pub range: Range<u64>,
}

impl Place {
    /// Bytes of the range.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

/// Ranges of at most `len` bytes in `count` different files, as [`places`] finds them.
///
/// # Panics
/// If there are not as many files that are not empty.
#[must_use]
pub fn ranges(files: &[File], count: usize, len: u64) -> Vec<Place> {
    let random = &mut Random::new(3);
    let full = files.iter().filter(|file| file.size != 0).collect();
    let chosen = random.choose(full, count).into_iter();
    let range = |file: &File| {
        let start = random.below(file.size);
        let end = file.size.min(start + len);
        let (ino, range) = (file.ino, start..end);
        Place { ino, range }
    };
    chosen.map(range).collect()
}

/// How many frames `places` need, each counted once.
///
/// # Panics
/// If the image is damaged.
#[must_use]
pub fn needed_frames(image: &dyn Image, places: &[Place]) -> u64 {
    let mut needed = BTreeSet::new();
    for place in places {
        let mut visit = |extent: Extent| {
            if let ExtentSource::Chunk { frame, .. } = extent.source {
                needed.insert(image.shared_frame(frame));
            }
            ControlFlow::Continue(())
        };
        let answer = image.extents(place.ino, place.range.clone(), &mut visit);
        answer.expect("the image is sound");
    }
    needed.len() as u64
}

/// Reads and verifies each of `places`.
///
/// # Panics
/// If the image is damaged.
pub fn read_ranges(reader: &Reader, places: &[Place]) {
    for place in places {
        let range = place.range.clone();
        let read = reader.read_range(place.ino, range, &mut std::io::sink());
        assert_eq!(read.expect("the blobs are sound"), place.len());
    }
}

/// Reads and verifies `files` of `image` on so many threads; how many bytes that are.
///
/// # Panics
/// If the image is damaged.
#[must_use]
pub fn read_all(image: &OpenImage, files: &[File], threads: usize) -> u64 {
    let options = ReadOptions::default().threads(threads);
    let reader = image.reader().with_options(options);
    let files: Vec<Ino> = files.iter().map(|file| file.ino).collect();
    let mut len = 0;
    let read = reader.read_all(&files, FileOrder::Given, &mut |_, bytes| {
        len += bytes.len();
        Ok::<_, ReadError>(())
    });
    read.expect("the blobs are sound");
    len
}
