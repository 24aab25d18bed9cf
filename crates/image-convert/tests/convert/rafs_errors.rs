//! Failures leave nothing behind.

use std::fs;
use std::io::{self, Read};

use image_model::{Blame, Cancelled, Fault, Limits};
use lazyoci_image_convert::{ConvertError, Source, Streaming};
use tar_stream::TarError;

use crate::support::{Image, Tar, convert, files, noise, path, plain_options};

fn tar() -> Vec<u8> {
    let tar = Tar::new();
    let tar = (0..40).fold(tar, |tar, n| tar.file(&format!("{n}"), &noise(n, 30_000)));
    tar.finish()
}

#[test]
fn a_cut_layer() {
    let tar = tar();
    let member = 512 + 30_208;
    for (len, at_member) in [(100, 0), (700, 0), (10 * member + 512 + 29_999, 10)] {
        for threads in [1, 3] {
            let options = plain_options().threads(threads);
            let error = Image::of(Streaming::new(&tar[..len]), &options).err();
            match error {
                Some(ConvertError::Tar(TarError::Cut { offset, .. })) => {
                    assert_eq!(offset, len as u64, "in member {at_member}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Fails after so many bytes.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let tar = tar();
        let at = tar.len() - self.0;
        let len = buf.len().min(700_000 - at.min(700_000)).min(10_000);
        if len == 0 {
            return Err(io::Error::other("the line is dead"));
        }
        buf[..len].copy_from_slice(&tar[at..at + len]);
        self.0 -= len;
        Ok(len)
    }
}

#[test]
fn a_source_that_fails() {
    let error = Image::of(Streaming::new(Failing(tar().len())), &plain_options()).err();
    let error = error.unwrap();
    assert_eq!(error.fault(), Fault::Io);
    match error {
        ConvertError::Tar(TarError::Io { offset, source }) => {
            assert_eq!(
                (offset, source.to_string().as_str()),
                (700_000, "the line is dead")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[cfg(feature = "gzip")]
fn a_damaged_checksum_at_the_end_of_a_layer() {
    let mut layer = Vec::new();
    let mut encoder =
        frame_codec::Encoder::new(frame_codec::Compression::Gzip { level: 1 }).unwrap();
    encoder.encode_frame(&tar(), &mut layer).unwrap();
    let crc = layer.len() - 8;
    layer[crc] ^= 1;
    let error = Image::of(Streaming::new(&layer[..]), &plain_options()).err();
    assert_eq!(error.unwrap().fault(), Fault::Corrupt);
}

#[test]
fn a_cancelled_conversion() {
    let tar = tar();
    for threads in [1, 2] {
        let options = plain_options().threads(threads);
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("image");
        let mut calls = 0;
        let mut progress = |_, _| {
            calls += 1;
            if calls > 20 { Err(Cancelled) } else { Ok(()) }
        };
        let result = convert(Streaming::new(&tar[..]), &output, &options, &mut progress);
        assert!(matches!(result, Err(ConvertError::Cancelled(_))));
        assert_eq!(calls, 21);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn progress_counts_content_up_to_its_total() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("f"), noise(1, 100_000)).unwrap();
    let opened = image_read::open(directory.path(), &Default::default()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    convert(
        &opened,
        &target.path().join("image"),
        &plain_options(),
        &mut |done, total| {
            seen.push((done, total));
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(seen.last(), Some(&(100_000, Some(100_000))));
    assert!(seen.is_sorted());
}

#[test]
fn an_output_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("image");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("mine"), "precious").unwrap();
    let tar = tar();
    let result = convert(Streaming::new(&tar[..]), &output, &plain_options(), &mut ());
    assert_eq!(result.unwrap_err().fault(), Fault::Misuse);
    let mine = ("image/mine".to_owned(), b"precious".to_vec());
    assert_eq!(files(directory.path()), [mine]);
}

#[test]
fn more_chunks_than_allowed() {
    let limits = Limits::default().max_chunks(100);
    let tar = tar();
    let error = Image::of(
        Source::from(Streaming::new(&tar[..])).with_limits(limits),
        &plain_options(),
    )
    .err();
    match error {
        Some(ConvertError::TooManyChunks { path: at, limit }) => {
            // Eight chunks each.
            assert_eq!((at, limit), (path("12"), 100));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_that_make_no_sense() {
    let empty = [0; 1024];
    let cases = [
        plain_options().chunk_size(5000),
        plain_options()
            .aligned(true)
            .compression(frame_codec::Compression::Lz4Block),
        plain_options().compression(frame_codec::Compression::Gzip { level: 6 }),
    ];
    for options in cases {
        let error = Image::of(Streaming::new(&empty[..]), &options).err();
        assert_eq!(error.unwrap().fault(), Fault::Misuse);
    }
}

#[test]
fn entries_that_strict_reading_refuses() {
    let tar = Tar::new()
        .symlink("l", "elsewhere")
        .file("l/f", b"x")
        .finish();
    let error = Image::of(Streaming::new(&tar[..]), &plain_options()).err();
    assert_eq!(error.unwrap().fault(), Fault::Limit);
}
