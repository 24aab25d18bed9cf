//! Images as dictionaries.

use image_model::image::ChunkedParts;
use image_model::{
    Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, Digest, DigestAlgorithm, Frame,
    FrameId, Recipe, RecipeId, Tree, Vouched,
};
use lazyoci_chunk_dedup::{
    BlobRecord, Dictionary, ImageDictionary, PlacedDictionary, Placement, recipe_number, recipes,
};

fn digest(byte: u8) -> Digest {
    Digest::new(DigestAlgorithm::Sha256, [byte; 32])
}

fn frame(blob: u32, offset: u64, len: u32, recipe: u32) -> Frame {
    Frame {
        blob: BlobIndex(blob),
        offset,
        stored_len: 10,
        len,
        recipe: RecipeId(recipe),
    }
}

fn chunk(byte: u8, len: u32, frame: u32, offset_in_frame: u32) -> Chunk {
    Chunk {
        digest: Some(digest(byte)),
        len,
        crc32c: None,
        frame: FrameId(frame),
        offset_in_frame,
    }
}

#[test]
fn chunks_are_placed_as_their_blobs_have_them() {
    let id = BlobId::new(b"layer").unwrap();
    let vouched = Recipe::exact(Codec::Zstd).vouched(Vouched::Stored(digest(9)));
    let parts = ChunkedParts {
        recipes: vec![Recipe::prefix(Codec::Gzip), vouched],
        blobs: vec![Blob::new(id.clone())],
        // The second frame comes first, and has two chunks.
        frames: vec![
            frame(0, 100, 50, 0),
            frame(0, 0, 30, 0),
            frame(0, 200, 5, 1),
        ],
        chunks: vec![
            chunk(1, 50, 0, 0),
            chunk(2, 10, 1, 20),
            chunk(3, 20, 1, 0),
            chunk(4, 5, 2, 0),
        ],
        ..ChunkedParts::default()
    };
    let image = ChunkedImage::new(Tree::implied(), parts).unwrap();
    let dictionary = ImageDictionary::of(&image);
    assert_eq!((dictionary.chunks(), dictionary.blobs()), (4, 1));
    assert_eq!(dictionary.blob(BlobIndex(0)).unwrap(), BlobRecord::new(id));
    let place = |frame: Frame, offset_in_frame, index, address| Placement {
        frame: Frame {
            recipe: RecipeId(7),
            ..frame
        },
        offset_in_frame,
        index,
        address,
    };
    for (byte, len, placement) in [
        (1, 50, place(frame(0, 100, 50, 0), 0, 2, 30)),
        (2, 10, place(frame(0, 0, 30, 0), 20, 1, 20)),
        (3, 20, place(frame(0, 0, 30, 0), 0, 0, 0)),
    ] {
        let id = dictionary.find(&digest(byte), len).unwrap().unwrap();
        assert_eq!(dictionary.entry_placement(id).unwrap(), (len, placement));
        assert_eq!(dictionary.find(&digest(byte), len + 1).unwrap(), None);
    }
    let listed: Vec<_> = dictionary
        .entries()
        .map(|entry| (entry.digest, entry.len))
        .collect();
    assert_eq!(listed, [(digest(1), 50), (digest(2), 10), (digest(3), 20)]);
    // No dictionary has a word for a frame with a digest of its own.
    assert_eq!(dictionary.find(&digest(4), 5).unwrap(), None);
    for (error, message) in [
        (
            dictionary.entry_placement(ChunkId::new(3)).map(drop),
            "record 3 of the dictionary: there is no such record",
        ),
        (
            dictionary.blob(BlobIndex(1)).map(drop),
            "blob 1 of the dictionary: there is no such blob",
        ),
    ] {
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}

#[test]
fn recipes_have_numbers() {
    for (number, recipe) in (0..).zip(recipes()) {
        assert_eq!(recipe_number(&recipe), Some(number));
        let vouched = recipe.vouched(Vouched::Decoded(digest(1)));
        assert_eq!(recipe_number(&vouched), None);
    }
    assert_eq!(recipes().count(), 8);
}
