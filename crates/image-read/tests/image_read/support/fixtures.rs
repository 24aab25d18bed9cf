//! The images that most tests read.

use std::ops::Range;

use frame_codec::Compression;
use lazyoci_image_read::{ReadError, ReadOptions};

use super::{Builder, Fixture, Piece, Vouch, text};

/// What the features allow.
pub(crate) const ZSTD: Compression = match cfg!(feature = "zstd") {
    true => Compression::Zstd { level: 3 },
    false => Compression::None,
};
pub(crate) const LZ4: Compression = match cfg!(feature = "lz4") {
    true => Compression::Lz4Block,
    false => Compression::None,
};
pub(crate) const GZIP: Compression = match cfg!(feature = "gzip") {
    true => Compression::Gzip { level: 6 },
    false => Compression::None,
};

/// One file of everything: chunks of several codecs and blobs, zeros, a frame that holds several
/// chunks in another order, a chunk that comes twice, a frame that goes on after its chunk.
pub(crate) fn mixed() -> Fixture {
    let mut builder = Builder::new(2);
    let a = builder.whole(0, ZSTD, &text(70_000, 1));
    let b = builder.whole(1, LZ4, &text(30_000, 2));
    let c = builder.whole(0, Compression::None, &text(5_000, 3));
    let shared = builder.frame(1, ZSTD, &text(9_000, 4), b"");
    let last = builder.chunk(shared, 6_000, 3_000, Vouch::Crc);
    let first = builder.chunk(shared, 0, 4_000, Vouch::Digest);
    let unvouched = builder.chunk(shared, 4_000, 2_000, Vouch::Nothing);
    let open = builder.frame(0, GZIP, &text(8_000, 5), &text(900, 6));
    let open = builder.chunk(open, 0, 8_000, Vouch::Digest);
    builder.file(
        "mixed",
        &[
            Piece::Chunk(a),
            Piece::Zeros(100_000),
            Piece::Chunk(b),
            Piece::Chunk(last),
            Piece::Chunk(c),
            Piece::Chunk(first),
            Piece::Chunk(a),
            Piece::Zeros(1),
            Piece::Chunk(unvouched),
            Piece::Chunk(open),
        ],
    );
    builder.file("empty", &[]);
    builder.build()
}

/// A file of eight frames of 1,000 bytes in one blob.
pub(crate) fn eight(compression: Compression) -> Fixture {
    let mut builder = Builder::new(1);
    let pieces: Vec<Piece> = (0..8)
        .map(|seed| Piece::Chunk(builder.whole(0, compression, &text(1_000, seed))))
        .collect();
    builder.file("eight", &pieces);
    builder.build()
}

pub(crate) fn read(fixture: &Fixture, name: &str, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    let reader = fixture.reader(ReadOptions::default());
    reader.read_range(fixture.ino(name), range, &mut content)?;
    Ok(content)
}
