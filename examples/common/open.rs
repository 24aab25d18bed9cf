//! The arguments that name an image.

use std::path::{Path, PathBuf};

use clap::Args;
use lazyoci::model::{ImagePath, Ino};
use lazyoci::read::{Follow, OpenImage, OpenOptions};

use super::Failure;

/// How images are opened.
#[derive(Debug, Clone, Args)]
pub struct OpenArgs {
    /// Directory with the data blobs, by id [default: `blobs` beside the image]
    #[arg(long, value_name = "DIR")]
    blobs: Option<PathBuf>,
    /// Accept what strict tar reading refuses, as Go does
    #[arg(long)]
    lenient: bool,
}

impl OpenArgs {
    /// Opens what is at `path`.
    pub fn open(&self, path: &Path) -> Result<OpenImage, Failure> {
        Ok(lazyoci::read::open(path, &self.options())?)
    }

    /// What was asked for.
    pub fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::default().lenient(self.lenient);
        options.blobs = self.blobs.clone();
        options
    }

    /// Whether lenient reading was asked for.
    pub fn lenient(&self) -> bool {
        self.lenient
    }
}

/// A path inside an image as given on the command line: any bytes.
#[cfg(unix)]
pub fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// The inode at `path`, symbolic links followed.
pub fn resolve(image: &OpenImage, path: &Path) -> Result<Ino, Failure> {
    Ok(image.resolve(path_bytes(path), Follow::All)?)
}

/// A path as text for JSON; bytes that are no UTF-8 escaped as everywhere else.
pub fn text(path: &ImagePath) -> String {
    path.to_string()
}
