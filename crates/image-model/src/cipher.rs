//! What decrypts frames.

use std::fmt;

/// Key and initial vector of AES-128-XTS, as nydus encrypts the blobs of an image with: each object of a blob is one data
/// unit with this vector as its tweak. Whoever has the image's metadata has them, so it is those that are to be kept
/// secret.
///
/// ```
/// use lazyoci_image_model::XtsKey;
/// let mut key = [7; 32];
/// assert_eq!(XtsKey::new(key, [0; 16]), None);
/// key[0] = 8;
/// let key = XtsKey::new(key, [0; 16]).ok_or("two different halves")?;
/// assert_eq!(format!("{key:?}"), "XtsKey(..)");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct XtsKey {
    key: [u8; 32],
    iv: [u8; 16],
}

impl XtsKey {
    /// The key of the data, that of the tweaks behind it, and the initial vector. `None` if both keys are the same, which
    /// makes XTS weak, and which nydus refuses.
    #[must_use]
    pub fn new(key: [u8; 32], iv: [u8; 16]) -> Option<Self> {
        let (data, tweak) = key.split_at(16);
        (data != tweak).then_some(Self { key, iv })
    }

    /// Both keys.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The initial vector.
    #[must_use]
    pub fn iv(&self) -> &[u8; 16] {
        &self.iv
    }
}

/// Without the key.
impl fmt::Debug for XtsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XtsKey(..)")
    }
}
