//! Plain layers that were opened: content is read where it is, by any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blob_io::{MemoryOutput, ReadAt, ReadError};
use bytes::Bytes;
use image_model::{Blame, Fault, ImagePath, Limits};
use image_read::{NoBlobs, open_source};
use lazyoci_image_convert::{ConvertError, RafsOptions, Source, to_rafs};

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
    let limited = |len| Source::from(&layer).with_limits(Limits::default().max_content_len(len));
    converted(limited(1_000_000), &options()).unwrap();
    let error = converted(limited(999_999), &options()).unwrap_err();
    assert!(
        matches!(error, ConvertError::TooMuchContent(_)),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
}
