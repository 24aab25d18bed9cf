//! How a layer is described.

use std::num::NonZeroU32;
use std::thread::available_parallelism;

use estargz_toc::Landmark;
use estargz_toc::toc::TOC_NAME;
use image_model::{DigestAlgorithm, ImagePath, Tree};
use rafs_format::blob::MAX_CONTEXT_LEN;
use rafs_format::flags::Compat;
use rafs_format::layout::CannotCarry;
use rafs_format::v6;

use super::reference_layer::Cutting;
use crate::fill::Format;
use crate::stage::ChunkDigest;

/// Options for describing a layer.
///
/// ```
/// use std::num::NonZeroU32;
/// use lazyoci_image_convert::ZranOptions;
/// let options = ZranOptions::default().span(NonZeroU32::new(8 << 20));
/// assert_eq!(options.chunk_size, ZranOptions::default().chunk_size);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZranOptions {
    /// Bytes of the tar from one place at which it can be entered to the next, about: at most 16 MiB. Longer spans make
    /// what describes the layer shorter, and every read longer. Default: 4 MiB, or what 1 MiB of the layer gives; there are
    /// about as many spans as nydus-image makes.
    pub span: Option<NonZeroU32>,
    /// Whether the layer is an eStargz: its TOC and its landmarks are no files of the image then, as in nydus-image's mode
    /// of that name. Default: no.
    pub estargz: bool,
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 8 MiB. Default: 1 MiB.
    pub chunk_size: u32,
    /// Release of nydus-image whose bootstrap to write: 2.2 knows no CRC-32C. Default: 2.4.
    pub compat: Compat,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it.
    pub lossy: bool,
    /// Number of threads that digest; does not affect the bytes written. Default: one per core that the process may use;
    /// at most 256.
    pub threads: usize,
}

impl Default for ZranOptions {
    fn default() -> Self {
        Self {
            span: None,
            estargz: false,
            chunk_size: 1 << 20,
            compat: Compat::default(),
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl ZranOptions {
    image_model::setters! {
        span: Option<NonZeroU32>,
        estargz: bool,
        chunk_size: u32,
        compat: Compat,
        lossy: bool,
        threads: usize,
    }

    /// How files are cut and digested.
    pub(super) fn cutting(&self) -> Cutting {
        Cutting {
            chunk_size: self.chunk_size,
            digest: Some(ChunkDigest {
                algorithm: DigestAlgorithm::Sha256,
                with_crc: self.compat == Compat::V2_4,
                blocks_below: 0,
            }),
            threads: self.threads,
        }
    }

    /// Longest spans, in bytes of the layer and of the tar. With the rest of a chunk that begins in one, readers still
    /// have room for it.
    pub(super) fn spans(&self) -> (u32, u32) {
        let room = MAX_CONTEXT_LEN.saturating_sub(self.chunk_size);
        match self.span {
            Some(span) => (span.get(), span.get().min(room)),
            None => (1 << 20, (4 << 20).min(room)),
        }
    }
}

impl Format for ZranOptions {
    fn name(&self) -> &'static str {
        "RAFS v6"
    }

    fn lossy(&self) -> bool {
        self.lossy
    }

    fn first(&self) -> &[ImagePath] {
        &[]
    }

    fn leaves_out(&self, path: &ImagePath) -> bool {
        let toc = || path.as_bytes() == TOC_NAME.as_bytes();
        self.estargz && (Landmark::of(path).is_some() || toc())
    }

    fn find_losses<C: Clone>(
        &self,
        tree: &mut Tree<C>,
        report: &mut dyn FnMut(&ImagePath, CannotCarry),
    ) {
        match self.lossy {
            true => v6::drop_losses(tree, report),
            false => v6::losses(tree, report),
        }
    }
}
