//! What finds frames that a bootstrap does not tell: contexts and dictionaries of a gzip layer, batches, chunks.

use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Blame as _, Codec, Decode, Limits, Recipe};
use lazyoci::rafs_format::blob::{BatchContext, BlobMeta, ChunkExtra, CiHeader, ZranContext};
use lazyoci::rafs_format::v6::BlobEntry;

/// Longest output that is inflated.
const MAX_LEN: u32 = 1 << 20;

/// Takes the bytes as an entry of a blob table, what that says of the length of the chunk information, and a layer, or the
/// chunk data of a blob; reads every context and chunk, and decodes what the contexts say.
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
    let batches: Vec<_> = (0..meta.context_count())
        .map(|number| meta.batch(number))
        .collect();
    assert_eq!(meta.batch(meta.context_count()), Ok(None));
    for index in 0..meta.chunk_count() {
        let Ok(chunk) = meta.chunk(index) else {
            continue;
        };
        let (context, offset) = match chunk.extra {
            ChunkExtra::Zran { context, offset } | ChunkExtra::Batch { context, offset } => {
                (context as usize, offset)
            }
            _ => continue,
        };
        let len = match (&contexts[context], &batches[context]) {
            (Ok(Some(found)), _) => found.out_len,
            (_, Ok(Some((found, start)))) => {
                assert_eq!(*start, chunk.offset);
                found.len
            }
            _ => panic!("a chunk of a context that is wrong"),
        };
        assert!(u64::from(offset) + u64::from(chunk.len) <= len.into());
    }
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    let data_len = match entry.is_separate() {
        true => 0,
        false => entry.data_len(),
    };
    meta.check_all(
        data_len,
        &mut |error| found.push(error.to_string()),
        &mut |gap| gaps.push(gap),
    );
    assert!(
        gaps.iter()
            .all(|gap| gap.start < gap.end && gap.end <= data_len)
    );
    let mut decoder = Decoder::new();
    for (batch, start) in batches.into_iter().flatten().flatten() {
        assert_eq!(BatchContext::from_bytes(&batch.to_bytes()), batch);
        assert!(batch.stored_len <= batch.len);
        let end = start + u64::from(batch.stored_len);
        assert!(end <= entry.data_len());
        let stored = layer.get(start as usize..end as usize);
        if let Some(stored) = stored.filter(|_| batch.len <= MAX_LEN) {
            let codec = match batch.is_compressed() {
                true => entry.compressor.into(),
                false => Codec::None,
            };
            let decode = match entry.xts_key() {
                Some(key) => Decode::Encrypted(key, codec),
                None => Recipe::exact(codec).decode,
            };
            let mut out = vec![0; batch.len as usize];
            let _ = decoder.decode_frame(&decode, stored, &mut out);
        }
    }
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
