//! The sections of RAFS blobs, found with nothing but the blob to go by.

use lazyoci::model::{Blame as _, BlobId, Need, StepMachine as _};
use lazyoci::rafs_format::blob::{
    BlobError, CiHeader, LocateSections, LocateTrailer, Sections, Step, TarHeader, Trailer,
};
use lazyoci::rafs_format::v6::BlobEntry;

use super::memory::asked;
use super::tar::repair_checksums;

const HEADER: u64 = TarHeader::LEN as u64;

/// Takes the bytes as a blob of which nothing is known, as they are and with the tar headers on the way
/// made right; what is found takes every byte of it.
pub fn sections(data: &[u8]) {
    let mut blob = data.to_vec();
    for repairs in [false, true] {
        match locate(&mut blob, repairs) {
            Ok(sections) => check(&sections, &blob),
            Err(error) => {
                let _ = (error.fault(), error.to_string());
            }
        }
    }
}

fn locate(blob: &mut [u8], repairs: bool) -> Result<Sections, BlobError> {
    let mut machine = LocateSections::new(blob.len() as u64);
    let mut step = machine.start()?;
    // Five tar headers, the TOC's again, and what is no tar header.
    for _ in 0..7 {
        match step {
            Step::Done(sections) => return Ok(sections),
            Step::Need(Need { range, .. }) => {
                let piece = &mut blob[range.start as usize..range.end as usize];
                if repairs {
                    repair(piece);
                }
                let too_long = [&*piece, &[0]].concat();
                let given = machine.clone().supply(too_long.into());
                assert!(matches!(given, Err(BlobError::Given { .. })));
                step = machine.supply(piece.to_vec().into())?;
            }
        }
    }
    panic!("it asks again and again");
}

/// Makes the tar header at the end one as it is written.
fn repair(piece: &mut [u8]) {
    if let Some(header) = piece.last_chunk_mut::<{ TarHeader::LEN }>() {
        repair_checksums(header);
        if let Ok(sound) = TarHeader::from_bytes(header, 0) {
            *header = sound.to_bytes();
        }
    }
}

fn check(sections: &Sections, blob: &[u8]) {
    let len = blob.len() as u64;
    assert_eq!(sections.len, len);
    let header = sections.chunk_info_header();
    let chunk_info = sections.chunk_info.clone().zip(header.clone());
    let toc = sections.toc.as_ref().map(|toc| len - toc.stored_len());
    let ranges = [
        Some(sections.data.clone()),
        chunk_info.map(|(chunks, header)| chunks.start..header.end),
        sections.digests.clone(),
        sections.bootstrap.clone(),
        toc.map(|start| start..len - HEADER),
        Some(len..len),
    ];
    let mut end = 0;
    for range in ranges.into_iter().flatten() {
        let gap = range.start - end;
        assert!(
            gap == 0 || sections.has_headers && gap == HEADER,
            "{range:?}"
        );
        assert!(range.start <= range.end && range.end <= len);
        end = range.end;
    }
    assert!(sections.digested_data().end <= len);
    sections.compare_toc(&mut |found| drop(found.to_string()));

    let Some(header) = header else { return };
    let header = blob[header.start as usize..header.end as usize].first_chunk();
    let header: &[u8; CiHeader::LEN] = header.expect("it is as long as a header");
    let Ok(header) = CiHeader::from_bytes(header) else {
        return;
    };
    entry(sections, &header, blob);
}

/// What the blob table of a bootstrap would have is what the blob has.
fn entry(sections: &Sections, header: &CiHeader, blob: &[u8]) {
    let checked = sections.check_header(header);
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let entry = match sections.entry(id, header) {
        Ok(entry) => entry,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    assert_eq!(checked, Ok(()));
    let again = BlobEntry::from_bytes(&entry.to_bytes(0), 0, 0, entry.chunk_size);
    assert_eq!(again.as_ref(), Ok(&entry));
    sections.compare_entry(&entry, &mut |found| drop(found.to_string()));
    let Some(toc) = &sections.toc else { return };
    let machine = LocateTrailer::of(&entry, blob.len() as u64);
    let machine = machine.expect("the blob has the TOC of its entry");
    let found = machine.drive(asked::<BlobError>(blob));
    assert_eq!(found, Ok(Trailer::Toc(toc.clone())));
}
