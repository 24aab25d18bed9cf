//! Plain EROFS: opening, looking up, checking.

mod names;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::erofs_format::ErofsImage;
use lazyoci::model::Limits;
use lazyoci_benches::lookups::{Erofs, prepare};
use lazyoci_benches::reading::count_paths;

use names::bench_names;

fn metadata(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    prepare(directory.path());
    let Erofs { names, bytes } = &Erofs::open(directory.path());
    let limits = Limits::default();

    let mut group = criterion.benchmark_group("erofs");
    group.bench_function("open", |bencher| {
        bencher.iter(|| ErofsImage::open(black_box(bytes.clone()), &limits));
    });
    bench_names(&mut group, names, "place");
    let image = &names.image;
    group.throughput(Throughput::Elements(count_paths(image)));
    group.bench_function("walk", |bencher| bencher.iter(|| count_paths(image)));
    group.bench_function("check", |bencher| {
        bencher.iter(|| image.check(&mut |finding| panic!("{finding}")));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = metadata
}
criterion_main!(benches);
