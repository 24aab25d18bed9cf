//! Where containerd looks for EROFS images of layers that were converted before.

use std::path::{Path, PathBuf};

use image_model::Digest;

use super::Verity;

/// Where the image of the layer with this DiffID is in the layer content cache `cache`:
/// `ALGORITHM/XX/HEX.erofs`, `XX` being the first two digits. It has to be an image as
/// [`ErofsOptions::for_layer_cache`](crate::ErofsOptions::for_layer_cache) says.
///
/// ```
/// use std::path::Path;
/// use lazyoci_image_convert::layer_cache_path;
/// let diff_id = verify::sha256(b"");
/// let path = layer_cache_path(Path::new("cache"), &diff_id);
/// assert!(path.starts_with("cache/sha256/e3"));
/// assert!(path.to_str().unwrap().ends_with("b7852b855.erofs"));
/// ```
///
/// Source: containerd's `docs/snapshotters/erofs.md`, "Layer Content Cache".
#[must_use]
pub fn layer_cache_path(cache: &Path, diff_id: &Digest) -> PathBuf {
    let hex = diff_id.hex();
    let algorithm = diff_id.algorithm().to_string();
    cache
        .join(algorithm)
        .join(&hex[..2])
        .join(format!("{hex}.erofs"))
}

impl Verity {
    /// Where containerd looks for what follows `image`: the same name and `.dmverity`.
    #[must_use]
    pub fn metadata_path(image: &Path) -> PathBuf {
        let mut path = image.as_os_str().to_owned();
        path.push(".dmverity");
        path.into()
    }

    /// What stands there: root hash and offset of the superblock, as JSON.
    ///
    /// Source: containerd's `internal/dmverity` (`DmverityMetadata`).
    #[must_use]
    pub fn metadata(&self) -> String {
        format!(
            "{{\n  \"roothash\": \"{}\",\n  \"hashoffset\": {}\n}}\n",
            self.root.hex(),
            self.hash_offset
        )
    }
}
