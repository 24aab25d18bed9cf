//! The lookups that all formats answer.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use lazyoci::model::Image;
use lazyoci_benches::lookups::{COUNT, Names};

/// Measures the lookups in `names` that begin with a name. An offset in a file leads to a frame, or to
/// what `place` says.
pub(crate) fn bench_names<I: Image>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    names: &Names<I>,
    place: &str,
) {
    type NamedLookup<I> = (&'static str, fn(&Names<I>));
    let lookups: [NamedLookup<I>; 6] = [
        ("path", Names::find_paths),
        ("missing path", Names::find_missing),
        ("path and offset to frame", Names::find_paths_and_frames),
        ("offset to frame", Names::find_frames),
        ("offset to frame, 64 chunks", Names::find_frames_of_long),
        (
            "offset to frame, 4,096 chunks",
            Names::find_frames_of_longest,
        ),
    ];
    group.throughput(Throughput::Elements(COUNT as u64));
    for (name, look_up) in lookups {
        group.bench_function(name.replace("frame", place), |bencher| {
            bencher.iter(|| look_up(names))
        });
    }
}
