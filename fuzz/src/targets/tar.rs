//! What the tar targets share.

use std::io::Read;

use lazyoci::model::Limits;
use lazyoci::tar_stream::{Entry, TarError, TarReadOptions, TarReader};

/// A tar, cut into its pieces.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Pieces {
    /// Entries with their payloads.
    pub(super) entries: Vec<(Entry, Vec<u8>)>,
    /// What follows the last payload.
    pub(super) trailer: Vec<u8>,
}

/// Options with small limits.
pub(super) fn options(lenient: bool) -> TarReadOptions {
    let limits = Limits::small();
    TarReadOptions::default().lenient(lenient).limits(limits)
}

/// Cuts all of a tar into its pieces, payloads being read `piece_len` bytes at a time; also what came
/// before an error.
pub(super) fn cut<R: Read>(
    mut reader: TarReader<R>,
    mut piece_len: impl FnMut() -> usize,
) -> (Pieces, Option<TarError>) {
    let mut pieces = Pieces::default();
    let ended = cut_into(&mut reader, &mut piece_len, &mut pieces);
    if ended.is_err() {
        assert!(
            matches!(reader.next_entry(), Err(TarError::Failed)),
            "nothing comes after an error"
        );
    }
    (pieces, ended.err())
}

fn cut_into<R: Read>(
    reader: &mut TarReader<R>,
    piece_len: &mut dyn FnMut() -> usize,
    pieces: &mut Pieces,
) -> Result<(), TarError> {
    while let Some(entry) = reader.next_entry()? {
        assert_eq!(reader.position(), entry.payload_offset);
        assert_eq!(reader.payload_left(), entry.payload_len);
        let mut payload = Vec::new();
        while reader.payload_left() > 0 {
            let start = payload.len();
            payload.resize(start + piece_len(), 0);
            let read = reader.read_payload(&mut payload[start..])?;
            payload.truncate(start + read);
        }
        pieces.entries.push((entry, payload));
    }
    let mut trailer = reader.trailer().expect("there is no further entry");
    assert!(trailer.zero_blocks() <= 2);
    let mut piece = vec![0; 4096];
    loop {
        match trailer.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => pieces.trailer.extend_from_slice(&piece[..read]),
            Err(error) => {
                return Err(error.downcast().expect("the reader's errors are its own"));
            }
        }
    }
}

/// Gives every block that looks like a header the right checksum: fuzzers do not find them.
pub(super) fn repair_checksums(tar: &mut [u8]) {
    for block in tar.as_chunks_mut::<512>().0 {
        if block[257..262] != *b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
