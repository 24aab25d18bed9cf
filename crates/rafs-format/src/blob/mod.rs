//! The data blob: the chunks of files, and what describes them. [`layout`] shows the file. To read: [`BlobMeta`] opens
//! the chunk information of a blob that a bootstrap lists, and [`LoadMeta`] requests its bytes; [`LocateTrailer`] finds
//! the [`Toc`] or the inlined bootstrap of a blob of known length. To check: [`LocateSections`] finds all sections of a
//! blob, [`LoadCiHeader`] requests the header of the chunk information, and [`Sections`] compares them with a
//! bootstrap. To write: [`BlobBuilder`] places chunks and completes the file. None of them does I/O.

pub mod chunk_info;
pub mod chunk_info_v1;
pub mod chunk_info_v2;
pub mod layout;

mod batch_context;
mod batch_table;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod batches;
#[cfg(feature = "sha256")]
mod build_error;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod builder;
mod compare;
mod context_table;
mod digests;
mod dump;
mod encrypted;
mod error;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod finish;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod hasher;
mod header;
mod load;
mod locate;
mod meta;
mod meta_file;
#[cfg(feature = "sha256")]
mod options;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod reference;
mod section;
mod sections;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "it writes: its sums are bounded by what a blob can hold"
)]
#[cfg(feature = "sha256")]
mod tar;
mod tar_header;
mod toc;
mod unvouched;
mod zran_context;
mod zran_table;

pub use batch_context::{BatchContext, BatchFault};
#[cfg(feature = "sha256")]
pub use build_error::BuildError;
#[cfg(feature = "sha256")]
pub use builder::{BatchedChunk, BlobBuilder, Placement, StoredChunk};
pub(crate) use chunk_info::MAX_CHUNKS;
pub use chunk_info::{ChunkExtra, ChunkFault, ChunkInfo};
pub use compare::BlobMismatch;
pub use digests::ChunkDigests;
pub(crate) use error::check_given;
pub use error::{BlobError, TarHeaderFault};
#[cfg(feature = "sha256")]
pub use finish::{FinishedBlob, SealedBlob};
#[cfg(feature = "sha256")]
pub use hasher::BlobHasher;
pub use header::{CiHeader, Contexts};
pub use image_model::{Need, Object, Step, StepMachine};
pub use layout::Section;
pub use load::{LoadCiHeader, LoadMeta};
pub use locate::{LocateTrailer, Trailer};
pub use meta::BlobMeta;
#[cfg(feature = "sha256")]
pub use options::BlobOptions;
#[cfg(feature = "sha256")]
pub use reference::{Reference, ReferenceBuilder};
pub use sections::{LocateSections, Sections};
#[cfg(feature = "sha256")]
pub use tar::TarBuilder;
pub use tar_header::TarHeader;
pub use toc::{Toc, TocEntry};
pub use zran_context::{MAX_CONTEXT_LEN, ZranContext, ZranFault};
