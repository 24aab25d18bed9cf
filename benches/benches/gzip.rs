//! Indexes of gzip layers: building one against inflating alone, and inflating by one.

use std::hint::black_box;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::blob_io::ReadAt;
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::gzip_index::IndexBuilder;
use lazyoci::read::LayerIndex;
use lazyoci::tar_stream::{LayerStream, StreamOptions};
use lazyoci_benches::Shape;

fn read(mut stream: impl Read) -> u64 {
    io::copy(&mut stream, &mut io::sink()).expect("the layer is sound")
}

fn gzip(criterion: &mut Criterion) {
    let tar = Shape::CONTENT.tar();
    let mut layer = Vec::new();
    Encoder::new(Compression::Gzip { level: 6 })
        .and_then(|mut encoder| encoder.encode_frame(&tar, &mut layer))
        .expect("it is no longer than 4 GiB");
    let layer = Bytes::from(layer);
    let index = LayerIndex::build(
        &layer[..],
        &Default::default(),
        &Default::default(),
        &mut (),
    );
    let index = index.expect("it is a layer");
    println!("{} bytes, index of {}", layer.len(), index.bytes().len());
    let source: Arc<dyn ReadAt> = Arc::new(layer.clone());

    let mut group = criterion.benchmark_group("gzip");
    group
        .throughput(Throughput::Bytes(tar.len() as u64))
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    group.bench_function("inflate", |bencher| {
        bencher.iter(|| {
            let stream = LayerStream::open(&layer[..], &StreamOptions::default());
            read(stream.expect("it is gzip"))
        });
    });
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            let builder = IndexBuilder::new(&layer[..], &Default::default());
            black_box(builder.finish().expect("it is gzip").0.encode())
        });
    });
    group.bench_function("index, headers kept", |bencher| {
        bencher.iter(|| {
            let options = Default::default();
            let built = LayerIndex::build(&layer[..], &options, &Default::default(), &mut ());
            black_box(built.expect("it is a layer"))
        });
    });
    for threads in [1, 2] {
        group.bench_function(
            format!("inflate by the index, {threads} threads"),
            |bencher| {
                bencher.iter(|| read(index.stream(&source, threads).expect("it is its layer")));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, gzip);
criterion_main!(benches);
