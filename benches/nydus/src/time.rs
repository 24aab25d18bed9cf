//! Time, the two libraries in turn.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use crate::library::Library;
use crate::questions::Question;
use crate::task::Task;

/// Of one library and the other, in microseconds.
pub(crate) struct Times {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Times {
    /// The medians, and the median of the ratios of the two of each run.
    pub(crate) fn medians(&self) -> (f64, f64, f64) {
        let pairs = self.ours.iter().zip(&self.theirs);
        let ratios = pairs.map(|(ours, theirs)| ours / theirs).collect();
        (
            median(self.ours.clone()),
            median(self.theirs.clone()),
            median(ratios),
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Does `task` once for each of `parts` with each library, which take turns at being first; `before` each.
pub(crate) fn measure<A: Library, B: Library>(
    task: Task,
    bootstrap: &Path,
    parts: &[&[Question]],
    before: &mut dyn FnMut(),
) -> Times {
    let mut times = Times {
        ours: Vec::new(),
        theirs: Vec::new(),
    };
    for (number, part) in parts.iter().enumerate() {
        for turn in [number, number + 1] {
            match turn % 2 {
                0 => times.ours.push(timed::<A>(task, bootstrap, part, before)),
                _ => times.theirs.push(timed::<B>(task, bootstrap, part, before)),
            }
        }
    }
    times
}

fn timed<L: Library>(
    task: Task,
    bootstrap: &Path,
    questions: &[Question],
    before: &mut dyn FnMut(),
) -> f64 {
    before();
    let start = Instant::now();
    let opened = task.run::<L>(bootstrap, questions);
    let time = start.elapsed();
    drop(opened);
    time.as_secs_f64() * 1e6
}

/// Memory that fills the processor's caches, so that nothing of the bootstrap is there.
pub(crate) struct Caches(Vec<u8>);

impl Caches {
    pub(crate) fn new() -> Self {
        Self(vec![1; 128 << 20])
    }

    pub(crate) fn fill(&mut self) {
        for line in self.0.chunks_mut(64) {
            line[0] = line[0].wrapping_add(1);
        }
        black_box(&self.0);
    }
}
