//! Batches that no writer makes: over one another, so that decoding all of them costs many times the blob, and with
//! chunks that point crosswise.

use bytes::Bytes;
use image_model::{Blame as _, Codec, Fault};
use lazyoci_rafs_format::blob::{
    BatchContext, BatchFault, BlobBuilder, BlobError, BlobHasher, BlobMeta, ChunkFault,
};
use lazyoci_rafs_format::v6::BlobEntry;

use crate::batch::{all_found, batched, built, options};
use crate::support::{open, patched};

/// Bytes of the chunk data of [`built`].
const DATA: usize = 4_507;
/// Bytes of an entry of the chunk information.
const ENTRY: usize = 24;

/// `blob`, whose chunk data take `data_len` bytes, with chunk number `index` at byte `start` of them.
fn moved(blob: &[u8], data_len: usize, index: usize, start: u64) -> Bytes {
    let at = data_len + ENTRY * index + 8;
    patched(blob, at, &start.to_le_bytes()[..5])
}

/// [`built`], whose chunk number `index` is in batch number `context`.
fn in_batch(blob: &[u8], index: usize, context: u32) -> Bytes {
    let at = DATA + ENTRY * index + 20;
    patched(blob, at, &context.to_le_bytes())
}

/// A blob with batches of 100 bytes at `starts`, and a chunk in each of them that is all of it.
fn with_batches_at(starts: &[u64]) -> (Bytes, BlobEntry) {
    let mut builder = BlobBuilder::new(options()).unwrap();
    for _ in starts {
        builder.push_batched(&batched(100)).unwrap();
        builder.end_batch(100, Codec::None).unwrap();
    }
    let data = vec![0; 100 * starts.len()];
    let mut hasher = BlobHasher::default();
    hasher.update(&data);
    let blob = builder.finish(hasher).unwrap().unwrap();
    let mut file = Bytes::from([&data[..], &blob.trailer].concat());
    for (index, &start) in starts.iter().enumerate() {
        file = moved(&file, data.len(), index, start);
    }
    (file, blob.entry.unwrap())
}

fn batches_at(starts: &[u64]) -> Result<BlobMeta, BlobError> {
    let (file, entry) = with_batches_at(starts);
    open(&file, &entry)
}

/// Decoding all of them costs at most eight times the blob.
#[test]
fn at_most_eight_batches_hold_the_same_bytes() {
    let error = BlobError::Limit {
        piece: "contexts over the same stored bytes",
        declared: 9,
        limit: 8,
    };
    assert_eq!(error.fault(), Fault::Limit);
    let read = batches_at(&[0; 8]).unwrap();
    let context = BatchContext {
        stored_len: 100,
        len: 100,
    };
    assert_eq!(read.batch(7), Ok(Some((context, 0))));
    for count in [9, 1_000] {
        assert_eq!(batches_at(&vec![0; count]).err(), Some(error.clone()));
    }
    // The ninth begins where the first ends, or a byte before.
    let mut starts: Vec<_> = (0..9).collect();
    starts[8] = 100;
    assert!(batches_at(&starts).is_ok());
    starts[8] = 99;
    assert_eq!(batches_at(&starts).err(), Some(error.clone()));
    // Whatever their order is.
    starts.reverse();
    assert_eq!(batches_at(&starts).err(), Some(error));
    // One that cannot be used costs nothing.
    starts[4] = 801;
    assert!(batches_at(&starts).is_ok());
}

/// Few enough to be read, but no batch is where another one is.
#[test]
fn batches_over_one_another_are_found() {
    let order = |index| BlobError::Chunk {
        index,
        fault: ChunkFault::Order,
    };
    for (starts, expected) in [
        // At the same place, one in the end of another, and the other way round.
        ([0, 0, 200], vec![order(1)]),
        ([0, 99, 200], vec![order(1)]),
        ([0, 100, 199], vec![order(2)]),
        ([0, 200, 100], vec![order(2)]),
        ([200, 100, 0], vec![order(1), order(2)]),
        ([0, 100, 200], vec![]),
    ] {
        let mut found = Vec::new();
        let meta = batches_at(&starts).unwrap();
        meta.check_all(300, &mut |error| found.push(error), &mut |_| {});
        assert_eq!(found, expected, "{starts:?}");
    }
}

/// A chunk of the first batch says that it is in the second, and the other way round.
#[test]
fn chunks_that_point_crosswise_are_found() {
    let (file, entry) = built();
    let chunk = |index, fault| BlobError::Chunk { index, fault };
    let crossed = in_batch(&in_batch(&file, 0, 1), 3, 0);
    let meta = open(&crossed, &entry).unwrap();
    // The first of its chunks says where the second begins now, and that is longer than it.
    let (context, end, len) = (1, 1_000, 7);
    let beyond = chunk(0, ChunkFault::BeyondContext { context, end, len });
    let (context, offset, expected) = (0, 4_500, 0);
    let elsewhere = ChunkFault::BatchOffset {
        context,
        offset,
        expected,
    };
    let elsewhere = chunk(3, elsewhere);
    assert_eq!(meta.chunk(0), Err(beyond.clone()));
    assert!(meta.chunk(1).is_ok() && meta.chunk(2).is_ok());
    assert_eq!(meta.chunk(3), Err(elsewhere.clone()));
    assert_eq!(all_found(&meta), [beyond, elsewhere]);
    assert_eq!(meta.chunk_count(), 4);

    // All of them are in the second, which has another place for each.
    let all = [0, 1]
        .iter()
        .fold(file.clone(), |file, &index| in_batch(&file, index, 1));
    let meta = open(&all, &entry).unwrap();
    let unused = BlobError::Batch {
        index: 0,
        fault: BatchFault::Unused,
    };
    assert_eq!(meta.batch(0), Err(unused.clone()));
    assert!(all_found(&meta).contains(&unused));
    assert!([0, 1, 3].iter().all(|&index| meta.chunk(index).is_err()));
}

/// The second batch lies between chunks of the first.
#[test]
fn a_batch_inside_of_another_is_found() {
    let (file, entry) = built();
    let order = |index| BlobError::Chunk {
        index,
        fault: ChunkFault::Order,
    };
    // It begins where the chunk of its own does, which is in no batch, and in that.
    for start in [1_500, 1_507, 4_499] {
        let meta = open(&moved(&file, DATA, 3, start), &entry).unwrap();
        assert!(meta.chunk(3).is_ok());
        assert_eq!(all_found(&meta), [order(3)], "{start}");
    }
    // Or in the first.
    for start in [0, 1, 1_493] {
        let meta = open(&moved(&file, DATA, 3, start), &entry).unwrap();
        assert_eq!(all_found(&meta), [order(3)], "{start}");
    }
    // Past the end of the data.
    let meta = open(&moved(&file, DATA, 3, 4_501), &entry).unwrap();
    let fault = BatchFault::BeyondData {
        end: 4_508,
        data_len: 4_507,
    };
    assert_eq!(meta.chunk(3), Err(BlobError::Batch { index: 1, fault }));
}
