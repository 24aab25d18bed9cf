//! Open any image lazily: path to inode to range to verified bytes.
//!
//! ```no_run
//! use lazyoci_image_read::{OpenOptions, open};
//! let image = open("image.boot", &OpenOptions::default())?;
//! let release = image.read(b"/etc/os-release", 1 << 20)?;
//! println!("{} bytes, {} fetched", release.len(), image.stats().bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | item | does |
//! |---|---|
//! | [`open`], [`open_source`], [`OpenImage`] | an image of any format, detected by content, with its blobs |
//! | [`Estargz`], [`read_toc`] | the TOC of an eStargz or zstd:chunked layer |
//! | [`OpenImage::plan_pull`], [`OpenImage::pull_tar`] | which ranges of a layer's blob are missing, given what is [at hand](AtHand); its tar from both |
//! | [`OpenImage::rebuild_tar`] | the tar of a zstd:chunked layer, from its tar-split and its files |
//! | [`find`] | drives every machine that finds something in a file: footers, TOCs, bootstraps |
//! | [`Format`] | the format of a file, by its first and last bytes |
//! | [`LayerImage`], [`DirectoryImage`], [`TreeImage`] | tars and directories as images |
//! | [`Stack`] | a stack of layers as one image |
//! | [`resolve()`] | from a path to an inode, following links inside the image |
//! | [`Reader`], [`FileHandle`] | reads files of an image; owned, shared by threads |
//! | [`ReadPlan`], [`FrameStore`] | the underlying machine: requests stored bytes, returns verified ones |
//! | [`BlobStore`], [`OpenBlob`] | access to blobs, with statistics; implement your own |
//! | [`verify_image`], [`verify_path`], [`verify_source`] | verify everything in one call |
//! | [`pipeline`] | work on many threads, results in order |
//!
//! ```text
//! path -resolve-> inode -FileExtents-> extents -ReadPlan-> frames, near ones in one range
//!      -BlobStore, ReadAt-> stored bytes -Job-> decoded, verified -FrameStore-> bytes
//! ```
//! Reads verify; methods that do not are called `*_unverified`. Content without digests (in a tar, a directory) cannot
//! be verified. The crate has no encoders and no networking.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `lz4`, `zstd`, `gzip` | frames in that codec; the last two also layers |
//! | `gzip-index` | [`LayerIndex`]: gzip layers read lazily where they are, and others by zTOCs; links zstd, a C library |
//! | `blake3` | BLAKE3 digests (SHA-256 and CRC-32C are always available) |
//! | `encryption` | encrypted RAFS blobs (AES-128-XTS) |
//! | `mmap` | [`OpenOptions::map`]: map files instead of reading them |
//! | `serde` | `Serialize` for the findings of a verification, and for [dumps](rafs_format::dump::Document) |
//!
//! [`OpenOptions::map`]: OpenOptions#structfield.map
#![forbid(unsafe_code)]

mod blobs;
mod check;
mod compare;
mod content;
mod detect;
mod directory;
mod ends;
mod handle;
mod layer;
mod open;
mod options;
pub mod pipeline;
mod pull;
mod reader;
mod rebuild;
mod resolve;
mod stack;
mod tree_image;
mod verification;

pub use blobs::{BlobStore, NoBlobs, OpenBlob, StoreError};
pub use compare::same_bytes;
pub use content::{
    FileExtents, FrameError, FrameStore, Job, JobDone, Piece, PieceBytes, ReadError, ReadPlan,
    ReadStep, StoredRange, Want,
};
pub use detect::{DETECT_LEN, Format};
pub use directory::{DirectoryError, DirectoryImage, DirectorySource};
pub use handle::FileHandle;
#[cfg(feature = "gzip-index")]
pub use layer::{Difference, LayerIndex, LayerIndexError, SpanStream, Unlisted, ZtocOptions};
pub use layer::{LayerImage, LayerImageError, LayerImageOptions, TarLayer};
pub use open::{
    Estargz, OpenError, OpenImage, OpenOptions, find, format_at, open, open_source,
    open_with_progress, read_toc,
};
pub use options::ReadOptions;
pub use pull::{AtHand, ImageAtHand, PullCount, PullPlan, PulledTar, WantedChunk};
pub use reader::{FileOrder, Reader, SharedImage};
pub use rebuild::RebuildError;
pub use resolve::{Follow, MAX_LINKS, ResolveError, resolve};
pub use stack::{Stack, StackError};
pub use tree_image::TreeImage;
pub use verification::{
    Finding, Flaw, ImageObject, MAX_FINDINGS, MAX_RANGES, ObjectRange, VerifyOptions,
    VerifySourceOptions, VerifySummary, verify_image, verify_path, verify_source,
};

// Crates whose types appear in signatures here.
pub use blob_io;
pub use bytes;
pub use erofs_format;
pub use estargz_toc;
pub use frame_codec;
#[cfg(feature = "gzip-index")]
pub use gzip_index;
pub use image_model as model;
pub use rafs_format;
#[cfg(feature = "gzip-index")]
pub use soci_ztoc;
pub use tar_stream;
pub use verify;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
