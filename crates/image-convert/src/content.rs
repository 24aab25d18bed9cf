//! The bytes of one file of an image, in file order.

use image_model::{Cancelled, ImagePath, Ino};
use image_read::{FileOrder, ReadError, Reader};
use verify::ExtentBytes;

use crate::ConvertError;

/// Hands the bytes of the file `ino`, verified and piece by piece, to `take`, with the offset of each.
pub(crate) fn read_file(
    reader: &Reader,
    (path, ino): (&ImagePath, Ino),
    take: &mut dyn FnMut(u64, ExtentBytes<'_>) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut result = Ok(());
    let read = reader.read_all(&[ino], FileOrder::Given, &mut |piece, bytes| {
        result = take(piece.file_offset, bytes);
        match result {
            Ok(()) => Ok(()),
            Err(_) => Err(ReadError::Cancelled(Cancelled)),
        }
    });
    result?;
    read.map_err(|source| ConvertError::Content {
        path: path.clone(),
        source,
    })
}
