//! RAFS v5: opening, looking up, decoding, encoding. Content is read as that of v6 is.

mod names;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::model::{Image as _, Limits};
use lazyoci::rafs_format::v5::{Bootstrap, Layout, LayoutInput};
use lazyoci_benches::lookups::{RafsV5, prepare};
use lazyoci_benches::reading::count_paths;

use names::bench_names;

fn metadata(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    prepare(directory.path());
    let image = RafsV5::open(directory.path());
    let bootstrap = &image.names.image;
    let bytes = bootstrap.bytes().clone();
    let limits = Limits::default();

    let mut group = criterion.benchmark_group("rafs-v5");
    group.bench_function("open", |bencher| {
        bencher.iter(|| Bootstrap::open(black_box(bytes.clone()), &limits));
    });
    bench_names(&mut group, &image.names, "frame");
    group.bench_function("digest to frame", |bencher| {
        bencher.iter(|| image.find_digests())
    });
    let frame = image.names.first_frame();
    group.throughput(Throughput::Elements(image.copy.places.len() as u64));
    group.bench_function("first shared frame", |bencher| {
        let open = || Bootstrap::open(bytes.clone(), &limits).expect("it was written by us");
        let first = |bootstrap: Bootstrap| {
            black_box(bootstrap.shared_frame(frame));
            bootstrap
        };
        bencher.iter_batched(open, first, BatchSize::LargeInput);
    });

    let input = LayoutInput {
        image: &image.copy.image,
        places: &image.copy.places,
        entries: bootstrap.blob_entries(),
    };
    group.throughput(Throughput::Elements(input.image.tree.len() as u64));
    group.bench_function("walk", |bencher| bencher.iter(|| count_paths(bootstrap)));
    group.bench_function("decode", |bencher| {
        bencher.iter_with_large_drop(|| bootstrap.to_chunked());
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| bootstrap.check(&mut |finding| panic!("{finding}")));
    });
    let options = bootstrap.layout_options();
    group.bench_function("encode", |bencher| {
        bencher.iter_with_large_drop(|| {
            let layout = Layout::plan(input, &options).expect("all can be carried");
            let mut out = Vec::with_capacity(bytes.len());
            layout.write_to(&mut out).expect("a vector takes all bytes");
            out
        });
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
