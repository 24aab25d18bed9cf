//! From a path and an offset to a frame, from an address to a chunk, from a digest to a chunk.

use std::ops::ControlFlow;

use lazyoci::chunk_dedup::{ChunkList, ChunkTable, Dictionary};
use lazyoci::estargz_toc::carry::reduce;
use lazyoci::estargz_toc::image::ImageOptions;
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{
    BlobId, Chunk, ChunkId, ChunkedImage, Digest, DigestAlgorithm, Extent, ExtentSource, FrameId,
    Image, Limits, Node,
};
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::v6::{Bootstrap, OwnedBootstrap, drop_losses};
use lazyoci::read::{Follow, read_toc, resolve};

use super::input::Input;
use super::same::{resolved, see};
use super::stargz;
use super::tree::take_tree;
use super::v6::{Choices, Stored, encode, store};

/// Compares the lookups of chunks with naive searches: in a chunk table of few different digests, and
/// in an arbitrary image, by path and offset, and by address.
pub fn chunk_lookup(data: &[u8]) {
    let input = &mut Input::new(data);
    match input.byte() {
        choice if choice & 1 == 1 => by_digest(input),
        choice if choice & 2 == 2 => in_estargz(input),
        _ => in_image(input),
    }
}

/// A chunk with one of 16 digests, or none, and one of 4 lengths.
fn take_chunk(input: &mut Input<'_>) -> Chunk {
    let choice = input.byte();
    let algorithm = match choice & 1 {
        0 => DigestAlgorithm::Sha256,
        _ => DigestAlgorithm::Blake3,
    };
    // Equal in the first bytes, or in the last.
    let mut bytes = [0; 32];
    bytes[usize::from(choice & 2) * 15] = choice >> 2 & 7;
    let digest = Digest::new(algorithm, bytes);
    Chunk {
        digest: (choice < 240).then_some(digest),
        len: 1 + u32::from(choice >> 5 & 3),
        crc32c: None,
        frame: FrameId(0),
        offset_in_frame: 0,
    }
}

fn by_digest(input: &mut Input<'_>) {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut table = ChunkTable::new();
    let mut list = ChunkList::default();
    while !input.is_empty() && chunks.len() < 1000 {
        let chunk = take_chunk(input);
        let naive = |chunks: &[Chunk]| {
            let same = |known: &Chunk| known.digest == chunk.digest && known.len == chunk.len;
            let found = chunks.iter().position(same);
            found
                .filter(|_| chunk.digest.is_some())
                .map(|index| ChunkId::new(index as u32))
        };
        let known = naive(&chunks);
        if let Some(digest) = chunk.digest {
            assert_eq!(table.find(&chunks, &digest, chunk.len), known);
            let found = list.find(&digest, chunk.len);
            assert_eq!(found.expect("it is in memory"), known);
        }
        chunks.push(chunk);
        list.push(chunk);
        let id = ChunkId::new(chunks.len() as u32 - 1);
        let new = table.insert(&chunks, id);
        assert_eq!(new, chunk.digest.is_some() && known.is_none());
    }
    let at_once = ChunkTable::of(&chunks);
    assert_eq!(at_once.len(), table.len());
    assert_eq!(at_once.is_empty(), table.is_empty());
    for chunk in &chunks {
        if let Some(digest) = &chunk.digest {
            let found = table.find(&chunks, digest, chunk.len);
            assert!(found.is_some());
            assert_eq!(at_once.find(&chunks, digest, chunk.len), found);
        }
    }
}

fn in_image(input: &mut Input<'_>) {
    let choices = Choices::take(input);
    let mut stored = store(take_tree(input), &choices);
    let image = &mut stored.bootstrap.image;
    drop_losses(&mut image.tree, &mut |_, _| ());
    image.links = image.tree.link_counts();
    let bytes =
        encode(&stored.bootstrap, &stored.entries, &choices.layout()).expect("all can be carried");
    let bootstrap =
        Bootstrap::open(bytes.into(), &Limits::default()).expect("it was written by us");
    by_path(&stored.bootstrap.image, &bootstrap, input);
    by_address(&stored);
}

fn in_estargz(input: &mut Input<'_>) {
    let choices = stargz::Choices::take(input);
    let mut tree = take_tree(input);
    reduce(&mut tree, &mut |_, _| ());
    tree.drop_unreachable();
    let limits = Limits::default();
    let Some(stored) = stargz::store(tree, &choices, &limits) else {
        return;
    };
    let toc = read_toc(&stored.blob.as_slice(), &limits).expect("it was written by us");
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let options = ImageOptions::default().limits(limits);
    let opened = toc.image(id, &options).expect("it was written by us");
    by_path(&stored.image, &*opened.image, input);
}

/// Every file by its path, and the chunks at the edges of its chunks by their offsets.
fn by_path(image: &ChunkedImage, opened: &dyn Image, input: &mut Input<'_>) {
    for seen in see(image, &Limits::default()).expect("an owned image answers everything") {
        let ino = resolve(opened, seen.path.as_bytes(), Follow::Never).expect("it is there");
        let id = image
            .tree
            .resolve(seen.path.as_bytes())
            .expect("it is there");
        let Node::File { size, content } = image.tree.inode(id).node else {
            continue;
        };
        let extents = image.file_extents(content).expect("the image was checked");
        let starts = extents.iter().map(|extent| extent.file_offset);
        let offsets = starts.flat_map(|start| [start.saturating_sub(1), start, start + 1]);
        for offset in offsets.chain([size, u64::from(input.u16())]) {
            let naive = (extents.iter().rev()).find(|extent| extent.file_offset <= offset);
            let naive = naive
                .filter(|_| offset < size)
                .and_then(|extent| Some((extent.file_offset, extent.chunk?)));
            let expected = naive.map(|(file_offset, id)| {
                let chunk = image.chunks[id.index()];
                let source = ExtentSource::Chunk {
                    frame: chunk.frame,
                    offset_in_frame: chunk.offset_in_frame,
                    digest: chunk.digest,
                    crc32c: chunk.crc32c,
                };
                let len = chunk.len.into();
                Extent {
                    file_offset,
                    len,
                    source,
                }
            });
            let expected = expected.and_then(|extent| resolved(image, extent));
            let mut found = None;
            let mut take = |extent| {
                assert_eq!(found.replace(extent), None, "one byte lies in one extent");
                ControlFlow::Continue(())
            };
            let end = offset.saturating_add(1);
            opened
                .extents(ino, offset..end, &mut take)
                .expect("the file is sound");
            let found = found.and_then(|extent| resolved(opened, extent));
            assert_eq!(found, expected, "{}, byte {offset}", seen.path);
        }
    }
}

/// Every chunk by the addresses at its edges.
fn by_address(stored: &Stored) {
    let Some(entry) = stored.entries.first() else {
        return;
    };
    let limits = Limits::default();
    let range = BlobMeta::range(entry, &limits).expect("the entry was written by us");
    let bytes = stored.blob[range.start as usize..range.end as usize].to_vec();
    let meta = BlobMeta::decode(entry, &bytes.into(), &mut Decoder::new(), &limits)
        .expect("the chunk information was written by us");
    assert_eq!(meta.check(), Ok(()));
    let OwnedBootstrap { image, places } = &stored.bootstrap;
    assert_eq!(meta.chunk_count() as usize, image.chunks.len());
    let chunks = places.iter().zip(&image.chunks);
    let chunks: Vec<_> = chunks
        .map(|(place, chunk)| (place.index, place.address, chunk.len))
        .collect();
    for &(_, start, len) in &chunks {
        let end = start + u64::from(len);
        for address in [start, end - 1, end, start.wrapping_sub(1)] {
            let naive = (chunks.iter())
                .find(|&&(_, start, len)| (start..start + u64::from(len)).contains(&address));
            let found = meta.chunk_at(address).expect("the chunks are sound");
            assert_eq!(
                found.map(|(index, info)| (index, info.address, info.len)),
                naive.copied(),
            );
        }
    }
}
