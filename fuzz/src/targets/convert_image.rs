//! Images to RAFS v6, eStargz and tar.

use std::sync::Arc;

use lazyoci::convert::{RafsOptions, Seekable, to_rafs_v6};
use lazyoci::frame_codec::Compression;
use lazyoci::model::diff::{DiffError, DiffObserver, Difference, diff};
use lazyoci::model::{BlobId, DigestAlgorithm, Image, Ino, Limits};
use lazyoci::rafs_format::flags::Compat;
use lazyoci::read::{Frames, OpenImage, OpenOptions, open_source};
use lazyoci::verify::{self, AuditFault, Profile, TreeDigestOptions};

use super::convert_layer::to_stargz;
use super::converted::{check_estargz, check_rafs, check_tar};
use super::input::Input;
use super::memory::Memory;
use super::open_image::Same;
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
    let open_options = OpenOptions::default().limits(limits.clone());
    let (source, blob) = (Arc::new(Memory(image.to_vec())), Memory(blob.to_vec()));
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let Ok(image) = open_source(source, Some(&id), Same(blob), &open_options) else {
        return;
    };
    let seen = see(image.image(), &limits);
    let content = seen.iter().flatten().map(|seen| seen.attributes.size);
    if content.fold(0u64, u64::saturating_add) > MAX_CONTENT {
        return;
    }
    let mut tell = |fault: AuditFault| drop(fault.to_string());
    let summary = verify::audit(image.image(), &mut image.frames(), &limits, &mut tell);
    let sound = summary.expect("nobody cancels").faults == 0;
    if seen.is_none() && content_of(&image, &limits).is_none_or(|len| len > MAX_CONTENT) {
        return;
    }
    let digest_options = TreeDigestOptions {
        profile: Profile::Layer,
        limits: limits.clone(),
    };
    let digest = verify::tree_digest(image.image(), &mut image.frames(), digest_options, &mut ());

    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let output = directory.path().join("image");
    let seekable = || {
        let source = Seekable::opened(&image).expect("its blob is in memory");
        source.limits(limits.clone())
    };
    let rafs = to_rafs_v6(seekable(), &output, &options, &mut ());
    let stargz = to_stargz(seekable(), 1);
    assert_eq!(output.exists(), rafs.is_ok());
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
        Err(error) => super::converted::check_refusal(&error),
    }
    check_tar(image.image(), &mut image.frames(), expected);
}

fn take_options(input: &mut Input<'_>) -> RafsOptions {
    let compression = input.one_of(&[
        Compression::None,
        Compression::Lz4Block,
        Compression::Zstd { level: 1 },
    ]);
    let flags = input.byte();
    RafsOptions {
        compression,
        digest: match flags & 1 {
            0 => DigestAlgorithm::Blake3,
            _ => DigestAlgorithm::Sha256,
        },
        chunk_size: match flags & 2 {
            0 => 4096,
            _ => 1 << 20,
        },
        compat: match flags & 4 {
            0 => Compat::V2_4,
            _ => Compat::V2_2,
        },
        aligned: flags & 8 != 0 && compression == Compression::None,
        toc: flags & 16 != 0,
        inline_meta: flags & 32 != 0,
        threads: 1,
        ..RafsOptions::default()
    }
}

/// Bytes of all files as far as an audit sees them.
fn content_of(image: &OpenImage, limits: &Limits) -> Option<u64> {
    let mut tell = |fault: AuditFault| drop(fault);
    let summary = verify::audit_metadata(image.image(), limits, &mut tell);
    summary.ok().map(|summary| summary.content_len)
}

fn no_difference(left: &OpenImage, right: &OpenImage) {
    let mut observer = Reading {
        left: left.frames(),
        right: right.frames(),
    };
    let limits = Limits::default();
    let (left, right): (&dyn Image, &dyn Image) = (left.image(), right.image());
    let summary = diff(left, right, &limits, &mut observer).expect("both are sound");
    assert!(summary.same > 0);
}

/// Compares content by reading it, and hears of no difference.
struct Reading<'a> {
    left: Frames<'a>,
    right: Frames<'a>,
}

impl DiffObserver for Reading<'_> {
    type Error = DiffError;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), DiffError> {
        panic!("it is another image: {difference:?}");
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, DiffError> {
        let mut contents = [Vec::new(), Vec::new()];
        for (frames, ino, content) in [(&mut self.left, left, 0), (&mut self.right, right, 1)] {
            frames
                .read_range(ino, 0..u64::MAX, &mut contents[content])
                .expect("both are sound");
        }
        Ok(contents[0] == contents[1])
    }
}
