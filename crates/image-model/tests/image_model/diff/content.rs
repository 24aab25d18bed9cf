//! What files hold, and what is to be fetched for it.

use super::*;

#[test]
fn content_is_compared_by_chunks_or_by_asking() {
    use Piece::{Blake3, NoDigest, Sha256, Zeros};
    // Pieces of both sides, whether the observer is asked, what is found if it says "the same".
    let cases: [(&[Piece], &[Piece], usize, bool); 10] = [
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(1, 4), Zeros(4)],
            0,
            true,
        ),
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(2, 4), Zeros(4)],
            0,
            false,
        ),
        // Cut differently.
        (&[Sha256(1, 8)], &[Sha256(1, 4), Sha256(1, 4)], 1, true),
        (&[Sha256(1, 4), Sha256(1, 4)], &[Sha256(1, 8)], 1, true),
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(1, 4), Zeros(2), Zeros(2)],
            1,
            true,
        ),
        // Other digests, or none.
        (&[Sha256(1, 4)], &[Blake3(1, 4)], 1, true),
        (&[Sha256(1, 4)], &[NoDigest(1, 4)], 1, true),
        (&[Sha256(1, 4)], &[Zeros(4)], 1, true),
        // A chunk that differs for certain spares the question.
        (
            &[NoDigest(1, 4), Sha256(1, 4)],
            &[NoDigest(1, 4), Sha256(2, 4)],
            0,
            false,
        ),
        (&[Zeros(4)], &[Zeros(2), Zeros(2)], 1, true),
    ];
    for (left, right, questions, same) in cases {
        let image = |pieces| Builder::new().file("f", pieces).link("g", "f").image();
        let mut notes = Notes {
            same: true,
            ..Notes::default()
        };
        diff(&image(left), &image(right), &Limits::default(), &mut notes).unwrap();
        // Of a hard-linked file it is asked once.
        assert_eq!(notes.questions, questions, "{left:?} {right:?}");
        let expected: &[&str] = if same {
            &[]
        } else {
            &["/f content", "/g content"]
        };
        assert_eq!(notes.lines, expected, "{left:?} {right:?}");
    }
}

#[test]
fn transfers_are_counted_by_distinct_chunks() {
    use Piece::{Blake3, NoDigest, Sha256, Zeros};
    let have = || {
        Builder::new()
            .file("a", &[Sha256(1, 10), Sha256(2, 10), Zeros(10)])
            .file("b", &[NoDigest(3, 10)])
    };
    let want = || {
        Builder::new()
            .file(
                "x",
                &[Sha256(2, 10), Sha256(4, 20), Sha256(4, 20), Zeros(5)],
            )
            .file("y", &[NoDigest(3, 10), Blake3(1, 30), Sha256(2, 10)])
            .link("z", "y")
    };
    let limits = Limits::default();
    let mut expected = Transfer::default();
    expected.shared_chunks = 2;
    expected.shared_len = 20;
    expected.fetch_chunks = 2;
    expected.fetch_len = 50;
    expected.fetch_stored_len = 25;
    assert_eq!(
        transfer(&have().image(), &want().image(), &limits).unwrap(),
        expected
    );
    let parts = transfer_by_blob(&have().image(), &want().image(), &limits).unwrap();
    assert_eq!(parts, [(BlobIndex(0), expected)]);
    let nothing = transfer_by_blob(&have().image(), &Builder::new().image(), &limits).unwrap();
    assert_eq!(nothing, []);
    // Places count within one blob only.
    let mut other = want();
    other.blob = "other";
    expected.shared_chunks = 1;
    expected.shared_len = 10;
    expected.fetch_chunks = 3;
    expected.fetch_len = 60;
    expected.fetch_stored_len = 30;
    assert_eq!(
        transfer(&have().image(), &other.image(), &limits).unwrap(),
        expected
    );
}

#[test]
fn bytes_that_lie_plain_are_compared_by_asking() {
    use Piece::{NoDigest, Zeros};
    let pieces = [NoDigest(1, 4), Zeros(4)];
    let file = || Builder::new().file("f", &pieces);
    let limits = Limits::default();
    let images: [(&dyn Image, &dyn Image); 2] = [
        (&file().plain(), &file().plain()),
        (&file().plain(), &file().image()),
    ];
    for (left, right) in images {
        for (same, expected) in [(true, vec![]), (false, vec!["/f content"])] {
            let mut notes = Notes {
                same,
                ..Notes::default()
            };
            diff(left, right, &limits, &mut notes).unwrap();
            assert_eq!(notes.questions, 1);
            assert_eq!(notes.lines, expected);
        }
    }
}

#[test]
fn bytes_that_lie_plain_are_fetched_as_they_are() {
    use Piece::{NoDigest, Zeros};
    let have = || Builder::new().file("a", &[NoDigest(3, 10), Zeros(10)]);
    let want = || {
        Builder::new()
            .file("x", &[NoDigest(3, 10), Zeros(5), NoDigest(50, 20)])
            .file("y", &[NoDigest(50, 20)])
            // The same place, but more of it.
            .file("z", &[NoDigest(3, 30)])
    };
    let limits = Limits::default();
    let mut expected = Transfer::default();
    expected.shared_chunks = 1;
    expected.shared_len = 10;
    expected.fetch_chunks = 2;
    expected.fetch_len = 50;
    expected.fetch_stored_len = 50;
    let found = transfer(&have().plain(), &want().plain(), &limits).unwrap();
    assert_eq!(found, expected);
    let mut other = want();
    other.blob = "other";
    expected.shared_chunks = 0;
    expected.shared_len = 0;
    expected.fetch_chunks = 3;
    expected.fetch_len = 60;
    expected.fetch_stored_len = 60;
    let found = transfer(&have().plain(), &other.plain(), &limits).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn frames_that_are_not_there_are_named() {
    let image = Builder::new()
        .file("a", &[Piece::Zeros(4)])
        .file("f", &[Piece::Sha256(1, 4)])
        .image();
    let broken = Moved::new(image.clone(), |source| match source {
        ExtentSource::Chunk {
            offset_in_frame,
            digest,
            crc32c,
            ..
        } => ExtentSource::Chunk {
            frame: FrameId(7),
            offset_in_frame,
            digest,
            crc32c,
        },
        other => other,
    });
    let error = transfer(&image, &broken, &Limits::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    let DiffError::Image {
        side: Side::Right,
        path: at,
        source,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(at, path("f"));
    let none = NoSuchEntry {
        what: "frame",
        index: 7,
        count: 1,
    };
    assert_eq!(source.source().unwrap().downcast_ref(), Some(&none));
}
