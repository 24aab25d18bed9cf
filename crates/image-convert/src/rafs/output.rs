//! The files of a RAFS image.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{Chunk, ChunkedImage, Frame, InodeId, Node, Tree};
use rafs_format::blob::{BlobBuilder, BlobHasher, FinishedBlob};
use rafs_format::v6::{BlobEntry, ChunkPlace, Layout, LayoutInput, Options, prefetch_inodes};

use super::RafsOptions;
use super::store::{Store, recipes};
use crate::ConvertError;
use crate::report::Report;

/// Name of the bootstrap.
const BOOTSTRAP: &str = "image.boot";
/// Name of the directory of blobs.
const BLOBS: &str = "blobs";
/// Name of the blob as long as its id is not known.
const INCOMPLETE: &str = ".incomplete";

const BUFFER_LEN: usize = 256 << 10;

/// The blob while it is written.
#[derive(Debug)]
pub(super) struct BlobFile {
    file: BufWriter<File>,
    blobs: PathBuf,
}

impl BlobFile {
    /// An empty blob in a new directory of blobs below `directory`.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let blobs = directory.join(BLOBS);
        fs::create_dir(&blobs)?;
        let file = File::create_new(blobs.join(INCOMPLETE))?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER_LEN, file),
            blobs,
        })
    }

    /// Gives the blob its last bytes and its name.
    fn finish(mut self, blob: &FinishedBlob) -> io::Result<()> {
        self.file.write_all(&blob.trailer)?;
        self.file.flush()?;
        let name = self.blobs.join(blob.digest.hex());
        fs::rename(self.blobs.join(INCOMPLETE), name)
    }

    /// Removes the blob: the image has none.
    fn discard(self) -> io::Result<()> {
        fs::remove_file(self.blobs.join(INCOMPLETE))
    }
}

impl Write for BlobFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.file.write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Content that is stored, but for the end of the blob.
#[derive(Debug)]
pub(super) struct Stored {
    /// Whether the source was a tar, in its own order.
    from_tar: bool,
    pub(super) tree: Tree<ChunkRange>,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) chunks: Vec<Chunk>,
    frames: Vec<Frame>,
    places: Vec<ChunkPlace>,
    builder: BlobBuilder,
    hasher: BlobHasher,
    blob: BlobFile,
}

impl Stored {
    pub(super) fn new(
        from_tar: bool,
        tree: Tree<ChunkRange>,
        chunks: Vec<Chunk>,
        store: Store<'_, BlobFile>,
    ) -> Self {
        Self {
            from_tar,
            tree,
            extents: store.extents,
            chunks,
            frames: store.frames,
            places: store.places,
            builder: store.builder,
            hasher: store.hasher,
            blob: store.out,
        }
    }

    /// How many chunks no file uses.
    pub(super) fn dead_chunks(&self) -> u64 {
        let mut used = vec![false; self.chunks.len()];
        for index in 0..self.tree.len() as u32 {
            if let Node::File { content, .. } = &self.tree.inode(InodeId::new(index)).node {
                let extents = &self.extents[content.start as usize..content.end as usize];
                for chunk in extents.iter().filter_map(|extent| extent.chunk) {
                    used[chunk.index()] = true;
                }
            }
        }
        used.iter().filter(|used| !**used).count() as u64
    }
}

/// Completes the blob and writes the bootstrap into `directory`.
pub(super) fn write(
    stored: Stored,
    directory: &Path,
    options: &RafsOptions,
    report: &mut Report,
) -> Result<(), ConvertError> {
    let Stored {
        from_tar,
        tree,
        extents,
        chunks,
        frames,
        places,
        builder,
        hasher,
        blob,
    } = stored;
    let layout_options = Options {
        compat: options.compat,
        chunk_size: options.chunk_size,
        compressor: options.compression.codec().try_into()?,
        digester: options.digest.try_into()?,
        explicit_ids: true,
        root_number: from_tar.into(),
        prefetch: prefetch_inodes(&tree, &options.prefetch),
    };
    let image = |entries: &[BlobEntry]| {
        let parts = ChunkedParts {
            extents,
            chunks,
            frames,
            recipes: recipes(options.compression.codec()),
            blobs: entries.iter().map(BlobEntry::blob).collect(),
        };
        ChunkedImage::new(tree, parts).expect("as they were stored")
    };
    let (mut image, finished) = if options.inline_meta {
        let sealed = builder.seal(hasher)?;
        let entry = sealed.entry().cloned();
        let image = image(entry.as_slice());
        let mut bootstrap = Vec::new();
        Layout::plan(input(&image, &places, entry.as_slice()), &layout_options)?
            .write_to(&mut bootstrap)?;
        (image, Some(sealed.embed(&bootstrap)?))
    } else {
        let finished = builder.finish(hasher)?;
        let entry = finished.as_ref().and_then(|blob| blob.entry.clone());
        (image(entry.as_slice()), finished)
    };
    match &finished {
        Some(finished) => {
            blob.finish(finished)?;
            report.bytes_out += finished.len;
        }
        None => blob.discard()?,
    }
    let entry = finished.and_then(|finished| finished.entry);
    let entries = entry.as_slice();
    image.blobs = entries.iter().map(BlobEntry::blob).collect();
    let layout = Layout::plan(input(&image, &places, entries), &layout_options)?;
    layout.write_to(File::create_new(directory.join(BOOTSTRAP))?)?;
    report.bytes_out += layout.len();
    Ok(())
}

fn input<'a>(
    image: &'a ChunkedImage,
    places: &'a [ChunkPlace],
    entries: &'a [BlobEntry],
) -> LayoutInput<'a> {
    LayoutInput {
        image,
        places,
        entries,
    }
}
