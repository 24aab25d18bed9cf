//! Goldens, and blobs built from contents.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Codec, Digest, Limits};
use lazyoci_rafs_format::blob::{
    BlobBuilder, BlobError, BlobHasher, BlobMeta, BlobOptions, LocateTrailer, Need, Placement,
    StepMachine, StoredChunk, Trailer,
};
use lazyoci_rafs_format::flags::{Compressor, Digester};
use lazyoci_rafs_format::v6::{BlobEntry, Bootstrap};

/// The chunks of the golden tree `a4`.
pub(crate) fn a4_chunks() -> [Vec<u8>; 2] {
    [b"hello".to_vec(), vec![b'A'; 10000]]
}

/// A file of `tests/goldens`.
pub(crate) fn golden(name: &str) -> Bytes {
    let path = format!("{}/tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

/// The blob `NAME.blob` and its entry in `NAME.boot`.
pub(crate) fn golden_blob(name: &str) -> (Bytes, BlobEntry) {
    let bootstrap = golden_bootstrap(golden(&format!("{name}.boot")));
    (
        golden(&format!("{name}.blob")),
        bootstrap.blob_entries()[0].clone(),
    )
}

pub(crate) fn golden_bootstrap(bytes: Bytes) -> Bootstrap {
    Bootstrap::open(bytes, &Limits::default()).unwrap()
}

/// Options of uncompressed SHA-256 blobs, as most goldens are.
pub(crate) fn none_sha256() -> BlobOptions {
    BlobOptions::default()
        .compressor(Compressor::None)
        .digester(Digester::Sha256)
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    verify::sha256(bytes)
}

/// A chunk of `len` plain bytes, not compressed.
pub(crate) fn plain_chunk(len: u32) -> StoredChunk {
    StoredChunk {
        len,
        stored_len: len,
        codec: Codec::None,
        digest: sha256(b""),
        crc32c: None,
    }
}

/// Chunks stored as they are: the file so far, its hasher, and where they went.
pub(crate) fn store(
    builder: &mut BlobBuilder,
    chunks: &[Vec<u8>],
) -> (Vec<u8>, BlobHasher, Vec<Placement>) {
    let (mut file, mut hasher) = (Vec::new(), BlobHasher::default());
    let placements = chunks
        .iter()
        .map(|content| {
            let chunk = StoredChunk {
                digest: sha256(content),
                ..plain_chunk(content.len() as u32)
            };
            let placement = builder.push(&chunk).unwrap();
            let mut bytes = content.clone();
            bytes.resize(content.len() + placement.padding as usize, 0);
            hasher.update(&bytes);
            file.extend(bytes);
            placement
        })
        .collect();
    (file, hasher, placements)
}

/// The complete blob of `chunks`, which are stored as they are.
pub(crate) fn build(options: BlobOptions, chunks: &[Vec<u8>]) -> (Bytes, BlobEntry) {
    let mut builder = BlobBuilder::new(options).unwrap();
    let (mut file, hasher, _) = store(&mut builder, chunks);
    let blob = builder.finish(hasher).unwrap().unwrap();
    file.extend(blob.trailer);
    (file.into(), blob.entry.unwrap())
}

pub(crate) fn open(blob: &Bytes, entry: &BlobEntry) -> Result<BlobMeta, BlobError> {
    let limits = Limits::default();
    let stored = slice(blob, BlobMeta::range(entry, &limits)?);
    BlobMeta::decode(entry, &stored, &mut Decoder::new(), &limits)
}

pub(crate) fn slice(blob: &Bytes, range: std::ops::Range<u64>) -> Bytes {
    blob.slice(range.start as usize..range.end as usize)
}

/// Drives `machine` over `blob`; also tells what it asked for.
pub(crate) fn drive<M: StepMachine<Error = BlobError>>(
    machine: M,
    blob: &Bytes,
) -> Result<(M::Found, Vec<Need>), BlobError> {
    let mut asked = Vec::new();
    let found = machine.drive(|need| {
        asked.push(need.clone());
        Ok::<_, BlobError>(slice(blob, need.range))
    })?;
    Ok((found, asked))
}

pub(crate) fn locate(blob: &Bytes) -> Result<Trailer, BlobError> {
    drive(LocateTrailer::new(blob.len() as u64), blob).map(|(trailer, _)| trailer)
}

/// `bytes` with `patch` laid over them at `offset`.
pub(crate) fn patched(bytes: &[u8], offset: usize, patch: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    bytes.into()
}
