//! Conversions between OCI layers, directories and lazily loaded images.
//!
//! | function | does |
//! |---|---|
//! | [`to_rafs`] | a layer, a directory or any image to RAFS, v5 or v6 |
//! | `to_zran` | a gzip layer to RAFS v6 over the layer as it is (feature `gzip-index`) |
//! | [`keep_blobs`] | a RAFS image to the other version of RAFS, over its existing blobs |
//! | [`to_erofs`] | a layer, a directory or any image to one EROFS image with its content, which the kernel mounts |
//! | [`to_estargz`] | a layer, a directory or any image to eStargz |
//! | [`to_zstd_chunked`] | a layer, a directory or any image to zstd:chunked, of either dialect |
//! | [`to_tar`] | any image to a tar, plain, gzip or zstd |
//! | [`recompress`] | a layer to the same layer with different compression |
//! | [`unpack`] | any image to a local directory |
//! A [`Source`] is a layer that is read once, front to back, an opened image, or one built in memory. The output goes
//! to an [`Output`]: a directory, a file, memory, any writer, or your own. It appears complete or not at all, and its
//! bytes depend only on the source and the options, not on the number of threads, the machine or the time. What a
//! target cannot carry is refused with its path, or, if the options allow losses, left out and
//! [reported](Report::losses).
//!
//! [`Output`]: blob_io::Output
//!
//! ```
//! use std::io::Write;
//! use blob_io::{DirectoryOutput, MemoryOutput, ObjectRole};
//! use lazyoci_image_convert::{RafsOptions, Streaming, TarOptions, to_rafs, to_tar};
//! use image_model::{ImagePath, Metadata, Node};
//!
//! let mut layer = tar_stream::TarWriter::new(Vec::new());
//! let file = Node::File { size: 5, content: () };
//! layer.append(&ImagePath::clean(b"etc/motd")?, &Metadata::default(), &file)?;
//! layer.write_all(b"hello")?;
//! let layer = layer.finish()?;
//!
//! # let directory = tempfile::tempdir()?;
//! # let output = directory.path().join("image");
//! let mut directory = DirectoryOutput::create(&output)?;
//! to_rafs(Streaming::new(&layer[..]), &mut directory, &RafsOptions::default(), &mut ())?;
//!
//! let image = image_read::open(output.join("image.boot"), &Default::default())?;
//! assert_eq!(image.read(b"/etc/motd", 1024)?, b"hello");
//! let mut memory = MemoryOutput::default();
//! let tar = to_tar(&image, &mut memory, &TarOptions::default(), &mut ())?;
//! assert_eq!(memory.object(ObjectRole::Layer).unwrap().digest, tar.blob.digest);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! `lz4`, `zstd`, `gzip` and `blake3`, all on by default, add codecs and digests, `gzip-index` gzip layers as blobs; `libdeflate` makes that library the
//! default for eStargz. Options may name a codec that is not built in; conversions then fail with an error that names
//! what is missing. `serde` makes the reports serialisable.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps has failed")
)]

mod analyze;
mod described;
mod erofs;
mod error;
mod estargz;
mod fill;
mod kept_tar;
mod layer;
mod members;
mod object;
mod rafs;
mod report;
mod source;
mod stage;
mod tar;
mod tree;
mod unpack;
mod zstd_chunked;

pub use analyze::{
    AnalyzeOptions, Chunking, ChunkingError, Duplication, ImageDuplication, analyze,
};
pub use described::DescribedObject;
pub use erofs::{ErofsOptions, ErofsReport, Verity, layer_cache_path, to_erofs};
pub use error::ConvertError;
pub use estargz::{EstargzOptions, EstargzReport, to_estargz};
pub use kept_tar::{KeptTarError, KeptTarFault};
pub use rafs::{
    ChunkDictionary, CompactOptions, KeepBlobsError, KeepBlobsOptions, ParsePrefetchPolicyError,
    Planned, PrefetchPolicy, RafsBlob, RafsOptions, RafsReport, ReusePlan, TarfsOptions,
    TarfsReport, add_to_dictionary, compact, keep_blobs, plan_reuse, to_rafs, to_tarfs,
};
#[cfg(feature = "gzip-index")]
pub use rafs::{ZranOptions, ZranReport, to_zran};
pub use report::{ChunkCounts, Loss, LossKind, Report};
pub use source::{FileContent, FileContentError, Source, Streaming};
pub use tar::{TarOptions, TarReport, recompress, to_tar};
pub use unpack::{Ownership, UnpackOptions, unpack};
pub use zstd_chunked::{
    ZstdChunkedDialect, ZstdChunkedOptions, ZstdChunkedReport, to_zstd_chunked,
};

// Crates whose types appear in signatures here.
pub use blob_io;
pub use bytes;
pub use chunk_dedup;
pub use erofs_format;
pub use estargz_toc;
pub use frame_codec;
#[cfg(feature = "gzip-index")]
pub use gzip_index;
pub use image_model as model;
pub use image_read as read;
pub use oci_image;
pub use rafs_format;
pub use tar_stream;
pub use verify;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
