//! The tree digest: content that is wrong, progress, and readers with an order of their own.

use std::error::Error as _;

use image_model::{Blame, Cancelled, Fault, Ino, Limits};
use lazyoci_verify::{
    CheckFiles, ChunkObserver, ChunkSummary, Content, ContentError, FilePiece, Profile,
    TreeDigestError, TreeDigestOptions, tree_digest,
};

use crate::common::content::{InMemory, Unreadable};
use crate::common::{Files, Tampered};
use crate::tree_digest::{digest_of, vector};

#[test]
fn wrong_content_is_named() {
    let (image, mut blob) = vector().store(4096);
    let at = blob.blob.len() - 1;
    blob.blob[at] ^= 1;
    let error = tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let text = "/z: the content at byte 8192 is missing or corrupt";
    assert_eq!(error.to_string(), text);
    assert!(matches!(unreadable(&error), Unreadable::Check(_)));
    blob.blob.truncate(at);
    let error = tree_digest(&image, &mut blob.of(&image), Profile::Content, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
    assert!(matches!(unreadable(&error), Unreadable::Nothing(4101)));
}

/// The reader's error.
#[track_caller]
fn unreadable(error: &TreeDigestError) -> &Unreadable {
    let TreeDigestError::Content { source, .. } = error else {
        panic!("{error}")
    };
    source.source().unwrap().downcast_ref().unwrap()
}

#[test]
fn extents_must_cover_the_file() {
    let digest = |change: fn(&mut Vec<image_model::Extent>)| {
        let (image, mut blob) = Files::new().file("f", "0123456789").store(4);
        let mut image = Tampered::new(image);
        image.extents = Box::new(move |_, extents| change(extents));
        tree_digest(&image, &mut blob.of(&image), Profile::Default, &mut ()).unwrap_err()
    };
    type Change = fn(&mut Vec<image_model::Extent>);
    let cases: [(Change, u64); 5] = [
        (|e| e.clear(), 0),
        (|e| e.truncate(2), 8),
        (|e| e.swap(1, 2), 4),
        (|e| e[1].len = 0, 4),
        (|e| e[2].len = 3, 8),
    ];
    for (change, expected) in cases {
        let error = digest(change);
        assert!(matches!(unreadable(&error), Unreadable::Uncovered));
        let text = format!("/f: the content at byte {expected} is missing or corrupt");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn huge_files_and_impatient_callers_end_it() {
    let (image, mut blob) = vector().store(4096);
    let options = TreeDigestOptions::default().limits(Limits::default().max_content_len(10_004));
    let error = tree_digest(&image, &mut blob.of(&image), options, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    let text = "/z: the content of all files exceeds 10004 bytes";
    assert_eq!(error.to_string(), text);

    let mut seen = Vec::new();
    let mut progress = |done, total: Option<u64>| {
        seen.push((done, total));
        if done > 5 { Err(Cancelled) } else { Ok(()) }
    };
    let error = tree_digest(
        &image,
        &mut blob.of(&image),
        Profile::Default,
        &mut progress,
    )
    .unwrap_err();
    assert_eq!(error.fault(), Fault::Cancelled);
    assert_eq!(seen, [(5, Some(10_005)), (4101, Some(10_005))]);
}

/// Holes are hashed, and told, in pieces; hidden files, and further names, do not count.
#[test]
fn progress_goes_up_to_the_length_of_all_files() {
    let mut sparse = vec![0; 200_003];
    sparse[200_002] = 1;
    let (image, mut blob) = Files::new()
        .file("a", "hello")
        .link("b", "a")
        .file("d/.wh.hidden", "junk")
        .file("e", "")
        .file("s", sparse)
        .store(100_000);
    let mut seen = Vec::new();
    let mut progress = |done, total: Option<u64>| {
        assert_eq!(total, Some(200_008));
        seen.push(done);
        Ok(())
    };
    let content = &mut blob.of(&image);
    tree_digest(&image, content, Profile::Default, &mut progress).unwrap();
    let hole = |start: u64| [start + 65_536, start + 100_000];
    let (first, second) = (hole(5), hole(100_005));
    let expected = [&[5], &first[..], &second, &[200_008]].concat();
    assert_eq!(seen, expected);
    assert_eq!(blob.reads.len(), 2, "the hidden file is not read");
}

/// Reads the last file first.
struct Backwards<'a>(InMemory<'a>);

impl Content for Backwards<'_> {
    fn read_files(
        &mut self,
        files: &[Ino],
        take: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError> {
        for file in (0..files.len()).rev() {
            self.0.read_files(&files[file..=file], &mut |piece| {
                take(FilePiece { file, ..piece })
            })?;
        }
        Ok(())
    }

    fn check_files(
        &mut self,
        _: &[Ino],
        _: &CheckFiles<'_>,
        _: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled> {
        panic!("a digest does not check files")
    }
}

#[test]
fn the_order_in_which_files_are_read_does_not_count() {
    let (image, mut blob) = vector().store(4096);
    let forwards = digest_of(vector(), Profile::Default);
    let mut content = Backwards(blob.of(&image));
    let backwards = tree_digest(&image, &mut content, Profile::Default, &mut ());
    assert_eq!(backwards.unwrap(), forwards);
}

/// Cannot read anything, and does not say which file it was.
struct Lost;

impl Content for Lost {
    fn read_files(
        &mut self,
        _: &[Ino],
        _: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError> {
        Err(ContentError::new(None, 0, Unreadable::Nothing(0)))
    }

    fn check_files(
        &mut self,
        _: &[Ino],
        _: &CheckFiles<'_>,
        _: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled> {
        panic!("a digest does not check files")
    }
}

#[test]
fn errors_that_are_about_no_file_are_about_the_image() {
    let (image, _) = vector().store(4096);
    let error = tree_digest(&image, &mut Lost, Profile::Default, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
    let text = "the content cannot be read";
    assert_eq!(error.to_string(), text);
}
