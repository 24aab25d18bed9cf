//! Reading all content of an image.

use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, Image, Ino, Limits};
use lazyoci::read::OpenImage;

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

/// The regular files of `image`, in the order of their paths.
///
/// # Panics
/// If the image is damaged.
#[must_use]
pub fn files(image: &dyn Image) -> Vec<Ino> {
    let mut walk = Walk::new(image, &Limits::default());
    let mut files = Vec::new();
    while let Some(entry) = walk.next_entry() {
        let entry = entry.expect("the image is sound");
        if entry.attributes.kind == FileKind::File {
            files.push(entry.ino);
        }
    }
    files
}

/// Reads and verifies `files` of `image`; how many bytes that are.
///
/// # Panics
/// If the image is damaged.
#[must_use]
pub fn read_all(image: &OpenImage, files: &[Ino]) -> u64 {
    let mut frames = image.frames();
    let mut sink = std::io::sink();
    let lens = files.iter().map(|&ino| {
        let read = frames.read_range(ino, 0..u64::MAX, &mut sink);
        read.expect("the blobs are sound")
    });
    lens.sum()
}
