//! Conversions: of a layer in memory, and of images in files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Bencher, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::blob_io::{DirectoryOutput, WriterOutput};
use lazyoci::convert::{
    EstargzOptions, EstargzReport, RafsOptions, Source, Streaming, TarOptions, to_estargz, to_rafs,
    to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::rafs_format::Version;
use lazyoci::read::{OpenImage, OpenOptions, open};
use lazyoci_benches::Shape;

fn from_tar(criterion: &mut Criterion) {
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
            let options = RafsOptions::default()
                .compression(compression)
                .threads(threads);
            let name = format!("tar to rafs-v6, {compression}, {threads} threads");
            group.bench_function(name, |bencher| {
                rafs_of(bencher, || Streaming::new(&tar[..]), &options);
            });
        }
    }
    let options = RafsOptions::default().version(Version::V5).threads(2);
    let name = format!("tar to rafs-v5, {}, 2 threads", options.compression);
    group.bench_function(name, |bencher| {
        rafs_of(bencher, || Streaming::new(&tar[..]), &options);
    });
    for (compression, threads) in [
        (Compression::Gzip { level: 6 }, 1),
        (Compression::Libdeflate { level: 6 }, 1),
        (Compression::Libdeflate { level: 6 }, 2),
    ] {
        let options = EstargzOptions::default()
            .compression(compression)
            .threads(threads);
        let name = format!("tar to estargz, {compression}, {threads} threads");
        group.bench_function(name, |bencher| {
            bencher.iter(|| estargz_of(Streaming::new(&tar[..]), &options));
        });
    }
    group.finish();
}

fn from_images(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    let rafs_v6 = directory.path().join("image");
    Shape::CONTENT.rafs(Version::V6, &rafs_v6, 1 << 20);
    let estargz = directory.path().join("layer");
    fs::write(&estargz, Shape::CONTENT.estargz(4 << 20)).expect("there is room");
    let opened = |path: &Path| open(path, &OpenOptions::default()).expect("it was written by us");
    let (rafs_v6, estargz) = (opened(&rafs_v6.join("image.boot")), opened(&estargz));

    let mut group = criterion.benchmark_group("pipeline from images");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(tar_of(&rafs_v6, Compression::None)));
    for (format, image) in [("rafs-v6", &rafs_v6), ("estargz", &estargz)] {
        for compression in [Compression::None, Compression::Zstd { level: 3 }] {
            let name = format!("{format} to tar, {compression}");
            group.bench_function(name, |bencher| bencher.iter(|| tar_of(image, compression)));
        }
    }
    for threads in [1, 2] {
        let options = EstargzOptions::default().threads(threads);
        let name = format!(
            "rafs-v6 to estargz, {}, {threads} threads",
            options.compression
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| estargz_of(&rafs_v6, &options));
        });
        let options = RafsOptions::default().threads(threads);
        let name = format!(
            "estargz to rafs-v6, {}, {threads} threads",
            options.compression
        );
        group.bench_function(name, |bencher| {
            rafs_of(bencher, || &estargz, &options);
        });
    }
    group.finish();
}

/// Converts what `source` gives, each time into a fresh directory that is removed off the clock.
fn rafs_of<'a, S: Into<Source<'a>>>(
    bencher: &mut Bencher<'_>,
    source: impl Fn() -> S,
    options: &RafsOptions,
) {
    let fresh = || tempfile::tempdir().expect("there is room");
    let convert = |directory: tempfile::TempDir| {
        let output = directory.path().join("image");
        let mut output = DirectoryOutput::create(output).expect("nothing is there");
        to_rafs(source(), &mut output, options, &mut ()).expect("the source can be converted");
        directory
    };
    bencher.iter_batched(fresh, convert, BatchSize::PerIteration);
}

/// Converts `source` to a layer that goes nowhere.
fn estargz_of<'a>(source: impl Into<Source<'a>>, options: &EstargzOptions) -> EstargzReport {
    let mut output = WriterOutput::new(std::io::sink());
    let report = to_estargz(source, &mut output, options, &mut ());
    report.expect("the source can be converted")
}

/// Writes the image as a tar to nowhere; the length of the tar.
fn tar_of(image: &OpenImage, compression: Compression) -> u64 {
    let options = TarOptions::default().compression(compression);
    let mut output = WriterOutput::new(std::io::sink());
    let report = to_tar(image, &mut output, &options, &mut ());
    report.expect("the image is sound").blob.len
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3));
    targets = from_tar, from_images
}
criterion_main!(benches);
