//! The digests of a blob.

use verify::Hasher;

/// Hashes a blob while it is written: every byte, including padding, in the order of the file.
#[derive(Debug, Clone)]
pub struct BlobHasher {
    pub(super) file: Hasher,
    /// The same without the section of chunk digests, once there is one.
    pub(super) without_digests: Option<Hasher>,
    pub(super) len: u64,
}

impl Default for BlobHasher {
    fn default() -> Self {
        Self {
            file: Hasher::sha256(),
            without_digests: None,
            len: 0,
        }
    }
}

impl BlobHasher {
    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
        if let Some(hasher) = &mut self.without_digests {
            hasher.update(bytes);
        }
        self.len += bytes.len() as u64;
    }

    /// Appends the section of chunk digests, which nydus leaves out of the id.
    pub(super) fn update_digests(&mut self, bytes: &[u8]) {
        self.without_digests = Some(self.file.clone());
        self.file.update(bytes);
        self.len += bytes.len() as u64;
    }
}
