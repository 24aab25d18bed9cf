//! Unpacking an image to a local directory tree.
//!
//! ```text
//! files, as their content is stored ─► contents/0, 1, 2 ...: made, filled, given their attributes
//! then the tree, as it is walked    ─► directories made, names given: files moved in or linked
//! ```
//!
//! So content is read once from front to back, no file is looked for by its path, and a hard link is a
//! further name. All of it lies in a directory that nobody else may enter until it is complete.

mod contents;
mod node;
mod remove;
mod trail;

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use blob_io::AtomicDir;
use image_model::walk::{InoSet, Walk, WalkEntry, several_names};
use image_model::{Attributes, FileKind, ImagePath, Ino, NameRef, Progress};
use rustix::fs::Mode;

use crate::ConvertError;
use crate::report::Report;
use crate::source::{self, Walkable};
use contents::{Files, Numbers};
use node::{NodeWriter, Source, Unnamed};
use trail::Trail;

/// Who owns unpacked files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// Their owners in the image, which requires root.
    Image,
    /// The user who runs the program. Set-id bits are dropped.
    Caller,
}

impl Ownership {
    /// [`Image`](Self::Image) for root, [`Caller`](Self::Caller) for everybody else.
    #[must_use]
    pub fn for_caller() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Image
        } else {
            Self::Caller
        }
    }
}

/// Options for unpacking.
///
/// ```
/// use lazyoci_image_convert::{Ownership, UnpackOptions};
/// let options = UnpackOptions::default().ownership(Ownership::Caller);
/// assert!(!options.lossy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// Who owns the files. Default: [`Ownership::for_caller`].
    pub ownership: Ownership,
    /// Leave out, and report, the devices, extended attributes and times that the file system or the
    /// caller's rights do not allow, instead of refusing them.
    pub lossy: bool,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            ownership: Ownership::for_caller(),
            lossy: false,
        }
    }
}

impl UnpackOptions {
    image_model::setters! {
        ownership: Ownership,
        lossy: bool,
    }
}

/// Unpacks `source` to the new directory `output`, which appears under its name only when complete.
///
/// Every entry is created below the new directory by its single name, and no symbolic link is
/// followed. Owners come before extended attributes (so that capabilities survive), these before modes
/// (which may forbid them), times last; a directory gets its own when everything in it is there. Holes
/// and chunks of zeros become holes. Whiteouts are ordinary files here: unpack an image, not a layer.
///
/// # Errors
/// [`ConvertError`]; what was unpacked by then is removed, or ([`ConvertError::Remains`]) named.
pub fn unpack<'a>(
    source: impl Into<crate::Source<'a>>,
    output: &Path,
    options: &UnpackOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    let Walkable {
        image,
        mut contents,
        limits,
        advisories,
    } = Walkable::new(source.into(), progress)?;
    let several = several_names(&*image, &limits)?;
    let directory = AtomicDir::create(output)?;
    let writer = NodeWriter {
        image: &*image,
        options,
        limits: &limits,
        output,
        report: Report {
            advisories,
            ..Report::default()
        },
        unnamed: Some(Unnamed::default()),
    };
    match fill(&directory, &mut contents, &several, writer, progress) {
        Ok(report) => {
            directory.commit()?;
            Ok(report)
        }
        Err(failure) => Err(give_up(directory, failure)),
    }
}

/// Removes what was unpacked; returns why it is of no use.
fn give_up(directory: AtomicDir, failure: ConvertError) -> ConvertError {
    // A failure here is reported when the directory itself is removed.
    let _ = remove::clear(directory.private());
    match directory.discard() {
        Ok(()) => failure,
        Err(remains) => ConvertError::Remains {
            failure: Box::new(failure),
            remains,
        },
    }
}

fn fill(
    directory: &AtomicDir,
    contents: &mut source::Contents<'_>,
    several: &InoSet,
    mut writer: NodeWriter<'_>,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    let (image, limits) = (writer.image, writer.limits);
    let files = Files::collect(image, limits)?;
    let place = directory.private().join("contents");
    std::fs::create_dir(&place)?;
    let place = Trail::new(&place)?;
    files.write(contents, &mut writer, place.root(), progress)?;

    let root = Trail::new(directory.path())?;
    rustix::fs::fchmod(root.root(), Mode::RWXU).map_err(io::Error::from)?;
    let unnamed = writer.begin_names();
    let mut unpacker = Unpacker {
        numbers: files.numbers(several),
        contents: place,
        trail: root,
        open: Vec::new(),
        writer,
        unnamed,
    };
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        progress.advance(files.total(), Some(files.total()))?;
        unpacker.entry(&entry?)?;
    }
    unpacker.leave(0)?;
    remove::clear(&directory.private().join("contents"))?;
    Ok(unpacker.writer.report)
}

struct Unpacker<'u> {
    numbers: Numbers<'u>,
    /// Inodes that were made, or have several names, by number.
    contents: Trail,
    trail: Trail,
    /// Directories that are not complete, outermost first.
    open: Vec<(Ino, Attributes)>,
    writer: NodeWriter<'u>,
    unnamed: Unnamed,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &WalkEntry<'_>) -> Result<(), ConvertError> {
        self.leave(entry.depth)?;
        let path = || entry.path.clone();
        let source = Source {
            path: &path,
            ino: entry.ino,
            attributes: &entry.attributes,
        };
        self.writer
            .name_losses(&mut self.unnamed, entry.ino, &path)?;
        let name = entry.name();
        if source.attributes.kind == FileKind::Directory {
            if let Some(name) = name {
                self.enter(name)
                    .map_err(|error| self.writer.failed(&path, "create", error))?;
            }
            self.open.push((source.ino, *source.attributes));
            return Ok(());
        }
        // The walk starts with a directory, so that everything else has a name.
        let name = name.map_or(&[][..], NameRef::as_bytes);
        let Some(number) = self.numbers.of(&source) else {
            let directory = self.trail.current()?;
            self.writer.make(directory, name, source)?;
            return Ok(());
        };
        let made = self.numbers.made(number, || {
            let name = number.number.to_string();
            let directory = self.contents.root();
            self.writer.make(directory, name.as_bytes(), source)
        })?;
        if !made {
            return Ok(());
        }
        let (from, to) = (self.contents.root(), self.trail.current()?);
        number
            .name(from, to, name)
            .map_err(|error| self.writer.failed(&path, "name", error))
    }

    fn enter(&mut self, name: NameRef<'_>) -> io::Result<()> {
        rustix::fs::mkdirat(self.trail.current()?, name.as_bytes(), Mode::RWXU)?;
        self.trail.descend(name)
    }

    /// Completes the open directories that lie `depth` or more levels below the root.
    fn leave(&mut self, depth: usize) -> Result<(), ConvertError> {
        while self.open.len() > depth {
            let (ino, attributes) = self.open[self.open.len() - 1];
            let directory = self.trail.current()?.try_clone_to_owned()?;
            let trail = &self.trail;
            // Built only for errors and losses: a full path for each directory would add up.
            let path = || -> ImagePath { trail.path() };
            let source = Source {
                path: &path,
                ino,
                attributes: &attributes,
            };
            self.writer.finish_directory(directory.as_fd(), source)?;
            self.trail.ascend();
            self.open.pop();
        }
        Ok(())
    }
}
