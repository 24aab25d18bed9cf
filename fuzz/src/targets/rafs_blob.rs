//! RAFS data blobs: chunk information, its header, TOC, digests.

use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Blame as _, Digest, DigestAlgorithm, Limits};
use lazyoci::rafs_format::blob::{
    BlobError, BlobMeta, ChunkDigests, CiHeader, LocateTrailer, Section, StepMachine as _,
    TarHeader, Toc, Trailer, chunk_info_v1, chunk_info_v2,
};
use lazyoci::rafs_format::open::Opener;
use lazyoci::rafs_format::v6::{BlobEntry, Bootstrap};

use super::memory::asked;
use super::tar::repair_checksums;

/// Takes the bytes as an entry of a blob table with its blob behind it, opens the blob as the entry
/// says and as one of which nothing is known, and reads every table in it; as it is, and with the
/// checksum of its last tar header made right.
pub fn rafs_blob(data: &[u8]) {
    let Some((entry, blob)) = data.split_first_chunk() else {
        return;
    };
    read(entry, blob);
    let mut repaired = blob.to_vec();
    if let Some(header) = repaired.last_chunk_mut::<512>() {
        repair_checksums(header);
    }
    if repaired != blob {
        read(entry, &repaired);
    }
}

fn read(entry: &[u8; BlobEntry::LEN], blob: &[u8]) {
    codecs(blob);
    if let Ok(trailer) = locate(LocateTrailer::new(blob.len() as u64), blob) {
        sections(&trailer, blob);
    }
    let opener = Opener::blob(blob.len() as u64, &Limits::small());
    if let Ok(opened) = opener.drive(asked::<BlobError>(blob)) {
        let _ = opened.image(None, &Limits::small());
    }
    let chunk_size = u32::from_le_bytes([entry[68], entry[69], entry[70], entry[71]]);
    let entry = match BlobEntry::from_bytes(entry, 0, 0, chunk_size) {
        Ok(entry) => entry,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let again = BlobEntry::from_bytes(&entry.to_bytes(0), 0, 0, chunk_size);
    assert_eq!(again.as_ref(), Ok(&entry));
    let _ = (entry.blob(), entry.data_len());
    let known = LocateTrailer::of(&entry, blob.len() as u64)
        .and_then(|locate_toc| locate(locate_toc, blob));
    if let Err(error) = &known {
        let _ = (error.fault(), error.to_string());
    }
    if let Ok(trailer) = &known {
        sections(trailer, blob);
    }
    match meta(&entry, blob) {
        Ok(Some(meta)) => {
            look_up(&meta);
            if let Ok(Trailer::Toc(toc)) = &known {
                digests(toc, blob, &entry, meta.chunk_count());
            }
        }
        Ok(None) => {}
        Err(error) => {
            let _ = (error.fault(), error.to_string());
        }
    }
}

/// Structures that are read out of any bytes.
fn codecs(blob: &[u8]) {
    if let Some(bytes) = blob.last_chunk::<{ CiHeader::LEN }>()
        && let Ok(header) = CiHeader::from_bytes(bytes)
    {
        assert_eq!(
            CiHeader::from_bytes(&header.to_bytes()).as_ref(),
            Ok(&header)
        );
    }
    if let Some(bytes) = blob.last_chunk::<{ TarHeader::LEN }>()
        && let Ok(header) = TarHeader::from_bytes(bytes, 0)
    {
        assert_eq!(
            TarHeader::from_bytes(&header.to_bytes(), 0).as_ref(),
            Ok(&header)
        );
    }
    if let Some(&bytes) = blob.first_chunk() {
        let chunk = chunk_info_v1::decode(bytes);
        if let Ok(encoded) = chunk_info_v1::encode(&chunk) {
            assert_eq!(chunk_info_v1::decode(encoded), chunk);
        }
    }
    if let Some(&bytes) = blob.first_chunk()
        && let Ok(chunk) = chunk_info_v2::decode(bytes)
        && let Ok(encoded) = chunk_info_v2::encode(&chunk)
    {
        assert_eq!(chunk_info_v2::decode(encoded), Ok(chunk));
    }
}

fn locate(machine: LocateTrailer, blob: &[u8]) -> Result<Trailer, BlobError> {
    machine.drive(asked(blob))
}

fn sections(trailer: &Trailer, blob: &[u8]) {
    let (mut decoder, limits) = (Decoder::new(), Limits::small());
    match trailer {
        Trailer::Toc(toc) => {
            assert!(toc.stored_len() <= Toc::MAX_LEN);
            for section in [
                Section::Data,
                Section::ChunkInfo,
                Section::ChunkDigests,
                Section::Bootstrap,
            ] {
                let _ = toc.entry(section);
            }
            for entry in toc.entries() {
                let range = entry.range();
                let stored = &blob[range.start as usize..range.end as usize];
                if let Ok(plain) = entry.extract(&stored.to_vec().into(), &mut decoder, &limits) {
                    assert_eq!(plain.len() as u64, entry.len);
                }
            }
        }
        Trailer::Bootstrap(range) => {
            let bytes = &blob[range.start as usize..range.end as usize];
            let _ = Bootstrap::open(bytes.to_vec().into(), &limits);
        }
        _ => {}
    }
}

fn meta(entry: &BlobEntry, blob: &[u8]) -> Result<Option<BlobMeta>, BlobError> {
    let limits = Limits::small();
    let range = BlobMeta::range(entry, &limits)?;
    assert!(range.end - range.start <= limits.max_metadata_len + CiHeader::LEN as u64);
    if range.end > blob.len() as u64 {
        return Ok(None);
    }
    let stored = blob[range.start as usize..range.end as usize].to_vec();
    BlobMeta::decode(entry, &stored.into(), &mut Decoder::new(), &limits).map(Some)
}

/// The section of chunk digests, if there is one that the TOC vouches for, as the digests of that many
/// chunks.
fn digests(toc: &Toc, blob: &[u8], entry: &BlobEntry, chunk_count: u32) {
    let Ok(section) = toc.entry(Section::ChunkDigests) else {
        return;
    };
    let range = section.range();
    let stored = blob[range.start as usize..range.end as usize].to_vec();
    let Ok(plain) = section.extract(&stored.into(), &mut Decoder::new(), &Limits::small()) else {
        return;
    };
    let count = (plain.len() / 32) as u32;
    let algorithm = DigestAlgorithm::from(entry.digester);
    let taken = ChunkDigests::new(plain.clone(), algorithm, chunk_count);
    assert_eq!(
        taken.is_ok(),
        count == chunk_count && plain.len().is_multiple_of(32)
    );
    let Ok(digests) = taken else { return };
    for (index, bytes) in (0..).zip(plain.as_chunks().0) {
        let digest = Digest::new(algorithm, *bytes);
        assert_eq!(digests.digest(index), Some(digest));
    }
    assert_eq!(digests.digest(chunk_count), None);
}

/// Every chunk, and every edge of a chunk by its address.
fn look_up(meta: &BlobMeta) {
    let sound = meta.check().is_ok();
    let chunks: Vec<_> = (0..meta.chunk_count())
        .map(|index| meta.chunk(index))
        .collect();
    assert!(meta.chunk(meta.chunk_count()).is_err());
    for chunk in chunks.iter().flatten() {
        let (start, end) = (chunk.address, chunk.address_end());
        for address in [start.wrapping_sub(1), start, end - 1, end, u64::MAX] {
            let found = meta.chunk_at(address);
            if !sound {
                continue;
            }
            let naive = (0..).zip(chunks.iter().flatten());
            let naive = naive
                .filter(|(_, chunk)| (chunk.address..chunk.address_end()).contains(&address))
                .last();
            assert_eq!(found, Ok(naive.map(|(index, &chunk)| (index, chunk))));
        }
    }
}
