//! Verifying everything in an image in one call.
//!
//! ```text
//! image -bootstrap.check, blobs inspected, digests expected-> findings
//!       -audit, each chunk once, in stored order-> findings
//!          '-Tap: the same bytes, in their order-> digest of the blob, of its data; the tar inside
//! ```

mod alone;
mod blob;
mod chunked;
mod digests;
mod estargz;
mod finding;
mod image;
mod options;
mod path;
mod planned;
mod report;
mod separate;
#[cfg(feature = "serde")]
mod serialize;
mod sinks;
mod tap;
mod v7;

use image_model::advisory::Advisories;
use image_model::{Cancelled, Fault, Progress};
use verify::AuditSummary;

use crate::detect::Format;
use crate::open::OpenImage;
use report::Report;

pub use finding::{Finding, Flaw, ImageObject, ObjectRange};
pub use options::{VerifyOptions, VerifySourceOptions};
pub use path::{verify_path, verify_source};

/// Maximum number of findings that are told, if [`Limits::max_report_len`](image_model::Limits::max_report_len) does
/// not end the list before; more are counted.
pub const MAX_FINDINGS: u64 = 1 << 14;

/// Maximum number of ranges of one kind that a [`VerifySummary`] lists; the bytes of more are counted.
pub const MAX_RANGES: usize = 1 << 12;

/// What was verified, and with what result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifySummary {
    /// The format of the image; `None` if it is unknown.
    pub format: Option<Format>,
    /// What there is in the tree, and how many chunks were read. The faults of the audit are among the
    /// findings.
    pub audit: AuditSummary,
    /// RAFS blobs whose structures were checked.
    pub blobs: u64,
    /// Bytes that mean nothing, the first [`MAX_RANGES`] ranges of them: no structure and no chunk
    /// takes them, and only a digest of the whole file, where there is one, vouches for them.
    pub padding: Vec<ObjectRange>,
    /// Their total length.
    pub padding_len: u64,
    /// Bytes that were read, but that no digest vouches for as stored, the first [`MAX_RANGES`] ranges of them. What they
    /// decode to is right.
    ///
    /// Of RAFS there are some only in a blob without a digest of its whole: one whose name says nothing, that has no TOC,
    /// and that is not the file of which a digest was [expected](VerifyOptions#structfield.expect). Then they are what is
    /// compressed or in no file ([version 5](rafs_format::v5::Bootstrap::unvouched),
    /// [6](rafs_format::blob::BlobMeta::unvouched)); without a bootstrap, all of the blob.
    ///
    /// Of a layer that is read by an [index](crate::OpenOptions#structfield.index), unless that has its digest or it was
    /// expected, they are what is in no span that is read: with a zTOC the header of the first gzip member.
    pub unvouched: Vec<ObjectRange>,
    /// Their total length.
    pub unvouched_len: u64,
    /// Number of findings.
    pub findings: u64,
    /// Findings that were only counted, because there are too many.
    pub untold: u64,
    /// Findings of [`Fault::Corrupt`], as far as they were looked at: the image is bad.
    pub corrupt: u64,
    /// The same of what is not the image's fault: something could not be read.
    pub unread: u64,
    /// Accepted oddities, which are not findings.
    pub advisories: Advisories,
}

impl VerifySummary {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings == 0
    }

    /// The worst fault among the findings: [`Fault::Corrupt`] if there is any, else [`Fault::Io`] if something could
    /// not be read, else [`Fault::Unsupported`].
    #[must_use]
    pub fn worst(&self) -> Option<Fault> {
        match self {
            Self { findings: 0, .. } => None,
            Self { corrupt: 1.., .. } => Some(Fault::Corrupt),
            Self { unread: 1.., .. } => Some(Fault::Io),
            _ => Some(Fault::Unsupported),
        }
    }
}

/// Verifies everything in `image` and its blobs, and passes every fault to `findings`.
///
/// * Every image: all that an [audit](verify::audit) looks at, each chunk read and verified once, on
///   all threads.
/// * RAFS: every structure of the [bootstrap](rafs_format::Bootstrap::check); of each blob its
///   length, its chunk information with the header, its TOC and the digests in it, its section of chunk
///   digests, each against the bootstrap; and its digest, if it is called by one. That is its SHA-256
///   or, as nydus-image names blobs with a TOC, that of the file without its section of chunk digests.
///   A blob that is missing is one finding.
/// * RAFS v7: the checksums and tables of each blob, its groups and their digests; the digest of a blob that is called by
///   one, and of its data if it holds the bootstrap.
/// * zstd:chunked: its footer against the annotations that it was [opened by](crate::OpenOptions#structfield.described).
///   Of containers/storage, the tar-split, if the TOC vouches for one: against the TOC, and the tar that it makes with
///   the files against the tar inside. Readers of such layers skip the frames of runs of zeros, so what those frames hold
///   is nobody's content; what they decode to counts in the digest of the tar.
/// * Layers: the digest of the tar, if one is [expected](VerifyOptions#structfield.diff_id).
/// * eStargz and zstd:chunked: landmarks, and the TOC against the tar inside. A gzip layer that looks like eStargz which
///   lost its footer is told.
///
/// Blobs are read from front to back, once: the digest of a blob is made of the bytes that are read for
/// its chunks, what lies between them included. So are the tar inside eStargz and the digest that the
/// file is [expected](VerifyOptions#structfield.expect) to have; only a compressed layer is read again
/// for that.
///
/// Memory: some 50 MiB, and 300 bytes for each inode and chunk.
///
/// ```
/// use lazyoci_image_read::{VerifyOptions, open, verify_image};
/// # let directory = tempfile::tempdir()?;
/// # std::fs::write(directory.path().join("motd"), "hello")?;
/// # let path = directory.path();
/// let image = open(path, &Default::default())?;
/// let options = VerifyOptions::default();
/// let summary = verify_image(&image, &options, &mut (), &mut |found| println!("{found}"))?;
/// assert!(summary.is_sound());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Cancelled`] if `progress` asks to stop. Findings are not errors.
pub fn verify_image(
    image: &OpenImage,
    options: &VerifyOptions,
    progress: &mut dyn Progress,
    findings: &mut dyn FnMut(Finding),
) -> Result<VerifySummary, Cancelled> {
    let mut report = Report::new(findings, progress, image.limits());
    image::verify(image, options, &mut report)?;
    Ok(report.summary)
}

impl OpenImage {
    /// See [`verify_image`].
    ///
    /// # Errors
    /// [`Cancelled`] if `progress` asks to stop.
    pub fn verify(
        &self,
        options: &VerifyOptions,
        progress: &mut dyn Progress,
        findings: &mut dyn FnMut(Finding),
    ) -> Result<VerifySummary, Cancelled> {
        verify_image(self, options, progress, findings)
    }
}
