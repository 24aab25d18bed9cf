//! What follows the end of the tar.

use std::io::{self, Read};

use image_model::Digest;
use image_model::width::{u64_from, usize_up_to};
use tar_stream::block::BLOCK_LEN;
use tar_stream::read::Trailer;
use tar_stream::{EntryKind, TarError, TarReadOptions, TarReader};
use verify::Hasher;

use crate::toc::TOC_NAME;

/// What follows the end blocks of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BehindEnd {
    /// Nothing, or zeros.
    Nothing,
    /// Only the member with the TOC, as the reference library appends it to a tar that it preserves
    /// (`AppendTarLossLess`).
    Toc,
    /// Hidden data.
    Something,
}

/// Reads `tar`, whose members have all been read, to its end; `toc` is the digest of the TOC.
pub(super) fn behind_end<R: Read>(
    tar: &mut TarReader<R>,
    toc: &Digest,
) -> Result<BehindEnd, TarError> {
    let end = tar.position();
    let Some(mut trailer) = tar.trailer() else {
        return Ok(BehindEnd::Nothing);
    };
    // Padding of the last member, and the end blocks.
    let mut position = trailer.offset();
    let mut left = end.saturating_sub(position);
    let mut block = [0; BLOCK_LEN];
    while left > 0 {
        let len = usize_up_to(left).min(BLOCK_LEN);
        let read = fill(&mut trailer, &mut block[..len], &mut position)?;
        left = match read {
            0 => 0,
            read => left.saturating_sub(u64_from(read)),
        };
    }
    let mut found = BehindEnd::Nothing;
    // Content of a TOC that is still to come.
    let (mut left, mut content) = (0, Hasher::sha256());
    loop {
        let read = fill(&mut trailer, &mut block, &mut position)?;
        if read == 0 {
            break;
        }
        let mut bytes = &block[..read];
        if found == BehindEnd::Toc && left > 0 {
            let (now, padding) = bytes.split_at(usize_up_to(left).min(read));
            content.update(now);
            left = left.saturating_sub(u64_from(now.len()));
            bytes = padding;
        }
        if bytes.iter().all(|&byte| byte == 0) {
            continue;
        }
        found = match (found, toc_len(bytes)) {
            (BehindEnd::Nothing, Some(len)) => {
                left = len;
                BehindEnd::Toc
            }
            _ => BehindEnd::Something,
        };
    }
    if found == BehindEnd::Toc && (left > 0 || content.finish() != *toc) {
        found = BehindEnd::Something;
    }
    Ok(found)
}

/// Length of the TOC if `block` is its header; `None` for any other block.
fn toc_len(block: &[u8]) -> Option<u64> {
    let entry = TarReader::new(block, TarReadOptions::default()).next_entry();
    let entry = entry.ok().flatten()?;
    let plain = entry.kind == EntryKind::File && entry.size == entry.payload_len;
    (plain && entry.path == TOC_NAME.as_bytes()).then_some(entry.size)
}

/// Fills `block` as far as there are bytes.
fn fill<R: Read>(
    trailer: &mut Trailer<'_, R>,
    block: &mut [u8],
    position: &mut u64,
) -> Result<usize, TarError> {
    let mut filled = 0;
    while filled < block.len() {
        match trailer.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled = read.saturating_add(filled),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let offset = position.saturating_add(u64_from(filled));
                let error = error.downcast();
                return Err(error.unwrap_or_else(|source| TarError::Io { offset, source }));
            }
        }
    }
    *position = position.saturating_add(u64_from(filled));
    Ok(filled)
}
