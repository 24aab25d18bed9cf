//! eStargz: footer, TOC, and the image that a TOC describes.

use lazyoci::estargz_toc::compare::{CompareOptions, Disagreement, compare};
use lazyoci::estargz_toc::footer::{self, FOOTER_LEN};
use lazyoci::estargz_toc::image::{EstargzImage, ImageOptions, TocBlob, TocKind, decode_image};
use lazyoci::estargz_toc::open::{OpenError, OpenedToc, Opener, StepMachine as _};
use lazyoci::estargz_toc::toc::Toc;
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::model::{Blame as _, BlobId, Fault, InodeId, Limits};

use super::memory::asked;
use super::same::see;
use super::tar::repair_checksums;

/// Takes the bytes as a blob, as a TOC, and as the tar in a TOC member.
pub fn estargz(data: &[u8]) {
    blob(data);
    toc(data);
    let mut tar = data.to_vec();
    repair_checksums(&mut tar);
    blob(&around(&tar));
}

/// A blob that is a TOC member with this tar, and a footer.
fn around(tar: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Compression::Gzip { level: 0 }).expect("the level exists");
    let mut blob = Vec::new();
    encoder.encode_frame(tar, &mut blob).expect("it is short");
    blob.extend(footer::encode(0));
    blob
}

pub(super) fn options(without_digests: bool) -> ImageOptions {
    let limits = Limits::small();
    ImageOptions::default()
        .without_digests(without_digests)
        .limits(limits)
}

pub(super) fn id() -> BlobId {
    BlobId::new(b"fuzz").expect("it is a name")
}

fn blob(blob: &[u8]) {
    if let Some(footer) = blob.last_chunk::<FOOTER_LEN>() {
        let offset = (blob.len() - FOOTER_LEN) as u64;
        if let Ok(toc_offset) = footer::decode(footer, offset) {
            assert!(toc_offset < offset);
            assert_eq!(&footer::encode(toc_offset), footer);
        }
    }
    match open(blob) {
        Ok(opened) => {
            for without_digests in [false, true] {
                if let Ok(image) = opened.image(id(), &options(without_digests)) {
                    check(&image, opened.toc_offset);
                    with_tar(&image, blob);
                }
            }
        }
        Err(error) => assert_ne!(error.fault(), Fault::Misuse, "{error}"),
    }
}

/// Compares the TOC with the tar inside.
fn with_tar(image: &EstargzImage, blob: &[u8]) {
    for lenient in [false, true] {
        let limits = Limits::small();
        let options = CompareOptions::default().lenient(lenient).limits(limits);
        let mut report = |found: Disagreement| drop(found.to_string());
        if let Err(error) = compare(image, blob, &options, &mut report) {
            let _ = (error.fault(), error.to_string());
        }
    }
}

pub(super) fn open(blob: &[u8]) -> Result<OpenedToc, OpenError> {
    let opener = Opener::new(blob.len() as u64, &Limits::small());
    let toc = opener.drive(asked::<OpenError>(blob))?;
    assert_eq!(toc.check(&toc.digest), Ok(()));
    Ok(toc)
}

fn toc(json: &[u8]) {
    let limits = Limits::small();
    if let Ok(toc) = Toc::from_json(json, &limits) {
        let written = toc.to_json();
        if let Ok(again) = Toc::from_json(&written, &limits) {
            assert_eq!(again, toc);
            assert_eq!(again.to_json(), written);
        } else {
            assert!(written.len() as u64 > limits.max_metadata_len);
        }
    }
    let blob = TocBlob {
        kind: TocKind::Estargz,
        id: id(),
        len: 1 << 40,
        content_len: 1 << 39,
    };
    let strict = decode_image(json, blob.clone(), &options(false));
    let lax = decode_image(json, blob.clone(), &options(true));
    for image in [&strict, &lax] {
        match image {
            Ok(image) => check(image, blob.content_len),
            Err(error) => {
                let _ = (error.fault(), error.to_string());
            }
        }
    }
    if let Ok(strict) = strict {
        assert_eq!(Some(strict), lax.ok());
    }
}

pub(super) fn check(decoded: &EstargzImage, content_len: u64) {
    let image = &decoded.image;
    see(&**image, &Limits::default()).expect("an owned image answers everything");
    let mut end = 0;
    for frame in &image.frames {
        assert!(frame.offset >= end, "frames do not overlap");
        end = frame.offset + u64::from(frame.stored_len);
        assert!(end <= content_len, "frames lie in front of the TOC");
    }
    for index in 0..image.tree.len() as u32 {
        let _ = decoded.file_digest(InodeId::new(index));
    }
}
