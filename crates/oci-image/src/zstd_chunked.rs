//! Annotations of zstd:chunked layers, of which there are two kinds: that of stargz-snapshotter, which is eStargz with
//! zstd frames, and that of containers/storage (podman, buildah, skopeo). Their keys differ in one word. No layer has
//! both: podman refuses it.
//!
//! Sources: containerd/stargz-snapshotter, `estargz/zstdchunked`; containers/storage,
//! `pkg/chunked/internal/minimal`.

use image_model::{Digest, StoredPiece};

use crate::annotations::{AnnotationError, Annotations};
use crate::estargz::{EstargzLayer, TOC_DIGEST};

/// SHA-256 of the compressed TOC, as stargz-snapshotter names it, and containers/storage before 1.44.
pub const STARGZ_MANIFEST_CHECKSUM: &str = "io.containers.zstd-chunked.manifest-checksum";
/// Where the TOC is, `offset:stored length:length:1`, with the same names.
pub const STARGZ_MANIFEST_POSITION: &str = "io.containers.zstd-chunked.manifest-position";

/// SHA-256 of the compressed TOC, as containers/storage names it.
pub const MANIFEST_CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// Where the TOC is: `offset:stored length:length:1`, decimal. The last number is the TOC's type.
pub const MANIFEST_POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// Where the tar-split is: `offset:stored length:length`, decimal.
pub const TAR_SPLIT_POSITION: &str = "io.github.containers.zstd-chunked.tarsplit-position";
/// Digest of the tar-split, written by containers/storage 1.47 to 1.53. No reader uses it; a layer that is converted
/// loses it.
pub const TAR_SPLIT_CHECKSUM: &str = "io.github.containers.zstd-chunked.tarsplit-checksum";

/// What the annotations of a zstd:chunked layer say.
///
/// ```
/// use lazyoci_oci_image::{Annotations, ZstdChunkedLayer};
/// use image_model::StoredPiece;
/// # let checksum = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [7; 32]);
/// let layer = ZstdChunkedLayer::containers(checksum, StoredPiece::new(364, 539, 1298))
///     .tar_split(StoredPiece::new(911, 483, 11_564));
/// let mut annotations = Annotations::default();
/// layer.write(&mut annotations);
/// assert_eq!(ZstdChunkedLayer::read(&annotations)?, Some(layer));
/// # Ok::<(), lazyoci_oci_image::AnnotationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ZstdChunkedLayer {
    /// SHA-256 of the compressed TOC.
    pub checksum: Digest,
    /// The TOC.
    pub toc: StoredPiece,
    /// Which kind of layer it is, and what only that has.
    pub dialect: Dialect,
}

/// The kinds of zstd:chunked layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// That of stargz-snapshotter.
    Stargz(EstargzLayer),
    /// That of containers/storage.
    Containers {
        /// What the tar is put together again from; old writers made none.
        tar_split: Option<StoredPiece>,
    },
}

impl ZstdChunkedLayer {
    /// A layer of stargz-snapshotter's kind.
    #[must_use]
    pub const fn stargz(checksum: Digest, toc: StoredPiece, layer: EstargzLayer) -> Self {
        Self {
            checksum,
            toc,
            dialect: Dialect::Stargz(layer),
        }
    }

    /// A layer of containers/storage's kind, without a tar-split.
    #[must_use]
    pub const fn containers(checksum: Digest, toc: StoredPiece) -> Self {
        Self {
            checksum,
            toc,
            dialect: Dialect::Containers { tar_split: None },
        }
    }

    /// The same layer with a tar-split, which makes it one of containers/storage's kind.
    #[must_use]
    pub fn tar_split(self, tar_split: impl Into<Option<StoredPiece>>) -> Self {
        let tar_split = tar_split.into();
        Self {
            dialect: Dialect::Containers { tar_split },
            ..self
        }
    }

    /// What `annotations` say; `None` if they do not give the place of a TOC. A layer with the names of
    /// stargz-snapshotter, but without the digest of a TOC, is one of containers/storage before 1.44.
    ///
    /// # Errors
    /// [`AnnotationError`] if they contradict each other, one of them is missing, or a value is not of the form that it
    /// should have.
    pub fn read(annotations: &Annotations) -> Result<Option<Self>, AnnotationError> {
        let containers = Keys {
            checksum: MANIFEST_CHECKSUM,
            position: MANIFEST_POSITION,
        };
        let stargz = Keys {
            checksum: STARGZ_MANIFEST_CHECKSUM,
            position: STARGZ_MANIFEST_POSITION,
        };
        let found = (containers.read(annotations)?, stargz.read(annotations)?);
        let estargz = EstargzLayer::read(annotations)?;
        match (found, estargz) {
            ((None, None), _) => Ok(None),
            ((Some(_), Some(_)), _) => Err(AnnotationError::Conflict {
                first: STARGZ_MANIFEST_CHECKSUM,
                second: MANIFEST_CHECKSUM,
            }),
            ((Some(_), None), Some(_)) => Err(AnnotationError::Conflict {
                first: TOC_DIGEST,
                second: MANIFEST_CHECKSUM,
            }),
            ((Some((checksum, toc)), None), None) => {
                let tar_split = annotations.parse(
                    TAR_SPLIT_POSITION,
                    "`offset:stored length:length`",
                    |text| {
                        let [offset, stored_len, len] = numbers(text)?;
                        Some(StoredPiece::new(offset, stored_len, len))
                    },
                )?;
                // The reference reader takes 0 for none.
                let tar_split = tar_split.filter(|piece| piece.offset > 0);
                Ok(Some(Self::containers(checksum, toc).tar_split(tar_split)))
            }
            ((None, Some((checksum, toc))), Some(layer)) => {
                Ok(Some(Self::stargz(checksum, toc, layer)))
            }
            ((None, Some((checksum, toc))), None) => Ok(Some(Self::containers(checksum, toc))),
        }
    }

    /// Makes `annotations` say this.
    pub fn write(&self, annotations: &mut Annotations) {
        Self::remove(annotations);
        let StoredPiece {
            offset,
            stored_len,
            len,
            ..
        } = self.toc;
        let position = format!("{offset}:{stored_len}:{len}:1");
        let checksum = self.checksum.to_string();
        match self.dialect {
            Dialect::Stargz(layer) => {
                layer.write(annotations);
                annotations.set(STARGZ_MANIFEST_CHECKSUM, checksum);
                annotations.set(STARGZ_MANIFEST_POSITION, position);
            }
            Dialect::Containers { tar_split } => {
                annotations.set(MANIFEST_CHECKSUM, checksum);
                annotations.set(MANIFEST_POSITION, position);
                if let Some(StoredPiece {
                    offset,
                    stored_len,
                    len,
                    ..
                }) = tar_split
                {
                    let position = format!("{offset}:{stored_len}:{len}");
                    annotations.set(TAR_SPLIT_POSITION, position);
                }
            }
        }
    }

    /// Removes what [`write`](Self::write) sets, as when a layer is converted to another format.
    pub fn remove(annotations: &mut Annotations) {
        EstargzLayer::remove(annotations);
        for key in [
            STARGZ_MANIFEST_CHECKSUM,
            STARGZ_MANIFEST_POSITION,
            MANIFEST_CHECKSUM,
            MANIFEST_POSITION,
            TAR_SPLIT_POSITION,
            TAR_SPLIT_CHECKSUM,
        ] {
            annotations.remove(key);
        }
    }
}

/// The keys of a kind.
struct Keys {
    checksum: &'static str,
    position: &'static str,
}

impl Keys {
    fn read(
        &self,
        annotations: &Annotations,
    ) -> Result<Option<(Digest, StoredPiece)>, AnnotationError> {
        let toc = annotations.parse(self.position, "`offset:stored length:length:1`", |text| {
            let [offset, stored_len, len, kind] = numbers(text)?;
            (kind == 1).then_some(StoredPiece::new(offset, stored_len, len))
        })?;
        match (annotations.sha256(self.checksum)?, toc) {
            (None, None) => Ok(None),
            (Some(checksum), Some(toc)) => Ok(Some((checksum, toc))),
            (None, Some(_)) => Err(AnnotationError::Missing {
                key: self.checksum,
                present: self.position,
            }),
            (Some(_), None) => Err(AnnotationError::Missing {
                key: self.position,
                present: self.checksum,
            }),
        }
    }
}

/// Decimal numbers with colons between them, digits only. The reference reader accepts spaces before them and anything
/// behind.
fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(':');
    for number in &mut numbers {
        let part = parts.next()?;
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        *number = digits.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}
