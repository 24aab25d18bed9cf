//! Trees to eStargz and back.

use std::sync::Arc;

use lazyoci::estargz_toc::carry::reduce;
use lazyoci::estargz_toc::compare::{CompareOptions, compare};
use lazyoci::estargz_toc::image::ImageOptions;
use lazyoci::estargz_toc::open::{OpenError, OpenedToc, Opener, StepMachine as _};
use lazyoci::model::{BlobId, Limits};
use lazyoci::read::SharedImage;
use lazyoci::verify;

use super::input::Input;
use super::memory::{Memory, asked};
use super::reading::reader;
use super::same::see;
use super::stargz::{Choices, Stored, landmarks_are_right, store};
use super::tree::take_tree;

/// Stores what a TOC can carry of an arbitrary tree as eStargz: it comes back, but for fractions of
/// seconds, TOC and tar agree, and all chunks verify.
pub fn estargz_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = Choices::take(input);
    let mut tree = take_tree(input);
    reduce(&mut tree, &mut |_, _| ());
    tree.drop_unreachable();
    reduce(&mut tree, &mut |path, what| {
        panic!("reduced twice: {path}: {what}")
    });
    // Small chunks make a long TOC; the attributes are six values of 64 KiB, and names.
    let limits = Limits::small()
        .max_metadata_len(1 << 24)
        .max_toc_len(1 << 24)
        .max_xattr_len(1 << 20);
    let Some(stored) = store(tree, &choices, &limits) else {
        return;
    };

    let opened = open(&stored, &limits);
    assert_eq!(opened.digest, stored.toc_digest);
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let options = ImageOptions::default().limits(limits.clone());
    let decoded = opened
        .image(id, &options)
        .expect("the TOC was written by us");
    let mut expected = see(&stored.image, &limits).expect("an owned image answers everything");
    for seen in &mut expected {
        seen.attributes.mtime.nanoseconds = 0;
    }
    let found = see(&*decoded.image, &limits).expect("an owned image answers everything");
    assert!(expected == found, "the TOC is another image");

    let options = CompareOptions::default().limits(limits.clone());
    let mut disagree = |found| panic!("{found}");
    compare(&decoded, &stored.blob[..], &options, &mut disagree)
        .expect("the tar was written by us");

    let image = Arc::clone(&decoded.image) as SharedImage;
    let mut reader = reader(&image, Memory(stored.blob.clone()));
    let mut tell = |fault: verify::AuditFault| panic!("{}: {fault}", fault.path());
    let summary = verify::audit(&*image, &mut reader, &limits, &mut tell).expect("nobody cancels");
    assert_eq!(summary.unverifiable_chunks, 0);
    assert!(landmarks_are_right(&decoded, &reader, &stored.blob));
}

fn open(stored: &Stored, limits: &Limits) -> OpenedToc {
    let opener = Opener::new(stored.blob.len() as u64, limits);
    let opened = opener.drive(asked::<OpenError>(&stored.blob));
    opened.expect("the blob was written by us")
}
