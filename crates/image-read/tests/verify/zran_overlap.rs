//! Contexts that no writer makes: over one another, so that a blob costs its reader many times its length, or longer than
//! nydusd reads.

use std::collections::HashMap;

use bytes::Bytes;
use frame_codec::{Compression, Decoder, Encoder};
use image_model::deflate::DeflateStart;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{
    Blame as _, Chunk, ChunkId, ChunkedImage, Fault, FrameId, Metadata, Name, Node, Tree,
};
use lazyoci_image_read::OpenError;
use rafs_format::blob::{
    BlobError, CiHeader, Reference, ReferenceBuilder, ZranContext, chunk_info_v2,
};
use rafs_format::flags::Compressor;
use rafs_format::v6::BlobEntry;
use verify::sha256;

use crate::built::bootstrap;
use crate::flips::one_thread;
use crate::zran::{Files, Layered};

/// What each context gives, if it is one of several.
const LEN: u32 = 4 << 20;

/// A layer of `len` zeros, and `count` contexts, each as `change` has it: one after the other they have as many stored
/// bytes as the first, which gives all of the zeros. In each there is a chunk of one byte, its last one, which is a file.
fn layered(len: u32, count: u32, change: impl Fn(&mut ZranContext)) -> Layered {
    let mut layer = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    encoder
        .encode_frame(&vec![0; len as usize], &mut layer)
        .unwrap();
    let stored_len = layer.len() as u32 - 10;
    let mut builder = ReferenceBuilder::new(1 << 20).unwrap();
    for number in 0..count {
        let context = ZranContext {
            in_offset: 10 + u64::from(number) * u64::from(stored_len),
            in_len: stored_len,
            out_offset: u64::from(number) * u64::from(len),
            out_len: len.min(16 << 20),
            ..ZranContext::default()
        };
        let start = DeflateStart::default();
        builder.push_context(context, &start).unwrap();
    }
    let zero = sha256(&[0]);
    let (mut parts, mut places) = (ChunkedParts::default(), Vec::new());
    let mut tree = Tree::new(Metadata::implied_directory());
    for number in 0..count {
        let offset = len.min(16 << 20) - 1;
        let (frame, place) = builder.push(number, offset, 1).unwrap();
        places.push(place);
        parts.chunks.push(Chunk {
            digest: Some(zero),
            len: 1,
            crc32c: None,
            frame: FrameId(frame),
            offset_in_frame: offset,
        });
        parts.extents.push(ChunkExtent {
            file_offset: 0,
            chunk: Some(ChunkId::new(number)),
        });
        let content = ChunkRange {
            start: number,
            end: number + 1,
        };
        let file = tree.add(Metadata::default(), Node::File { size: 1, content });
        let name = Name::new(format!("{number:05}").into_bytes()).unwrap();
        tree.link(Tree::<ChunkRange>::ROOT, name, file).unwrap();
    }
    let far = 10 + u64::from(count) * u64::from(stored_len);
    layer.resize(far as usize, 0);
    let made = builder.finish(sha256(&layer), far).unwrap().unwrap();
    let Reference {
        mut entry,
        frames,
        recipes,
        meta,
        ..
    } = made;
    let meta = changed(&meta, &mut entry, change);
    (parts.frames, parts.recipes) = (frames, recipes);
    parts.blobs = vec![entry.blob()];
    let image = ChunkedImage::new(tree, parts).unwrap();
    let files = [
        (entry.id.as_str().to_owned(), layer.into()),
        (entry.meta_id().unwrap().as_str().to_owned(), meta),
    ];
    Layered {
        opened: bootstrap(&image, &places, entry),
        id: None,
        files: Files(HashMap::from(files)),
    }
}

/// The same chunk information, whose contexts are as `change` has them.
fn changed(meta: &[u8], entry: &mut BlobEntry, change: impl Fn(&mut ZranContext)) -> Bytes {
    let (stored, header) = meta.split_last_chunk().unwrap();
    let mut header = CiHeader::from_bytes(header).unwrap();
    let mut plain = vec![0; header.len as usize];
    let codec = entry.ci_compressor.into();
    Decoder::new().decode(codec, stored, &mut plain).unwrap();
    let at = entry.chunk_count as usize * chunk_info_v2::LEN;
    for bytes in plain[at..].as_chunks_mut::<{ ZranContext::LEN }>().0 {
        let mut context = ZranContext::from_bytes(bytes);
        change(&mut context);
        *bytes = context.to_bytes();
    }
    (header.compressor, header.stored_len) = (Compressor::None, header.len);
    entry.ci_compressor = Compressor::None;
    entry.ci_compressed_size = header.len;
    plain.extend(header.to_bytes());
    entry.meta_digest = *sha256(&plain).as_bytes();
    entry.meta_size = plain.len() as u64;
    plain.into()
}

/// 1,000 contexts, 80 KB of them, would be 4 GB of inflating.
#[test]
fn contexts_over_one_another_cost_a_bounded_amount() {
    let over_one_another = |count| layered(LEN, count, |context| context.in_offset = 10);
    let opened = over_one_another(8).open();
    for number in 0..8 {
        assert_eq!(opened.read(format!("/{number:05}"), 1).unwrap(), [0]);
    }
    assert_eq!(opened.reader().frames().decoded(), 8);
    for count in [9, 1_000] {
        let image = over_one_another(count);
        let error = BlobError::Limit {
            piece: "contexts over the same stored bytes",
            declared: 9,
            limit: 8,
        };
        let refused = image.try_open().unwrap_err();
        assert!(
            matches!(&refused, OpenError::Blob(found) if *found == error),
            "{refused:?}"
        );
        assert_eq!(error.fault(), Fault::Limit);
        // What is beyond a limit is not verified.
        assert_eq!(image.worst(&one_thread()), Some(Fault::Unsupported));
    }
}

/// The image is read, but nydusd cannot.
#[test]
fn a_context_of_more_than_16_mib_is_found() {
    let len = (16 << 20) + 1;
    let image = layered(len, 1, |context| context.out_len = len);
    assert_eq!(image.open().read("/00000", 1).unwrap(), [0]);
    let meta = image.open().rafs().unwrap().bootstrap().blob_entries()[0].meta_id();
    let place = format!("corrupt: blob `{}`: invalid context 0", meta.unwrap());
    let error = format!("{place}: 16777217 bytes of the tar; nydusd reads at most 16777216");
    assert_eq!(image.found(&one_thread()), [error]);
    let image = layered(len, 1, |context| context.out_len = len - 1);
    assert_eq!(image.found(&one_thread()), [""; 0]);
}
