//! Chunk information as a file of its own.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::Limits;
use lazyoci_rafs_format::blob::{BlobBuilder, BlobError, BlobMeta, CiHeader};
use lazyoci_rafs_format::v6::BlobEntry;

use crate::support::{a4_chunks, golden_blob, none_sha256, store};

/// The file of a golden, put together of what its blob has.
fn golden_file(name: &str) -> (Vec<u8>, BlobEntry, BlobMeta) {
    let (blob, entry) = golden_blob(name);
    let limits = Limits::default();
    let range = BlobMeta::range(&entry, &limits).unwrap();
    let stored = blob.slice(range.start as usize..range.end as usize);
    let meta = BlobMeta::decode(&entry, &stored, &mut Decoder::new(), &limits).unwrap();
    let (ci, header) = stored.split_at(stored.len() - CiHeader::LEN);
    let mut file = ci.to_vec();
    file.resize(ci.len().next_multiple_of(4096), 0);
    file.extend_from_slice(header);
    (file, entry, meta)
}

fn decode(entry: &BlobEntry, file: Vec<u8>) -> Result<BlobMeta, BlobError> {
    BlobMeta::decode_file(entry, &Bytes::from(file), &Limits::default())
}

#[test]
fn it_says_what_the_blob_says() {
    for name in ["a4-v6-none-sha256", "a4-v6-zstd-sha256-toc"] {
        let (file, entry, inside) = golden_file(name);
        let meta = decode(&entry, file).unwrap();
        meta.check().unwrap();
        assert_eq!(meta.chunk_count(), 2);
        for index in 0..2 {
            assert_eq!(meta.chunk(index), inside.chunk(index), "{name}");
        }
    }
}

#[test]
fn what_is_written_is_that_of_the_golden() {
    let mut builder = BlobBuilder::new(none_sha256()).unwrap();
    let (_, hasher, _) = store(&mut builder, &a4_chunks());
    let finished = builder.finish(hasher).unwrap().unwrap();
    let (expected, ..) = golden_file("a4-v6-none-sha256");
    assert!(finished.meta_file == expected);
}

#[test]
fn damage_is_found() {
    let (file, entry, _) = golden_file("a4-v6-none-sha256");
    let mut longer = file.clone();
    longer.push(0);
    for wrong in [vec![], file[..4096].to_vec(), longer] {
        let found = wrong.len() as u64;
        let expected = BlobError::Contradiction {
            field: "length of the file of chunk information",
            expected: 8192,
            found,
        };
        assert_eq!(decode(&entry, wrong).unwrap_err(), expected);
    }
    let flipped = |at: usize| {
        let mut file = file.clone();
        file[at] ^= 1;
        decode(&entry, file).unwrap_err()
    };
    // Behind the two entries of 16 bytes.
    for at in [32, 4095] {
        let structure = "padding of the chunk information";
        assert_eq!(flipped(at), BlobError::Reserved { structure });
    }
    let BlobError::HeaderMagic { offset: 0, .. } = flipped(4096) else {
        panic!("{:?}", flipped(4096))
    };
}
