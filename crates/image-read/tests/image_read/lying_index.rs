//! Indexes of ours that say what is not so, and are sealed: only decoding the layer tells.

use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use frame_codec::{Compression, Decoder, Encoder};
use gzip_index::{IndexOptions, Span};
use image_model::{Blame, Codec, Decode, Fault, Limits};
use lazyoci_image_read::{Difference, Follow, LayerIndex, LayerIndexError, OpenOptions, ReadError};

use crate::indexed::{gzip, noise, open};
use crate::support::tar;

/// See `gzip_index::format`: where the digest of the rest is, and the records of spans.
const DIGEST: usize = 136;
const RECORDS: usize = 168;
const RECORD_LEN: usize = 56;

/// Text that deflate makes four times shorter or so.
fn text() -> Vec<u8> {
    let letters = noise(2_000_000, 7).into_iter().map(|byte| b'a' + byte % 4);
    letters.collect()
}

/// A layer of two members, and its index.
struct Indexed {
    layer: Vec<u8>,
    index: LayerIndex,
}

impl Indexed {
    fn new() -> Self {
        let mut tar = tar::Builder::new();
        tar.file("text", &text());
        let tar = tar.finish();
        let (a, b) = tar.split_at(1_200_000);
        let layer = [gzip(a), gzip(b)].concat();
        let options = IndexOptions::default().max_stored_span(40_000);
        let index = LayerIndex::build(&layer[..], &options, &Default::default(), &mut ()).unwrap();
        Self { layer, index }
    }

    fn spans(&self) -> &[Span] {
        self.index.gzip().unwrap().spans()
    }

    /// The index with a lie, sealed again.
    fn lying(&self, lie: impl FnOnce(&mut Vec<u8>)) -> LayerIndex {
        let mut bytes = self.index.bytes().to_vec();
        lie(&mut bytes);
        let rest = [&bytes[..DIGEST], &bytes[RECORDS..]].concat();
        bytes[DIGEST..RECORDS].copy_from_slice(verify::sha256(&rest).as_bytes());
        LayerIndex::from_bytes(bytes.into(), &Limits::default()).unwrap()
    }

    /// The record of span `nth` with another first byte, `by` bytes earlier, and the digest of what it has then.
    fn entered_earlier(&self, nth: usize, by: u32) -> LayerIndex {
        let span = self.spans()[nth];
        let start = span.stored_offset as usize - by as usize;
        let digest = verify::sha256(&self.layer[start..span.stored_end() as usize]);
        self.lying(|bytes| {
            let record = record(bytes, nth);
            let gap = u64::from_le_bytes(*record.first_chunk().unwrap());
            record[..8].copy_from_slice(&(gap - u64::from(by)).to_le_bytes());
            record[8..12].copy_from_slice(&(span.stored_len + by).to_le_bytes());
            record[24..].copy_from_slice(digest.as_bytes());
        })
    }

    /// What reading the beginning of span `nth` by `index` gives.
    fn read(&self, index: &LayerIndex, nth: usize) -> Result<Vec<u8>, ReadError> {
        let options = OpenOptions::default().index(index.clone());
        let (image, _) = open(&self.layer, &options).unwrap();
        let file = image.resolve("/text", Follow::All).unwrap();
        // After the header of the file.
        let from = self.spans()[nth].decoded_offset.saturating_sub(512);
        let mut out = Vec::new();
        image.read_range(file, from..from + 10, &mut out)?;
        Ok(out)
    }

    /// The difference that a comparison with the layer finds.
    fn difference(&self, index: &LayerIndex) -> Difference {
        let layer: Arc<dyn ReadAt> = Arc::new(Bytes::from(self.layer.clone()));
        match index.compare(&layer, &Limits::default(), &mut ()) {
            Err(LayerIndexError::Differs(difference)) => difference,
            other => panic!("{other:?}"),
        }
    }

    /// That span `nth` cannot be read by `index`, and that a comparison finds it.
    fn assert_found(&self, index: &LayerIndex, nth: usize) {
        let error = self.read(index, nth).unwrap_err();
        assert!(matches!(error, ReadError::Frame { .. }), "{error:?}");
        assert_eq!(error.fault(), Fault::Corrupt);
        let expected = Difference::Span { index: nth as u64 };
        assert_eq!(self.difference(index), expected);
    }
}

fn record(bytes: &mut [u8], nth: usize) -> &mut [u8] {
    &mut bytes[RECORDS + nth * RECORD_LEN..][..RECORD_LEN]
}

#[test]
fn points_inside_headers_are_found() {
    let indexed = Indexed::new();
    let mut second = indexed.spans()[1..].iter();
    let second = 1 + second.position(Span::begins_member).unwrap();
    assert_eq!(indexed.spans()[second].decoded_offset, 1_200_000);
    for nth in [0, second] {
        for by in [1, 6, 10] {
            let index = indexed.entered_earlier(nth, by);
            indexed.assert_found(&index, nth);
        }
    }
    // In the trailer of the first member.
    let index = indexed.entered_earlier(second, 13);
    indexed.assert_found(&index, second);
}

#[test]
fn bits_that_are_others_are_found() {
    let indexed = Indexed::new();
    let mut tried = 0;
    for (nth, span) in indexed.spans().iter().enumerate() {
        // With the same bytes before and after.
        if !(2..=6).contains(&span.bits) {
            continue;
        }
        for bits in [span.bits - 1, span.bits + 1] {
            let index = indexed.lying(|bytes| record(bytes, nth)[20] = bits);
            indexed.assert_found(&index, nth);
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried}");
}

/// The digest of a span is that of its stored bytes. What it decodes to, with the window in the index, only a comparison
/// with the layer tells, or the digest of the index.
#[test]
fn windows_that_lie_are_found() {
    let indexed = Indexed::new();
    let gzip = indexed.index.gzip().unwrap();
    let has_window = |nth: usize| match gzip.recipe(nth).unwrap().decode {
        Decode::Deflate(start) => !start.window.is_empty(),
        other => panic!("{other:?}"),
    };
    let nth = (0..gzip.spans().len()).find(|&nth| has_window(nth));
    let nth = nth.unwrap();
    let index = indexed.lying(|bytes| {
        let number = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
        let (runs, known, stored_len) = (number(40), number(48), number(56));
        let at = RECORDS + gzip.spans().len() * RECORD_LEN;
        let stored = at..at + stored_len;
        let mut windows = vec![0; known + 4 * runs];
        let decoded = Decoder::new().decode(Codec::Zstd, &bytes[stored.clone()], &mut windows);
        decoded.unwrap();
        // Known bytes come first, and each of them is referred to.
        windows[0] ^= 1;
        let mut encoder = Encoder::new(Compression::Zstd { level: 6 }).unwrap();
        let mut changed = Vec::new();
        encoder.encode_frame(&windows, &mut changed).unwrap();
        bytes[56..64].copy_from_slice(&(changed.len() as u64).to_le_bytes());
        bytes.splice(stored, changed);
    });
    assert!(indexed.read(&index, nth).is_ok());
    let expected = Difference::Span { index: nth as u64 };
    assert_eq!(indexed.difference(&index), expected);
    let digest = verify::sha256(indexed.index.bytes());
    assert!(index.check(&digest).is_err());
}
