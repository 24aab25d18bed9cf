//! Layers: decompression, members, trees; and tars written.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::blob_io::{ReadAt, ReadError};
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::read::LayerImage;
use lazyoci::tar_stream::{TarReadOptions, TarReader, TarWriter};
use lazyoci_benches::Shape;

#[derive(Debug)]
struct Memory(Vec<u8>);

impl ReadAt for Memory {
    fn len(&self) -> Result<u64, ReadError> {
        ReadAt::len(&*self.0)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.as_slice().read_at(offset, buf)
    }
}

fn members(layer: &[u8]) -> usize {
    let reader = TarReader::open_layer(layer, TarReadOptions::default());
    let mut reader = reader.expect("it is a layer");
    let mut count = 0;
    while let Some(entry) = reader.next_entry().expect("it is a tar") {
        black_box(entry.path);
        count += 1;
    }
    count
}

fn rebuild(tar: &[u8]) -> u64 {
    let mut reader = TarReader::new(tar, TarReadOptions::default());
    let mut writer = TarWriter::new(io::sink());
    while let Some(entry) = reader.next_entry().expect("it is a tar") {
        writer
            .append_raw(entry.raw(), entry.payload_len)
            .expect("a sink takes all bytes");
        io::copy(&mut reader, &mut writer).expect("a sink takes all bytes");
    }
    writer.flush().expect("a sink takes all bytes");
    writer.position()
}

fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    let mut layer = Vec::new();
    let mut encoder = Encoder::new(compression).expect("the codec is built in");
    encoder
        .encode_frame(tar, &mut layer)
        .expect("it is no longer than 4 GiB");
    layer
}

fn tar(criterion: &mut Criterion) {
    let small_files = Shape::METADATA.tar();
    let mut group = criterion.benchmark_group("tar");
    group.throughput(Throughput::Elements(members(&small_files) as u64));
    group.bench_function("members", |bencher| bencher.iter(|| members(&small_files)));
    group.bench_function("rebuild", |bencher| bencher.iter(|| rebuild(&small_files)));
    let source = Arc::new(Memory(small_files));
    group.bench_function("tree", |bencher| {
        bencher.iter_with_large_drop(|| LayerImage::open(source.clone(), &Default::default()));
    });
    group.finish();

    let tar = Shape::CONTENT.tar();
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(tar.len() as u64));
    group.bench_function("plain", |bencher| bencher.iter(|| members(&tar)));
    for compression in [
        Compression::Gzip { level: 6 },
        Compression::Zstd { level: 3 },
    ] {
        let layer = compress(&tar, compression);
        let name = compression.to_string();
        group.bench_function(name, |bencher| bencher.iter(|| members(&layer)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = tar
}
criterion_main!(benches);
