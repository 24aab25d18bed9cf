//! From an image to a container.

use image_read::{OpenImage, ReadError, ResolveError};
use oci_image::runtime::{Accounts, container_config};
use serde_json::Value;

use crate::error::ImageStoreError;
use crate::resolve::ResolvedImage;

/// Longest `/etc/passwd` or `/etc/group` that is read.
const MAX_ACCOUNTS_LEN: u64 = 16 << 20;

impl ResolvedImage {
    /// The configuration of a container that runs the image, whose files are in `opened`: `config.json` of a
    /// runtime bundle, as made by [`container_config`]. Users and groups are looked up in the image.
    ///
    /// # Errors
    /// [`ImageStoreError::Runtime`]; [`ImageStoreError::NotImage`] if it has no configuration; errors of
    /// reading `/etc/passwd` and `/etc/group`, which are optional.
    pub fn container_config(&self, opened: &OpenImage) -> Result<Value, ImageStoreError> {
        let config = self.config()?;
        let (passwd, group) = (read(opened, "/etc/passwd")?, read(opened, "/etc/group")?);
        let accounts = Accounts::new(&passwd, &group);
        Ok(container_config(config, &accounts)?)
    }
}

/// The file at `path`; empty if it does not exist.
fn read(opened: &OpenImage, path: &str) -> Result<Vec<u8>, ImageStoreError> {
    match opened.read(path, MAX_ACCOUNTS_LEN) {
        Err(ReadError::Resolve(
            ResolveError::NotFound { .. } | ResolveError::NotADirectory { .. },
        )) => Ok(Vec::new()),
        read => read.map_err(|source| ImageStoreError::Accounts {
            path: path.into(),
            source,
        }),
    }
}
