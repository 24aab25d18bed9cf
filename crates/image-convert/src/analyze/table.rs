//! Chunks, and which images have them.

use std::collections::HashMap;

use image_model::Digest;

use super::cut::Chunking;
use super::{Duplication, ImageDuplication};

/// The chunks of all images so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    chunks: HashMap<(Digest, u32), Seen>,
    images: Vec<ImageDuplication>,
}

/// Which images have a chunk.
#[derive(Debug)]
struct Seen {
    first: u32,
    last: u32,
}

impl Table {
    pub(super) fn begin_image(&mut self) {
        self.images.push(ImageDuplication::default());
    }

    /// A chunk of the image that was begun last.
    pub(super) fn add(&mut self, digest: Digest, len: u32) {
        let last = self.images.len() - 1;
        // No more images than can be open.
        let number = last as u32;
        let image = &mut self.images[last];
        image.chunks += 1;
        image.len += u64::from(len);
        let mut had_it_alone = None;
        match self.chunks.get_mut(&(digest, len)) {
            None => {
                let seen = Seen {
                    first: number,
                    last: number,
                };
                self.chunks.insert((digest, len), seen);
                image.added_chunks += 1;
                image.added_len += u64::from(len);
            }
            Some(seen) if seen.last == number => return,
            Some(seen) => {
                had_it_alone = (seen.first == seen.last).then_some(seen.first);
                seen.last = number;
                image.shared_chunks += 1;
                image.shared_len += u64::from(len);
            }
        }
        image.distinct_chunks += 1;
        image.distinct_len += u64::from(len);
        if let Some(first) = had_it_alone {
            let first = &mut self.images[first as usize];
            first.shared_chunks += 1;
            first.shared_len += u64::from(len);
        }
    }

    pub(super) fn end(self, chunking: Chunking) -> Duplication {
        let sum = |of: fn(&ImageDuplication) -> u64| self.images.iter().map(of).sum();
        Duplication {
            chunking,
            chunks: sum(|image| image.chunks),
            len: sum(|image| image.len),
            distinct_chunks: sum(|image| image.added_chunks),
            distinct_len: sum(|image| image.added_len),
            images: self.images,
        }
    }
}
