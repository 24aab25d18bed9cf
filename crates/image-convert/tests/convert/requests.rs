//! How often the blobs of a source are asked for bytes.

use std::sync::Arc;

use blob_io::WriterOutput;
use bytes::Bytes;
use image_read::{NoBlobs, OpenImage, open_source};
use lazyoci_image_convert::{EstargzOptions, Streaming, TarOptions, to_estargz};

use crate::support::{Image, Tar, noise, plain_options, tar_of};

/// A layer of 20 MB, its files in the order of `number`.
fn tar(number: impl Fn(u64) -> u64) -> Vec<u8> {
    let tar = (0..40).fold(Tar::new(), |tar, n| tar.directory(&format!("d{n:02}")));
    let tar = (0..1000u64).map(number).fold(tar, |tar, n| {
        let name = format!("d{:02}/{n:03}", n / 25);
        tar.file(&name, &noise(n, (n as usize * 37) % 40_000))
    });
    tar.file("large", &noise(5000, 3_000_000)).finish()
}

/// An order that no walk has.
fn shuffled(n: u64) -> u64 {
    n * 387 % 1000
}

/// Requests of a mebibyte for all of `bytes`, a tenth more, and eight.
fn most(bytes: u64) -> u64 {
    (bytes as f64 / f64::from(1 << 20) * 1.1) as u64 + 8
}

type Convert<'c> = &'c dyn Fn(&OpenImage);

/// Converts `open()` into each of `targets`; `bytes` are stored in its blob.
fn check(targets: &[&str], bytes: u64, open: impl Fn() -> OpenImage) {
    let options = EstargzOptions::default().threads(2);
    let to_layer = |image: &OpenImage| {
        let mut output = WriterOutput::new(std::io::sink());
        to_estargz(image, &mut output, &options, &mut ()).unwrap();
    };
    let to_rafs = |image: &OpenImage| {
        Image::of(image, &plain_options().chunk_size(1 << 20)).unwrap();
    };
    let to_tar = |image: &OpenImage| {
        tar_of(image, &TarOptions::default()).unwrap();
    };
    let conversions: [(&str, Convert<'_>); 3] =
        [("estargz", &to_layer), ("rafs", &to_rafs), ("tar", &to_tar)];
    for (target, convert) in conversions {
        if !targets.contains(&target) {
            continue;
        }
        let image = open();
        convert(&image);
        let requests = image.stats().requests;
        assert!(requests <= most(bytes), "{target}: {requests}");
    }
}

fn estargz(tar: &[u8]) -> Arc<Bytes> {
    let mut layer = Vec::new();
    let options = EstargzOptions::default().threads(2);
    let mut output = WriterOutput::new(&mut layer);
    to_estargz(Streaming::new(tar), &mut output, &options, &mut ()).unwrap();
    Arc::new(layer.into())
}

#[test]
fn images_are_asked_for_in_long_ranges() {
    let targets = ["estargz", "rafs", "tar"];
    let tar = tar(|n| n);
    let layer = estargz(&tar);
    check(&targets, layer.len() as u64, || {
        open_source(layer.clone(), None, NoBlobs, &Default::default()).unwrap()
    });
    let image = Image::of_tar(&tar, &plain_options().chunk_size(1 << 20));
    check(&targets, image.blob().len() as u64, || {
        image_read::open(image.bootstrap_path(), &Default::default()).unwrap()
    });
}

/// RAFS is stored in whatever order the source has.
#[test]
fn rafs_needs_no_order() {
    let tar = tar(shuffled);
    let layer = estargz(&tar);
    check(&["rafs"], layer.len() as u64, || {
        open_source(layer.clone(), None, NoBlobs, &Default::default()).unwrap()
    });
    let image = Image::of_tar(&tar, &plain_options().chunk_size(1 << 20));
    check(&["rafs"], image.blob().len() as u64, || {
        image_read::open(image.bootstrap_path(), &Default::default()).unwrap()
    });
}
