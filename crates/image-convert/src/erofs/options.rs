//! How an EROFS image is written.

use std::path::PathBuf;
use std::thread::available_parallelism;

use erofs_format::{CannotCarry, Room};
use image_model::{DigestAlgorithm, ImagePath, Tree};

use crate::fill::Format;

/// Options for writing an EROFS image.
///
/// ```
/// use lazyoci_image_convert::ErofsOptions;
/// let options = ErofsOptions::default().chunk_size(1 << 16).verity(true);
/// assert!(!options.lossy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErofsOptions {
    /// Size of all chunks but a file's last, in bytes: a power of two, at least 4096. Equal chunks are stored once, and
    /// chunks of zeros not at all. Several chunks are in memory at a time. Default: 1 MiB.
    pub chunk_size: u32,
    /// Digest algorithm for finding equal chunks; the image's UUID depends on it too, but digests are not stored.
    /// Default: BLAKE3 (in builds without it: SHA-256).
    pub digest: DigestAlgorithm,
    /// Whether a dm-verity hash tree is appended.
    pub verity: bool,
    /// Whether a superblock precedes that tree and describes it, as veritysetup writes it by default and containerd
    /// expects it.
    pub verity_superblock: bool,
    /// Whether whiteouts of a single layer are converted to overlayfs form, so that its image can be one of the lower
    /// directories of a mount, as in containerd.
    pub overlay_whiteouts: bool,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it.
    pub lossy: bool,
    /// Number of threads that digest; does not affect the bytes written. Default: one per core that the process may
    /// use; at most 256.
    pub threads: usize,
    /// Where content is kept until the metadata before it are known, in an unnamed temporary file.
    /// Default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
}

impl Default for ErofsOptions {
    fn default() -> Self {
        Self {
            chunk_size: 1 << 20,
            digest: if cfg!(feature = "blake3") {
                DigestAlgorithm::Blake3
            } else {
                DigestAlgorithm::Sha256
            },
            verity: false,
            verity_superblock: false,
            overlay_whiteouts: false,
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
            spool_directory: None,
        }
    }
}

impl ErofsOptions {
    /// What containerd expects in its layer content cache: whiteouts of overlayfs, and a superblock before
    /// the hash tree if there is one.
    ///
    /// Source: containerd's `core/images/converter/erofs`, `internal/dmverity`.
    #[must_use]
    pub fn for_layer_cache(self) -> Self {
        self.overlay_whiteouts(true).verity_superblock(true)
    }

    image_model::setters! {
        chunk_size: u32,
        digest: DigestAlgorithm,
        verity: bool,
        verity_superblock: bool,
        overlay_whiteouts: bool,
        lossy: bool,
        threads: usize,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
    }
}

impl Format for ErofsOptions {
    fn name(&self) -> &'static str {
        "EROFS"
    }

    fn lossy(&self) -> bool {
        self.lossy
    }

    fn first(&self) -> &[ImagePath] {
        &[]
    }

    fn find_losses<C: Clone>(
        &self,
        tree: &mut Tree<C>,
        report: &mut dyn FnMut(&ImagePath, CannotCarry),
    ) {
        match self.lossy {
            true => erofs_format::drop_losses(tree, Room::EROFS, report),
            false => erofs_format::losses(tree, Room::EROFS, report),
        }
    }
}
