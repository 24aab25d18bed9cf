//! An image as a directory tree of this machine.

mod links;
mod node;
mod trail;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use blob_io::AtomicDir;
use image_model::walk::{InoSet, Walk, WalkEntry};
use image_model::{Attributes, FileKind, Ino, Limits, NameRef, Progress};
use image_read::Reader;
use rustix::fs::Mode;

use crate::ConvertError;
use crate::report::Report;
use crate::tree::several_names;
use links::Links;
use node::{NodeWriter, Source};
use trail::Trail;

/// Who owns unpacked files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// Their owners in the image, which takes the rights of root.
    Image,
    /// Whoever runs the program. Set-id bits are dropped.
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

/// How to unpack.
#[derive(Debug, Clone)]
pub struct UnpackOptions {
    /// Who owns the files. Default: [`Ownership::for_caller`].
    pub ownership: Ownership,
    /// Leave out, and report, the devices and extended attributes that the file system or the
    /// caller's rights do not allow, instead of refusing them.
    pub lossy: bool,
    /// Bounds on the image.
    pub limits: Limits,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            ownership: Ownership::for_caller(),
            lossy: false,
            limits: Limits::default(),
        }
    }
}

/// Unpacks the image that `reader` reads into the new directory `output`, which appears under its name when it is complete.
///
/// Every entry is created below the new directory by its single name, and no symbolic link is
/// followed. Owners come before extended attributes (so that capabilities survive), these before modes
/// (which may forbid them), times last; a directory gets its own when everything in it is there. Holes and chunks
/// of zeros become holes. Whiteouts are ordinary files here: unpack an image, not a layer.
///
/// # Errors
/// [`ConvertError`]; what was unpacked by then is removed.
pub fn unpack(
    reader: &Reader,
    output: &Path,
    options: &UnpackOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    let image = &**reader.image();
    let several = several_names(image, &options.limits)?;
    let directory = AtomicDir::create(output)?;
    let writer = NodeWriter {
        image,
        reader,
        options,
        progress,
        output,
        report: Report::default(),
    };
    match fill(directory.path(), &several, writer) {
        Ok(report) => {
            directory.commit()?;
            Ok(report)
        }
        Err(error) => {
            make_removable(directory.path());
            Err(error)
        }
    }
}

fn fill<'u>(
    root: &Path,
    several: &'u InoSet,
    writer: NodeWriter<'u>,
) -> Result<Report, ConvertError> {
    // Private until the root gets its own mode, as the last of all.
    std::fs::set_permissions(root, Permissions::from_mode(0o700))?;
    let (image, limits) = (writer.image, &writer.options.limits);
    let mut unpacker = Unpacker {
        links: Links::new(root.parent().unwrap_or(Path::new(".")))?,
        several,
        trail: Trail::new(root)?,
        open: Vec::new(),
        writer,
    };
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        unpacker.entry(&entry?)?;
    }
    unpacker.leave(0)?;
    Ok(unpacker.writer.report)
}

/// Gives the caller the right to remove a tree that has some of its modes already.
fn make_removable(root: &Path) {
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        // What fails here fails again when the tree is removed.
        let _ = std::fs::set_permissions(&directory, Permissions::from_mode(0o700));
        let entries = std::fs::read_dir(&directory).into_iter().flatten();
        let below = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        pending.extend(below.map(|entry| entry.path()));
    }
}

struct Unpacker<'u> {
    links: Links,
    several: &'u InoSet,
    trail: Trail,
    /// Directories that are not complete, outermost first.
    open: Vec<(Ino, Attributes)>,
    writer: NodeWriter<'u>,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &WalkEntry<'_>) -> Result<(), ConvertError> {
        self.leave(entry.depth)?;
        let source = Source {
            path: entry.path,
            ino: entry.ino,
            attributes: &entry.attributes,
        };
        let name = entry.name();
        if source.attributes.kind == FileKind::Directory {
            if let Some(name) = name {
                self.enter(name)
                    .map_err(|error| self.writer.failed(source.path, "create", error))?;
            }
            self.open.push((source.ino, *source.attributes));
            return Ok(());
        }
        // The walk starts with a directory, so that everything else has a name.
        let name = name.map_or(&[][..], NameRef::as_bytes);
        if !self.several.contains(source.ino) {
            self.writer.make(self.trail.current()?, name, source)?;
            return Ok(());
        }
        let writer = &mut self.writer;
        let made = self.links.made(source.ino, |directory, number| {
            writer.make(directory, number, source)
        })?;
        match made {
            Some(number) => self
                .links
                .link(number, self.trail.current()?, name)
                .map_err(|error| self.writer.failed(source.path, "link", error)),
            None => Ok(()),
        }
    }

    fn enter(&mut self, name: NameRef<'_>) -> io::Result<()> {
        rustix::fs::mkdirat(self.trail.current()?, name.as_bytes(), Mode::RWXU)?;
        self.trail.descend(name)
    }

    /// Completes the open directories that lie `depth` or more levels below the root.
    fn leave(&mut self, depth: usize) -> Result<(), ConvertError> {
        while self.open.len() > depth {
            let (ino, attributes) = self.open[self.open.len() - 1];
            let path = self.trail.path();
            let source = Source {
                path: &path,
                ino,
                attributes: &attributes,
            };
            self.writer
                .finish_directory(self.trail.current()?, source)?;
            self.trail.ascend();
            self.open.pop();
        }
        Ok(())
    }
}
