//! How an image is verified.

use image_model::{BlobId, Digest};

use crate::open::OpenOptions;

/// How an image is verified.
///
/// ```
/// use lazyoci_image_read::VerifyOptions;
/// let metadata_alone = VerifyOptions::default().content(false);
/// assert_eq!(metadata_alone.expect, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Whether to read what files hold, and all of the blobs. Without it no blob is opened. Default:
    /// true.
    pub content: bool,
    /// Whether the tar inside eStargz may have what strict reading refuses. Default: false.
    pub lenient: bool,
    /// Digest that the file that was opened must have, its bootstrap or its TOC. A directory, and what
    /// is several files, have none.
    pub expect: Option<Digest>,
    /// Threads that decode and hash. Default: as many as the image is [read](crate::ReadOptions) with.
    pub threads: Option<usize>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            content: true,
            lenient: false,
            expect: None,
            threads: None,
        }
    }
}

impl VerifyOptions {
    /// Sets [`content`](Self#structfield.content).
    #[must_use]
    pub fn content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    /// Sets [`lenient`](Self#structfield.lenient).
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// Sets [`expect`](Self#structfield.expect).
    #[must_use]
    pub fn expect(mut self, expect: impl Into<Option<Digest>>) -> Self {
        self.expect = expect.into();
        self
    }

    /// Sets [`threads`](Self#structfield.threads).
    #[must_use]
    pub fn threads(mut self, threads: impl Into<Option<usize>>) -> Self {
        self.threads = threads.into();
        self
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
    /// Sets [`id`](Self#structfield.id).
    #[must_use]
    pub fn id(mut self, id: impl Into<Option<BlobId>>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets [`open`](Self#structfield.open).
    #[must_use]
    pub fn open(mut self, options: OpenOptions) -> Self {
        self.open = options;
        self
    }

    /// Sets [`verify`](Self#structfield.verify).
    #[must_use]
    pub fn verify(mut self, options: VerifyOptions) -> Self {
        self.verify = options;
        self
    }
}
