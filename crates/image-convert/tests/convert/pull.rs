//! Layers that are pulled partially.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use blob_io::WriterOutput;
use bytes::Bytes;
use image_model::{Blame, Digest, Fault};
use image_read::{
    AtHand, ImageAtHand, NoBlobs, OpenImage, OpenOptions, PullPlan, RebuildError, WantedChunk,
    open, open_source,
};
use lazyoci_image_convert::{
    EstargzOptions, Streaming, UnpackOptions, ZstdChunkedOptions, to_estargz, to_zstd_chunked,
    unpack,
};

use crate::support::{Tar, noise};

/// Two tars: in the second one some bytes of a long file differ, and a file is new.
fn pair() -> [Vec<u8>; 2] {
    [false, true].map(|second| {
        let mut long = noise(1, 3 << 20);
        let mut tar = Tar::new().directory("d");
        if second {
            long[1_500_000..1_500_007].copy_from_slice(b"changed");
            tar = tar.file("d/new", &noise(2, 5000));
        }
        (3..40)
            .fold(tar, |tar, n| tar.file(&format!("d/{n}"), &noise(n, 20_000)))
            .file("d/long", &long)
            .file("d/zeros", &[0; 100_000])
            .link("hard", "d/7")
            .finish()
    })
}

/// A layer of containers/storage, and its diff id.
fn layer(tar: &[u8]) -> (OpenImage, Digest) {
    let mut layer = Vec::new();
    let mut output = WriterOutput::new(&mut layer);
    let options = ZstdChunkedOptions::default();
    let made = to_zstd_chunked(Streaming::new(tar), &mut output, &options, &mut ()).unwrap();
    (opened(layer), made.diff_id)
}

fn opened(layer: Vec<u8>) -> OpenImage {
    let source = Arc::new(Bytes::from(layer));
    open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap()
}

/// Pulls `image` with what is at hand, which has to give `tar`; returns the plan.
fn pulled(image: &OpenImage, tar: &[u8], at_hand: &[&dyn AtHand], gap: u64) -> PullPlan {
    let plan = image.plan_pull(at_hand, gap).unwrap();
    let mut out = Vec::new();
    let done = image
        .pull_tar(&plan, at_hand, &verify::sha256(tar), &mut out)
        .unwrap();
    assert!(out == tar);
    assert_eq!(done.diff_id, verify::sha256(tar));
    // No range is longer than a request.
    assert_eq!(done.fetched_bytes, plan.len());
    assert_eq!(done.requests, plan.ranges.len() as u64);
    plan
}

#[test]
fn what_another_layer_has_is_not_fetched() {
    let [old, new] = pair();
    let ((old_image, _), (image, diff_id)) = (layer(&old), layer(&new));
    assert_eq!(diff_id, verify::sha256(&new));
    let nothing = pulled(&image, &new, &[], 4096);
    assert_eq!(nothing.at_hand.chunks, 0);
    let all = nothing.missing;
    assert_eq!(all.bytes, 37 * 20_000 + 5000 + (3 << 20) + 100_000);

    let at_hand = ImageAtHand::new(&old_image).unwrap();
    let plan = pulled(&image, &new, &[&at_hand], 0);
    // The new file is one chunk, or two, and so is what changed.
    assert!((2..5).contains(&plan.missing.chunks), "{:?}", plan.missing);
    assert_eq!(plan.ranges.len(), 2);
    assert!(plan.missing.bytes < 400_000, "{:?}", plan.missing);
    assert_eq!(plan.at_hand.chunks + plan.missing.chunks, all.chunks);
    assert_eq!(plan.at_hand.bytes + plan.missing.bytes, all.bytes);
    // Bytes between ranges are fetched where that saves a request.
    let one = pulled(&image, &new, &[&at_hand], 4 << 20);
    assert_eq!(one.ranges.len(), 1);
    assert_eq!(one.missing, plan.missing);
    let ends = [plan.ranges[0].start, plan.ranges[1].end];
    assert_eq!([one.ranges[0].start, one.ranges[0].end], ends);
    // Of itself it needs nothing.
    let itself = ImageAtHand::new(&image).unwrap();
    assert!(pulled(&image, &new, &[&at_hand, &itself], 0).is_empty());
}

#[test]
fn what_a_directory_has_is_not_fetched() {
    let [old, new] = pair();
    let (image, _) = layer(&new);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    unpack(
        Streaming::new(&old[..]),
        &root,
        &UnpackOptions::default(),
        &mut (),
    )
    .unwrap();
    let directory = open(&root, &OpenOptions::default()).unwrap();
    let at_hand = ImageAtHand::new(&directory).unwrap();
    let plan = pulled(&image, &new, &[&at_hand], 0);
    assert_eq!(plan.ranges.len(), 2);
    assert!(plan.missing.bytes < 400_000, "{:?}", plan.missing);

    // A file that changes between plan and use.
    std::fs::write(root.join("d/7"), noise(99, 20_000)).unwrap();
    let pulled = image.pull_tar(&plan, &[&at_hand], &verify::sha256(&new), &mut io::sink());
    let Err(RebuildError::AtHand { name, source }) = &pulled else {
        panic!("{pulled:?}");
    };
    assert_eq!(&name[..], b"d/7");
    assert_eq!(source.kind(), io::ErrorKind::InvalidData);
    assert_eq!(pulled.unwrap_err().fault(), Fault::Io);
}

/// A table of chunks.
struct Table(HashMap<(Digest, u32), Vec<u8>>);

impl AtHand for Table {
    fn has(&self, chunk: &WantedChunk<'_>) -> io::Result<bool> {
        Ok(self.0.contains_key(&(chunk.digest, chunk.len)))
    }

    fn read(&self, chunk: &WantedChunk<'_>, out: &mut [u8]) -> io::Result<()> {
        let found = self.0.get(&(chunk.digest, chunk.len));
        out.copy_from_slice(found.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }
}

#[test]
fn what_a_table_of_chunks_has_is_not_fetched() {
    let tar = Tar::new().file("a", b"first").file("b", b"second").finish();
    let (image, _) = layer(&tar);
    let key = (verify::sha256(b"first"), 5);
    let table = Table(HashMap::from([(key, b"first".to_vec())]));
    let plan = pulled(&image, &tar, &[&table], 0);
    assert_eq!((plan.at_hand.chunks, plan.missing.chunks), (1, 1));
    // What it hands out is verified.
    let lies = Table(HashMap::from([(key, b"worst".to_vec())]));
    let plan = image.plan_pull(&[&lies], 0).unwrap();
    let pulled = image.pull_tar(&plan, &[&lies], &verify::sha256(&tar), &mut io::sink());
    assert!(
        matches!(pulled, Err(RebuildError::AtHand { .. })),
        "{pulled:?}"
    );
    // Another source may have it.
    let both: [&dyn AtHand; 2] = [&lies, &table];
    let pulled = image.pull_tar(&plan, &both, &verify::sha256(&tar), &mut io::sink());
    assert_eq!(pulled.unwrap().diff_id, verify::sha256(&tar));
    // Without the plan's source nothing is fetched in its place.
    let pulled = image.pull_tar(&plan, &[], &verify::sha256(&tar), &mut io::sink());
    assert!(
        matches!(pulled, Err(RebuildError::AtHand { .. })),
        "{pulled:?}"
    );
}

#[test]
fn the_diff_id_decides() {
    let [_, tar] = pair();
    let (image, found) = layer(&tar);
    let plan = image.plan_pull(&[], 0).unwrap();
    let expected = verify::sha256(b"another");
    let pulled = image.pull_tar(&plan, &[], &expected, &mut io::sink());
    let Err(error @ RebuildError::DiffId { .. }) = pulled else {
        panic!("{pulled:?}");
    };
    let text = format!("the tar has the digest {found} instead of {expected}");
    assert_eq!((error.to_string(), error.fault()), (text, Fault::Corrupt));
}

#[test]
fn estargz_has_ranges_but_no_tar_of_parts() {
    let [old, new] = pair();
    let [old, image] = [old, new].map(|tar| {
        let mut layer = Vec::new();
        let mut output = WriterOutput::new(&mut layer);
        let options = EstargzOptions::default().chunk_size(1 << 16);
        to_estargz(Streaming::new(&tar[..]), &mut output, &options, &mut ()).unwrap();
        opened(layer)
    });
    let at_hand = ImageAtHand::new(&old).unwrap();
    let plan = image.plan_pull(&[&at_hand], 0).unwrap();
    assert_eq!(
        (plan.missing.chunks, plan.missing.bytes),
        (2, 65_536 + 5000)
    );
    assert_eq!(plan.ranges.len(), 2);
    let pulled = image.pull_tar(&plan, &[&at_hand], &verify::sha256(b""), &mut io::sink());
    assert!(matches!(pulled, Err(RebuildError::NoLayer)), "{pulled:?}");
    let tar = Tar::new().finish();
    let none = opened(tar).plan_pull(&[], 0);
    assert!(matches!(none, Err(RebuildError::NoToc)), "{none:?}");
}
