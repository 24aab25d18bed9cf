//! What describes a gzip layer: contexts, dictionaries, chunks.

use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Blame as _, Decode, Limits};
use lazyoci::rafs_format::blob::{BlobMeta, ChunkExtra, CiHeader, ZranContext};
use lazyoci::rafs_format::v6::BlobEntry;

/// Longest output that is inflated.
const MAX_LEN: u32 = 1 << 20;

/// Takes the bytes as an entry of a blob table, what that says of the length of the chunk information, and a layer; reads
/// every context and chunk, and inflates what the contexts say.
pub fn zran(data: &[u8]) {
    let Some((entry, rest)) = data.split_first_chunk() else {
        return;
    };
    let chunk_size = u32::from_le_bytes([entry[68], entry[69], entry[70], entry[71]]);
    let Ok(entry) = BlobEntry::from_bytes(entry, 0, 0, chunk_size) else {
        return;
    };
    let limits = Limits::small();
    let Ok(range) = BlobMeta::range(&entry, &limits) else {
        return;
    };
    let len = range.end - range.start;
    if len > rest.len() as u64 || len < CiHeader::LEN as u64 {
        return;
    }
    let (meta, layer) = rest.split_at(len as usize);
    let meta = match BlobMeta::decode(&entry, &meta.to_vec().into(), &mut Decoder::new(), &limits) {
        Ok(meta) => meta,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let contexts: Vec<_> = (0..meta.context_count())
        .map(|number| meta.context(number))
        .collect();
    assert_eq!(meta.context(meta.context_count()), Ok(None));
    for index in 0..meta.chunk_count() {
        let Ok(chunk) = meta.chunk(index) else {
            continue;
        };
        if let ChunkExtra::Zran { context, offset } = chunk.extra {
            let Ok(Some(found)) = &contexts[context as usize] else {
                panic!("a chunk of a context that is wrong");
            };
            assert!(u64::from(offset) + u64::from(chunk.len) <= found.out_len.into());
        }
    }
    let mut decoder = Decoder::new();
    for context in contexts.into_iter().flatten().flatten() {
        assert_eq!(ZranContext::from_bytes(&context.to_bytes()), context);
        let start = meta.deflate_start(&context);
        assert_eq!(start.window.known().len(), context.dict_len as usize);
        let (from, to) = (
            context.stored_offset(),
            context.in_offset + u64::from(context.in_len),
        );
        let stored = layer.get(from as usize..to as usize);
        if let Some(stored) = stored.filter(|_| context.out_len <= MAX_LEN) {
            let mut out = vec![0; context.out_len as usize];
            let _ = decoder.decode_frame(&Decode::DeflateMembers(start), stored, &mut out);
        }
    }
}
