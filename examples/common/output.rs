//! Where the examples put their output.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use lazyoci::blob_io::{FileOutput, ObjectRole, ObjectWriter, Output, WriteError, WriterOutput};
use tempfile::TempDir;

use super::Failure;
use super::open::is_stream;

/// How outputs are created.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

impl OutputArgs {
    /// Refuses an existing output that may not be replaced, before the work rather than after it. An empty directory
    /// may always be filled.
    pub fn check(&self, target: &Path) -> Result<(), Failure> {
        if self.force || is_stream(target) || !is_there(target) {
            return Ok(());
        }
        self.refuse(target)
    }

    /// Says that an output exists.
    pub fn refuse(&self, target: &Path) -> Result<(), Failure> {
        let path = target.display();
        Err(Failure::usage(format!(
            "{path} exists (--force replaces it)"
        )))
    }

    /// Whether existing outputs are replaced.
    pub fn replaces(&self) -> bool {
        self.force
    }

    /// Refuses a directory where a file is to be, and the reverse, even where outputs are replaced.
    fn same_kind(&self, target: &Path, directory: bool) -> Result<(), Failure> {
        let Ok(found) = fs::metadata(target) else {
            return Ok(());
        };
        let (is, wanted) = match (found.is_dir(), directory) {
            (true, false) => ("is a directory", "a file"),
            (false, true) => ("is not a directory", "a directory"),
            _ => return Ok(()),
        };
        let path = target.display();
        Err(Failure::usage(format!(
            "{path} {is}, so {wanted} cannot replace it"
        )))
    }

    /// A file that appears only when complete, or `out` if `target` is `-`.
    pub fn file<'o>(
        &self,
        target: &Path,
        out: &'o mut dyn Write,
    ) -> Result<Box<dyn Output + 'o>, Failure> {
        if is_stream(target) {
            return Ok(Box::new(WriterOutput::new(out)));
        }
        self.check(target)?;
        self.same_kind(target, false)?;
        Ok(Box::new(FileOutput::create(target)?))
    }

    /// Two files that appear only when complete: a layer, and its TOC at `target` with `.toc` behind it.
    pub fn with_toc(&self, target: &Path) -> Result<Box<dyn Output>, Failure> {
        let mut toc = target.as_os_str().to_owned();
        toc.push(".toc");
        let toc = PathBuf::from(toc);
        self.check(target)?;
        self.check(&toc)?;
        self.same_kind(target, false)?;
        self.same_kind(&toc, false)?;
        Ok(Box::new(LayerAndToc {
            layer: FileOutput::create(target)?,
            toc: FileOutput::create(toc)?,
        }))
    }

    /// A directory that is to be at `target`.
    pub fn directory(&self, target: &Path) -> Result<NewDirectory, Failure> {
        self.check(target)?;
        self.same_kind(target, true)?;
        if !(target.is_dir() && is_there(target)) {
            let path = target.into();
            return Ok(NewDirectory {
                path,
                replaced: None,
            });
        }
        // Not a symbolic link that leads there.
        let target = fs::canonicalize(target).map_err(Failure::usage)?;
        let parent = target.parent().unwrap_or(&target);
        let staging = tempfile::Builder::new()
            .prefix(".lazyoci-")
            .tempdir_in(parent)
            .map_err(|error| Failure::usage(error).of(target.display()))?;
        Ok(NewDirectory {
            path: staging.path().join("new"),
            replaced: Some(Replaced { target, staging }),
        })
    }
}

/// A layer, and its TOC beside it.
#[derive(Debug)]
struct LayerAndToc {
    layer: FileOutput,
    toc: FileOutput,
}

impl Output for LayerAndToc {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        match role {
            ObjectRole::Toc => self.toc.begin(role),
            _ => self.layer.begin(role),
        }
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        self.toc.commit()?;
        self.layer.commit()
    }
}

/// A directory in the system's place for temporary files.
pub fn temporary_directory() -> Result<TempDir, Failure> {
    let directory = tempfile::env::temp_dir();
    let made = tempfile::tempdir_in(&directory);
    made.map_err(|error| {
        let kind = error.kind();
        Failure::usage(format!(
            "cannot create a directory in {}: {kind}",
            directory.display()
        ))
    })
}

/// Whether replacing the output would lose anything.
fn is_there(target: &Path) -> bool {
    match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => target.symlink_metadata().is_ok(),
    }
}

/// Where a directory is written.
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    replaced: Option<Replaced>,
}

/// The output that it replaces.
#[derive(Debug)]
struct Replaced {
    target: PathBuf,
    /// Beside the target: holds the new output, later the old one.
    staging: TempDir,
}

impl NewDirectory {
    /// Where it is to be written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves what was written to its final place, replacing the old output.
    pub fn commit(self) -> Result<(), Failure> {
        let Self { path, replaced } = self;
        replaced.map_or(Ok(()), |replaced| {
            let target = replaced.target.clone();
            let done = replaced.replace_by(&path);
            done.map_err(|error| Failure::usage(error).of(target.display()))
        })
    }
}

impl Replaced {
    fn replace_by(self, new: &Path) -> io::Result<()> {
        let old = self.staging.path().join("old");
        fs::rename(&self.target, &old)?;
        if let Err(error) = fs::rename(new, &self.target) {
            fs::rename(&old, &self.target)?;
            return Err(error);
        }
        self.staging.close()
    }
}
