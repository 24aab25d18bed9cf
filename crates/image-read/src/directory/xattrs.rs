//! The extended attributes of one file.

use std::io;
use std::path::Path;

use image_model::Xattrs;
use image_model::metadata::{Xattr, XattrError};
use rustix::io::Errno;

/// Why attributes cannot be read.
pub(super) enum Fault {
    /// The operating system refuses.
    Io(io::Error),
    /// Names and values together are longer than allowed.
    TooLong,
    /// No image can hold them.
    Invalid(XattrError),
}

/// All attributes that the system shows of the file at `path`, no link followed; their names and
/// values together may have `max` bytes.
pub(super) fn read(path: &Path, max: usize) -> Result<Xattrs, Fault> {
    let names = match grow(max, |buf| rustix::fs::llistxattr(path, buf)) {
        Ok(names) => names.ok_or(Fault::TooLong)?,
        Err(Errno::NOTSUP) => return Ok(Xattrs::default()),
        Err(error) => return Err(Fault::Io(error.into())),
    };
    let mut list = Vec::new();
    let mut left = max - names.len();
    for name in names.split(|&b| b == 0).filter(|name| !name.is_empty()) {
        let value = match grow(left, |buf| rustix::fs::lgetxattr(path, name, buf)) {
            Ok(value) => value.ok_or(Fault::TooLong)?,
            // Removed after it was listed.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(Fault::Io(error.into())),
        };
        left -= value.len();
        list.push(Xattr {
            name: name.into(),
            value: value.into(),
        });
    }
    Xattrs::new(list).map_err(Fault::Invalid)
}

/// Calls `read` with larger and larger buffers until all fits; `None` if that takes more than `max`
/// bytes.
fn grow(
    max: usize,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Option<Vec<u8>>, Errno> {
    let mut buf = vec![0; 256.min(max)];
    loop {
        match read(&mut buf) {
            // An empty buffer requests only the length.
            Ok(len) if len <= buf.len() && !buf.is_empty() => {
                buf.truncate(len);
                return Ok(Some(buf));
            }
            Ok(_) | Err(Errno::RANGE) if buf.len() == max => return Ok(None),
            Ok(_) | Err(Errno::RANGE) => buf.resize(buf.len().saturating_mul(4).min(max), 0),
            Err(error) => return Err(error),
        }
    }
}
