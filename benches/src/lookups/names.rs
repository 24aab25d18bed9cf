//! Lookups that begin with a name.

use std::ops::ControlFlow;

use lazyoci::model::{Extent, ExtentSource, FrameId, Image, Ino};
use lazyoci::read::{Follow, resolve};

use super::COUNT;
use crate::content::Random;
use crate::layer::{LONG_LEN, LONGEST_LEN};
use crate::reading::{File, files};

/// An image of [`SHAPE`](super::SHAPE), with places in it to look for.
#[derive(Debug)]
pub struct Names<I> {
    /// The image.
    pub image: I,
    /// Different paths of files, none of them empty.
    pub paths: Vec<String>,
    /// Paths beside them where nothing is.
    pub missing: Vec<String>,
    /// The files at `paths`, with an offset in each.
    pub places: Vec<(Ino, u64)>,
    /// Offsets in the files of 64 chunks.
    pub long: Vec<(Ino, u64)>,
    /// Offsets in the file of 4,096 chunks.
    pub longest: Vec<(Ino, u64)>,
}

impl<I: Image> Names<I> {
    /// Chooses places in `image`.
    ///
    /// # Panics
    /// If it is another image.
    #[must_use]
    pub fn new(image: I) -> Self {
        let random = &mut Random::new(1);
        let mut files = files(&image);
        files.retain(|file| file.size != 0);
        let of_len = |len: u32| {
            let files = files.iter().filter(|file| file.size == u64::from(len));
            files.cloned().collect::<Vec<File>>()
        };
        let (long, longest) = (of_len(LONG_LEN), of_len(LONGEST_LEN));
        let chosen = random.choose(files, COUNT);
        Self {
            missing: chosen
                .iter()
                .map(|file| format!("{}~", file.path))
                .collect(),
            places: offsets(random, &chosen),
            long: offsets(random, &long),
            longest: offsets(random, &longest),
            paths: chosen.into_iter().map(|file| file.path).collect(),
            image,
        }
    }

    /// Paths to inodes, [`COUNT`] times.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_paths(&self) {
        assert_eq!(self.resolve(&self.paths), COUNT);
    }

    /// The same for paths where nothing is.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_missing(&self) {
        assert_eq!(self.resolve(&self.missing), 0);
    }

    /// Paths and offsets to frames, [`COUNT`] times.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_paths_and_frames(&self) {
        let mut found = 0;
        for (path, &(_, offset)) in self.paths.iter().zip(&self.places) {
            let ino = resolve(&self.image, path.as_bytes(), Follow::All).expect("it is there");
            found += usize::from(self.has_frame(ino, offset));
        }
        assert_eq!(found, COUNT);
    }

    /// Files and offsets to frames, [`COUNT`] times.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_frames(&self) {
        self.find_frames_of(&self.places);
    }

    /// The same in files of 64 chunks.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_frames_of_long(&self) {
        self.find_frames_of(&self.long);
    }

    /// The same in a file of 4,096 chunks.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_frames_of_longest(&self) {
        self.find_frames_of(&self.longest);
    }

    /// The frame at the first of the places.
    ///
    /// # Panics
    /// If the image is damaged.
    #[must_use]
    pub fn first_frame(&self) -> FrameId {
        let (ino, offset) = self.places[0];
        let mut first = None;
        let mut take = |extent: Extent| {
            if let ExtentSource::Chunk { frame, .. } = extent.source {
                first = Some(frame);
            }
            ControlFlow::Break(())
        };
        let answer = self.image.extents(ino, offset..offset + 1, &mut take);
        answer.expect("the file is sound");
        first.expect("its content is in frames")
    }

    fn find_frames_of(&self, places: &[(Ino, u64)]) {
        let found = |&&(ino, offset): &&(Ino, u64)| self.has_frame(ino, offset);
        assert_eq!(places.iter().filter(found).count(), COUNT);
    }

    fn has_frame(&self, ino: Ino, offset: u64) -> bool {
        let mut found = false;
        let mut take = |extent: Extent| {
            let range = extent.file_offset..extent.file_offset + extent.len;
            let sound = match extent.source {
                ExtentSource::Chunk { frame, .. } => self.image.frame(frame).is_ok(),
                // In no frame: the extent says where it is.
                _ => true,
            };
            found = range.contains(&offset) && sound;
            ControlFlow::Break(())
        };
        let answer = self.image.extents(ino, offset..offset + 1, &mut take);
        answer.expect("the file is sound");
        found
    }

    fn resolve(&self, paths: &[String]) -> usize {
        let found = |path: &&String| resolve(&self.image, path.as_bytes(), Follow::All).is_ok();
        paths.iter().filter(found).count()
    }
}

/// [`COUNT`] offsets in `files`, as many in each.
fn offsets(random: &mut Random, files: &[File]) -> Vec<(Ino, u64)> {
    let files = files.iter().cycle().take(COUNT);
    let places = files.map(|file| (file.ino, random.below(file.size)));
    places.collect()
}
