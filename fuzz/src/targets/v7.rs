//! Images of RAFS v7.

use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::bytes::Bytes;
use lazyoci::model::{Blame as _, BlobIndex, Limits};
use lazyoci::rafs_format::v7::{Footer, Groups};
use lazyoci::read::{VerifyOptions, open_source};
use lazyoci::verify;

use super::memory::Memory;
use super::open_image::Same;
use super::reading::open_options;
use super::same::see;

/// Opens the bytes as a blob, or as a bootstrap whose blobs are all themselves, and looks at everything. The same with
/// the right checksums, which fuzzers do not find. Groups lie in the data and follow one another, and each of their chunks
/// is found.
pub fn v7(data: &[u8]) {
    look_at(data);
    look_at(&sealed(data));
}

/// The blob with the right checksums, as far as it has parts.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut blob = data.to_vec();
    let Some(start) = blob.len().checked_sub(Footer::LEN) else {
        return blob;
    };
    let (parts, footer) = blob.split_at_mut(start);
    let word = |at: usize| u64::from_le_bytes(*footer[at..].first_chunk().expect("it is longer"));
    let place = |at: usize| {
        let from = usize::try_from(word(at)).ok()?;
        Some(from..from.checked_add(usize::try_from(word(at + 8)).ok()?)?)
    };
    let bootstrap = place(40).and_then(|range| parts.get(range));
    let crc = bootstrap.filter(|bytes| !bytes.is_empty());
    let crc = crc.map_or(0, verify::crc32c);
    if let Some(metadata) = place(64).and_then(|range| parts.get_mut(range))
        && metadata.len() >= 20
    {
        seal(metadata);
    }
    footer[20..24].copy_from_slice(&crc.to_le_bytes());
    seal(footer);
    blob
}

fn seal(bytes: &mut [u8]) {
    bytes[16..20].fill(0);
    let crc = verify::crc32c(bytes);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
}

fn look_at(data: &[u8]) {
    let options = open_options(false, false);
    let source: Arc<dyn ReadAt> = Arc::new(Bytes::copy_from_slice(data));
    let same = Same(Memory(data.to_vec()));
    let image = match open_source(source, None, same, &options) {
        Ok(image) => image,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let Some(v7) = image.v7() else {
        return;
    };
    let mut dump = String::new();
    v7.dump(&mut dump).expect("a string takes all text");
    for index in 0..image.image().blobs().len() as u32 {
        let blob = v7.blob(BlobIndex(index));
        if let Some(groups) = blob.and_then(|blob| blob.groups.as_ref()) {
            check_groups(groups, data.len() as u64);
        }
    }
    let seen = see(image.image(), &Limits::small());
    let content = seen.iter().flatten().map(|seen| seen.attributes.size);
    if content.fold(0u64, u64::saturating_add) > options.limits.max_layer_len {
        return;
    }
    let mut found = 0;
    let mut tell = |finding: lazyoci::read::Finding| {
        found += 1;
        let _ = (finding.to_string(), finding.fault);
    };
    let verified = image.verify(&VerifyOptions::default().threads(1), &mut (), &mut tell);
    let summary = verified.expect("nobody cancels");
    assert_eq!(summary.findings, found + summary.untold);
}

fn check_groups(groups: &Groups, len: u64) {
    let (mut stored, mut block, mut chunk) = (0, 0, 0);
    for index in 0..groups.group_count() {
        let group = groups.group(index).expect("they were counted");
        assert!(group.stored.start >= stored && group.stored.end <= len);
        assert_eq!((group.blocks.start, group.chunks.start), (block, chunk));
        (stored, block, chunk) = (group.stored.end, group.blocks.end, group.chunks.end);
    }
    assert_eq!(groups.group(groups.group_count()), None);
    let blocks = 0..groups.block_count();
    let found = blocks
        .filter_map(|block| groups.chunk_at(block))
        .take(1 << 12);
    for (index, chunk) in found.enumerate() {
        assert_eq!(chunk.index as usize, index);
        let group = groups.group(chunk.group).expect("it holds a chunk");
        assert!(chunk.offset + chunk.len <= group.len);
    }
}
