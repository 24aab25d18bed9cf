//! Plain layers that were opened, or are in a file: content is read where it is, by any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blob_io::{MemoryOutput, ReadAt, ReadError};
use bytes::Bytes;
use image_model::{Blame, Fault, ImagePath, Limits};
use image_read::{NoBlobs, open_source};
use lazyoci_image_convert::{ConvertError, RafsOptions, Source, Streaming, to_rafs};

use crate::bounds::sparse_tar;
use crate::erofs::{converted, digest, of_tar, options};
use crate::support::{Tar, digest_of_tar, noise};

/// A tar that was truncated after it was opened.
struct Torn {
    tar: Vec<u8>,
    torn: AtomicBool,
}

impl ReadAt for Torn {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.tar.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = match self.torn.load(Ordering::Relaxed) {
            true => self.tar.len() / 2,
            false => self.tar.len(),
        };
        self.tar[..len].read_at(offset, buf)
    }
}

/// The error names the file, be it read by EROFS or RAFS.
#[test]
fn an_opened_layer_that_cannot_be_read_any_more() {
    let tar = Tar::new()
        .file("a", &noise(5, 100_000))
        .file("d/b", &noise(6, 100_000))
        .finish();
    let torn = Arc::new(Torn {
        tar,
        torn: false.into(),
    });
    let source = Arc::clone(&torn) as Arc<dyn ReadAt>;
    let layer = open_source(source, None, NoBlobs, &Default::default()).unwrap();
    torn.torn.store(true, Ordering::Relaxed);
    let rafs = RafsOptions::default().threads(2);
    for error in [
        converted(&layer, &options().threads(2)).map(|_| ()),
        to_rafs(&layer, &mut MemoryOutput::default(), &rafs, &mut ()).map(|_| ()),
    ] {
        let Err(ConvertError::Content { path, source }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(path, ImagePath::clean(b"d/b").unwrap());
        assert_eq!(source.fault(), Fault::Corrupt);
    }
}

/// A disk with a bad place.
struct Bad {
    tar: Vec<u8>,
    bad: u64,
}

impl ReadAt for Bad {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.tar.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        if (offset..offset + len).contains(&self.bad) {
            let source = std::io::ErrorKind::Other.into();
            return Err(ReadError::Io {
                offset,
                len,
                source,
            });
        }
        self.tar.read_at(offset, buf)
    }
}

/// Nobody knows the files of a layer that is read for the first time; the error names the file all the same.
#[test]
fn a_layer_in_a_file_that_cannot_be_read() {
    let tar = Tar::new()
        .file("a", &noise(5, 100_000))
        .file("d/b", &noise(6, 3_000_000))
        .file("c", b"c")
        .finish();
    for threads in 1..4 {
        let bad = Arc::new(Bad {
            tar: tar.clone(),
            bad: 2_000_000,
        });
        let layer = Streaming::of_file(bad).unwrap();
        let error = converted(layer, &options().threads(threads)).unwrap_err();
        let ConvertError::Content { path, source } = error else {
            panic!("{error:?}");
        };
        assert_eq!(path, ImagePath::clean(b"d/b").unwrap());
        assert_eq!(source.fault(), Fault::Io);
    }
}

/// Wherever it ends, the error is that of the same bytes from a pipe.
#[test]
fn a_layer_in_a_file_that_ends_early() {
    let tar = Tar::new()
        .file("a", &noise(5, 700_000))
        .directory("d")
        .file("d/b", &noise(6, 100_000))
        .finish();
    let mut cut = 0;
    for len in (0..tar.len()).step_by(50_021).chain([100, 600, tar.len()]) {
        let bytes = Bytes::copy_from_slice(&tar[..len]);
        let piped = converted(Streaming::new(&bytes[..]), &options());
        let layer = Streaming::of_file(Arc::new(bytes.clone())).unwrap();
        let in_file = converted(layer, &options().threads(3));
        match (piped, in_file) {
            (Ok((piped, _)), Ok((in_file, _))) => assert!(piped == in_file, "{len} bytes"),
            (Err(piped), Err(in_file)) => {
                cut += 1;
                assert_eq!(format!("{piped:?}"), format!("{in_file:?}"), "{len} bytes");
            }
            (piped, in_file) => panic!("{len} bytes: {piped:?}, {in_file:?}"),
        }
    }
    assert_eq!(cut, 18);
}

/// Holes in the middle of chunks and between them.
#[test]
fn a_sparse_file_of_an_opened_layer() {
    let data = noise(7, 40 * 512);
    let places = (0..40).map(|n| n * 10_240);
    // The last one says where the file ends.
    let end = (1_000_000, &b""[..]);
    let regions: Vec<_> = places.zip(data.chunks(512)).chain([end]).collect();
    let tar = sparse_tar(1_000_000, &regions);
    let layer = open_source(
        Arc::new(Bytes::from(tar.clone())),
        None,
        NoBlobs,
        &Default::default(),
    );
    let layer = layer.unwrap();
    let (bytes, _) = converted(&layer, &options()).unwrap();
    assert!(bytes == of_tar(&tar, &options()).0);
    assert_eq!(digest(&bytes), digest_of_tar(&tar));
    // Behind a file that is skipped, not all of it comes with its header.
    let mut behind = Tar::new().file("long", &noise(8, 700_000)).finish();
    behind.truncate(512 + 700_000_usize.next_multiple_of(512));
    behind.extend(&tar);
    for tar in [tar.clone(), behind] {
        let in_file = Streaming::of_file(Arc::new(Bytes::from(tar.clone()))).unwrap();
        let (in_file, _) = converted(in_file, &options().threads(2)).unwrap();
        assert!(in_file == of_tar(&tar, &options()).0);
        assert_eq!(digest(&in_file), digest_of_tar(&tar));
    }
    let limited = |len| Source::from(&layer).with_limits(Limits::default().max_content_len(len));
    converted(limited(1_000_000), &options()).unwrap();
    let error = converted(limited(999_999), &options()).unwrap_err();
    assert!(
        matches!(error, ConvertError::TooMuchContent(_)),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
}
