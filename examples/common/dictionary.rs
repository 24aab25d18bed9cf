//! Chunk dictionary files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use lazyoci::blob_io::Mapped;
use lazyoci::chunk_dedup::{DictionaryFile, is_dictionary};

use lazyoci::model::BlobIndex;
use lazyoci::rafs_format::Shape;
use lazyoci::rafs_format::v6::BlobEntry;

use super::Failure;

/// The dictionary file at `path`; `None` if it is something else.
pub fn open(path: &Path) -> Result<Option<DictionaryFile<Bytes>>, Failure> {
    let Ok(mut file) = File::open(path) else {
        // Whoever opens it as an image says why not.
        return Ok(None);
    };
    let mut first = Vec::new();
    let read = (&mut file).take(64).read_to_end(&mut first);
    if read.is_err() || !is_dictionary(&first) {
        return Ok(None);
    }
    let mapped = Mapped::map(&file).map_err(|error| Failure::usage(error).of(path.display()))?;
    let opened = DictionaryFile::open(mapped.bytes().clone());
    opened
        .map(Some)
        .map_err(|error| Failure::from(error).of(path.display()))
}

/// The blobs of a dictionary of RAFS images, and what images have to have in common to share them.
pub fn blobs(file: &DictionaryFile<Bytes>) -> Result<(Shape, Vec<BlobEntry>), Failure> {
    let shape = Shape::from_bytes(file.profile())?;
    let mut entries = Vec::new();
    for index in 0..file.blob_count() {
        let record = file.blob_record(BlobIndex(index))?;
        entries.push(shape.blob_entry(&record.detail)?);
    }
    Ok((shape, entries))
}
