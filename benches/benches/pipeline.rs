//! Conversions, from a layer in memory to files.

use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::convert::{EstargzOptions, RafsOptions, Streaming, TarOptions};
use lazyoci::convert::{to_estargz, to_rafs_v6, to_tar};
use lazyoci::frame_codec::Compression;
use lazyoci::read::{OpenOptions, open};
use lazyoci_benches::Shape;

fn pipeline(criterion: &mut Criterion) {
    let tar = Shape::CONTENT.tar();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(tar.len() as u64));
    for threads in [1, 2] {
        for compression in [
            Compression::None,
            Compression::Lz4Block,
            Compression::Zstd { level: 3 },
        ] {
            let options = RafsOptions {
                compression,
                threads,
                ..RafsOptions::default()
            };
            let name = format!("tar to rafs-v6, {compression}, {threads} threads");
            group.bench_function(name, |bencher| {
                let fresh = || tempfile::tempdir().expect("there is room");
                let convert = |directory: tempfile::TempDir| {
                    let output = directory.path().join("image");
                    to_rafs_v6(Streaming::new(&tar[..]), &output, &options, &mut ())
                        .expect("the layer can be converted");
                    directory
                };
                bencher.iter_batched(fresh, convert, BatchSize::PerIteration);
            });
        }
    }
    for (compression, threads) in [
        (Compression::Gzip { level: 6 }, 1),
        (Compression::Libdeflate { level: 6 }, 1),
        (Compression::Libdeflate { level: 6 }, 2),
    ] {
        let options = EstargzOptions {
            compression,
            threads,
            ..EstargzOptions::default()
        };
        let name = format!("tar to estargz, {compression}, {threads} threads");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let source = Streaming::new(&tar[..]);
                to_estargz(source, &mut std::io::sink(), &options, &mut ())
                    .expect("the layer can be converted")
            });
        });
    }
    group.finish();
}

fn back(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("image");
    Shape::CONTENT.rafs_v6(&path, 1 << 20);
    let bytes = tar_of(&path, Compression::None);
    let mut group = criterion.benchmark_group("pipeline back");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(bytes));
    for compression in [Compression::None, Compression::Zstd { level: 3 }] {
        let name = format!("rafs-v6 to tar, {compression}");
        group.bench_function(name, |bencher| bencher.iter(|| tar_of(&path, compression)));
    }
    group.finish();
}

/// Writes the image as a tar to nowhere; the length of the tar.
fn tar_of(directory: &Path, compression: Compression) -> u64 {
    let path = directory.join("image.boot");
    let image = open(&path, &OpenOptions::default()).expect("it was written by us");
    let options = TarOptions {
        compression,
        ..TarOptions::default()
    };
    let mut sink = std::io::sink();
    let report = to_tar(
        image.image(),
        &mut image.frames(),
        &mut sink,
        &options,
        &mut (),
    );
    report.expect("the image is sound").bytes_out
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3));
    targets = pipeline, back
}
criterion_main!(benches);
