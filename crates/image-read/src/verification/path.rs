//! Whatever there is at a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::ReadAt;
use image_model::{BlobId, Cancelled, Progress};
use rafs_format::blob::{BlobError, Section};

use super::digests::Expected;
use super::finding::{Finding, Flaw, ImageObject};
use super::report::Report;
use super::{VerifyOptions, VerifySummary, alone, image};
use crate::blobs::OpenBlob;
use crate::detect::Format;
use crate::open::{ImageFile, OpenError, OpenOptions, format_at, is_directory, open, open_source};

/// The bootstrap in a directory with a RAFS image, and the directory of its blobs.
const BOOTSTRAP: &str = "image.boot";
const BLOBS: &str = "blobs";

/// Verifies what is at `path`, as [`verify_image`](super::verify_image) does: an image that
/// [`open`](crate::open) opens, or what it does not:
///
/// * a directory with a RAFS image, the bootstrap `image.boot` and its blobs in `blobs`; or without the
///   bootstrap, when each of the blobs is verified. Any other directory is an image by itself;
/// * a RAFS blob whose bootstrap is elsewhere: its chunk information, TOC and digests as they are, and
///   that every chunk decodes to the length that it should have, and has its digest if the blob holds
///   that.
///
/// The file is opened once. That it cannot be opened is a finding.
///
/// # Errors
/// [`Cancelled`] if `progress` asks to stop.
pub fn verify_path(
    path: impl AsRef<Path>,
    open: &OpenOptions,
    options: &VerifyOptions,
    progress: &mut dyn Progress,
    findings: &mut dyn FnMut(Finding),
) -> Result<VerifySummary, Cancelled> {
    let mut report = Report::new(findings, progress);
    verify(path.as_ref(), open, options, &mut report)?;
    Ok(report.summary)
}

fn verify(
    path: &Path,
    options: &OpenOptions,
    verify_options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    match is_directory(path) {
        Err(error) => report.add(ImageObject::Image, Flaw::Open(error)),
        Ok(false) => file(path, options, verify_options, report)?,
        Ok(true) if path.join(BOOTSTRAP).is_file() => {
            file(&path.join(BOOTSTRAP), options, verify_options, report)?;
        }
        Ok(true) => match blobs(path) {
            Ok(blobs) if !blobs.is_empty() => {
                for blob in blobs {
                    file(&blob, options, verify_options, report)?;
                }
            }
            _ => match open(path, options) {
                Ok(opened) => image::verify(&opened, verify_options, report)?,
                Err(error) => report.add(ImageObject::Image, Flaw::Open(error)),
            },
        },
    }
    Ok(())
}

/// The RAFS blobs in the directory of blobs, by name; none if there is anything else in it.
fn blobs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory.join(BLOBS))?.map(|entry| Ok(entry?.path()));
    let mut blobs = entries.collect::<io::Result<Vec<_>>>()?;
    blobs.sort();
    let is_blob = |path: &PathBuf| {
        let format = path.is_file().then(|| format_at(path));
        matches!(format, Some(Ok(Format::RafsBlob | Format::RafsData)))
    };
    Ok(match blobs.iter().all(is_blob) {
        true => blobs,
        false => Vec::new(),
    })
}

fn file(
    path: &Path,
    options: &OpenOptions,
    verify_options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    match ImageFile::open(path, options) {
        Ok(ImageFile { source, id, blobs }) => verify_file(
            &source,
            id.as_ref(),
            blobs,
            (options, verify_options),
            report,
        ),
        Err(error) => {
            report.add(ImageObject::Image, Flaw::Open(error));
            Ok(())
        }
    }
}

/// Verifies what is in `source`, as [`verify_path`] does with a file: `id` is its name in its store,
/// `blobs` opens the blobs of a bootstrap, as in [`open_source`](crate::open_source).
///
/// # Errors
/// [`Cancelled`] if `progress` asks to stop.
pub fn verify_source(
    source: &Arc<dyn ReadAt>,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    (open, verify): (&OpenOptions, &VerifyOptions),
    progress: &mut dyn Progress,
    findings: &mut dyn FnMut(Finding),
) -> Result<VerifySummary, Cancelled> {
    let mut report = Report::new(findings, progress);
    verify_file(source, id, blobs, (open, verify), &mut report)?;
    Ok(report.summary)
}

fn verify_file(
    source: &Arc<dyn ReadAt>,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    (options, verify): (&OpenOptions, &VerifyOptions),
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let error = match open_source(Arc::clone(source), id, blobs, options) {
        Ok(opened) => return image::verify(&opened, verify, report),
        Err(error) => error,
    };
    report.summary.format = Format::of(&**source).unwrap_or(None);
    if has_no_bootstrap(&error) {
        return alone::verify(source, id, (&options.limits, verify), report);
    }
    let mut expected = Expected::new(verify.expect);
    expected.read_file(&**source, report)?;
    expected.settle(report);
    report.add(ImageObject::Image, Flaw::Open(error));
    Ok(())
}

/// Whether it is a RAFS blob that does not hold a bootstrap.
fn has_no_bootstrap(error: &OpenError) -> bool {
    let section = Section::Bootstrap;
    match error {
        OpenError::NoBootstrap => true,
        OpenError::Blob(error) => *error == BlobError::NoSection { section },
        _ => false,
    }
}
