//! How a blob file is laid out.
//!
//! Sections follow each other byte by byte; nothing is aligned. `T(name)` is the 512-byte
//! [tar header](super::TarHeader) of the section *before* it, without padding to 512: the file is
//! no tar archive, but it can be walked from its end.
//!
//! ```text
//! separate bootstrap            chunks  CI  header
//!
//! separate bootstrap, TOC       chunks  T(image.blob)  CI  header  T(blob.meta)
//!                               digests  T(blob.digest)  TOC  T(rafs.blob.toc)
//!
//! inlined bootstrap             chunks  T(image.blob)  CI  header  T(blob.meta)
//!                               bootstrap (plain)  T(image.boot)
//!
//! inlined bootstrap, TOC        chunks  T(image.blob)  CI  header  T(blob.meta)
//!                               digests  T(blob.digest)
//!                               bootstrap (zstd)  T(image.boot)  TOC  T(rafs.blob.toc)
//!
//! no file data, inlined         bootstrap  T(image.boot)  [TOC  T(rafs.blob.toc)]
//! ```
//!
//! | section | content | here |
//! |---|---|---|
//! | chunks | frames in the order they were written, without gap; with aligned data each is padded with zeros to 4096 bytes and lies at its uncompressed address | |
//! | CI | chunk information: one entry per chunk, in index order, compressed as a whole | [`chunk_info_v1`](super::chunk_info_v1), [`chunk_info_v2`](super::chunk_info_v2) |
//! | header | 4096 bytes that describe the CI | [`CiHeader`](super::CiHeader) |
//! | digests | 32 bytes per chunk, in index order | [`ChunkDigests`](super::ChunkDigests) |
//! | TOC | 128 bytes per section | [`Toc`](super::Toc), [`TocEntry`](super::TocEntry) |
//!
//! Source: nydus v2, `builder/src/core/blob.rs`, `builder/src/lib.rs` (`dump_bootstrap`,
//! `dump_toc`), checked against files that nydus-image made.

/// A section of a blob that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// Chunk data.
    Data,
    /// Chunk information; in a tar header, together with its header.
    ChunkInfo,
    /// Header of the chunk information; named in the TOC only.
    ChunkInfoHeader,
    /// Digests of the chunks.
    ChunkDigests,
    /// The inlined bootstrap.
    Bootstrap,
    /// The TOC itself; named in its tar header only.
    Toc,
}

impl Section {
    /// Its name in tar headers and in the TOC.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "image.blob",
            Self::ChunkInfo => "blob.meta",
            Self::ChunkInfoHeader => "blob.meta.header",
            Self::ChunkDigests => "blob.digest",
            Self::Bootstrap => "image.boot",
            Self::Toc => "rafs.blob.toc",
        }
    }
}
