//! Images to RAFS v6, eStargz and tar.

use std::sync::Arc;

use lazyoci::convert::{RafsOptions, Source};
use lazyoci::frame_codec::Compression;
use lazyoci::model::diff::{DiffError, DiffObserver, Difference, diff};
use lazyoci::model::{BlobId, DigestAlgorithm, Image, Ino, Limits};
use lazyoci::rafs_format::flags::Compat;
use lazyoci::read::{OpenImage, open_source};
use lazyoci::verify::{self, AuditFault, Profile};

use super::convert_layer::stargz_options;
use super::converted::{
    check_estargz, check_rafs, check_refusal, check_tar, to_rafs_directory, to_stargz,
};
use super::input::Input;
use super::memory::Memory;
use super::open_image::Same;
use super::reading::open_options;
use super::same::see;

/// Most bytes of an image's files.
const MAX_CONTENT: u64 = 1 << 20;

/// Takes choices, the length of a bootstrap, and an image opened by its content: a bootstrap with its
/// blob behind it, or whatever it is; converts it to every format. If it is sound it stays the same
/// tree, in which no difference is found.
pub fn convert_image(data: &[u8]) {
    let input = &mut Input::new(data);
    let options = take_options(input);
    let blocks = usize::from(input.u16());
    let (image, blob) = match input.rest().split_at_checked(blocks * 4096) {
        Some((bootstrap, blob)) if blocks > 0 => (bootstrap, blob),
        _ => (input.rest(), input.rest()),
    };
    let limits = Limits::small();
    let (source, blob) = (Arc::new(Memory(image.to_vec())), Memory(blob.to_vec()));
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let opened = open_source(source, Some(&id), Same(blob), &open_options(false, false));
    let Ok(image) = opened else { return };
    let seen = see(image.image(), &limits);
    let content = seen.iter().flatten().map(|seen| seen.attributes.size);
    if content.fold(0u64, u64::saturating_add) > MAX_CONTENT {
        return;
    }
    let mut tell = |fault: AuditFault| drop(fault.to_string());
    let mut reader = image.reader().clone();
    let summary = verify::audit(image.image(), &mut reader, &limits, &mut tell);
    let sound = summary.expect("nobody cancels").faults == 0;
    if seen.is_none() && content_of(&image, &limits).is_none_or(|len| len > MAX_CONTENT) {
        return;
    }
    let digest = image.tree_digest(Profile::Layer, &mut ());

    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let output = directory.path().join("image");
    let rafs = to_rafs_directory(&image, &output, &options);
    let stargz = to_stargz(&image, &stargz_options(1));
    let Ok(expected) = digest else {
        assert!(!sound, "no fault was found, but there is no digest");
        return;
    };
    if !sound {
        return;
    }
    if let Some(converted) = check_rafs(&rafs, &output, expected) {
        no_difference(&image, &converted);
    }
    match stargz {
        Ok((blob, report)) => check_estargz(&blob, &report, expected),
        Err(error) => check_refusal(&error),
    }
    // What is too much for small limits is not for others.
    let source = Source::from(image.reader());
    check_tar(source.with_limits(Limits::default()), expected);
}

fn take_options(input: &mut Input<'_>) -> RafsOptions {
    let compression = input.one_of(&[
        Compression::None,
        Compression::Lz4Block,
        Compression::Zstd { level: 1 },
    ]);
    let flags = input.byte();
    RafsOptions::default()
        .compression(compression)
        .digest(match flags & 1 {
            0 => DigestAlgorithm::Blake3,
            _ => DigestAlgorithm::Sha256,
        })
        .chunk_size(match flags & 2 {
            0 => 4096,
            _ => 1 << 20,
        })
        .compat(match flags & 4 {
            0 => Compat::V2_4,
            _ => Compat::V2_2,
        })
        .aligned(flags & 8 != 0 && compression == Compression::None)
        .toc(flags & 16 != 0)
        .inline_meta(flags & 32 != 0)
        .threads(1)
}

/// Bytes of all files as far as an audit sees them.
fn content_of(image: &OpenImage, limits: &Limits) -> Option<u64> {
    let mut tell = |fault: AuditFault| drop(fault);
    let mut reader = image.reader().clone();
    let summary = verify::audit_metadata(image.image(), &mut reader, limits, &mut tell);
    summary.ok().map(|summary| summary.content_len)
}

fn no_difference(left: &OpenImage, right: &OpenImage) {
    let mut observer = Reading { left, right };
    let limits = Limits::default();
    let (left, right): (&dyn Image, &dyn Image) = (left.image(), right.image());
    let summary = diff(left, right, &limits, &mut observer).expect("both are sound");
    assert!(summary.same > 0);
}

/// Compares content by reading it, and hears of no difference.
struct Reading<'a> {
    left: &'a OpenImage,
    right: &'a OpenImage,
}

impl DiffObserver for Reading<'_> {
    type Error = DiffError;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), DiffError> {
        panic!("it is another image: {difference:?}");
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, DiffError> {
        let mut contents = [Vec::new(), Vec::new()];
        for (image, ino, content) in [(self.left, left, 0), (self.right, right, 1)] {
            image
                .read_range(ino, 0..u64::MAX, &mut contents[content])
                .expect("both are sound");
        }
        Ok(contents[0] == contents[1])
    }
}
