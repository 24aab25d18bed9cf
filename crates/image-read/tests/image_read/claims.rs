//! Plans of one store, driven by hand: who waits for whom, and who gives up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use frame_codec::Compression;
use image_model::{BlobIndex, FrameId};
use lazyoci_image_read::{FrameError, FrameStore, ReadError, ReadOptions, ReadStep, StoredRange};
use verify::ExtentBytes;

use crate::damage::cause;
use crate::plan::{FilePlan, plan_of, supply};
use crate::support::Fixture;
use crate::support::fixtures::eight;

/// Counts how often it is woken.
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two plans for the first frame of `eight`, the first of which has it claimed.
fn two<'a>(fixture: &'a Fixture, store: &Arc<FrameStore>) -> (FilePlan<'a>, FilePlan<'a>) {
    let plan = || {
        let options = ReadOptions::default();
        plan_of(
            &*fixture.image,
            fixture.ino("eight"),
            0..1_000,
            &options,
            store,
        )
    };
    let (mut first, mut second) = (plan(), plan());
    assert!(matches!(first.step(), Ok(ReadStep::Need(ranges)) if ranges.len() == 1));
    assert!(matches!(second.step(), Ok(ReadStep::Wait)));
    (first, second)
}

fn first_range() -> StoredRange {
    StoredRange {
        blob: BlobIndex(0),
        offset: 1,
        len: 1_000,
    }
}

#[test]
fn who_waits_is_told_and_has_the_frame() {
    let fixture = eight(Compression::None);
    // The store keeps nothing.
    let store = Arc::new(FrameStore::new(0));
    let (mut first, mut second) = two(&fixture, &store);
    let bell = Arc::new(Bell(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    for _ in 0..3 {
        assert_eq!(second.poll_others(&mut context), Poll::Pending);
    }
    supply(&mut first, &fixture.blobs, &first_range());
    let Ok(ReadStep::Work(job)) = first.step() else {
        panic!("the frame is there")
    };
    assert_eq!(second.poll_others(&mut context), Poll::Pending);
    assert_eq!(bell.0.load(Ordering::SeqCst), 0);
    // Whoever runs the job, and whether or not its result is taken.
    let done = job.run();
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert_eq!(second.poll_others(&mut context), Poll::Ready(()));
    second.wait();
    drop((first, done));
    let Ok(ReadStep::Ready(piece)) = second.step() else {
        panic!("the frame is there")
    };
    assert_eq!(
        piece.bytes.unwrap().as_ref(),
        ExtentBytes::Data(&fixture.contents[0][..1_000])
    );
    assert!(matches!(second.step(), Ok(ReadStep::Done)));
    assert_eq!(store.decoded(), 1);
}

#[test]
fn a_frame_that_a_reader_still_has_is_not_fetched_again() {
    let fixture = eight(Compression::None);
    let store = Arc::new(FrameStore::new(0));
    let options = ReadOptions::default();
    let plan = || {
        plan_of(
            &*fixture.image,
            fixture.ino("eight"),
            0..1_000,
            &options,
            &store,
        )
    };
    let mut first = plan();
    assert!(matches!(first.step(), Ok(ReadStep::Need(_))));
    supply(&mut first, &fixture.blobs, &first_range());
    let Ok(ReadStep::Work(job)) = first.step() else {
        panic!("the frame is there")
    };
    first.complete(job.run());
    assert!(matches!(plan().step(), Ok(ReadStep::Ready(_))));
    let Ok(ReadStep::Ready(piece)) = first.step() else {
        panic!("the frame is there")
    };
    drop(first);
    assert!(
        matches!(plan().step(), Ok(ReadStep::Ready(_))),
        "the piece has it"
    );
    drop(piece);
    assert!(matches!(plan().step(), Ok(ReadStep::Need(_))));
}

#[test]
fn who_gives_up_lets_others_try() {
    type GiveUp = for<'a> fn(FilePlan<'a>, &Fixture) -> Option<FilePlan<'a>>;
    let fixture = eight(Compression::None);
    let ways: [GiveUp; 6] = [
        // Before the bytes are there, and after.
        |_plan, _| None,
        |mut plan, fixture| {
            supply(&mut plan, &fixture.blobs, &first_range());
            None
        },
        // The bytes cannot be had.
        |mut plan, _| {
            let lost = FrameError::Lost { frame: FrameId(0) };
            plan.fail(&first_range(), lost).unwrap();
            let Ok(ReadStep::Ready(piece)) = plan.step() else {
                panic!("it has failed")
            };
            assert!(piece.bytes.is_err());
            Some(plan)
        },
        // The job is dropped; its plan says so.
        |mut plan, fixture| {
            supply(&mut plan, &fixture.blobs, &first_range());
            assert!(matches!(plan.step(), Ok(ReadStep::Work(_))));
            let Ok(ReadStep::Ready(piece)) = plan.step() else {
                panic!("it is lost")
            };
            let error = piece.bytes.unwrap_err();
            assert!(
                matches!(cause(&error), FrameError::Lost { frame: FrameId(0) }),
                "{error:?}"
            );
            Some(plan)
        },
        // The plan is dropped before its job.
        |mut plan, fixture| {
            supply(&mut plan, &fixture.blobs, &first_range());
            let job = plan.step();
            drop(plan);
            drop(job);
            None
        },
        // The bytes are wrong.
        |mut plan, fixture| {
            let mut wrong = fixture.blobs.clone();
            wrong[0][5] ^= 1;
            supply(&mut plan, &wrong, &first_range());
            let Ok(ReadStep::Work(job)) = plan.step() else {
                panic!("the frame is there")
            };
            plan.complete(job.run());
            let Ok(ReadStep::Ready(piece)) = plan.step() else {
                panic!("it is wrong")
            };
            assert!(matches!(piece.bytes, Err(ReadError::Chunk { .. })));
            Some(plan)
        },
    ];
    for way in ways {
        let store = Arc::new(FrameStore::new(8 << 20));
        let (first, mut second) = two(&fixture, &store);
        let first = way(first, &fixture);
        second.wait();
        assert_eq!(store.decoded(), 0);
        let Ok(ReadStep::Need(ranges)) = second.step() else {
            panic!("it is to fetch it now")
        };
        assert_eq!(ranges, [first_range()]);
        supply(&mut second, &fixture.blobs, &first_range());
        let Ok(ReadStep::Work(job)) = second.step() else {
            panic!("the frame is there")
        };
        second.complete(job.run());
        assert!(matches!(second.step(), Ok(ReadStep::Ready(piece)) if piece.bytes.is_ok()));
        drop(first);
        assert_eq!(store.decoded(), 1);
    }
}
