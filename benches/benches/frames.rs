//! Frames of every codec.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::frame_codec::{Compression, Decoder, Encoder};
use lazyoci_benches::content::{Kind, bytes};

const COMPRESSIONS: [Compression; 6] = [
    Compression::None,
    Compression::Lz4Block,
    Compression::Zstd { level: 1 },
    Compression::Zstd { level: 3 },
    Compression::Gzip { level: 6 },
    Compression::Libdeflate { level: 6 },
];

fn frames(criterion: &mut Criterion) {
    for len in [64 << 10, 1 << 20] {
        let plain = [
            bytes(Kind::Text, 1, len / 2),
            bytes(Kind::Binary, 2, len / 2),
        ]
        .concat();
        for compression in COMPRESSIONS {
            let mut encoder = Encoder::new(compression).expect("the codec is built in");
            let mut stored = Vec::new();
            encoder
                .encode_frame(&plain, &mut stored)
                .expect("it is short");
            let id =
                |what: &str| BenchmarkId::new(what, format!("{compression}, {} KiB", len >> 10));

            let mut group = criterion.benchmark_group("frames");
            group.throughput(Throughput::Bytes(len as u64));
            let mut out = Vec::with_capacity(2 * len);
            group.bench_function(id("encode"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    encoder.encode_frame(&plain, &mut out)
                });
            });
            let mut decoder = Decoder::new();
            let mut decoded = vec![0; len];
            group.bench_function(id("decode"), |bencher| {
                bencher.iter(|| decoder.decode(compression.codec(), &stored, &mut decoded));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = frames
}
criterion_main!(benches);
