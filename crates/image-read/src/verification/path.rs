//! Verifying whatever is at a path.

use std::path::Path;
use std::sync::Arc;

use blob_io::{Checked, ReadAt};
use image_model::{Cancelled, Progress};
use rafs_format::blob::{BlobError, Section};

use super::digests::Expected;
use super::finding::{Finding, Flaw, ImageObject};
use super::report::Report;
use super::{VerifyOptions, VerifySourceOptions, VerifySummary, alone, image};
use crate::blobs::OpenBlob;
use crate::detect::Format;
use crate::open::{Found, ImageFile, OpenError, OpenOptions, Place};

/// Verifies what is at `path`, as [`verify_image`](super::verify_image) does: an image that
/// [`open`](crate::open) opens, or what it does not:
///
/// * a directory with several blobs in `blobs` and no bootstrap beside them: each is verified, and none
///   of them is the file that a digest is [expected](VerifyOptions#structfield.expect) of;
/// * a RAFS blob whose bootstrap is elsewhere: its chunk information, TOC and digests as they are,
///   and that every chunk decodes to the length that it should have, and has its digest if the blob
///   holds that. The file is opened once. Failure to open it is a finding.
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
    let mut report = Report::new(findings, progress, &open.limits);
    verify(path.as_ref(), open, options, &mut report)?;
    Ok(report.summary)
}

fn verify(
    path: &Path,
    open: &OpenOptions,
    options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    match Place::of(path, open.format) {
        Err(error) => report.add(ImageObject::Image, Flaw::Open(error)),
        Ok(Place::File(path)) => file(&path, open, options, report)?,
        Ok(Place::Blobs(blobs)) => {
            Expected::new(options.expect).expect_no_file(report);
            let options = options.clone().expect(None);
            for blob in blobs {
                file(&blob, open, &options, report)?;
            }
        }
        Ok(Place::Directory(path)) => match crate::open(path, open) {
            Ok(opened) => image::verify(&opened, options, report)?,
            Err(error) => report.add(ImageObject::Image, Flaw::Open(error)),
        },
    }
    Ok(())
}

fn file(
    path: &Path,
    open: &OpenOptions,
    verify: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    match ImageFile::open(path, open) {
        Ok(ImageFile { source, id, blobs }) => {
            let options = VerifySourceOptions {
                id,
                open: open.clone(),
                verify: verify.clone(),
            };
            verify_file(&source, blobs, &options, report)
        }
        Err(error) => {
            report.add(ImageObject::Image, Flaw::Open(error));
            Ok(())
        }
    }
}

/// Verifies what is in `source`, as [`verify_path`] does with a file: `blobs` opens the blobs of a
/// bootstrap, as in [`open_source`](crate::open_source). The ends of the file are read once, whatever it
/// is.
///
/// # Errors
/// [`Cancelled`] if `progress` asks to stop.
pub fn verify_source(
    source: Arc<dyn ReadAt>,
    blobs: impl OpenBlob + 'static,
    options: &VerifySourceOptions,
    progress: &mut dyn Progress,
    findings: &mut dyn FnMut(Finding),
) -> Result<VerifySummary, Cancelled> {
    let mut report = Report::new(findings, progress, &options.open.limits);
    let source: Arc<dyn ReadAt> = Arc::new(Checked::new(source));
    verify_file(&source, blobs, options, &mut report)?;
    Ok(report.summary)
}

fn verify_file(
    source: &Arc<dyn ReadAt>,
    blobs: impl OpenBlob + 'static,
    options: &VerifySourceOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let VerifySourceOptions { id, open, verify } = options;
    let found = match Found::of(source, open) {
        Ok(found) => found,
        Err(error) => {
            report.add(ImageObject::Image, Flaw::Open(error.into()));
            return Ok(());
        }
    };
    let error = match found.open(id.as_ref(), blobs, open, &mut ()) {
        Ok(opened) => return image::verify(&opened, verify, report),
        Err(error) => error,
    };
    report.summary.format = match open.format {
        // It may not be what it was declared to be.
        Some(_) => Format::of(&found.ends).unwrap_or(None),
        None => found.format,
    };
    if has_no_bootstrap(&error) {
        return alone::verify(source, &found.ends, options, report);
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
