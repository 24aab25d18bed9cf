//! What is looked up.

use std::path::Path;

use lazyoci::blob_io::DirectoryOutput;
use lazyoci::convert::{RafsOptions, Streaming, to_rafs};
use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, Limits};
use lazyoci::rafs_format::{Bootstrap, Version};

use crate::library::Library;

/// Bytes of a chunk: not many, so that there are files of many chunks.
pub(crate) const CHUNK_SIZE: u32 = 64 << 10;

/// How many look-ups follow one opening.
pub(crate) const COUNT: usize = 1000;

/// Writes the layer at `layer` as an image of `version` to the new directory `output`.
pub(crate) fn convert(layer: &Path, version: Version, output: &Path) {
    let layer = std::fs::File::open(layer).expect("the layer is there");
    let options = RafsOptions::default()
        .version(version)
        .chunk_size(CHUNK_SIZE);
    let mut output = DirectoryOutput::create(output).expect("there is room");
    to_rafs(Streaming::new(layer), &mut output, &options, &mut ()).expect("the layer is sound");
}

/// A path, and a chunk of the file there.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) path: Vec<u8>,
    pub(crate) chunk: u32,
}

/// Every path of a file that is not empty, with one of its chunks, in an order without order that is
/// the same for ever.
pub(crate) fn questions(bootstrap: &Path) -> Vec<Question> {
    let bytes = std::fs::read(bootstrap).expect("the bootstrap is there");
    let bootstrap = Bootstrap::open(bytes.into(), &Limits::default());
    let bootstrap = bootstrap.expect("it was written by us");
    let mut walk = Walk::new(bootstrap.image(), &Limits::default());
    let mut questions = Vec::new();
    while let Some(entry) = walk.next_entry() {
        let entry = entry.expect("it was written by us");
        let size = entry.attributes.size;
        if entry.attributes.kind == FileKind::File && size != 0 {
            let path = entry.path.as_bytes().to_vec();
            let hash = hash(&path);
            // No file is longer than its 64 bits.
            let chunk = (hash >> 32) % size.div_ceil(CHUNK_SIZE.into());
            let chunk = chunk.try_into().expect("files of the corpora are shorter");
            questions.push((hash, Question { path, chunk }));
        }
    }
    questions.sort_by_key(|(hash, _)| *hash);
    questions
        .into_iter()
        .map(|(_, question)| question)
        .collect()
}

/// FNV-1a, mixed once more.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ hash >> 29).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// Asks both libraries everything.
///
/// # Panics
/// If their answers differ.
pub(crate) fn compare<A: Library, B: Library>(bootstrap: &Path, questions: &[Question]) {
    let (a, b) = (A::open(bootstrap), B::open(bootstrap));
    for Question { path, chunk } in questions {
        let shown = path.escape_ascii();
        assert_eq!(a.inode(path), b.inode(path), "{shown}");
        assert_eq!(a.chunk(path, *chunk), b.chunk(path, *chunk), "{shown}");
    }
}
