//! Streams, and what is read of them by an index.

use std::io::{self, Read, Write};

use frame_codec::Decoder;
use image_model::{Digest, DigestAlgorithm};
use lazyoci_gzip_index::{GzipIndex, IndexBuilder, IndexOptions};
use sha2::{Digest as _, Sha256};

/// A source that gives so many bytes at once at most.
pub(crate) struct Slow<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl Read for Slow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.1);
        self.0.read(&mut buf[..len])
    }
}

/// One member.
pub(crate) fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let level = flate2::Compression::new(level);
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Text that refers back, and bytes that do not compress between.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut out = Vec::new();
    while out.len() < len {
        match next() % 4 {
            0 => out.extend((0..next() % 300).map(|_| (next() & 0xff) as u8)),
            _ => out.extend(format!("line {} of {}\n", next() % 5_000, next() % 9).bytes()),
        }
    }
    out.truncate(len);
    out
}

pub(crate) fn build(gzip: &[u8], options: &IndexOptions) -> GzipIndex {
    let (index, rest) = IndexBuilder::new(gzip, options).finish().unwrap();
    assert!(rest.is_empty());
    index
}

/// Small spans.
pub(crate) fn small(span: u32) -> IndexOptions {
    IndexOptions::default().max_stored_span(span)
}

/// Span number `nth` of `gzip`, decoded by itself and verified.
pub(crate) fn span(index: &GzipIndex, nth: usize, gzip: &[u8]) -> Vec<u8> {
    let span = &index.spans()[nth];
    let stored = &gzip[span.stored_offset as usize..span.stored_end() as usize];
    let mut out = vec![0; span.decoded_len as usize];
    let recipe = index.recipe(nth).unwrap();
    Decoder::new()
        .decode_frame(&recipe.decode, stored, &mut out)
        .unwrap();
    assert_eq!(span.digest, digest(span.digest.algorithm(), stored));
    out
}

/// The digest of `bytes`.
pub(crate) fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Digest {
    let digest = match algorithm {
        DigestAlgorithm::Sha256 => Sha256::digest(bytes).into(),
        DigestAlgorithm::Blake3 => blake3::hash(bytes).into(),
        other => panic!("{other}"),
    };
    Digest::new(algorithm, digest)
}

/// All spans, the last ones first.
pub(crate) fn read_backwards(index: &GzipIndex, gzip: &[u8]) -> Vec<u8> {
    let mut spans = (0..index.spans().len())
        .rev()
        .map(|nth| span(index, nth, gzip))
        .collect::<Vec<_>>();
    spans.reverse();
    spans.concat()
}
