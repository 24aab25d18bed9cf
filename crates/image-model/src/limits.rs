//! Bounds on the work and memory that input may cause.

/// Bounds that every decoder observes. Input that exceeds them is refused with
/// [`Fault::Limit`](crate::Fault::Limit), before memory is reserved for it. The defaults suit every
/// image that real tools make; fuzzers, and services that open untrusted images, lower them.
///
/// ```
/// let limits = lazyoci_image_model::Limits::default().max_inodes(10_000);
/// assert!(limits.max_depth > 1_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Inodes in one image.
    pub max_inodes: u32,
    /// Chunks in one image.
    pub max_chunks: u32,
    /// Data blobs of one image.
    pub max_blobs: u32,
    /// Nesting depth of directories: with 1, directories in the root contain no further ones.
    pub max_depth: u32,
    /// Bytes of metadata: a bootstrap, a TOC, a blob's chunk information; also the approximate memory of a layer's
    /// tree: see [`LayerBuilder`](crate::layer::LayerBuilder). The default of 1 GiB allows a layer of about five
    /// million files.
    pub max_metadata_len: u64,
    /// Bytes of a decompressed eStargz TOC; [`max_metadata_len`](Self::max_metadata_len) bounds it too. Compressed it
    /// is up to a thousand times shorter, and so costs its sender nothing: the default is 512 MiB, one to three million
    /// entries. The reference tools have other bounds: containers/storage accepts 150 MiB, stargz-snapshotter any
    /// length.
    pub max_toc_len: u64,
    /// Bytes of one entry's extension headers (PAX records, long names) and of one inode's
    /// extended attributes.
    pub max_xattr_len: u32,
    /// Bytes of one decoded frame.
    pub max_frame_len: u32,
    /// Bytes of one symbolic link's target.
    pub max_symlink_len: u32,
    /// Data regions of one sparse file.
    pub max_sparse_regions: u32,
    /// Bytes that a compressed layer may decode to.
    pub max_layer_len: u64,
    /// Bytes of content of all files of one image together; holes and shared chunks count each time they appear.
    pub max_content_len: u64,
    /// Of those, bytes beyond 64 times the stored bytes (decoded, each byte counted once): holes and repeated chunks. A
    /// few kilobytes can declare any number of them, all of which are hashed, unpacked, or recorded as chunks. The
    /// default of 16 GiB takes ten to forty seconds of SHA-256, or 16,384 chunk records of RAFS; a disk image with
    /// larger holes needs a larger bound.
    pub max_hole_len: u64,
    /// Bytes of repeated chunks, each beyond 8 times its length: what unpacking writes although it is not stored.
    /// Chunks of zeros, which unpacking leaves out, count only as holes.
    pub max_repeat_len: u64,
    /// Bytes of the lists in one report, such as the paths of faults and losses. Further items are counted, not listed.
    pub max_report_len: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_inodes: 1 << 26,
            max_chunks: 1 << 26,
            max_blobs: 1 << 16,
            max_depth: 10_000,
            max_metadata_len: 1 << 30,
            max_toc_len: 512 << 20,
            max_xattr_len: 1 << 20,
            max_frame_len: 64 << 20,
            max_symlink_len: 4096,
            max_sparse_regions: 1 << 20,
            max_layer_len: 1 << 40,
            max_content_len: 1 << 40,
            max_hole_len: 16 << 30,
            max_repeat_len: 1 << 30,
            max_report_len: 16 << 20,
        }
    }
}

/// The bound that an image's content exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentLimit {
    /// [`Limits::max_content_len`].
    Content,
    /// [`Limits::max_hole_len`].
    Holes,
}

impl ContentLimit {
    /// The bound in bytes.
    #[must_use]
    pub fn of(self, limits: &Limits) -> u64 {
        match self {
            Self::Content => limits.max_content_len,
            Self::Holes => limits.max_hole_len,
        }
    }
}

/// Content that [`Limits::max_hole_len`] does not count, per stored byte.
const FREE_RATIO: u64 = 64;

impl Limits {
    crate::setters! {
        max_inodes: u32,
        max_chunks: u32,
        max_blobs: u32,
        max_depth: u32,
        max_metadata_len: u64,
        max_toc_len: u64,
        max_xattr_len: u32,
        max_frame_len: u32,
        max_symlink_len: u32,
        max_sparse_regions: u32,
        max_layer_len: u64,
        max_content_len: u64,
        max_hole_len: u64,
        max_repeat_len: u64,
        max_report_len: u64,
    }

    /// Checks content of `len` bytes, of which `stored` bytes (decoded, each counted once) are stored.
    ///
    /// ```
    /// use lazyoci_image_model::{Limits, limits::ContentLimit};
    /// let limits = Limits::default().max_content_len(5_000).max_hole_len(1_000);
    /// assert_eq!(limits.check_content(1_640, 10), Ok(()));
    /// assert_eq!(limits.check_content(1_641, 10), Err(ContentLimit::Holes));
    /// assert_eq!(limits.check_content(5_001, 5_001), Err(ContentLimit::Content));
    /// ```
    ///
    /// # Errors
    /// The bound that it exceeds.
    pub fn check_content(&self, len: u64, stored: u64) -> Result<(), ContentLimit> {
        if len > self.max_content_len {
            return Err(ContentLimit::Content);
        }
        match len.saturating_sub(stored.saturating_mul(FREE_RATIO)) > self.max_hole_len {
            true => Err(ContentLimit::Holes),
            false => Ok(()),
        }
    }

    /// Maximum length of an eStargz TOC: the smaller of [`max_toc_len`](Self::max_toc_len) and
    /// [`max_metadata_len`](Self::max_metadata_len).
    #[must_use]
    pub fn toc_len(&self) -> u64 {
        self.max_toc_len.min(self.max_metadata_len)
    }

    /// Small bounds for fuzzing, and for untrusted images that should be small.
    #[must_use]
    pub fn small() -> Self {
        Self {
            max_inodes: 1 << 12,
            max_chunks: 1 << 12,
            max_blobs: 16,
            max_depth: 256,
            max_metadata_len: 1 << 20,
            max_toc_len: 1 << 20,
            max_xattr_len: 1 << 16,
            max_frame_len: 1 << 20,
            max_symlink_len: 4096,
            max_sparse_regions: 256,
            max_layer_len: 1 << 24,
            max_content_len: 1 << 24,
            max_hole_len: 1 << 22,
            max_repeat_len: 1 << 20,
            max_report_len: 1 << 16,
        }
    }
}
