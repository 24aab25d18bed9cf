//! Progress and cancellation of long work.

use crate::error::{Blame, Fault};

/// The caller asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled by the caller")]
pub struct Cancelled;

impl Blame for Cancelled {
    fn fault(&self) -> Fault {
        Fault::Cancelled
    }
}

/// Receives the progress of long work; may stop it. `()` ignores progress and never cancels; a
/// closure over `(done, total)` works too.
///
/// ```
/// use lazyoci_image_model::{Cancelled, Progress};
/// let mut seen = 0;
/// let mut progress = |done: u64, _total: Option<u64>| {
///     seen = done;
///     if done > 10 { Err(Cancelled) } else { Ok(()) }
/// };
/// assert_eq!(progress.advance(5, None), Ok(()));
/// assert_eq!(progress.advance(11, Some(20)), Err(Cancelled));
/// assert_eq!(seen, 11);
/// ```
pub trait Progress {
    /// `done` bytes of `total` (if known) have been processed. Called often: keep it cheap.
    ///
    /// # Errors
    /// [`Cancelled`] stops the work; what was written so far is dropped.
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled>;
}

impl Progress for () {
    fn advance(&mut self, _done: u64, _total: Option<u64>) -> Result<(), Cancelled> {
        Ok(())
    }
}

impl<F: FnMut(u64, Option<u64>) -> Result<(), Cancelled>> Progress for F {
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        self(done, total)
    }
}
