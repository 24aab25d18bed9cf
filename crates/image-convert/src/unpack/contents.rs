//! Files as their content is stored, before they have names.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use image_model::walk::{InoSet, Walk};
use image_model::{Attributes, FileKind, Image, ImagePath, Ino, Limits, Progress};
use image_read::FileOrder;
use rustix::fs::AtFlags;
use verify::ExtentBytes;

use super::node::{NodeWriter, Source};
use crate::ConvertError;
use crate::source::Contents;

/// The files of an image that have content: each is made under its number, in the order in which the
/// contents are stored, and gets its names later.
#[derive(Debug)]
pub(super) struct Files {
    /// With their lengths, in the order of their first names.
    files: Vec<(Ino, u64)>,
    total: u64,
}

impl Files {
    pub(super) fn collect(image: &dyn Image, limits: &Limits) -> Result<Self, ConvertError> {
        let mut seen = InoSet::default();
        let (mut files, mut total) = (Vec::new(), 0u64);
        let mut walk = Walk::new(image, limits);
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            let size = entry.attributes.size;
            if entry.attributes.kind == FileKind::File && size > 0 && seen.insert(entry.ino) {
                files.push((entry.ino, size));
                total = total.saturating_add(size);
            }
        }
        Ok(Self { files, total })
    }

    /// Bytes of all together.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Makes all files in `directory`.
    pub(super) fn write(
        &self,
        contents: &mut Contents<'_>,
        writer: &mut NodeWriter<'_>,
        directory: BorrowedFd<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), ConvertError> {
        let (image, limits) = (writer.image, writer.limits);
        let mut open: Option<OpenFile<'_>> = None;
        let mut done = 0u64;
        let path = |position: usize| path_of(image, limits, self.files[position].0);
        contents.read(
            &self.files,
            FileOrder::Stored,
            &path,
            &mut |number, bytes| {
                if let Some(file) = open.take_if(|file| file.number != number) {
                    file.finish(writer)?;
                }
                let file = match &mut open {
                    Some(file) => file,
                    None => {
                        let ino = self.files[number].0;
                        open.insert(OpenFile::create(number, ino, writer, directory)?)
                    }
                };
                progress.advance(done, Some(self.total))?;
                done = done.saturating_add(bytes.len());
                file.write(bytes, writer)
            },
        )?;
        open.map_or(Ok(()), |file| file.finish(writer))
    }

    pub(super) fn numbers<'s>(&self, several: &'s InoSet) -> Numbers<'s> {
        Numbers {
            several,
            next_file: 0,
            next_other: self.files.len() as u64,
            known: HashMap::new(),
            made: HashMap::new(),
            files: self.files.len() as u64,
        }
    }
}

/// The file that is being filled.
struct OpenFile<'u> {
    number: usize,
    file: File,
    /// Where its next bytes go.
    at: u64,
    image: &'u dyn Image,
    limits: &'u Limits,
    ino: Ino,
    attributes: Attributes,
}

impl<'u> OpenFile<'u> {
    fn create(
        number: usize,
        ino: Ino,
        writer: &mut NodeWriter<'u>,
        directory: BorrowedFd<'_>,
    ) -> Result<Self, ConvertError> {
        let (image, limits) = (writer.image, writer.limits);
        let path = || path_of(image, limits, ino);
        let attributes = image.attributes(ino);
        let attributes = attributes.map_err(|source| ConvertError::Image {
            path: path(),
            source,
        })?;
        let source = Source {
            path: &path,
            ino,
            attributes: &attributes,
        };
        let file = writer.create_file(directory, number.to_string().as_bytes(), source)?;
        Ok(Self {
            number,
            file,
            at: 0,
            image,
            limits,
            ino,
            attributes,
        })
    }

    fn write(
        &mut self,
        bytes: ExtentBytes<'_>,
        writer: &mut NodeWriter<'_>,
    ) -> Result<(), ConvertError> {
        self.with_source(|source| writer.write(&self.file, self.at, bytes, source))?;
        self.at = self.at.saturating_add(bytes.len());
        Ok(())
    }

    fn finish(self, writer: &mut NodeWriter<'_>) -> Result<(), ConvertError> {
        self.with_source(|source| writer.finish_file(&self.file, source))
    }

    fn with_source<T>(&self, then: impl FnOnce(Source<'_>) -> T) -> T {
        then(Source {
            path: &|| path_of(self.image, self.limits, self.ino),
            ino: self.ino,
            attributes: &self.attributes,
        })
    }
}

/// A path of an inode, for messages; the root if it has none.
fn path_of(image: &dyn Image, limits: &Limits, ino: Ino) -> ImagePath {
    let mut walk = Walk::new(image, limits);
    while let Some(Ok(entry)) = walk.next_entry() {
        if entry.ino == ino {
            return entry.path.clone();
        }
    }
    ImagePath::root()
}

/// Under which numbers inodes are made that do not get their only name at once: files with content, and
/// others with several names.
#[derive(Debug)]
pub(super) struct Numbers<'s> {
    several: &'s InoSet,
    /// The file with content that is met next for the first time.
    next_file: u64,
    next_other: u64,
    /// Of inodes with several names.
    known: HashMap<Ino, u64>,
    /// Whether others than files with content are there, or are losses.
    made: HashMap<u64, bool>,
    /// How many files have content.
    files: u64,
}

impl Numbers<'_> {
    /// The number of an inode, which is met in the order of the walk; `None` if it gets its only name
    /// when it is made.
    pub(super) fn of(&mut self, source: &Source<'_>) -> Option<Numbered> {
        let several = self.several.contains(source.ino);
        if several && let Some(&number) = self.known.get(&source.ino) {
            return Some(Numbered { number, several });
        }
        let has_content = source.attributes.kind == FileKind::File && source.attributes.size > 0;
        let next = match (has_content, several) {
            (true, _) => &mut self.next_file,
            (false, true) => &mut self.next_other,
            (false, false) => return None,
        };
        let number = *next;
        *next += 1;
        if several {
            self.known.insert(source.ino, number);
        }
        Some(Numbered { number, several })
    }

    /// Has an inode without content made by `make` when it is met first; whether it is there.
    pub(super) fn made(
        &mut self,
        Numbered { number, .. }: Numbered,
        make: impl FnOnce() -> Result<bool, ConvertError>,
    ) -> Result<bool, ConvertError> {
        if number < self.files {
            return Ok(true);
        }
        if let Some(&made) = self.made.get(&number) {
            return Ok(made);
        }
        let made = make()?;
        self.made.insert(number, made);
        Ok(made)
    }
}

/// An inode that is made under a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) number: u64,
    /// Whether it has several names.
    several: bool,
}

impl Numbered {
    /// Gives the inode, which is in `from`, the name `name` in `to`: its only one, or a further one.
    pub(super) fn name(
        self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &[u8],
    ) -> io::Result<()> {
        let number = self.number.to_string();
        if self.several {
            rustix::fs::linkat(from, number, to, name, AtFlags::empty())?;
        } else {
            rustix::fs::renameat(from, number, to, name)?;
        }
        Ok(())
    }
}
