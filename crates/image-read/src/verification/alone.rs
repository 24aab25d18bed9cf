//! A RAFS blob without bootstrap: its chunks by its own lists.

use std::sync::Arc;

use blob_io::ReadAt;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{
    Blob, BlobId, BlobIndex, Cancelled, Chunk, ChunkId, ChunkedImage, Codec, Digest,
    DigestAlgorithm, Frame, FrameId, Ino, InodeId, Limits, Metadata, Name, Node, Recipe, RecipeId,
    Tree,
};
use rafs_format::blob::{BlobMeta, ChunkInfo, Toc};
use verify::{CheckFiles, ChunkFault, ChunkObserver, Content};

use super::VerifySourceOptions;
use super::blob::{BlobFile, Inspected, Listed};
use super::digests::Expected;
use super::finding::{Flaw, ImageObject};
use super::planned::Planned;
use super::report::Report;
use super::tap::{Tap, Taps};
use crate::blobs::BlobStore;
use crate::ends::Ends;
use crate::options::ReadOptions;
use crate::reader::Reader;

/// How every zstd frame begins. No LZ4 block does: it would refer to bytes before its first.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The recipes of a blob: of what is stored plain, and of what is compressed.
const PLAIN: RecipeId = RecipeId(0);
const COMPRESSED: RecipeId = RecipeId(1);

/// The blob's chunks as one file.
const CONTENT: InodeId = InodeId::new(1);

/// Verifies the blob `source`, which holds no bootstrap, and of which `ends` were read.
pub(super) fn verify(
    source: &Arc<dyn ReadAt>,
    ends: &Ends<'_>,
    options: &VerifySourceOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let (limits, id) = (&options.open.limits, options.id.as_ref());
    let options = &options.verify;
    let unnamed = || BlobId::new(b"blob").expect("a valid id");
    let id = id.cloned().unwrap_or_else(unnamed);
    let object = ImageObject::Blob(id.clone());
    let opened = BlobFile::open(object.clone(), ends, limits, report);
    let Some(blob) = opened else { return Ok(()) };
    report.summary.blobs += 1;
    let inspected = blob.inspect(Listed::Alone(&id), report);
    let mut expected = Expected::new(options.expect);
    let toc = inspected
        .as_ref()
        .and_then(|found| found.sections.toc.as_ref());
    if let Some(toc) = toc {
        expected.add("its TOC", Toc::digest(toc));
    }
    if !options.content {
        expected.read_file(&**source, report)?;
        expected.settle(report);
        return Ok(());
    }
    let image = Chunks::of(&id, inspected.as_ref(), source).image();
    let mut planned = Planned::native(object.clone(), id.clone(), inspected);
    planned.is_file = true;
    planned.want(&expected);
    let store = BlobStore::single(Arc::clone(source));
    let reader = Reader::new(Arc::new(image), store, ReadOptions::new(limits));
    let tap = Arc::new(Tap::new(&reader, BlobIndex(0), planned.sinks.take()));
    let taps = vec![Some(Arc::clone(&tap))];
    let mut tapped = Taps { reader, taps }.tapped(options.threads);
    check(&mut tapped, &object, limits, report)?;
    planned.settle(&tap, &mut expected, report)?;
    expected.settle(report);
    Ok(())
}

/// Decodes and verifies all chunks.
fn check(
    reader: &mut Reader,
    object: &ImageObject,
    limits: &Limits,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let options = CheckFiles::new(limits);
    let mut observer = Observer { object, report };
    let file = Ino(CONTENT.index() as u64);
    let found = reader.check_files(&[file], &options, &mut observer)?;
    let audit = &mut report.summary.audit;
    audit.chunks += found.chunks;
    audit.chunk_len += found.chunk_len;
    audit.unverifiable_chunks += found.unverifiable;
    Ok(())
}

struct Observer<'a, 'r> {
    object: &'a ImageObject,
    report: &'a mut Report<'r>,
}

impl ChunkObserver for Observer<'_, '_> {
    fn fault(&mut self, _file: usize, fault: ChunkFault) {
        let offset = fault.stored_at().map(|at| at.frame_offset);
        let (object, what) = (self.object.clone(), Flaw::Chunk(fault));
        self.report.add_at(object, None, offset, what);
    }

    fn advance(&mut self, done: u64, total: u64) -> Result<(), Cancelled> {
        self.report.advance(done, Some(total))
    }
}

/// What a blob says of its chunks.
struct Chunks {
    id: BlobId,
    len: u64,
    chunks: Vec<ChunkInfo>,
    /// Of what is compressed.
    codec: Codec,
    digests: Option<(DigestAlgorithm, Vec<[u8; 32]>)>,
}

impl Chunks {
    fn of(id: &BlobId, inspected: Option<&Inspected>, source: &Arc<dyn ReadAt>) -> Self {
        let mut chunks = Self {
            id: id.clone(),
            len: 0,
            chunks: Vec::new(),
            codec: Codec::None,
            digests: None,
        };
        let Some(Inspected {
            sections,
            meta: Some(meta),
            digests,
            ..
        }) = inspected
        else {
            return chunks;
        };
        chunks.len = sections.len;
        chunks.chunks = usable(meta);
        chunks.codec = chunks.codec(source);
        let complete = chunks.chunks.len() == meta.chunk_count() as usize;
        if let Some(digests) = digests.as_ref().filter(|_| complete) {
            let (digests, _) = digests.as_chunks();
            chunks.digests = chunks
                .algorithm(digests, source)
                .map(|a| (a, digests.to_vec()));
        }
        chunks
    }

    /// How compressed chunks are, by the first of them.
    fn codec(&self, source: &Arc<dyn ReadAt>) -> Codec {
        let first = self.chunks.iter().find(|chunk| chunk.compressed);
        let magic = first.map(|chunk| source.read_bytes(chunk.offset, ZSTD_MAGIC.len()));
        match magic {
            Some(Ok(magic)) if magic == ZSTD_MAGIC => Codec::Zstd,
            _ => Codec::Lz4Block,
        }
    }

    /// With what the chunks are digested, by the first of them; SHA-256 if that is wrong.
    fn algorithm(&self, digests: &[[u8; 32]], source: &Arc<dyn ReadAt>) -> Option<DigestAlgorithm> {
        let (first, digest) = (self.chunks.first()?, digests.first()?);
        let store = BlobStore::single(Arc::clone(source));
        let image = Self {
            id: self.id.clone(),
            chunks: vec![*first],
            digests: None,
            ..*self
        };
        let reader = Reader::new(Arc::new(image.image()), store, ReadOptions::default());
        let mut bytes = Vec::new();
        let file = Ino(CONTENT.index() as u64);
        let read = reader.read_range(file, 0..u64::MAX, &mut bytes);
        let is = |algorithm| {
            let found = verify::digest(algorithm, &bytes);
            found == Ok(Digest::new(algorithm, *digest))
        };
        let blake3 = DigestAlgorithm::Blake3;
        Some(match read {
            Ok(_) if is(blake3) => blake3,
            _ => DigestAlgorithm::Sha256,
        })
    }

    /// An image of one file that has all chunks, one after the other.
    fn image(&self) -> ChunkedImage {
        let mut parts = ChunkedParts {
            recipes: vec![Recipe::exact(Codec::None), Recipe::exact(self.codec)],
            blobs: vec![Blob::new(self.id.clone())],
            ..ChunkedParts::default()
        };
        parts.blobs[0].stored_len = (self.len > 0).then_some(self.len);
        let mut size = 0;
        for (index, chunk) in (0u32..).zip(&self.chunks) {
            let digests = self.digests.as_ref();
            let digest = digests.and_then(|(algorithm, digests)| {
                let digest = digests.get(index as usize)?;
                Some(Digest::new(*algorithm, *digest))
            });
            parts.extents.push(ChunkExtent {
                file_offset: size,
                chunk: Some(ChunkId::new(index)),
            });
            parts.frames.push(Frame {
                blob: BlobIndex(0),
                offset: chunk.offset,
                stored_len: chunk.stored_len,
                len: chunk.len,
                recipe: if chunk.compressed { COMPRESSED } else { PLAIN },
            });
            parts.chunks.push(Chunk {
                digest,
                len: chunk.len,
                crc32c: chunk.crc32c(),
                frame: FrameId(index),
                offset_in_frame: 0,
            });
            size += u64::from(chunk.len);
        }
        let content = ChunkRange {
            start: 0,
            // At most 2^24.
            end: self.chunks.len() as u32,
        };
        let mut tree = Tree::new(Metadata::implied_directory());
        let file = tree.add(Metadata::default(), Node::File { size, content });
        let name = Name::new(*b"chunks").expect("a valid name");
        tree.link(InodeId::ROOT, name, file)
            .expect("the root is a directory");
        ChunkedImage::new(tree, parts).expect("each chunk has a frame and an extent of its length")
    }
}

/// The chunks that can be read; what is wrong with the others was told.
fn usable(meta: &BlobMeta) -> Vec<ChunkInfo> {
    let chunks = (0..meta.chunk_count()).map(|index| meta.chunk(index));
    chunks.flatten().collect()
}
