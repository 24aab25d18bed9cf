//! Reading the content of an image.

use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, Image, Ino, Limits};
use lazyoci::read::{FileOrder, Follow, OpenImage, ReadError, ReadOptions};

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
