//! RAFS v6: opening, looking up, decoding, encoding, reading.

mod names;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Image as _, Limits};
use lazyoci::rafs_format::Version;
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::flags::SuperFlags;
use lazyoci::rafs_format::v6::{Bootstrap, Layout, LayoutInput, LayoutOptions};
use lazyoci::read::{OpenOptions, open};
use lazyoci::verify::Profile;
use lazyoci_benches::Shape;
use lazyoci_benches::lookups::{CHUNK_SIZE, COUNT, RafsV6, prepare};
use lazyoci_benches::reading::{count_paths, files, places, read_all, read_places};

use names::bench_names;

fn metadata(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    prepare(directory.path());
    let image = RafsV6::open(directory.path());
    let bootstrap = &image.names.image;
    let bytes = bootstrap.bytes().clone();
    let limits = Limits::default();

    let mut group = criterion.benchmark_group("rafs-v6");
    group.bench_function("open", |bencher| {
        bencher.iter(|| Bootstrap::open(black_box(bytes.clone()), &limits));
    });

    bench_names(&mut group, &image.names, "frame");
    group.bench_function("address to chunk", |bencher| {
        bencher.iter(|| image.find_addresses());
    });
    group.bench_function("digest to frame", |bencher| {
        bencher.iter(|| image.find_digests())
    });
    let (ino, offset) = image.names.places[0];
    group.throughput(Throughput::Elements(image.copy.places.len() as u64));
    let entries = bootstrap.blob_entries();
    group.bench_function("decode chunk information", |bencher| {
        let decoder = &mut Decoder::new();
        bencher.iter_with_large_drop(|| {
            let stored = black_box(&image.stored_meta);
            BlobMeta::decode(&entries[0], stored, decoder, &limits).expect("it was written by us")
        });
    });
    group.bench_function("first offset to frame", |bencher| {
        let open = || Bootstrap::open(bytes.clone(), &limits).expect("it was written by us");
        let first = |bootstrap: Bootstrap| {
            let mut stop = |_| std::ops::ControlFlow::Break(());
            let answer = bootstrap.extents(ino, offset..offset + 1, &mut stop);
            answer.expect("the file is sound");
            bootstrap
        };
        bencher.iter_batched(open, first, BatchSize::LargeInput);
    });

    let input = LayoutInput {
        image: &image.copy.image,
        places: &image.copy.places,
        entries,
    };
    group.throughput(Throughput::Elements(input.image.tree.len() as u64));
    group.bench_function("walk", |bencher| bencher.iter(|| count_paths(bootstrap)));
    group.bench_function("decode", |bencher| {
        bencher.iter_with_large_drop(|| bootstrap.to_chunked());
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| bootstrap.check(&mut |finding| panic!("{finding}")));
    });
    let flags = bootstrap.ext_superblock().flags;
    let options = LayoutOptions::default()
        .chunk_size(CHUNK_SIZE)
        .compressor(flags.compressor())
        .digester(flags.digester())
        .explicit_ids(flags.contains(SuperFlags::EXPLICIT_UID_GID));
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

fn content(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("image");
    Shape::CONTENT.rafs(Version::V6, &path, 1 << 20);
    let image =
        open(path.join("image.boot"), &OpenOptions::default()).expect("it was written by us");
    let files = files(image.image());
    let mut group = criterion.benchmark_group("rafs-v6 content");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(read_all(&image, &files, 1)));
    for threads in [1, 2] {
        group.bench_function(
            format!("read all files, lz4, blake3, {threads} threads"),
            |bencher| bencher.iter(|| read_all(&image, &files, threads)),
        );
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
