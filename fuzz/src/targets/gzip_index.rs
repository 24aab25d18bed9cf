//! Indexes of gzip streams: built of any stream, and read from any bytes.

use std::io::{Read as _, Seek as _, SeekFrom};

use lazyoci::frame_codec::Decoder;
use lazyoci::gzip_index::{GzipIndex, IndexBuilder, IndexOptions};
use lazyoci::model::{Blame as _, Limits, Vouched};
use lazyoci::tar_stream::{LayerStream, StreamOptions};
use lazyoci::verify::{check, sha256};

use super::input::Input;
use super::read_boundaries::{Lengths, Pieced};

/// Builds the index of the bytes as a gzip stream, at once and by pieces, and decodes every span by itself, the last one
/// first: together they are what the layer stream gives.
pub fn gzip_index_build(data: &[u8]) {
    let input = &mut Input::new(data);
    let ignore = input.flag();
    let limits = Limits::small();
    let options = IndexOptions::default()
        .max_stored_span(u32::from(input.u16()))
        .max_decoded_span(input.u32())
        .ignore_trailing(ignore)
        .threads(1)
        .limits(limits.clone());
    let lengths = Lengths::take(input);
    let kept = usize::from(input.u16());
    let gzip = input.rest();
    let decoded = decoded(gzip, &limits, ignore);
    let mut builder = IndexBuilder::new(gzip, &options);
    let mut start = Vec::new();
    let read = builder.by_ref().take(kept as u64).read_to_end(&mut start);
    let built = match read {
        Ok(_) => {
            builder.keep(0, &start).expect("it was read");
            builder.finish()
        }
        Err(_) => builder.finish(),
    };
    let pieced = IndexBuilder::new(
        Pieced {
            bytes: gzip,
            lengths,
        },
        &options,
    )
    .finish();
    let index = match built {
        Ok((index, _)) => index,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            pieced.expect_err("pieces change nothing");
            return;
        }
    };
    let (pieced, _) = pieced.expect("pieces change nothing");
    assert_eq!(pieced.spans(), index.spans());
    let decoded = decoded.expect("what is indexed can be decoded");
    assert_eq!(index.stored_digest(), Some(sha256(gzip)));
    let again = GzipIndex::decode(&index.encode(), &limits).expect("it was encoded by us");
    assert_eq!(again, index);
    read_backwards(&again, gzip, &decoded);
    let mut first = Vec::new();
    let read = again
        .kept()
        .take(start.len() as u64)
        .read_to_end(&mut first);
    assert_eq!((read.expect("it is kept"), &first), (start.len(), &start));
}

/// What the layer stream makes of `gzip`.
fn decoded(gzip: &[u8], limits: &Limits, ignore: bool) -> Option<Vec<u8>> {
    let options = StreamOptions::from(limits).ignore_trailing(ignore);
    let mut decoded = Vec::new();
    let mut stream = LayerStream::open(gzip, &options).ok()?;
    stream.read_to_end(&mut decoded).ok().map(|_| decoded)
}

fn read_backwards(index: &GzipIndex, gzip: &[u8], expected: &[u8]) {
    let mut decoder = Decoder::new();
    assert_eq!(index.decoded_len(), expected.len() as u64);
    for (nth, span) in index.spans().iter().enumerate().rev() {
        let recipe = index.recipe(nth).expect("each span has one");
        let stored = &gzip[span.stored_offset as usize..span.stored_end() as usize];
        let mut out = vec![0; span.decoded_len as usize];
        decoder
            .decode_frame(&recipe.decode, stored, &mut out)
            .expect("it was decoded before");
        let start = span.decoded_offset as usize;
        assert!(out == expected[start..start + out.len()]);
        let Vouched::Stored(digest) = recipe.vouched else {
            panic!("{:?}", recipe.vouched)
        };
        assert_eq!(check(&digest, stored), Ok(()));
        assert_eq!(index.span_at(span.decoded_offset), Some(nth));
    }
}

/// Reads the bytes as an index, with the digest in its header or the right one; what is read is written as it was, and
/// decodes nothing but its own spans.
pub fn gzip_index_read(data: &[u8]) {
    let input = &mut Input::new(data);
    let seal = input.flag();
    let mut bytes = input.rest().to_vec();
    if seal && bytes.len() >= 168 {
        let rest = [&bytes[..136], &bytes[168..]].concat();
        bytes[136..168].copy_from_slice(sha256(&rest).as_bytes());
    }
    let limits = Limits::small();
    let index = match GzipIndex::decode(&bytes, &limits) {
        Ok(index) => index,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let mut end = 0;
    let mut decoder = Decoder::new();
    for (nth, span) in index.spans().iter().enumerate() {
        assert_eq!(span.decoded_offset, end);
        end = span.decoded_end();
        assert!(span.stored_end() <= index.stored_len());
        let recipe = index.recipe(nth).expect("each span has one");
        // Anything may be stored there.
        let mut out = [0; 64];
        let _ = decoder.decode_frame(&recipe.decode, &bytes, &mut out);
    }
    assert_eq!(end, index.decoded_len());
    let mut at = 0;
    let mut kept = index.kept();
    for range in index.kept_ranges() {
        assert!(at <= range.start && range.start < range.end && range.end <= end);
        at = range.end;
        kept.seek(SeekFrom::Start(range.start)).expect("no I/O");
        let _ = kept.read(&mut [0; 64]);
    }
    let mut dump = String::new();
    index.dump(&mut dump).expect("strings take everything");
    let structures = index.spans().len() + index.kept_ranges().count() + 4;
    assert_eq!(dump.lines().count(), structures, "{dump}");
    let again = index.encode();
    assert!(again == bytes);
    assert_eq!(GzipIndex::decode(&again, &limits), Ok(index));
}
