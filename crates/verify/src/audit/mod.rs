//! Reading everything of an image and listing every fault.

mod fault;
mod run;

use image_model::{Cancelled, Image, Limits};

use crate::content::Content;
use run::Audit;

pub use fault::AuditFault;

/// Hears what an [`audit`] finds, and how far it is. A closure over the faults will do.
pub trait AuditObserver {
    /// A fault was found. The audit goes on.
    fn fault(&mut self, fault: AuditFault);

    /// `done` of `total` bytes of chunks are read and checked; `total` is not known before all paths
    /// were visited, during which this is called for each.
    ///
    /// # Errors
    /// [`Cancelled`] ends the audit. By default it goes on.
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

/// What an [`audit`] looked at. Inodes and chunks with several names or users count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditSummary {
    /// Paths, the root included.
    pub paths: u64,
    /// Directories.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Devices, FIFOs and sockets.
    pub specials: u64,
    /// Length of all regular files in bytes, holes included.
    pub content_len: u64,
    /// Distinct chunks.
    pub chunks: u64,
    /// Their length in bytes.
    pub chunk_len: u64,
    /// Those that carry neither digest nor checksum, so that nobody can tell whether they are right.
    pub unverifiable_chunks: u64,
    /// Faults that were found.
    pub faults: u64,
    /// Those of them that the observer was not told: there are too many.
    pub untold: u64,
}

/// Most faults of content that an audit tells; more are counted. To tell one, its path is looked
/// for, and that of all chunks of an image whose blob is wrong would be told.
pub const MAX_CONTENT_FAULTS: usize = 1 << 14;

/// Visits every path of `image`, reads every chunk once, and tells `observer` every fault.
///
/// Checked are: every directory can be read, its names rise, and looking them up finds the same;
/// kinds and link counts agree with the directories; the extents of each file cover it; each chunk
/// can be read and has the digest and the checksum that the image gives it.
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
/// [`Cancelled`] if the observer asks to stop. Faults are no errors: see [`AuditSummary::faults`].
pub fn audit(
    image: &dyn Image,
    content: &mut dyn Content,
    limits: &Limits,
    observer: &mut dyn AuditObserver,
) -> Result<AuditSummary, Cancelled> {
    Audit::new(image, limits, observer).run(content, true)
}

/// As [`audit`], but no content is read: it is only checked that chunks lie where they can.
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
