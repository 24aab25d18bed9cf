//! Chunks longer than most readers want to decode at once. The chunker of containers/storage has no maximum: a file of one
//! repeated byte is one chunk, zeros as well if the file has nothing else.

use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::containers_toc::{ContainersEntry, to_json};
use estargz_toc::error::{EntryFault, TocError};
use estargz_toc::footer::containers::{Pieces, encode};
use estargz_toc::footer::skippable;
use estargz_toc::toc::EntryType;
use frame_codec::{Compression, Encoder};
use image_model::{Blame, Fault, Limits, StoredPiece};
use lazyoci_image_read::{Follow, NoBlobs, OpenError, OpenImage, OpenOptions, open_source};

use crate::estargz::{entry, layer_of, member};
use crate::support::sha256;

const LEN: u32 = 65 << 20;

/// A layer of containers/storage with one file.
fn containers(content: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Compression::Zstd { level: 1 }).unwrap();
    let mut layer = Vec::new();
    encoder.encode_frame(content, &mut layer).unwrap();
    let mut file = ContainersEntry::new(EntryType::Reg, "long");
    file.size = content.len() as i64;
    file.digest = sha256(content).to_string().into();
    file.end_offset = layer.len() as i64;
    let json = to_json([Ok::<_, TocError>(file)], "").unwrap();
    let mut toc = Vec::new();
    encoder.encode_frame(&json, &mut toc).unwrap();
    layer.extend(skippable::header(toc.len() as u32));
    let place = StoredPiece::new(layer.len() as u64, toc.len() as u64, json.len() as u64);
    layer.extend(toc);
    layer.extend(encode(&Pieces::new(place)));
    layer
}

fn open(layer: &Bytes, max_frame_len: u32) -> Result<OpenImage, OpenError> {
    let limits = Limits::default().max_frame_len(max_frame_len);
    let options = OpenOptions::default().limits(limits);
    open_source(Arc::new(layer.clone()), None, NoBlobs, &options)
}

#[test]
fn a_chunk_of_more_than_64_mib_is_read_within_larger_limits() {
    let mut content = vec![0; LEN as usize];
    let of_zeros = containers(&content);
    content.fill(7);
    let estargz = layer_of(&[member(&content)], &entry("long", &content, 0));
    for (layer, last) in [(of_zeros, [0; 3]), (estargz, [7; 3])] {
        let layer = Bytes::from(layer);
        let limit = Limits::default().max_frame_len;
        for too_short in [limit, LEN - 1] {
            let error = open(&layer, too_short).unwrap_err();
            assert_eq!(error.fault(), Fault::Limit);
            let expected = EntryFault::FrameTooLong {
                offset: 0,
                len: LEN.into(),
                limit: too_short,
            };
            assert!(
                matches!(&error, OpenError::Toc(TocError::Entry { fault, .. }) if *fault == expected),
                "{error:?}"
            );
        }
        let image = open(&layer, LEN).unwrap();
        let ino = image.resolve("long", Follow::Never).unwrap();
        let end = u64::from(LEN);
        let mut found = Vec::new();
        image.read_range(ino, end - 3..end, &mut found).unwrap();
        assert_eq!(found, last);
    }
}
