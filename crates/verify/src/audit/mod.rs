//! Reading all of an image and listing every fault.

mod fault;
mod run;

use image_model::{Cancelled, Fault, Image, Limits};

use crate::content::Content;
use run::Audit;

pub use fault::AuditFault;

/// Receives the findings and the progress of an [`audit`]. A closure over the faults will do.
pub trait AuditObserver {
    /// A fault was found. The audit continues.
    fn fault(&mut self, fault: AuditFault);

    /// A fault of this kind was found, but is only counted: the paths of those before take
    /// [`max_report_len`](Limits#structfield.max_report_len) bytes, or there are [too many](MAX_CONTENT_FAULTS).
    /// The audit continues.
    fn untold(&mut self, fault: Fault) {
        let _ = fault;
    }

    /// `done` of `total` bytes of chunks have been read and checked. While paths are visited, this is called for each
    /// of them, and `total` is not yet known.
    ///
    /// # Errors
    /// [`Cancelled`] ends the audit. By default it continues.
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        let _ = (done, total);
        Ok(())
    }
}

impl<F: FnMut(AuditFault)> AuditObserver for F {
    fn fault(&mut self, fault: AuditFault) {
        self(fault);
    }
}

/// What an [`audit`] checked. Inodes and chunks with several names or users count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditSummary {
    /// Paths, including the root.
    pub paths: u64,
    /// Directories.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Devices, FIFOs and sockets.
    pub specials: u64,
    /// Length of all regular files in bytes, including holes.
    pub content_len: u64,
    /// Distinct chunks.
    pub chunks: u64,
    /// Their length in bytes.
    pub chunk_len: u64,
    /// Chunks with neither digest nor checksum, which cannot be verified.
    pub unverifiable_chunks: u64,
    /// Faults that were found.
    pub faults: u64,
    /// Faults that were only [counted](AuditObserver::untold).
    pub untold: u64,
}

/// Maximum number of content faults that an audit reports; further ones are only counted. Each
/// report needs a search for its path, and with a wrong blob all chunks of an image would be
/// reported.
pub const MAX_CONTENT_FAULTS: usize = 1 << 14;

/// Visits every path of `image`, reads every chunk once, and reports every fault to `observer`. It
/// checks that every directory can be read, its names ascend, and looking them up finds the same
/// inodes; that kinds and link counts agree with the directories; that the extents of each file
/// cover it; and that each chunk can be read and has the digest and the checksum that the image
/// gives it.
///
/// ```
/// use image_model::{Cancelled, Image, Limits};
/// use lazyoci_verify::{AuditFault, Content, audit};
///
/// fn is_sound(image: &dyn Image, content: &mut dyn Content) -> Result<bool, Cancelled> {
///     let mut tell = |fault: AuditFault| eprintln!("{}: {fault}", fault.path());
///     Ok(audit(image, content, &Limits::default(), &mut tell)?.faults == 0)
/// }
/// ```
///
/// # Errors
/// [`Cancelled`] if the observer asks to stop. Faults are not errors: see [`AuditSummary::faults`].
pub fn audit(
    image: &dyn Image,
    content: &mut dyn Content,
    limits: &Limits,
    observer: &mut dyn AuditObserver,
) -> Result<AuditSummary, Cancelled> {
    Audit::new(image, limits, observer).run(content, true)
}

/// Like [`audit`], but without reading content: it only checks that chunks are within their frames and blobs.
///
/// # Errors
/// [`Cancelled`] if the observer asks to stop.
pub fn audit_metadata(
    image: &dyn Image,
    content: &mut dyn Content,
    limits: &Limits,
    observer: &mut dyn AuditObserver,
) -> Result<AuditSummary, Cancelled> {
    Audit::new(image, limits, observer).run(content, false)
}
