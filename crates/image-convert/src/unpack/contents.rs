//! Files as their content is stored, before they have names.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use image_model::walk::{InoSet, Walk};
use image_model::{Attributes, FileKind, ImagePath, Ino, Limits, Progress};
use image_read::{FileOrder, Reader};
use rustix::fs::AtFlags;

use super::node::{NodeWriter, Source};
use crate::ConvertError;

/// The files of an image that have content: each is made under its number, in the order in which the
/// contents are stored, and gets its names later.
#[derive(Debug)]
pub(super) struct Contents {
    /// In the order of their first names.
    files: Vec<Ino>,
    total: u64,
}

impl Contents {
    pub(super) fn collect(reader: &Reader, limits: &Limits) -> Result<Self, ConvertError> {
        let mut seen = InoSet::default();
        let (mut files, mut total) = (Vec::new(), 0u64);
        let image = &**reader.image();
        let mut walk = Walk::new(image, limits);
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            let size = entry.attributes.size;
            if entry.attributes.kind == FileKind::File && size > 0 && seen.insert(entry.ino) {
                files.push(entry.ino);
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
        reader: &Reader,
        writer: &mut NodeWriter<'_>,
        directory: BorrowedFd<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), ConvertError> {
        let mut open: Option<OpenFile> = None;
        let mut done = 0u64;
        let written = reader.read_all(&self.files, FileOrder::Stored, &mut |piece, bytes| {
            if let Some(file) = open.take_if(|file| file.number != piece.tag) {
                file.finish(writer)?;
            }
            let file = match &mut open {
                Some(file) => file,
                None => {
                    let file = OpenFile::create(piece.tag, piece.ino, reader, writer, directory)?;
                    open.insert(file)
                }
            };
            progress.advance(done, Some(self.total))?;
            done = done.saturating_add(bytes.len());
            file.with_source(|source| writer.write(&file.file, piece.file_offset, bytes, source))?;
            Ok::<_, Failure>(())
        });
        written.map_err(|error| match error {
            Failure::Read(source) => {
                let ino = source.place().map(|(ino, _)| ino);
                let path = ino.map(|ino| path_of(reader, ino)).unwrap_or_default();
                ConvertError::Content { path, source }
            }
            Failure::Convert(error) => error,
        })?;
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
struct OpenFile<'r> {
    number: u64,
    file: File,
    reader: &'r Reader,
    ino: Ino,
    attributes: Attributes,
}

impl<'r> OpenFile<'r> {
    fn create(
        number: u64,
        ino: Ino,
        reader: &'r Reader,
        writer: &mut NodeWriter<'_>,
        directory: BorrowedFd<'_>,
    ) -> Result<Self, ConvertError> {
        let attributes = reader.image().attributes(ino);
        let attributes = attributes.map_err(|source| {
            let path = path_of(reader, ino);
            ConvertError::Image { path, source }
        })?;
        let source = Source {
            path: &|| path_of(reader, ino),
            ino,
            attributes: &attributes,
        };
        let file = writer.create_file(directory, number.to_string().as_bytes(), source)?;
        Ok(Self {
            number,
            file,
            reader,
            ino,
            attributes,
        })
    }

    fn finish(self, writer: &mut NodeWriter<'_>) -> Result<(), ConvertError> {
        self.with_source(|source| writer.finish_file(&self.file, source))
    }

    fn with_source<T>(&self, then: impl FnOnce(Source<'_>) -> T) -> T {
        then(Source {
            path: &|| path_of(self.reader, self.ino),
            ino: self.ino,
            attributes: &self.attributes,
        })
    }
}

/// What ends the reading of all files.
enum Failure {
    Read(image_read::ReadError),
    Convert(ConvertError),
}

impl From<image_read::ReadError> for Failure {
    fn from(error: image_read::ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        Self::Convert(error)
    }
}

impl From<image_model::Cancelled> for Failure {
    fn from(error: image_model::Cancelled) -> Self {
        Self::Convert(error.into())
    }
}

/// A path of an inode, for messages; the root if it has none.
fn path_of(reader: &Reader, ino: Ino) -> ImagePath {
    let image = &**reader.image();
    let mut walk = Walk::new(image, &Limits::default());
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
