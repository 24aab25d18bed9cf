//! The gzip member with the TOC of eStargz.

use std::io::Read;

use image_model::Limits;
use tar_stream::{
    Compression, Entry, EntryKind, LayerStream, StreamOptions, TarError, TarReadOptions, TarReader,
};

use super::error::OpenError;
use crate::toc::TOC_NAME;

/// Maximum length of the headers and padding around the TOC in its tar.
const MAX_AROUND: u64 = 1 << 16;

pub(super) fn check_len(len: u64, limits: &Limits) -> Result<(), OpenError> {
    let limit = limits.toc_len();
    if len > limit {
        return Err(OpenError::TooLong { len, limit });
    }
    Ok(())
}

/// The document in a TOC member.
pub(super) fn toc_of(
    member: &[u8],
    toc_offset: u64,
    limits: &Limits,
) -> Result<Vec<u8>, OpenError> {
    let tar_error = |source| OpenError::Tar { toc_offset, source };
    let limits = limits
        .clone()
        .max_layer_len(limits.toc_len().saturating_add(MAX_AROUND));
    let layer = LayerStream::open(member, &StreamOptions::from(&limits))
        .map_err(|source| tar_error(TarError::Layer { offset: 0, source }))?;
    if layer.compression() != Some(Compression::Gzip) {
        return Err(OpenError::NotGzip { toc_offset });
    }
    let options = TarReadOptions::default().limits(limits.clone());
    let mut tar = TarReader::new(layer, options);
    let entry = tar.next_entry().map_err(tar_error)?;
    let plain = |e: &Entry| e.kind == EntryKind::File && e.size == e.payload_len;
    let Some(entry) = entry.filter(|e| plain(e) && e.path == TOC_NAME.as_bytes()) else {
        return Err(OpenError::NotToc { toc_offset });
    };
    check_len(entry.payload_len, &limits)?;
    let mut json = Vec::new();
    // Grows with what is there, not with what is declared.
    let mut piece = [0; 1 << 14];
    loop {
        match tar.read_payload(&mut piece).map_err(tar_error)? {
            0 => break,
            read => json.extend_from_slice(&piece[..read]),
        }
    }
    if tar.next_entry().map_err(tar_error)?.is_some() {
        return Err(OpenError::Trailing { toc_offset });
    }
    let mut trailer = tar.trailer().expect("there is no further entry");
    let offset = trailer.offset();
    loop {
        match trailer.read(&mut piece) {
            Ok(0) => return Ok(json),
            Ok(read) if piece[..read].iter().all(|&b| b == 0) => {}
            Ok(_) => return Err(OpenError::Trailing { toc_offset }),
            Err(error) => {
                let error = error.downcast();
                return Err(tar_error(
                    error.unwrap_or_else(|source| TarError::Io { offset, source }),
                ));
            }
        }
    }
}
