//! Trees to eStargz and back.

use lazyoci::estargz_toc::carry::reduce;
use lazyoci::estargz_toc::compare::{CompareOptions, compare};
use lazyoci::estargz_toc::image::{EstargzImage, ImageOptions};
use lazyoci::estargz_toc::open::{OpenError, OpenedToc, Opener, StepMachine as _};
use lazyoci::model::{BlobId, Limits};
use lazyoci::read::{BlobStore, Frames, ReadOptions};
use lazyoci::verify;

use super::input::Input;
use super::memory::{Memory, asked};
use super::same::see;
use super::stargz::{Choices, Stored, store};
use super::tree::take_tree;

/// Stores what a TOC can carry of an arbitrary tree as eStargz: it comes back, but for fractions of
/// seconds, TOC and tar agree, and all chunks verify.
pub fn estargz_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = Choices::take(input);
    let mut tree = take_tree(input);
    reduce(&mut tree);
    tree.drop_unreachable();
    assert!(reduce(&mut tree).is_empty(), "reduced twice");
    let limits = Limits {
        // Small chunks make a long TOC.
        max_metadata_len: 1 << 24,
        max_toc_len: 1 << 24,
        // Six values of 64 KiB, and names.
        max_xattr_len: 1 << 20,
        ..Limits::small()
    };
    let Some(stored) = store(tree, &choices, &limits) else {
        return;
    };

    let opened = open(&stored, &limits);
    assert_eq!(opened.digest, stored.toc_digest);
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let options = ImageOptions {
        without_digests: false,
        limits: limits.clone(),
    };
    let decoded = opened
        .image(id, &options)
        .expect("the TOC was written by us");
    let EstargzImage { image, .. } = &decoded;
    let mut expected = see(&stored.image, &limits).expect("an owned image answers everything");
    for seen in &mut expected {
        seen.attributes.mtime.nanoseconds = 0;
    }
    let found = see(image, &limits).expect("an owned image answers everything");
    assert!(expected == found, "the TOC is another image");

    let options = CompareOptions {
        lenient: false,
        limits: limits.clone(),
    };
    let mut disagree = |found| panic!("{found}");
    compare(&decoded, &stored.blob[..], &options, &mut disagree)
        .expect("the tar was written by us");

    let blobs = BlobStore::single(std::sync::Arc::new(Memory(stored.blob)));
    let mut frames = Frames::new(image, &blobs, ReadOptions::new(&limits));
    let mut tell = |fault: verify::AuditFault| panic!("{}: {fault}", fault.path());
    let summary = verify::audit(image, &mut frames, &limits, &mut tell).expect("nobody cancels");
    assert_eq!(summary.unverifiable_chunks, 0);
    let landmarks = decoded.check_landmarks(&mut frames);
    landmarks.expect("they are where they were written");
}

fn open(stored: &Stored, limits: &Limits) -> OpenedToc {
    let opener = Opener::new(stored.blob.len() as u64, limits);
    let opened = opener.drive(asked::<OpenError>(&stored.blob));
    opened.expect("the blob was written by us")
}
