//! The findings of a verification.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use estargz_toc::compare::{CompareError, Disagreement};
use estargz_toc::footer::FooterError;
use estargz_toc::footer::containers::Pieces;
use estargz_toc::image::LandmarkError;
use estargz_toc::tar_split::{SplitMismatch, TarSplitError};
use image_model::{Blame, BlobId, Digest, Fault, ImagePath};
use rafs_format::blob::{BlobError, BlobMismatch};
use verify::{AuditFault, ChunkFault, UnsupportedDigest};

use crate::blobs::StoreError;
use crate::content::ReadError;
use crate::open::OpenError;
use crate::rebuild::RebuildError;

/// One fault of an image, or the reason why a part of it could not be checked. Its `Display` is one
/// complete line: whose fault, where, what, and the cause.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The path in the image, if it is about one.
    pub path: Option<ImagePath>,
    /// First byte in the object, if known.
    pub offset: Option<u64>,
    /// Which file it is in.
    pub object: ImageObject,
    /// What is wrong.
    pub what: Flaw,
    /// Whose fault it is.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.what)
    }
}

/// A file that is part of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImageObject {
    /// The file (or the directory) that holds the image's metadata, and that was opened.
    Image,
    /// A blob.
    Blob(BlobId),
}

impl fmt::Display for ImageObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("the file"),
            Self::Blob(id) => write!(f, "blob `{id}`"),
        }
    }
}

/// Size of a file in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ObjectRange {
    /// The file.
    pub object: ImageObject,
    /// Its bytes.
    pub range: Range<u64>,
}

/// What is wrong. Its `Display` is complete: it includes the typed cause that `source()` returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The image cannot be opened.
    #[error("{}", Chain(.0))]
    Open(#[source] OpenError),
    /// The tree, or the content of a file.
    #[error("{}", Chain(.0))]
    Audit(#[source] AuditFault),
    /// A structure of a RAFS bootstrap.
    #[error("{}", Chain(.0))]
    Bootstrap(#[source] rafs_format::check::CheckFinding),
    /// A structure of an EROFS image.
    #[error("{}", Chain(.0))]
    Erofs(#[source] erofs_format::check::CheckFinding),
    /// A blob that is missing or cannot be opened. None of its chunks is checked.
    #[error("{}", Chain(.0))]
    Unopened(#[source] StoreError),
    /// A file that cannot be read to its end.
    #[error("{object}: {}", Chain(.source))]
    Read {
        /// The file.
        object: ImageObject,
        /// Why not.
        source: blob_io::ReadError,
    },
    /// A structure of a RAFS blob.
    #[error("{object}: {}", Chain(.source))]
    Blob {
        /// The blob.
        object: ImageObject,
        /// What is wrong with it.
        source: BlobError,
    },
    /// A RAFS blob that contradicts its bootstrap or its own TOC.
    #[error("{object}: {}", Chain(.source))]
    Mismatch {
        /// The blob.
        object: ImageObject,
        /// What differs.
        source: BlobMismatch,
    },
    /// A chunk of a RAFS blob without bootstrap.
    #[error("{}", Chain(.0))]
    Chunk(#[source] ChunkFault),
    /// A blob whose name is not its digest.
    #[error("{object} has digest {found}, which is not its name")]
    Name {
        /// The blob.
        object: ImageObject,
        /// Its digest.
        found: Digest,
    },
    /// The chunks of a RAFS blob together do not have the digest in its TOC.
    #[error("{object}: section `image.blob` has digest {found}, but the TOC says {expected}")]
    Data {
        /// The blob.
        object: ImageObject,
        /// In the TOC.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A RAFS blob whose own bootstrap lists only other blobs, so that its chunks are unknown.
    #[error("the file contains chunks, but its bootstrap does not list it as a blob")]
    Orphan,
    /// A layer that had a TOC and lost its footer: readers no longer recognise it as eStargz.
    #[error("looks like eStargz with a damaged footer")]
    Disguise,
    /// A landmark of eStargz.
    #[error("{}", Chain(.0))]
    Landmark(#[source] LandmarkError),
    /// The content of an eStargz landmark cannot be read.
    #[error("{name}: {}", Chain(.source))]
    LandmarkContent {
        /// Its name.
        name: &'static str,
        /// Why not.
        source: ReadError,
    },
    /// The TOC of eStargz and the tar inside.
    #[error("{0}")]
    Disagreement(Disagreement),
    /// The tar inside eStargz cannot be read.
    #[error("{}", Chain(.0))]
    Compare(#[source] CompareError),
    /// The footer of zstd:chunked cannot be used; readers that have annotations do not miss it.
    #[error("{0}")]
    Footer(#[source] FooterError),
    /// The footer of zstd:chunked contradicts the annotations.
    #[error("the footer says that the metadata is at {found:?}, the annotations say {expected:?}")]
    Pieces {
        /// By the annotations.
        expected: Box<Pieces>,
        /// By the footer.
        found: Box<Pieces>,
    },
    /// The tar-split cannot be parsed.
    #[error("{}", Chain(.0))]
    TarSplit(#[source] TarSplitError),
    /// The TOC and the tar-split cannot be compared.
    #[error("{}", Chain(.0))]
    TarSplitTar(#[source] estargz_toc::tar_split::CheckError),
    /// The TOC and the tar-split differ.
    #[error("{0}")]
    Split(#[source] SplitMismatch),
    /// The tar cannot be put together again from the tar-split and the files.
    #[error("{}", Chain(.0))]
    Rebuild(#[source] RebuildError),
    /// The tar that is put together from the tar-split and the files is not the one in the layer.
    #[error(
        "the tar-split and the files make a tar with digest {found}, but the layer's is {expected}"
    )]
    Rebuilt {
        /// Of the layer's own tar.
        expected: Digest,
        /// Of the tar that they make.
        found: Digest,
    },
    /// The layer's tar does not have the expected digest.
    #[error("the layer's tar has digest {found}, expected {expected}")]
    DiffId {
        /// The expected digest.
        expected: Digest,
        /// Its digest.
        found: Digest,
    },
    /// The layer cannot be decompressed.
    #[error("{}", Chain(.0))]
    Layer(#[source] tar_stream::LayerError),
    /// None of the digests is the expected one.
    #[error("{}, expected {expected}", Found(.found))]
    Unexpected {
        /// The expected digest.
        expected: Digest,
        /// What was digested, and its digest.
        found: Vec<(&'static str, Digest)>,
    },
    /// A digest is expected that this build cannot compute.
    #[error("{}", Chain(.0))]
    Uncomputed(#[source] UnsupportedDigest),
    /// A digest is expected of a directory.
    #[error("a directory has no digest, expected {expected}")]
    NoFile {
        /// The digest.
        expected: Digest,
    },
}

impl Blame for Flaw {
    fn fault(&self) -> Fault {
        match self {
            Self::Open(error) => error.fault(),
            Self::Audit(error) => error.fault(),
            Self::Bootstrap(finding) => finding.what.fault(),
            Self::Erofs(finding) => finding.what.fault(),
            Self::Unopened(error) => error.fault(),
            Self::Read { source, .. } => source.fault(),
            Self::Blob { source, .. } => source.fault(),
            Self::Mismatch { source, .. } => source.fault(),
            Self::Chunk(fault) => fault.fault(),
            Self::Landmark(error) => error.fault(),
            Self::LandmarkContent { source, .. } => source.fault(),
            Self::Compare(error) => error.fault(),
            Self::Uncomputed(error) => error.fault(),
            Self::TarSplit(error) => error.fault(),
            Self::TarSplitTar(error) => error.fault(),
            Self::Rebuild(error) => error.fault(),
            Self::Layer(error) => error.fault(),
            Self::NoFile { .. } => Fault::Misuse,
            Self::Name { .. }
            | Self::Data { .. }
            | Self::Orphan
            | Self::Disguise
            | Self::Disagreement(_)
            | Self::Footer(_)
            | Self::Pieces { .. }
            | Self::Split(_)
            | Self::Rebuilt { .. }
            | Self::DiffId { .. }
            | Self::Unexpected { .. } => Fault::Corrupt,
        }
    }
}

/// An error and all its causes. A cause that its error already names is not repeated.
struct Chain<'a, E>(&'a E);

impl<E: Error> fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let why = error.to_string();
            if !said.ends_with(&why) {
                write!(f, ": {why}")?;
                said = why;
            }
            cause = error.source();
        }
        Ok(())
    }
}

struct Found<'a>(&'a [(&'static str, Digest)]);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (what, digest)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{what} has digest {digest}")?;
        }
        Ok(())
    }
}
