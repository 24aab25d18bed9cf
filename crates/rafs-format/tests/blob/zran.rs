//! What describes a gzip layer: contexts, dictionaries, chunks.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::deflate::{DeflateStart, WINDOW_LEN, Window};
use image_model::{Blame as _, Fault, Limits};
use lazyoci_rafs_format::blob::{
    BlobError, BlobMeta, BuildError, ChunkExtra, ChunkFault, CiHeader, Contexts, Reference,
    ReferenceBuilder, ZranContext, ZranFault, chunk_info_v2,
};
use lazyoci_rafs_format::flags::Compressor;
use lazyoci_rafs_format::v6::BlobEntry;

use crate::support::sha256;

const LAYER_LEN: u64 = 1_000;

fn context(in_offset: u64, out_offset: u64) -> ZranContext {
    ZranContext {
        in_offset,
        out_offset,
        in_len: 300,
        out_len: 2_000,
        ..ZranContext::default()
    }
}

/// A start at a whole byte if `bits` is 0, after a window of which the 4 bytes before the last are known.
fn start(bits: u8) -> DeflateStart {
    let gap = (WINDOW_LEN - 5) as u16;
    let [g0, g1] = gap.to_le_bytes();
    let window = Window::new(vec![g0, g1, 4, 0].into(), b"lazy".to_vec().into());
    DeflateStart {
        bits,
        window: window.unwrap(),
    }
}

/// Two contexts that overlap, and three chunks.
fn reference() -> Reference {
    let mut builder = ReferenceBuilder::new(4096).unwrap();
    builder
        .push_context(context(10, 0), &DeflateStart::default())
        .unwrap();
    let second = ZranContext {
        byte: 0xa5,
        ..context(200, 1_500)
    };
    builder.push_context(second, &start(3)).unwrap();
    let placed = [(0, 0, 700), (0, 700, 1_300), (1, 500, 1_500)]
        .map(|(context, offset, len)| builder.push(context, offset, len).unwrap());
    let places = placed.map(|(frame, place)| (frame, place.index, place.address));
    assert_eq!(places, [(0, 0, 0), (0, 1, 4096), (1, 2, 8192)]);
    let layer = sha256(b"the layer");
    builder.finish(layer, LAYER_LEN).unwrap().unwrap()
}

/// The plain chunk information, its header, and the entry that says so.
struct Plain {
    ci: Vec<u8>,
    contexts: Contexts,
    entry: BlobEntry,
}

impl Plain {
    fn new() -> Self {
        Self::of(reference())
    }

    fn of(reference: Reference) -> Self {
        let Reference { meta, entry, .. } = reference;
        let (stored, header) = meta.split_last_chunk().unwrap();
        let mut ci = vec![0; entry.ci_uncompressed_size as usize];
        let codec = entry.ci_compressor.into();
        Decoder::new().decode(codec, stored, &mut ci).unwrap();
        let contexts = CiHeader::from_bytes(header).unwrap().contexts;
        Self {
            ci,
            contexts,
            entry,
        }
    }

    fn open(&self) -> Result<BlobMeta, BlobError> {
        let mut entry = self.entry.clone();
        entry.ci_compressor = Compressor::None;
        entry.ci_compressed_size = self.ci.len() as u64;
        entry.ci_uncompressed_size = self.ci.len() as u64;
        let header = CiHeader {
            features: entry.features.bits(),
            compressor: Compressor::None,
            entries: entry.chunk_count,
            offset: 0,
            stored_len: entry.ci_compressed_size,
            len: entry.ci_uncompressed_size,
            contexts: self.contexts,
        };
        let stored: Bytes = [&self.ci[..], &header.to_bytes()].concat().into();
        BlobMeta::decode(&entry, &stored, &mut Decoder::new(), &Limits::default())
    }

    fn set(&mut self, index: usize, change: impl FnOnce(&mut ZranContext)) {
        let at = self.entry.chunk_count as usize * chunk_info_v2::LEN + index * ZranContext::LEN;
        let bytes = self.ci[at..].first_chunk_mut().unwrap();
        let mut context = ZranContext::from_bytes(bytes);
        change(&mut context);
        *bytes = context.to_bytes();
    }
}

#[test]
fn what_is_written_is_read() {
    let Reference {
        meta,
        meta_digest,
        entry,
        frames,
        recipes,
        ..
    } = reference();
    assert_eq!(sha256(&meta), meta_digest);
    assert_eq!((entry.chunk_count, entry.uncompressed_size), (3, 12_288));
    assert_eq!(entry.meta_id().unwrap().as_str(), meta_digest.hex());
    let mut decoder = Decoder::new();
    let read = BlobMeta::decode(&entry, &meta.into(), &mut decoder, &Limits::default()).unwrap();
    assert_eq!(read.check(), Ok(()));
    let second = read.context(1).unwrap().unwrap();
    assert_eq!(
        second,
        ZranContext {
            dict_offset: 0,
            dict_len: 5,
            byte: 0xa5,
            bits: 3,
            ..context(200, 1_500)
        }
    );
    assert_eq!(read.context(2), Ok(None));
    let mut window = [7; WINDOW_LEN];
    let entered = read.deflate_start(&second);
    assert_eq!(
        (entered.bits, entered.window.fill(&mut window)),
        (3, WINDOW_LEN - 5)
    );
    assert_eq!(window[WINDOW_LEN - 5..], *b"lazy\0");
    let places = frames
        .iter()
        .map(|frame| (frame.offset, frame.stored_len, frame.len));
    assert!(places.eq([(10, 300, 2_000), (199, 301, 2_000)]));
    assert_eq!(recipes.len(), 2);
    let chunk = read.chunk(2).unwrap();
    let extra = ChunkExtra::Zran {
        context: 1,
        offset: 500,
    };
    assert_eq!(
        (chunk.offset, chunk.stored_len, chunk.extra),
        (199, 0, extra)
    );
}

#[test]
fn contexts_that_cannot_be_are_refused() {
    type Change = fn(&mut ZranContext);
    let cases: [(Change, ZranFault); 10] = [
        (
            |c| c.in_len = 0,
            ZranFault::Empty {
                in_len: 0,
                out_len: 2_000,
            },
        ),
        (
            |c| c.in_len = u32::MAX,
            ZranFault::Empty {
                in_len: u32::MAX,
                out_len: 2_000,
            },
        ),
        (
            |c| c.out_len = 0,
            ZranFault::Empty {
                in_len: 300,
                out_len: 0,
            },
        ),
        (
            |c| c.bits = 8,
            ZranFault::Bits {
                bits: 8,
                in_offset: 200,
            },
        ),
        (
            |c| c.in_offset = 0,
            ZranFault::Bits {
                bits: 3,
                in_offset: 0,
            },
        ),
        (
            |c| c.dict_len = 32_769,
            ZranFault::DictionaryLen { len: 32_769 },
        ),
        (
            |c| c.dict_offset = 1,
            ZranFault::BeyondArea {
                end: 6,
                area_len: 5,
            },
        ),
        (
            |c| c.dict_offset = u64::MAX,
            ZranFault::BeyondArea {
                end: u64::MAX,
                area_len: 5,
            },
        ),
        (
            |c| c.in_offset = 701,
            ZranFault::BeyondLayer {
                end: 1_001,
                data_len: LAYER_LEN,
            },
        ),
        (
            |c| c.out_offset = u64::MAX,
            ZranFault::BeyondTar {
                out_offset: u64::MAX,
                out_len: 2_000,
            },
        ),
    ];
    for (change, fault) in cases {
        let mut plain = Plain::new();
        plain.set(1, change);
        let read = plain.open().unwrap();
        let error = BlobError::Context { index: 1, fault };
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(read.context(1), Err(error.clone()));
        assert_eq!(read.chunk(1).map(|chunk| chunk.len), Ok(1_300));
        assert_eq!(read.chunk(2), Err(error.clone()));
        let mut found = Vec::new();
        read.check_all(0, &mut |error| found.push(error), &mut |_| ());
        assert_eq!(found, [error.clone(), error]);
    }
}

#[test]
fn chunks_lie_in_their_contexts() {
    let mut plain = Plain::new();
    plain.set(1, |context| context.out_len = 1_999);
    let beyond = ChunkFault::BeyondContext {
        context: 1,
        end: 2_000,
        len: 1_999,
    };
    let error = |fault| BlobError::Chunk { index: 2, fault };
    assert_eq!(plain.open().unwrap().chunk(2), Err(error(beyond)));
    let mut plain = Plain::new();
    // The context of the last chunk.
    plain.ci[3 * chunk_info_v2::LEN - 4] = 2;
    let none = ChunkFault::NoContext {
        context: 2,
        count: 2,
    };
    assert_eq!(plain.open().unwrap().chunk(2), Err(error(none)));
}

#[test]
fn reserved_bytes_are_told() {
    let mut plain = Plain::new();
    let end = 3 * chunk_info_v2::LEN + ZranContext::LEN;
    plain.ci[end - 1] = 1;
    let mut found = Vec::new();
    let read = plain.open().unwrap();
    read.check_all(0, &mut |error| found.push(error), &mut |_| ());
    let fault = ZranFault::Reserved;
    assert_eq!(found, [BlobError::Context { index: 0, fault }]);
    assert!(read.context(0).is_ok());
}

/// Such are read, but not by nydusd.
#[test]
fn contexts_of_more_than_16_mib_are_told() {
    let mut plain = Plain::new();
    let found = |plain: &Plain| {
        let (read, mut found) = (plain.open().unwrap(), Vec::new());
        read.check_all(0, &mut |error| found.push(error), &mut |_| ());
        assert!(read.context(1).is_ok() && read.chunk(2).is_ok());
        found
    };
    plain.set(1, |context| context.out_len = 16 << 20);
    assert_eq!(found(&plain), []);
    let out_len = (16 << 20) + 1;
    plain.set(1, |context| context.out_len = out_len);
    let fault = ZranFault::TooLong { out_len };
    assert_eq!(found(&plain), [BlobError::Context { index: 1, fault }]);
}

#[test]
fn tables_have_their_places() {
    let contradiction = |field, expected, found| BlobError::Contradiction {
        field,
        expected,
        found,
    };
    for (contexts, error) in [
        ((71, 85, 2), contradiction("context offset", 72, 71)),
        ((72, 84, 2), contradiction("context size", 85, 84)),
        (
            (72, u64::MAX, 2),
            contradiction("context size", 85, u64::MAX),
        ),
        ((72, 85, 3), BlobError::ContextCount { count: 3, len: 85 }),
        ((72, 85, 4), BlobError::ContextCount { count: 4, len: 85 }),
        (
            (72, 85, u32::MAX),
            BlobError::ContextCount {
                count: u32::MAX,
                len: 85,
            },
        ),
    ] {
        let (offset, len, count) = contexts;
        let plain = Plain {
            contexts: Contexts { offset, len, count },
            ..Plain::new()
        };
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(plain.open().err(), Some(error));
    }
}

#[test]
fn what_readers_refuse_is_not_written() {
    let mut builder = ReferenceBuilder::new(4096).unwrap();
    let plain = DeflateStart::default();
    let long = ZranContext {
        out_len: (16 << 20) + 1,
        ..context(10, 0)
    };
    let error = BuildError::TooLarge {
        what: "bytes in one context",
        limit: 16 << 20,
    };
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(builder.push_context(long, &plain), Err(error));
    builder.push_context(context(10, 5_000), &plain).unwrap();
    let fault = ZranFault::Order;
    let error = BuildError::Context { index: 1, fault };
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(builder.push_context(context(10, 5_000), &plain), Err(error));
    let fault = ChunkFault::Len { len: 4_097 };
    let longer = ZranContext {
        out_len: 9_000,
        ..context(20, 6_000)
    };
    builder.push_context(longer, &plain).unwrap();
    let error = BuildError::Chunk { index: 0, fault };
    assert_eq!(builder.push(1, 0, 4_097), Err(error));
    builder.push(1, 0, 4_096).unwrap();
    let fault = ChunkFault::Order;
    let error = BuildError::Chunk { index: 1, fault };
    assert_eq!(builder.push(0, 0, 1), Err(error));
    let fault = ZranFault::BeyondLayer {
        end: 310,
        data_len: 300,
    };
    let error = BuildError::Context { index: 0, fault };
    assert_eq!(builder.finish(sha256(b""), 300), Err(error));
    let empty = ReferenceBuilder::new(4096).unwrap();
    assert_eq!(empty.finish(sha256(b""), 300), Ok(None));
    let error = BuildError::ChunkSize { chunk_size: 5_000 };
    assert_eq!(ReferenceBuilder::new(5_000).err(), Some(error));
}

/// Contexts at `starts`, of 300 bytes each, and a chunk in each of them.
fn contexts_at(starts: &[u64]) -> Result<BlobMeta, BlobError> {
    let mut builder = ReferenceBuilder::new(4096).unwrap();
    let apart = |index: u64| context(10 + 300 * index, 2_000 * index);
    for index in 0..starts.len() as u64 {
        let plain = DeflateStart::default();
        builder.push_context(apart(index), &plain).unwrap();
    }
    for index in 0..starts.len() as u32 {
        builder.push(index, 0, 1).unwrap();
    }
    let made = builder.finish(sha256(b"the layer"), 10_000).unwrap();
    let mut plain = Plain::of(made.unwrap());
    for (index, &start) in starts.iter().enumerate() {
        plain.set(index, |context| context.in_offset = start);
    }
    plain.open()
}

/// Decoding all of them costs at most eight times the layer.
#[test]
fn at_most_eight_contexts_hold_the_same_bytes() {
    let error = BlobError::Limit {
        piece: "contexts over the same stored bytes",
        declared: 9,
        limit: 8,
    };
    assert_eq!(error.fault(), Fault::Limit);
    let read = contexts_at(&[10; 8]).unwrap();
    assert_eq!(read.context(7).unwrap().unwrap().in_offset, 10);
    assert_eq!(contexts_at(&[10; 9]).err(), Some(error.clone()));
    // The ninth begins where the first ends, or a byte before.
    let mut starts: Vec<_> = (0..9).map(|index| 10 + index).collect();
    starts[8] = 310;
    assert!(contexts_at(&starts).is_ok());
    starts[8] = 309;
    assert_eq!(contexts_at(&starts).err(), Some(error.clone()));
    // Whatever their order is.
    starts.reverse();
    assert_eq!(contexts_at(&starts).err(), Some(error.clone()));
    // One that cannot be used costs nothing.
    starts[4] = 9_701;
    assert!(contexts_at(&starts).is_ok());

    let mut builder = ReferenceBuilder::new(4096).unwrap();
    let mut push = |index| builder.push_context(context(10, index), &DeflateStart::default());
    assert!((0..8).all(|index| push(index).is_ok()));
    let error = BuildError::TooLarge {
        what: "contexts over the same stored bytes",
        limit: 8,
    };
    assert_eq!(push(8), Err(error));
}
