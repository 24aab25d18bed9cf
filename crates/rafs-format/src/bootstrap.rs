//! A bootstrap of either version.

use std::fmt;

use bytes::Bytes;
use image_model::{BlobId, Image, Ino, Limits};

use crate::check::{CheckFinding, CheckSummary};
use crate::dump::Dumped;
use crate::error::DecodeError;
use crate::layout::LayoutOptions;
use crate::owned::OwnedBootstrap;
use crate::v6::BlobEntry;
use crate::version::Version;
use crate::{v5, v6};

/// A bootstrap of either version.
///
/// ```
/// use bytes::Bytes;
/// use image_model::Limits;
/// use lazyoci_rafs_format::{Bootstrap, Version};
///
/// # let bytes = Bytes::from_static(include_bytes!("../tests/goldens/a4-v5-none-sha256.boot"));
/// let bootstrap = Bootstrap::open(bytes, &Limits::default())?;
/// assert_eq!(bootstrap.version(), Version::V5);
/// assert_eq!(bootstrap.blob_entries().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Bootstrap {
    /// Of version 5.
    V5(v5::Bootstrap),
    /// Of version 6.
    V6(v6::Bootstrap),
}

impl From<v5::Bootstrap> for Bootstrap {
    fn from(bootstrap: v5::Bootstrap) -> Self {
        Self::V5(bootstrap)
    }
}

impl From<v6::Bootstrap> for Bootstrap {
    fn from(bootstrap: v6::Bootstrap) -> Self {
        Self::V6(bootstrap)
    }
}

impl Bootstrap {
    /// Opens the bootstrap that is all of `bytes`, detecting its version; if neither matches, it is opened as version
    /// 6.
    ///
    /// # Errors
    /// Those of [`v5::Bootstrap::open`], [`v6::Bootstrap::open`].
    pub fn open(bytes: Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        Ok(match Self::version_of(&bytes) {
            Some(Version::V5) => Self::V5(v5::Bootstrap::open(bytes, limits)?),
            _ => Self::V6(v6::Bootstrap::open(bytes, limits)?),
        })
    }

    /// The version of a bootstrap whose first 1152 bytes, or more, are `bytes`; `None` if they begin
    /// none.
    #[must_use]
    pub fn version_of(bytes: &[u8]) -> Option<Version> {
        if v5::Bootstrap::is_bootstrap(bytes) {
            Some(Version::V5)
        } else {
            v6::Bootstrap::is_bootstrap(bytes).then_some(Version::V6)
        }
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Self::V5(_) => Version::V5,
            Self::V6(_) => Version::V6,
        }
    }

    /// The bootstrap, if it is of version 5.
    #[must_use]
    pub fn v5(&self) -> Option<&v5::Bootstrap> {
        match self {
            Self::V5(bootstrap) => Some(bootstrap),
            Self::V6(_) => None,
        }
    }

    /// The bootstrap, if it is of version 6.
    #[must_use]
    pub fn v6(&self) -> Option<&v6::Bootstrap> {
        match self {
            Self::V6(bootstrap) => Some(bootstrap),
            Self::V5(_) => None,
        }
    }

    /// The bootstrap as an image.
    #[must_use]
    pub fn image(&self) -> &(dyn Image + Send + Sync) {
        match self {
            Self::V5(bootstrap) => bootstrap,
            Self::V6(bootstrap) => bootstrap,
        }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::V5(bootstrap) => bootstrap.bytes(),
            Self::V6(bootstrap) => bootstrap.bytes(),
        }
    }

    /// The bounds that it was opened with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        match self {
            Self::V5(bootstrap) => bootstrap.limits(),
            Self::V6(bootstrap) => bootstrap.limits(),
        }
    }

    /// Its entry for each blob.
    #[must_use]
    pub fn blob_entries(&self) -> &[BlobEntry] {
        match self {
            Self::V5(bootstrap) => bootstrap.blob_entries(),
            Self::V6(bootstrap) => bootstrap.blob_entries(),
        }
    }

    /// The inodes of the prefetch table, in its order. They need not exist.
    #[must_use]
    pub fn prefetch(&self) -> Vec<Ino> {
        match self {
            Self::V5(bootstrap) => bootstrap.prefetch().collect(),
            Self::V6(bootstrap) => bootstrap.prefetch().collect(),
        }
    }

    /// Options for writing a similar bootstrap: [`v5::Bootstrap::layout_options`], [`v6::Bootstrap::layout_options`].
    #[must_use]
    pub fn layout_options(&self) -> LayoutOptions {
        match self {
            Self::V5(bootstrap) => bootstrap.layout_options(),
            Self::V6(bootstrap) => bootstrap.layout_options(),
        }
    }

    /// Gives the blob that [could not name itself](BlobEntry::is_self) the id `id`.
    pub fn name_self(&mut self, id: &BlobId) {
        match self {
            Self::V5(bootstrap) => bootstrap.name_self(id),
            Self::V6(bootstrap) => bootstrap.name_self(id),
        }
    }

    /// Looks at every structure and reports everything that is wrong: [`v5::Bootstrap::check`],
    /// [`v6::Bootstrap::check`].
    pub fn check(&self, report: &mut dyn FnMut(CheckFinding)) -> CheckSummary {
        match self {
            Self::V5(bootstrap) => bootstrap.check(report),
            Self::V6(bootstrap) => bootstrap.check(report),
        }
    }

    /// Prints every structure with its offset, one per line: [`v5::Bootstrap::dump`],
    /// [`v6::Bootstrap::dump`].
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::V5(bootstrap) => bootstrap.dump(out),
            Self::V6(bootstrap) => bootstrap.dump(out),
        }
    }

    /// Passes every structure to `tell`: [`v5::Bootstrap::structures`], [`v6::Bootstrap::structures`].
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::V5(bootstrap) => bootstrap.structures(tell),
            Self::V6(bootstrap) => bootstrap.structures(tell),
        }
    }

    /// Copies the image into the shared model.
    ///
    /// # Errors
    /// Those of [`v5::Bootstrap::to_chunked`], [`v6::Bootstrap::to_chunked`].
    pub fn to_chunked(&self) -> Result<OwnedBootstrap, DecodeError> {
        match self {
            Self::V5(bootstrap) => bootstrap.to_chunked(),
            Self::V6(bootstrap) => bootstrap.to_chunked(),
        }
    }

    /// The same for merging, which needs no more of chunks than their records.
    pub(crate) fn to_recorded(&self) -> Result<OwnedBootstrap, DecodeError> {
        match self {
            Self::V5(bootstrap) => bootstrap.to_chunked(),
            Self::V6(bootstrap) => bootstrap.to_recorded(),
        }
    }
}
