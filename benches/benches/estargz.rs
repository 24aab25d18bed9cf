//! eStargz: opening, looking up, decoding, encoding, reading.

mod names;

use std::fs;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::estargz_toc::write::Listing;
use lazyoci::model::Limits;
use lazyoci::model::order::walk;
use lazyoci::read::{OpenOptions, open};
use lazyoci::verify::Profile;
use lazyoci_benches::Shape;
use lazyoci_benches::lookups::{
    CHUNK_SIZE, COUNT, Estargz, estargz_image, estargz_toc, prepare, read_estargz,
};
use lazyoci_benches::reading::{count_paths, files, places, read_all, read_places};

use names::bench_names;

fn metadata(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    prepare(directory.path());
    let layer = read_estargz(directory.path());
    let toc = estargz_toc(&layer);
    let image = Estargz::open(directory.path());
    let names = &image.names;

    let mut group = criterion.benchmark_group("estargz");
    group.bench_function("open: TOC out of the layer", |bencher| {
        bencher.iter_with_large_drop(|| estargz_toc(black_box(&layer)));
    });
    bench_names(&mut group, names, "frame");
    group.bench_function("digest to frame", |bencher| {
        bencher.iter(|| image.find_digests())
    });

    group.sample_size(10);
    group.throughput(Throughput::Elements(count_paths(&names.image)));
    group.bench_function("walk", |bencher| bencher.iter(|| count_paths(&names.image)));
    group.bench_function("decode", |bencher| {
        bencher.iter_with_large_drop(|| estargz_image(&toc))
    });
    let decoded = estargz_image(&toc);
    let order = walk(&decoded.image.tree, &Limits::default()).expect("short paths");
    let listing = Listing {
        image: &decoded.image,
        names: &order,
        landmark: None,
        chunk_size: NonZeroU32::new(CHUNK_SIZE).expect("it is not 0"),
        file_digests: &decoded.file_digests,
    };
    group.bench_function("encode", |bencher| {
        bencher.iter_with_large_drop(|| listing.to_json().expect("a TOC can carry all"));
    });
    group.finish();
}

fn content(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("layer");
    fs::write(&path, Shape::CONTENT.estargz(4 << 20)).expect("there is room");
    let image = open(&path, &OpenOptions::default()).expect("it was written by us");
    let files = files(image.image());
    let mut group = criterion.benchmark_group("estargz content");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(read_all(&image, &files, 1)));
    for threads in [1, 2] {
        group.bench_function(format!("read all files, {threads} threads"), |bencher| {
            bencher.iter(|| read_all(&image, &files, threads))
        });
    }
    group.bench_function("tree digest", |bencher| {
        bencher.iter(|| {
            let digest = image.tree_digest(Profile::Default, &mut ());
            digest.expect("the image is sound")
        });
    });
    let places = places(&files, COUNT);
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("read 4 KiB by path and offset", |bencher| {
        bencher.iter(|| read_places(&image, &places, 4096))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = metadata, content
}
criterion_main!(benches);
