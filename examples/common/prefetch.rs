//! Prefetch lists: what readers fetch first, one path per line.

use std::path::Path;

use lazyoci::model::ImagePath;

use super::{Failure, chain};

/// Reads the list in `file`, ignoring empty lines.
pub fn read(file: &Path) -> Result<Vec<ImagePath>, Failure> {
    let text =
        std::fs::read(file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    let mut paths = Vec::new();
    for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
        if line.is_empty() {
            continue;
        }
        paths.push(ImagePath::clean(line).map_err(|error| {
            let what = chain(&error);
            Failure::usage(format!("{}, line {number}: {what}", file.display()))
        })?);
    }
    Ok(paths)
}
