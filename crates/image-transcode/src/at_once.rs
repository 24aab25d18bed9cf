//! Several layers at the same time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use image_model::{Cancelled, Progress};
use image_store::ImageStoreError;

use crate::error::TranscodeError;
use crate::progress::Reporter;

/// Time after which the caller is told even if nothing has moved, so that it can stop the work.
const TICK: Duration = Duration::from_millis(200);

/// What is done for a layer.
type Work<'w, R> = dyn Fn(usize, &mut dyn Progress) -> Result<R, TranscodeError> + Sync + 'w;

enum Event<R> {
    /// Something has been read.
    Moved,
    /// The layer at a place among the positions is done, or has failed.
    Done(usize, Result<R, TranscodeError>),
}

struct Shared<'w, R> {
    positions: &'w [usize],
    work: &'w Work<'w, R>,
    /// The place of the next layer.
    next: AtomicUsize,
    /// Layers from this place on are given up.
    stop: AtomicUsize,
    /// Whether the caller will be told anyway.
    moved: AtomicBool,
}

/// Does `work` for the layers at `positions`, up to `at_once` of them at the same time, and returns the results in
/// their order. `reporter` is told on this thread. If layers fail, the error is that of the first of them in that
/// order: those before it are completed, those after it given up.
pub(crate) fn run<R: Send>(
    positions: &[usize],
    at_once: usize,
    work: &Work<'_, R>,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<R>, TranscodeError> {
    let at_once = at_once.clamp(1, positions.len().max(1));
    if at_once == 1 {
        let mut results = Vec::with_capacity(positions.len());
        for &position in positions {
            results.push(work(position, reporter)?);
            reporter.tell().map_err(ImageStoreError::from)?;
        }
        return Ok(results);
    }
    let shared = Shared {
        positions,
        work,
        next: AtomicUsize::new(0),
        stop: AtomicUsize::new(usize::MAX),
        moved: AtomicBool::new(false),
    };
    let mut results: Vec<_> = positions.iter().map(|_| None).collect();
    let (happened, events) = channel();
    let mut told = Ok(());
    thread::scope(|scope| {
        for started in 0..at_once {
            let (shared, happened) = (&shared, happened.clone());
            let thread = thread::Builder::new();
            match thread.spawn_scoped(scope, move || shared.serve(&happened)) {
                Err(error) if started == 0 => return Err(TranscodeError::Threads(error)),
                // Those that there are do the work.
                Err(_) => break,
                Ok(_) => {}
            }
        }
        drop(happened);
        loop {
            match events.recv_timeout(TICK) {
                Ok(Event::Done(place, result)) => results[place] = Some(result),
                Ok(Event::Moved) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            shared.moved.store(false, Ordering::Relaxed);
            if let Err(cancelled) = reporter.tell() {
                told = Err(cancelled);
                shared.stop.store(0, Ordering::Relaxed);
            }
        }
    })?;
    let stopped = || Err(ImageStoreError::from(Cancelled).into());
    let results = results.into_iter();
    let results = results.map(|result| result.unwrap_or_else(stopped));
    let results = results.collect::<Result<_, _>>()?;
    // Refused when all was done.
    told.map_err(ImageStoreError::from)?;
    Ok(results)
}

impl<R> Shared<'_, R> {
    fn serve(&self, happened: &Sender<Event<R>>) {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&position) = self.positions.get(place) else {
                return;
            };
            if self.is_given_up(place) {
                return;
            }
            let mut progress = |_: u64, _: Option<u64>| {
                if !self.moved.swap(true, Ordering::Relaxed) {
                    // The caller waits as long as there are senders.
                    let _ = happened.send(Event::Moved);
                }
                match self.is_given_up(place) {
                    true => Err(Cancelled),
                    false => Ok(()),
                }
            };
            let result = (self.work)(position, &mut progress);
            if result.is_err() {
                self.stop.fetch_min(place, Ordering::Relaxed);
            }
            let _ = happened.send(Event::Done(place, result));
        }
    }

    fn is_given_up(&self, place: usize) -> bool {
        place >= self.stop.load(Ordering::Relaxed)
    }
}
