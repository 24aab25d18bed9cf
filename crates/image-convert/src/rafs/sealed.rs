//! Objects of blobs, encrypted where they are to be.

use image_model::{Codec, XtsKey};

use crate::ConvertError;

/// What is to be written of an object whose bytes are `plain`: `stored`, which a codec made of it, or those, encrypted with
/// `key` in `room`, if there is one; and by which codec they are.
pub(super) fn sealed<'o>(
    key: Option<&XtsKey>,
    plain: &'o [u8],
    (stored, codec): (&'o [u8], Codec),
    room: &'o mut Vec<u8>,
) -> Result<(&'o [u8], Codec), ConvertError> {
    let Some(key) = key else {
        return Ok((stored, codec));
    };
    #[cfg(feature = "encryption")]
    {
        use frame_codec::xts;
        let shorter = xts::encrypted_len(stored.len()) < plain.len();
        let (object, codec) = match codec != Codec::None && shorter && !xts::looks_padded(stored) {
            true => (stored, codec),
            false => (plain, Codec::None),
        };
        if xts::looks_padded(object) {
            return Err(ConvertError::LooksPadded);
        }
        room.clear();
        xts::encrypt(key, object, room);
        Ok((room, codec))
    }
    #[cfg(not(feature = "encryption"))]
    {
        let _ = (key, plain, room);
        Err(rafs_format::blob::BuildError::NoEncryption.into())
    }
}
