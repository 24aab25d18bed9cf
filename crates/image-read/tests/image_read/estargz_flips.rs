//! Every bit of small eStargz blobs, flipped: what a reader that knows the TOC digest makes of it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::Landmark;
use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::footer::FOOTER_LEN;
use image_model::{Digest, Ino, Limits};
use lazyoci_image_read::{
    NoBlobs, OpenImage, OpenOptions, ReadError, ReadOptions, ReadStep, Want, open_source,
};
use tar_stream::LayerStream;
use verify::{AuditFault, ExtentBytes, Profile, TreeDigest, audit, tree_digest};

use crate::estargz::bytes;

fn open(blob: &[u8], toc_digest: Option<Digest>) -> Option<OpenImage> {
    let mut options = OpenOptions::default().read(ReadOptions::default().threads(1));
    options.metadata_digest = toc_digest;
    let source = Arc::new(Bytes::copy_from_slice(blob));
    let image = open_source(source, None, NoBlobs, &options).ok()?;
    image.estargz().is_some().then_some(image)
}

/// The digest of the tree as it is read lazily; `None` if a chunk is not what its digest says.
fn digest(image: &OpenImage) -> Option<TreeDigest> {
    let (tree, reader) = (image.image(), &mut image.reader().clone());
    tree_digest(tree, reader, Profile::Default, &mut ()).ok()
}

/// The bytes of something stored that is no file.
fn read_want(image: &OpenImage, want: Want) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    let mut plan = image.reader().plan([Ok(want)].into_iter());
    loop {
        match plan.step()? {
            ReadStep::Need(ranges) => {
                for range in ranges {
                    let blob = image.blobs().blob(range.blob).unwrap();
                    let bytes = blob.read_bytes(range.offset, range.len as usize).unwrap();
                    plan.supply(range.blob, range.offset, bytes)?;
                }
            }
            ReadStep::Work(job) => plan.complete(job.run()),
            ReadStep::Ready(piece) => match piece.bytes?.as_ref() {
                ExtentBytes::Data(bytes) => content.extend_from_slice(bytes),
                ExtentBytes::Zeros(_) => panic!("a landmark is no hole"),
            },
            ReadStep::Done => return Ok(content),
            other => panic!("{other:?}"),
        }
    }
}

/// Whether reading all of the blob shows no fault: the audit, the landmarks, the TOC and the tar.
fn is_sound(image: &OpenImage, blob: &[u8]) -> bool {
    let toc = &image.estargz().unwrap().toc;
    let mut faults = 0;
    let mut count = |_: AuditFault| faults += 1;
    let limits = Limits::default();
    let audited = audit(
        image.image(),
        &mut image.reader().clone(),
        &limits,
        &mut count,
    );
    let landmarks = toc.landmark_extents().all(|found| {
        found.is_ok_and(|(_, extent)| {
            let want = Want {
                tag: 0,
                ino: Ino(0),
                range: 0..extent.len,
                extent,
            };
            read_want(image, want).is_ok_and(|content| content == [Landmark::BYTE])
        })
    });
    let compared = compare(toc, blob, &CompareOptions::default(), &mut |_| faults += 1);
    audited.is_ok() && landmarks && compared.is_ok() && faults == 0
}

/// Where a byte of a blob lies.
fn region(image: &OpenImage, blob: &[u8], at: usize) -> &'static str {
    let estargz = image.estargz().unwrap();
    let at = at as u64;
    let holds = |frame: &image_model::Frame| {
        (frame.offset..frame.offset + u64::from(frame.stored_len)).contains(&at)
    };
    match at {
        _ if at >= (blob.len() - FOOTER_LEN) as u64 => "footer",
        _ if at >= estargz.toc_offset => "TOC member",
        _ if estargz.toc.image.frames.iter().any(holds) => "members with content",
        _ => "members with headers",
    }
}

/// The tar inside, TOC included.
fn plain(blob: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut layer = LayerStream::open(blob, &Default::default()).ok()?;
    layer.read_to_end(&mut plain).ok()?;
    Some(plain)
}

#[test]
fn every_flip_of_the_toc_or_of_content_is_found() {
    for name in ["vector1", "vector2", "vector-0.12"] {
        let blob = bytes(name);
        let image = open(&blob, None).unwrap();
        let toc_digest = image.estargz().unwrap().toc.digest;
        let tree = digest(&image).unwrap();
        assert!(is_sound(&image, &blob), "{name}");
        let tar = plain(&blob);
        let mut counts: BTreeMap<&str, [u32; 4]> = BTreeMap::new();
        for byte in 0..blob.len() {
            for bit in 0..8 {
                let mut flipped = blob.clone();
                flipped[byte] ^= 1 << bit;
                let region = region(&image, &blob, byte);
                let [flips, opening, reading, whole] = counts.entry(region).or_default();
                *flips += 1;
                let Some(image) = open(&flipped, Some(toc_digest)) else {
                    *opening += 1;
                    continue;
                };
                let Some(found) = digest(&image) else {
                    *reading += 1;
                    continue;
                };
                // Nothing that a user sees has changed.
                assert_eq!(found, tree, "{name}: bit {bit} of byte {byte}");
                if is_sound(&image, &flipped) {
                    // Only how the very same bytes are compressed.
                    assert_eq!(plain(&flipped), tar, "{name}: bit {bit} of byte {byte}");
                } else {
                    *whole += 1;
                }
            }
        }
        // Not by `println`, so that every run of the tests shows it.
        let mut stderr = std::io::stderr();
        for (region, [flips, opening, reading, whole]) in &counts {
            let _ = writeln!(
                stderr,
                "{name}, {region}: of {flips} flips {opening} found when opened, {reading} when read, \
                 {whole} when all is verified"
            );
        }
        let [flips, opening, ..] = counts["footer"];
        assert_eq!(opening, flips, "{name}");
    }
}
