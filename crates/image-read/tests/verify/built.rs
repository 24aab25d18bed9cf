//! RAFS images as large as a test wants them.

use std::io::Cursor;

use bytes::Bytes;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{
    BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, DigestAlgorithm, Frame, FrameId,
    Metadata, Name, Node, Recipe, RecipeId, Tree,
};
use rafs_format::blob::{BlobBuilder, BlobHasher, BlobOptions, StoredChunk};
use rafs_format::flags::{Compressor, Digester};
use rafs_format::v6::{BlobEntry, ChunkPlace, Layout, LayoutInput, LayoutOptions};

use crate::support::Golden;

/// An image of one file for each of `lens`, each of one chunk of that many bytes that do not compress.
/// The chunks that `is_used` says no to are in the blob, but in no file.
pub(crate) fn image(lens: &[u32], aligned: bool, is_used: impl Fn(usize) -> bool) -> Golden {
    let mut builder = BlobBuilder::new(
        BlobOptions::default()
            .compressor(Compressor::None)
            .digester(Digester::Sha256)
            .aligned_data(aligned),
    )
    .unwrap();
    let (mut blob, mut hasher) = (Vec::new(), BlobHasher::default());
    let (mut parts, mut places) = (ChunkedParts::default(), Vec::new());
    let mut tree = Tree::new(Metadata::implied_directory());
    for (position, &len) in lens.iter().enumerate() {
        let content = noise(len, position as u32);
        let digest = verify::digest(DigestAlgorithm::Sha256, &content).unwrap();
        let placed = builder
            .push(&StoredChunk {
                len,
                stored_len: len,
                codec: Codec::None,
                digest,
                crc32c: None,
            })
            .unwrap();
        let start = blob.len();
        blob.extend(&content);
        blob.resize(blob.len() + placed.padding as usize, 0);
        hasher.update(&blob[start..]);
        if !is_used(position) {
            continue;
        }
        let index = parts.chunks.len() as u32;
        places.push(ChunkPlace {
            in_batch: false,
            index: placed.index,
            address: placed.address,
        });
        parts.frames.push(Frame {
            blob: BlobIndex(0),
            offset: placed.offset,
            stored_len: len,
            len,
            recipe: RecipeId(0),
        });
        parts.chunks.push(Chunk {
            digest: Some(digest),
            len,
            crc32c: None,
            frame: FrameId(index),
            offset_in_frame: 0,
        });
        parts.extents.push(ChunkExtent {
            file_offset: 0,
            chunk: Some(ChunkId::new(index)),
        });
        let (start, end) = (index, index + 1);
        let content = ChunkRange { start, end };
        let size = u64::from(len);
        let file = tree.add(Metadata::default(), Node::File { size, content });
        // Not in the order in which they are stored.
        let name = Name::new(format!("{:05}", 99_999 - position).into_bytes()).unwrap();
        tree.link(Tree::<ChunkRange>::ROOT, name, file).unwrap();
    }
    let finished = builder.finish(hasher).unwrap().unwrap();
    blob.extend(&finished.trailer);
    let entry = finished.entry.unwrap();
    parts.recipes = vec![Recipe::exact(Codec::None)];
    parts.blobs = vec![entry.blob()];
    let image = ChunkedImage::new(tree, parts).unwrap();
    Golden {
        bootstrap: Some(bootstrap(&image, &places, entry.clone())),
        blob: blob.into(),
        id: entry.id,
    }
}

/// The bootstrap of `image`, whose blob is `entry`.
pub(crate) fn bootstrap(image: &ChunkedImage, places: &[ChunkPlace], entry: BlobEntry) -> Bytes {
    let entries = [entry];
    let input = LayoutInput {
        image,
        places,
        entries: &entries,
    };
    let mut bytes = Cursor::new(Vec::new());
    let layout = Layout::plan(input, &LayoutOptions::default()).unwrap();
    layout.write_to(&mut bytes).unwrap();
    bytes.into_inner().into()
}

/// Bytes without a pattern.
fn noise(len: u32, seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The same image, whose blob's name says nothing of its digest.
pub(crate) fn without_digest(golden: &Golden) -> Golden {
    let bootstrap = golden.bootstrap.as_ref().unwrap();
    let id = golden.id.as_str().as_bytes();
    let mut renamed = bootstrap.to_vec();
    for at in (0..renamed.len() - id.len()).filter(|&at| bootstrap[at..].starts_with(id)) {
        renamed[at] = b'x';
    }
    Golden {
        id: BlobId::new(&[b"x", &id[1..]].concat()).unwrap(),
        bootstrap: Some(renamed.into()),
        ..golden.clone()
    }
}
