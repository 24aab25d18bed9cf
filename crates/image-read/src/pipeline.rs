//! Work spread over threads, results in the order of submission.
//!
//! One thread, the caller's, makes jobs and takes results; `workers.len()` threads do the work in
//! between, the caller's among them when it would wait. So neither the source nor the sink has to be [`Send`], and what the caller does with
//! the results (deduplicating, placing, writing) happens in an order that no race can change:
//! the output is the same at any number of threads.
//!
//! ```text
//!           submit(job)   bounded by `depth`
//! caller ───────────────► queue ──► caller ───┐
//!   ▲                        └────► thread 1 ─┤ one-shot channel per job,
//!   └── results, oldest first ◄───────────────┘ queued in order
//! ```
//!
//! A channel trip costs a few microseconds, so jobs should carry about a megabyte of work.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Maximum number of threads that anything here starts, whatever its options say.
pub const MAX_THREADS: usize = 256;

type Outcome<R> = Result<R, Box<dyn Any + Send>>;
type Ticket<J, R> = (J, SyncSender<Outcome<R>>);

/// Jobs that nobody has begun. The lock is held for a moment only, never while waiting, so that the
/// caller finds every job that there is.
#[derive(Debug)]
struct Queue<J, R> {
    state: Mutex<Waiting<J, R>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Waiting<J, R> {
    tickets: VecDeque<Ticket<J, R>>,
    /// Whether the caller has left: no job follows.
    closed: bool,
}

/// Where the caller hands in jobs and gets results back; made by [`run`].
#[derive(Debug)]
pub struct Stage<J, R, W> {
    lanes: Lanes<J, R, W>,
}

#[derive(Debug)]
enum Lanes<J, R, W> {
    /// One worker: the caller's thread does the work itself.
    Inline { worker: W },
    Threads {
        queue: Arc<Queue<J, R>>,
        pending: VecDeque<Receiver<Outcome<R>>>,
        depth: usize,
        /// Works while the caller would wait.
        worker: W,
    },
}

/// Calls `body` with a [`Stage`] whose jobs are done by `workers`: the first one on the caller's thread,
/// whenever that would wait for a result, each of the others on a thread of its own. At most `depth` jobs (but no fewer than there are
/// workers) are under way at any time.
///
/// When `body` returns early, jobs that no worker has begun are dropped. Where the system starts fewer
/// threads, those that there are do the work.
///
/// ```
/// use lazyoci_image_read::pipeline;
/// let workers = vec![|n: u64| n * n; 3];
/// let mut squares = Vec::new();
/// pipeline::run(workers, 4, |stage| {
///     for n in 0..10 {
///         squares.extend(stage.submit(n));
///     }
///     while let Some(square) = stage.next() {
///         squares.push(square);
///     }
/// });
/// assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
/// ```
///
/// # Panics
/// If a worker panics, with the worker's own payload; if `workers` is empty.
pub fn run<J, R, W, T>(
    workers: Vec<W>,
    depth: usize,
    body: impl FnOnce(&mut Stage<J, R, W>) -> T,
) -> T
where
    J: Send,
    R: Send,
    W: FnMut(J) -> R + Send,
{
    run_on(workers, depth, |_| Builder::new(), body)
}

/// As [`run`], with threads that `builder` makes: the number of each is its argument.
fn run_on<J, R, W, T>(
    mut workers: Vec<W>,
    depth: usize,
    builder: impl Fn(usize) -> Builder,
    body: impl FnOnce(&mut Stage<J, R, W>) -> T,
) -> T
where
    J: Send,
    R: Send,
    W: FnMut(J) -> R + Send,
{
    assert!(!workers.is_empty(), "a pipeline needs a worker");
    let depth = depth.max(workers.len());
    let queue = Arc::new(Queue {
        state: Mutex::new(Waiting {
            tickets: VecDeque::with_capacity(depth),
            closed: false,
        }),
        changed: Condvar::new(),
    });
    let worker = workers.remove(0);
    let count = workers.len();
    let idle = Mutex::new(workers);
    let take_worker = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        if let Some(worker) = take_worker() {
            serve(worker, &queue);
        }
    };
    std::thread::scope(|scope| {
        let start = |nth| builder(nth).spawn_scoped(scope, work);
        let started = (0..count).map_while(|nth| start(nth).ok()).count();
        if started == 0 {
            return inline(worker, body);
        }
        // Dropped before the scope waits for its threads, even if `body` panics: the closed
        // queue ends the workers.
        let mut stage = Stage {
            lanes: Lanes::Threads {
                queue: Arc::clone(&queue),
                pending: VecDeque::with_capacity(depth),
                depth,
                worker,
            },
        };
        body(&mut stage)
    })
}

/// Everything on the caller's thread.
fn inline<J, R, W, T>(worker: W, body: impl FnOnce(&mut Stage<J, R, W>) -> T) -> T {
    body(&mut Stage {
        lanes: Lanes::Inline { worker },
    })
}

fn serve<J, R>(mut worker: impl FnMut(J) -> R, queue: &Queue<J, R>) {
    while let Some((job, answer)) = queue.take() {
        let outcome = catch_unwind(AssertUnwindSafe(|| worker(job)));
        let panicked = outcome.is_err();
        // The caller may have stopped listening: it left early.
        let _ = answer.send(outcome);
        if panicked {
            return;
        }
    }
}

impl<J, R> Queue<J, R> {
    fn lock(&self) -> MutexGuard<'_, Waiting<J, R>> {
        // No thread panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, ticket: Ticket<J, R>) {
        self.lock().tickets.push_back(ticket);
        self.changed.notify_one();
    }

    /// Waits for a job; `None` when there will be none.
    fn take(&self) -> Option<Ticket<J, R>> {
        let wait = |waiting: &mut Waiting<J, R>| waiting.tickets.is_empty() && !waiting.closed;
        let woken = self.changed.wait_while(self.lock(), wait);
        let mut waiting = woken.unwrap_or_else(PoisonError::into_inner);
        waiting.tickets.pop_front()
    }

    /// A job, if there is one.
    fn try_take(&self) -> Option<Ticket<J, R>> {
        self.lock().tickets.pop_front()
    }

    /// The caller leaves: no job follows, and those that nobody has begun are dropped.
    fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let dropped = std::mem::take(&mut waiting.tickets);
        drop(waiting);
        self.changed.notify_all();
        drop(dropped);
    }
}

impl<J, R, W: FnMut(J) -> R> Stage<J, R, W> {
    /// Hands in a job. Once enough jobs are under way, waits for the oldest and returns its result.
    ///
    /// # Panics
    /// If the worker of that job panicked, or of one that is done here meanwhile, with its payload.
    #[must_use = "the oldest result comes back here"]
    pub fn submit(&mut self, job: J) -> Option<R> {
        let full = match &mut self.lanes {
            Lanes::Inline { worker } => return Some(worker(job)),
            Lanes::Threads {
                queue,
                pending,
                depth,
                ..
            } => {
                let (answer, result) = sync_channel(1);
                pending.push_back(result);
                queue.put((job, answer));
                pending.len() >= *depth
            }
        };
        if full { self.next() } else { None }
    }

    /// Waits for the oldest job under way, and does jobs that nobody has begun as long as it is not
    /// done; its result. `None` when there is none left.
    ///
    /// # Panics
    /// If the worker of that job panicked, or of one that is done here meanwhile, with its payload.
    #[allow(
        clippy::should_implement_trait,
        reason = "jobs may follow after `None`"
    )]
    pub fn next(&mut self) -> Option<R> {
        let Lanes::Threads {
            pending,
            queue,
            worker,
            ..
        } = &mut self.lanes
        else {
            return None;
        };
        let oldest = pending.pop_front()?;
        let outcome = loop {
            if let Ok(outcome) = oldest.try_recv() {
                break Some(outcome);
            }
            let Some((job, answer)) = queue.try_take() else {
                break oldest.recv().ok();
            };
            // This thread holds the receiver, so sending succeeds.
            let _ = answer.send(Ok(worker(job)));
        };
        match outcome {
            Some(Ok(result)) => Some(result),
            Some(Err(payload)) => resume_unwind(payload),
            None => panic!("all workers of the pipeline have ended"),
        }
    }
}

impl<J, R, W> Drop for Stage<J, R, W> {
    fn drop(&mut self) {
        if let Lanes::Threads { queue, .. } = &self.lanes {
            queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn drain<J, R, W: FnMut(J) -> R>(stage: &mut Stage<J, R, W>, into: &mut Vec<R>) {
        while let Some(result) = stage.next() {
            into.push(result);
        }
    }

    struct Counted<'a>(&'a AtomicUsize);

    impl Counted<'_> {
        fn pass(self) -> Self {
            self
        }
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn results_keep_the_order_of_jobs() {
        for threads in [1, 2, 3, 8] {
            let slow_first = |n: u64| {
                std::thread::sleep(Duration::from_micros(500 - n * 5));
                n
            };
            let results = run(vec![slow_first; threads], 4, |stage| {
                let mut results = Vec::new();
                for n in 0..100 {
                    results.extend(stage.submit(n));
                }
                drain(stage, &mut results);
                results
            });
            assert!(results.into_iter().eq(0..100), "{threads} threads");
        }
    }

    #[test]
    fn no_more_than_depth_jobs_are_under_way() {
        let alive = AtomicUsize::new(0);
        let peak = AtomicUsize::new(0);
        run(vec![Counted::pass; 2], 5, |stage| {
            for _ in 0..200 {
                let now = alive.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                drop(stage.submit(Counted(&alive)));
            }
            while stage.next().is_some() {}
        });
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        assert_eq!(peak.load(Ordering::SeqCst), 5);
    }

    #[test]
    fn leaving_early_drops_what_has_not_begun() {
        let begun = AtomicUsize::new(0);
        let worker = |n: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            n
        };
        let first = run(vec![&worker; 2], 100, |stage| {
            for n in 0..50 {
                assert_eq!(stage.submit(n), None);
            }
            stage.next()
        });
        assert_eq!(first, Some(0));
        assert!(begun.load(Ordering::SeqCst) <= 6, "{begun:?}");
    }

    #[test]
    fn a_panic_of_a_worker_reaches_the_caller() {
        for threads in [1, 2, 4] {
            let worker = |n: u32| {
                if n == 3 {
                    resume_unwind(Box::new("worker three"));
                }
                n
            };
            let caught = catch_unwind(|| {
                run(vec![worker; threads], 4, |stage| {
                    let mut results = Vec::new();
                    for n in 0..100 {
                        results.extend(stage.submit(n));
                    }
                    drain(stage, &mut results);
                });
            });
            let payload = caught.unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"worker three"));
        }
    }

    #[test]
    fn threads_that_cannot_be_started_are_done_without() {
        // No system can provide such a stack.
        let builder = |started| {
            move |nth| match nth < started {
                true => Builder::new(),
                false => Builder::new().stack_size(1 << 60),
            }
        };
        for started in 0..3 {
            let worker = |n: u32| (n, std::thread::current().id());
            let results = run_on(vec![worker; 4], 4, builder(started), |stage| {
                let mut results = Vec::new();
                for n in 0..100 {
                    results.extend(stage.submit(n));
                }
                drain(stage, &mut results);
                results
            });
            assert!(results.iter().map(|(n, _)| *n).eq(0..100));
            let threads: HashSet<_> = results.iter().map(|(_, thread)| thread).collect();
            assert!(threads.len() <= started + 1, "{threads:?}");
        }
    }

    #[test]
    fn the_caller_works_while_it_would_wait() {
        // Repeated, since the result must not depend on which thread is first.
        for _ in 0..500 {
            let both = Barrier::new(2);
            let worker = |_: u32| {
                both.wait();
                std::thread::current().id()
            };
            let threads = run(vec![worker; 2], 4, |stage| {
                assert!(stage.submit(0).is_none() && stage.submit(1).is_none());
                [stage.next(), stage.next()]
            });
            let caller = Some(std::thread::current().id());
            assert_eq!(threads.iter().filter(|&&id| id == caller).count(), 1);
        }
    }

    #[test]
    fn a_panic_of_the_caller_ends_the_workers() {
        let caught = catch_unwind(|| {
            run(vec![|n: u32| n; 2], 4, |stage| {
                let _ = stage.submit(1);
                resume_unwind(Box::new("caller"));
            })
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"caller"));
    }
}
