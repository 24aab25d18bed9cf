//! What is to be opened at a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use blob_io::DirectoryOutput;

use super::error::OpenError;
use super::{cannot_open, format_of};
use crate::detect::Format;

/// What is to be opened at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file; of a directory that a converter wrote the one that holds the metadata.
    File(PathBuf),
    /// Several blobs, by name, without a bootstrap beside them.
    Blobs(Vec<PathBuf>),
    /// A directory that is an image by itself.
    Directory(PathBuf),
}

impl Place {
    /// What there is at `path`, which is taken for `format` if that is given.
    pub(crate) fn of(path: &Path, format: Option<Format>) -> Result<Self, OpenError> {
        if !is_directory(path)? {
            return Ok(Self::File(path.into()));
        }
        if format == Some(Format::Directory) {
            return Ok(Self::Directory(path.into()));
        }
        let bootstrap = path.join(DirectoryOutput::BOOTSTRAP);
        if bootstrap.is_file() {
            return Ok(Self::File(bootstrap));
        }
        // A directory that cannot be listed is reported when it is read.
        let mut blobs = blobs(path).unwrap_or_default();
        Ok(match (blobs.pop(), blobs.is_empty()) {
            (None, _) => Self::Directory(path.into()),
            (Some(only), true) => Self::File(only),
            (Some(last), false) => {
                blobs.push(last);
                Self::Blobs(blobs)
            }
        })
    }
}

/// The files in the directory of blobs, by name; none if anything in it is not a blob: something else than
/// a file that is called by a digest or is RAFS by its content.
fn blobs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory.join(DirectoryOutput::BLOBS))?;
    let mut blobs = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    blobs.sort();
    Ok(match blobs.iter().all(|path| is_blob(path)) {
        true => blobs,
        false => Vec::new(),
    })
}

fn is_blob(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let is_hex = |&b: &u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    let is_digest = name.len() == 64 && name.iter().all(is_hex);
    path.is_file() && (is_digest || matches!(format_of(path), Ok(format) if format.is_rafs_blob()))
}

/// Whether `path` is a directory, if it is not a file. A pipe must not even be opened: that may
/// block, and the length of 0 that it tells would make it an empty file.
fn is_directory(path: &Path) -> Result<bool, OpenError> {
    let kind = fs::metadata(path).map_err(cannot_open(path))?.file_type();
    if kind.is_dir() || kind.is_file() {
        return Ok(kind.is_dir());
    }
    Err(OpenError::NotAFile { path: path.into() })
}
