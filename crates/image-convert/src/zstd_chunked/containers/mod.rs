//! Dialect B: a tar, bit for bit, in frames that a TOC and a tar-split describe.
//!
//! ```text
//! tar ─► headers ───────────────────────────────► frames ─┐
//!     └► contents ─► rolling checksum ─► chunks ─► frames ─┴► stage ─► blob, places ─► TOC
//! ```

mod cuts;
mod entry;
mod frames;
mod members;

use blob_io::Output;
use chunk_dedup::FixedSize;
use estargz_toc::footer::containers::{self, Pieces};
use image_model::{DigestAlgorithm, Progress};
use oci_image::{LayerCompression, ZstdChunkedLayer};
use tar_stream::TarReader;

use super::{ZstdChunkedOptions, ZstdChunkedReport, skippable_piece};
use crate::described::DescribedObject;
use crate::layer::{LayerWriter, WrittenLayer};
use crate::report::Report;
use crate::source::KeptFrames;
use crate::stage::{self, ChunkDigest, Rules, Setup, Stored, StoredFrames};
use crate::{ConvertError, Streaming};
use frames::Frames;
use members::{MAX_CHUNK_LEN, Members};

/// Writes the tar of `layer`, whose frames may be kept, to `output`.
pub(super) fn convert(
    (layer, kept): (Streaming<'_>, Option<&KeptFrames>),
    output: &mut dyn Output,
    options: &ZstdChunkedOptions,
    progress: &mut dyn Progress,
) -> Result<ZstdChunkedReport, ConvertError> {
    let limits = layer.limits;
    let compression = options.compression;
    let setup = Setup {
        rules: Rules {
            compression,
            plain_if_shorter: false,
            digest: Some(ChunkDigest {
                algorithm: DigestAlgorithm::Sha256,
                with_crc: false,
                blocks_below: 0,
            }),
            dictionary: None,
            foreign: None,
            origin: None,
            frames: kept.map(|kept| kept as &dyn StoredFrames),
            room_behind: 0,
            grouped_below: 0,
        },
        chunker: &mut FixedSize::new(MAX_CHUNK_LEN),
        max_chunks: limits.max_chunks,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let reader_options = tar_stream::TarReadOptions::default()
        .lenient(layer.lenient)
        .limits(limits.clone());
    let mut reader = TarReader::open_layer(layer.layer, reader_options)?;
    let target = Frames::new(LayerWriter::begin(output, true)?, compression)?;
    let mut report = Report::default();
    let (split, frames, stored) = stage::run(setup, target, |stage| {
        let mut members = Members::new((stage, kept), compression, &limits)?;
        members.write(&mut reader, &mut report)?;
        members.finish()
    })?;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    let (mut layer, offset, toc) = frames.finish();
    let split = split.finish("tar-split")?;
    let toc = toc.finish(&verify::sha256(&split.stored).to_string())?;
    let tar_len = split.tar_len;
    let toc_piece = skippable_piece(&mut layer, offset, &toc.stored, toc.len)?;
    let after = toc_piece.offset + toc_piece.stored_len;
    let split_piece = skippable_piece(&mut layer, after, &split.stored, split.len)?;
    let pieces = Pieces::new(toc_piece).tar_split(split_piece);
    layer.write(&[], &containers::encode(&pieces))?;
    let WrittenLayer { blob, diff_id } = layer.finish()?;
    output.commit()?;
    report.bytes_out = blob.len;
    let manifest_checksum = verify::sha256(&toc.stored);
    let described =
        ZstdChunkedLayer::containers(manifest_checksum, toc_piece).tar_split(split_piece);
    Ok(ZstdChunkedReport {
        report,
        blob: DescribedObject::layer(blob, LayerCompression::Zstd, |annotations| {
            described.write(annotations);
        }),
        diff_id,
        manifest_checksum,
        toc_digest: None,
        uncompressed_size: tar_len,
    })
}
