//! The digests of inodes: see [the module](super) for what they cover.

use image_model::{Digest, DigestAlgorithm};
use verify::{Hasher, UnsupportedDigest};

/// The digest of `parts`, one after the other: digests of chunks or of inodes, or a link's target.
pub(super) fn digest<P: AsRef<[u8]>>(
    algorithm: DigestAlgorithm,
    parts: impl IntoIterator<Item = P>,
) -> Result<Digest, UnsupportedDigest> {
    let mut hasher = Hasher::new(algorithm)?;
    for part in parts {
        hasher.update(part.as_ref());
    }
    Ok(hasher.finish())
}
