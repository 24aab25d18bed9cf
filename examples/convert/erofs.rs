//! Conversions to EROFS, and where their output goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lazyoci::blob_io::AtomicFile;
use lazyoci::convert::{ErofsReport, Verity, layer_cache_path};
use lazyoci::model::Digest;
use lazyoci::tar_stream::{LayerStream, StreamOptions};

use crate::common::Failure;
use crate::common::progress::Bar;

/// The DiffID of the layer at `path`: the digest of the tar in it.
pub(crate) fn diff_id(path: &Path, bar: &mut Bar) -> Result<Digest, Failure> {
    let failed = |error| Failure::usage(error).of(path.display());
    let file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let options = StreamOptions::default().digests(true);
    let mut layer = LayerStream::open(bar.meter(file, len), &options)?;
    io::copy(&mut layer, &mut io::sink()).map_err(failed)?;
    let digest = layer.summary().and_then(|summary| summary.decoded.digest);
    digest.ok_or_else(|| Failure::usage("the layer is incomplete").of(path.display()))
}

/// The place of the layer's image in the cache; creates its directory.
pub(crate) fn place_in_cache(cache: &Path, diff_id: &Digest) -> Result<PathBuf, Failure> {
    let path = layer_cache_path(cache, diff_id);
    if let Some(parent) = path.parent() {
        let made = fs::create_dir_all(parent);
        made.map_err(|error| Failure::usage(error).of(parent.display()))?;
    }
    Ok(path)
}

/// Writes the description of the hash tree for containerd beside `image`. Without a hash tree it removes the file,
/// since one left over from a replaced image would be taken for its own.
pub(crate) fn write_metadata(image: &Path, verity: Option<&Verity>) -> Result<(), Failure> {
    let path = Verity::metadata_path(image);
    let Some(verity) = verity else {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::usage(error).of(path.display()))
            }
            _ => Ok(()),
        };
    };
    let mut file = AtomicFile::create(&path)?;
    let written = file.write_all(verity.metadata().as_bytes());
    written.map_err(|error| Failure::usage(error).of(path.display()))?;
    Ok(file.commit()?)
}

/// Prints what was written.
pub(crate) fn tell(erofs: &ErofsReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "image {}", erofs.blob.digest)?;
    match &erofs.verity {
        Some(verity) => writeln!(
            out,
            "dm-verity root {}\nhash offset {}, {} data blocks",
            verity.root.hex(),
            verity.hash_offset,
            verity.data_blocks
        ),
        None => Ok(()),
    }
}
