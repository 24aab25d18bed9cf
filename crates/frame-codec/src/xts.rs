//! Encrypted frames: AES-128-XTS, as nydus uses it.
//!
//! Each object is one data unit whose tweak is the initial vector of its key, and is as long encrypted as it is plain.
//! One of fewer than 16 bytes is padded to 18 first: with as many bytes as lack to 16, each of which is their number, and
//! then 0x78 0x90. So an object of 18 bytes that ends in these two is taken for a padded one by those that nydus reads.
//!
//! Source: nydus v2, `utils/src/crypt.rs`.

use aes::Aes128;
use aes::cipher::KeyInit;
use image_model::{Codec, XtsKey};
use xts_mode::Xts128;

use crate::CodecError;

/// Bytes of a block, and of the shortest object that is not padded.
const BLOCK: usize = 16;
/// Bytes of a padded object.
const PADDED: usize = 18;
/// What ends a padded object.
const END: [u8; 2] = [0x78, 0x90];

/// Bytes that an object of `len` bytes has when it is encrypted.
///
/// ```
/// use lazyoci_frame_codec::xts::encrypted_len;
/// assert_eq!([0, 1, 15, 16, 17, 100].map(encrypted_len), [18, 18, 18, 16, 17, 100]);
/// ```
#[must_use]
pub fn encrypted_len(len: usize) -> usize {
    if len < BLOCK { PADDED } else { len }
}

/// Whether nydus takes `object`, which is not padded, for one that is.
#[must_use]
pub fn looks_padded(object: &[u8]) -> bool {
    object.len() == PADDED && object.ends_with(&END)
}

/// Appends `object`, encrypted, to `out`.
///
/// ```
/// use image_model::XtsKey;
/// use lazyoci_frame_codec::xts::{decrypt, encrypt};
/// let key: [u8; 32] = std::array::from_fn(|n| n as u8);
/// let key = XtsKey::new(key, [9; 16]).ok_or("two different halves")?;
/// let mut stored = Vec::new();
/// encrypt(&key, b"lazy", &mut stored);
/// assert_eq!(stored.len(), 18);
/// assert_eq!(decrypt(&key, &stored).as_deref(), Some(&b"lazy"[..]));
/// # Ok::<(), &str>(())
/// ```
pub fn encrypt(key: &XtsKey, object: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(object);
    if let Some(lacking @ 1..) = BLOCK.checked_sub(object.len()) {
        // At most 16.
        let value = u8::try_from(lacking).unwrap_or(u8::MAX);
        out.resize(start.saturating_add(BLOCK), value);
        out.extend_from_slice(&END);
    }
    cipher(key).encrypt_sector(&mut out[start..], (*key.iv()).into());
}

/// The object that `stored` is, encrypted, without padding; `None` if that is too short for one, or not padded as
/// [`encrypt`] does it.
#[must_use]
pub fn decrypt(key: &XtsKey, stored: &[u8]) -> Option<Vec<u8>> {
    let mut object = decrypt_all(key, stored)?;
    if looks_padded(&object) {
        let lacking = object[BLOCK - 1];
        // nydus refuses 16: nothing is never stored.
        let len = BLOCK.checked_sub(lacking.into()).filter(|&len| len > 0)?;
        let padding = &object[len..BLOCK];
        if padding.is_empty() || padding.iter().any(|&byte| byte != lacking) {
            return None;
        }
        object.truncate(len);
    }
    Some(object)
}

/// The same with what may be padding.
fn decrypt_all(key: &XtsKey, stored: &[u8]) -> Option<Vec<u8>> {
    if stored.len() < BLOCK {
        return None;
    }
    let mut object = stored.to_vec();
    cipher(key).decrypt_sector(&mut object, (*key.iv()).into());
    Some(object)
}

/// The frame of `codec`, which holds `len` bytes, that `stored` is, encrypted.
pub(crate) fn open(
    key: &XtsKey,
    codec: Codec,
    stored: &[u8],
    len: usize,
) -> Result<Vec<u8>, CodecError> {
    if stored.len() < BLOCK {
        let stored_len = u64::try_from(stored.len()).unwrap_or(u64::MAX);
        return Err(CodecError::Truncated { codec, stored_len });
    }
    // The length tells what is not padded, which nydus does not look at.
    let opened = match codec == Codec::None && stored.len() == len {
        true => decrypt_all(key, stored),
        false => decrypt(key, stored),
    };
    let detail = "the padding of an encrypted frame is wrong";
    opened.ok_or(CodecError::Malformed { codec, detail })
}

fn cipher(key: &XtsKey) -> Xts128<Aes128> {
    let (data, tweak) = key.key().split_at(BLOCK);
    let cipher = |half: &[u8]| Aes128::new_from_slice(half).expect("a key of 16 bytes");
    Xts128::new(cipher(data), cipher(tweak))
}
