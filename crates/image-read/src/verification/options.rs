//! How an image is verified.

use image_model::{BlobId, Digest};

use crate::open::OpenOptions;

/// Options for verifying an image.
///
/// ```
/// use lazyoci_image_read::VerifyOptions;
/// let metadata_alone = VerifyOptions::default().content(false);
/// assert_eq!(metadata_alone.expect, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Whether to read the content of files, and all of the blobs. Without it no blob is opened. Default: true.
    pub content: bool,
    /// Whether to accept what strict reading refuses in the tar inside eStargz. Default: false.
    pub lenient: bool,
    /// Expected digest of the opened file, its bootstrap, its TOC or the [index](OpenOptions#structfield.index) by which
    /// it is read. A directory, or an image of several files, has none.
    pub expect: Option<Digest>,
    /// Expected digest of the layer's tar: what the configuration of an image lists as its diff id. Without
    /// [`content`](Self#structfield.content) it is not computed.
    pub diff_id: Option<Digest>,
    /// Threads that decode and hash; the tar inside eStargz is compared by one more, as it goes by. Default:
    /// as many as the image is [read](crate::ReadOptions) with.
    pub threads: Option<usize>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            content: true,
            lenient: false,
            expect: None,
            diff_id: None,
            threads: None,
        }
    }
}

impl VerifyOptions {
    image_model::setters! {
        content: bool,
        lenient: bool,
        expect: impl Into<Option<Digest>> = expect.into(),
        diff_id: impl Into<Option<Digest>> = diff_id.into(),
        threads: impl Into<Option<usize>> = threads.into(),
    }
}

/// What [`verify_source`](super::verify_source) is told of the file that it verifies.
///
/// ```
/// use lazyoci_image_read::{OpenOptions, VerifyOptions, VerifySourceOptions};
/// let strangers = VerifySourceOptions::default()
///     .open(OpenOptions::default().limits(image_model::Limits::small()))
///     .verify(VerifyOptions::default().threads(1));
/// assert_eq!(strangers.id, None);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifySourceOptions {
    /// Its name in its store, as in [`open_source`](crate::open_source). Default: none.
    pub id: Option<BlobId>,
    /// How it is opened.
    pub open: OpenOptions,
    /// How it is verified.
    pub verify: VerifyOptions,
}

impl VerifySourceOptions {
    image_model::setters! {
        id: impl Into<Option<BlobId>> = id.into(),
        open: OpenOptions,
        verify: VerifyOptions,
    }
}
