//! What only zstd:chunked has: a footer that repeats the annotations, a tar-split, and a tar that can be put together
//! again. And the digest of the tar in any layer.

use std::io;

use blob_io::ReadAt;
use estargz_toc::footer::containers::Pieces;
use estargz_toc::footer::{self, Footer};
use estargz_toc::image::TocKind;
use estargz_toc::tar_split::{TarSplit, check_entries};
use image_model::{Cancelled, Digest};

use super::VerifyOptions;
use super::finding::{Flaw, ImageObject};
use super::report::Report;
use crate::detect::Format;
use crate::open::{OpenError, OpenImage};
use crate::rebuild::{self, Metadata, RebuildError};

/// Verifies what `image` has, if it is a layer.
pub(super) fn verify(
    image: &OpenImage,
    options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let Some(source) = image.source().map(|source| &**source) else {
        return Ok(());
    };
    if let Some(pieces) = image.estargz().and_then(|layer| layer.pieces) {
        check_footer(source, &pieces, report);
    }
    let is_layer = image.format().has_toc() || matches!(image.format(), Format::Tar(_));
    if !options.content || !is_layer {
        return Ok(());
    }
    let metadata = match metadata(image) {
        Ok(metadata) => metadata,
        Err(error) => {
            report.add(ImageObject::Image, flaw(error));
            None
        }
    };
    if metadata.is_none() && options.diff_id.is_none() {
        return Ok(());
    }
    let digest = rebuild::tar_digest(source, image.limits(), &mut || report.again())?;
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => {
            report.add(ImageObject::Image, Flaw::Layer(error));
            return Ok(());
        }
    };
    if let Some(expected) = options.diff_id.filter(|expected| *expected != digest) {
        let found = digest;
        report.add(ImageObject::Image, Flaw::DiffId { expected, found });
    }
    if let Some(metadata) = metadata {
        check_tar_split(image, &metadata, digest, report);
    }
    Ok(())
}

/// The footer, which readers with annotations do not need, against what the image was opened by.
fn check_footer(source: &dyn ReadAt, expected: &Pieces, report: &mut Report<'_>) {
    let read = || {
        let len = source.len()?;
        let start = len.saturating_sub(footer::MAX_LEN as u64);
        // No more than the longest footer.
        let tail = source.read_bytes(start, (len - start) as usize)?;
        Ok((footer::find(&tail, len), start))
    };
    let (footer, start) = match read() {
        Ok(read) => read,
        Err(error) => return report.unread(&ImageObject::Image, error),
    };
    let found = match footer {
        Ok(Footer::Containers(pieces)) => pieces,
        Ok(Footer::ZstdChunked { toc }) => Pieces::new(toc),
        Ok(_) => return,
        Err(error) => {
            let flaw = Flaw::Footer(error);
            return report.add_at(ImageObject::Image, None, Some(start), flaw);
        }
    };
    if found != *expected {
        let (expected, found) = (Box::new(*expected), Box::new(found));
        let flaw = Flaw::Pieces { expected, found };
        report.add_at(ImageObject::Image, None, Some(start), flaw);
    }
}

/// `None` if the layer has no tar-split, or none that can be trusted.
fn metadata(image: &OpenImage) -> Result<Option<Metadata>, RebuildError> {
    let kind = image.estargz().map(|layer| layer.toc.kind);
    if kind != Some(TocKind::Containers) {
        return Ok(None);
    }
    match rebuild::metadata(image) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(RebuildError::NoTarSplit) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An error as what it is about.
fn flaw(error: RebuildError) -> Flaw {
    match error {
        RebuildError::Open(OpenError::Read(source)) => Flaw::Read {
            object: ImageObject::Image,
            source,
        },
        RebuildError::Open(error) => Flaw::Open(error),
        error => Flaw::Rebuild(error),
    }
}

/// The tar-split against the TOC, and with the files against the tar, whose digest is `expected`.
fn check_tar_split(
    image: &OpenImage,
    metadata: &Metadata,
    expected: Digest,
    report: &mut Report<'_>,
) {
    let limits = image.limits();
    let split = match TarSplit::from_lines(&metadata.tar_split, limits) {
        Ok(split) => split,
        Err(error) => return report.add(ImageObject::Image, Flaw::TarSplit(error)),
    };
    let checked = check_entries(&metadata.toc, &split, limits, &mut |found| {
        report.add(ImageObject::Image, Flaw::Split(found));
    });
    if let Err(error) = checked {
        report.add(ImageObject::Image, Flaw::TarSplitTar(error));
    }
    match rebuild::rebuild(image, &split, &mut io::sink()) {
        Ok(found) if found == expected => {}
        Ok(found) => report.add(ImageObject::Image, Flaw::Rebuilt { expected, found }),
        Err(error) => report.add(ImageObject::Image, flaw(error)),
    }
}
