//! An image that is open, with its blobs.

use std::collections::HashSet;
use std::sync::Arc;

use erofs_format::ErofsImage;
use estargz_toc::image::EstargzImage;
use image_model::{BlobId, BlobIndex, Cancelled, Fault};
use rafs_format::Bootstrap;
use rafs_format::blob::Toc;
use rafs_format::v7::V7Image;
use tar_stream::Compression;
use verify::{AuditFault, AuditObserver, ChunkFault, audit, audit_metadata};

use super::VerifyOptions;
use super::blob::{BlobFile, Listed, is_foreign};
use super::chunked;
use super::digests::Expected;
use super::estargz::{self, Comparison};
use super::finding::{Flaw, ImageObject};
use super::planned::Planned;
use super::report::Report;
use super::separate;
use super::tap::{Tap, Taps};
use super::v7;
use crate::detect::Format;
#[cfg(feature = "gzip-index")]
use crate::layer::LayerIndexError;
use crate::open::OpenImage;
use crate::reader::Reader;

/// Verifies `image`.
pub(super) fn verify(
    image: &OpenImage,
    options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    report.summary.format = Some(image.format());
    let advisories = image.advisories().clone();
    report.summary.advisories.append(advisories);
    let mut expected = Expected::new(options.expect);
    if let Some(bootstrap) = image.bootstrap() {
        let file = image.format() != Format::RafsBlob;
        let what = if file { "the file" } else { "its bootstrap" };
        expected.add_bytes(what, bootstrap.bytes());
        if file {
            std::mem::take(&mut expected).settle(report);
            // Who hears that it is another file may not care what else is wrong with it.
            report.again()?;
        }
        let checked = bootstrap.check(&mut |found| {
            let (path, offset) = (found.path.clone(), Some(found.offset));
            report.add_at(ImageObject::Image, path, offset, Flaw::Bootstrap(found));
        });
        report.summary.advisories.append(checked.advisories);
    }
    if let Some(erofs) = image.erofs() {
        erofs.check(&mut |found| {
            let (path, offset) = (found.path.clone(), Some(found.offset));
            report.add_at(ImageObject::Image, path, offset, Flaw::Erofs(found));
        });
    }
    if let Some(bootstrap) = image.v7().and_then(V7Image::bootstrap) {
        expected.add_bytes("its bootstrap", bootstrap);
    }
    estargz::check_disguise(image, report);
    let toc = image.estargz().map(|estargz| &estargz.toc);
    if let Some(toc) = toc {
        expected.add("its TOC", toc.digest);
    }

    #[cfg(feature = "gzip-index")]
    if let Some(index) = image.layer_index() {
        expected.add_bytes("its index", index.bytes());
    }

    let blobs = plan(image, options, &mut expected, report);
    match toc.filter(|_| options.content) {
        Some(toc) => content_and_tar(image, toc, options, (blobs, &mut expected), report)?,
        None => {
            let taps = tap(image, blobs);
            content(image, options, &taps, report)?;
            settle(&taps, &mut expected, report)?;
        }
    }
    #[cfg(feature = "gzip-index")]
    compare_with_index(image, options, report)?;
    chunked::verify(image, options, report)?;
    match image.source() {
        Some(source) => expected.read_file(&**source, report)?,
        None => expected.expect_no_file(report),
    }
    #[cfg(feature = "gzip-index")]
    if let Some(index) = image.layer_index()
        && options.content
        && !expected.is_of_file()
    {
        for range in index.unvouched() {
            report.unvouched(&ImageObject::Image, range);
        }
    }
    expected.settle(report);
    Ok(())
}

/// Compares a layer with its index: content is read by it, and so is the tree.
#[cfg(feature = "gzip-index")]
fn compare_with_index(
    image: &OpenImage,
    options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let (Some(index), Some(source)) = (image.layer_index(), image.source()) else {
        return Ok(());
    };
    if !options.content {
        return Ok(());
    }
    match index.compare(source, image.limits(), &mut ()) {
        Ok(()) => {}
        Err(LayerIndexError::Cancelled(cancelled)) => return Err(cancelled),
        Err(error) => report.add(ImageObject::Image, Flaw::Index(error)),
    }
    Ok(())
}

/// What to do with each blob; `None` for those that cannot be read, which are reported.
fn plan(
    image: &OpenImage,
    options: &VerifyOptions,
    expected: &mut Expected,
    report: &mut Report<'_>,
) -> Vec<Option<Planned>> {
    let count = image.image().blobs().len();
    if let Some(bootstrap) = image.bootstrap() {
        check_orphan(image, bootstrap, report);
        let indexes = (0..).take(count).map(BlobIndex);
        return indexes
            .map(|index| plan_rafs(image, bootstrap, index, options, expected, report))
            .collect();
    }
    if image.erofs().is_some() {
        let indexes = (0..).take(count).map(BlobIndex);
        return indexes
            .map(
                |index| match image.v7().and_then(|image| image.blob(index)) {
                    Some(blob) => Some(v7::plan(image, (index, blob), options, expected, report)),
                    None => plan_device(image, index, options, report),
                },
            )
            .collect();
    }
    // A file that holds the content as it is, or that is compared with its TOC.
    let is_file = image.estargz().is_some() || image.format() == Format::Tar(Compression::None);
    let object = ImageObject::Image;
    let mut blobs: Vec<_> = (0..count)
        .map(|_| Some(Planned::unread(object.clone())))
        .collect();
    if let Some(Some(blob)) = blobs.first_mut()
        && is_file
        && options.content
    {
        blob.is_file = true;
        blob.want(expected);
        if image.estargz().is_some() {
            blob.sinks.get_or_insert_default();
        }
    }
    blobs
}

/// Tells if the blob that was opened is none of those that the bootstrap in it lists, but has chunks. The
/// image itself needs none of them, or blobs that are called otherwise.
fn check_orphan(image: &OpenImage, bootstrap: &Bootstrap, report: &mut Report<'_>) {
    let source = image
        .source()
        .filter(|_| image.format() == Format::RafsBlob);
    let mut entries = bootstrap.blob_entries().iter();
    if let Some(source) = source
        && !entries.any(|entry| entry.is_self() || entry.is_separate())
        && let Some(blob) = BlobFile::open(ImageObject::Image, &**source, image.limits(), report)
        && blob.holds_chunks()
    {
        report.add(ImageObject::Image, Flaw::Orphan);
    }
}

/// A device of an EROFS image; the first is the image itself.
fn plan_device(
    image: &OpenImage,
    index: BlobIndex,
    options: &VerifyOptions,
    report: &mut Report<'_>,
) -> Option<Planned> {
    let object = match index {
        BlobIndex(0) => ImageObject::Image,
        BlobIndex(index) => ImageObject::Blob(image.image().blobs()[index as usize].id.clone()),
    };
    let slots = image.erofs().map_or(&[][..], ErofsImage::devices);
    let slot = (index.0 as usize)
        .checked_sub(1)
        .and_then(|at| slots.get(at));
    let needed = slot.is_some_and(|slot| image.erofs().is_some_and(|erofs| !erofs.holds(slot)));
    if options.content
        && needed
        && let Err(error) = image.blobs().blob(index)
    {
        report.add(object, Flaw::Unopened(error));
        return None;
    }
    Some(Planned::unread(object))
}

fn plan_rafs(
    image: &OpenImage,
    bootstrap: &Bootstrap,
    index: BlobIndex,
    options: &VerifyOptions,
    expected: &mut Expected,
    report: &mut Report<'_>,
) -> Option<Planned> {
    let entry = &bootstrap.blob_entries()[index.0 as usize];
    let id = &image.image().blobs()[index.0 as usize].id;
    let object = ImageObject::Blob(id.clone());
    let is_file = image.format() == Format::RafsBlob && entry.is_self();
    if is_foreign(entry) || !(options.content || is_file) {
        return Some(Planned::unread(object));
    }
    if entry.is_separate() {
        separate::inspect(image, (bootstrap, index), expected, report)?;
    }
    let source = match image.blobs().blob(index) {
        Ok(source) => source,
        Err(error) => {
            report.add(object, Flaw::Unopened(error));
            return None;
        }
    };
    if entry.is_separate() {
        report.summary.blobs += 1;
        separate::compare_bytes(image, index, source, report);
        return Some(Planned::native(object, id.clone(), None));
    }
    let blob = BlobFile::open(object.clone(), source, image.limits(), report)?;
    report.summary.blobs += 1;
    let inspected = blob.inspect(Listed::By(bootstrap, index), report);
    let toc = inspected
        .as_ref()
        .and_then(|found| found.sections.toc.as_ref());
    if is_file && let Some(toc) = toc {
        expected.add("its TOC", Toc::digest(toc));
    }
    if !options.content {
        return Some(Planned::unread(object));
    }
    let mut planned = Planned::native(object, id.clone(), inspected);
    planned.is_file = is_file;
    if is_file {
        planned.want(expected);
    }
    Some(planned)
}

/// The blobs as they are read.
type Tapped = Vec<Option<(Planned, Arc<Tap>)>>;

fn tap(image: &OpenImage, blobs: Vec<Option<Planned>>) -> Tapped {
    let reader = image.reader();
    let tap = |(index, blob): (u32, Option<Planned>)| {
        let mut blob = blob?;
        let sinks = blob.sinks.take();
        let tap = Tap::new(reader, BlobIndex(index), sinks);
        Some((blob, Arc::new(tap)))
    };
    (0..).zip(blobs).map(tap).collect()
}

/// The tree, and the content of files as far as it is wanted.
fn content(
    image: &OpenImage,
    options: &VerifyOptions,
    blobs: &Tapped,
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let mut told = HashSet::new();
    for (listed, blob) in image.image().blobs().iter().zip(blobs) {
        if blob.is_none() {
            told.insert(listed.id.clone());
        }
    }
    let taps = blobs.iter().map(|blob| Some(Arc::clone(&blob.as_ref()?.1)));
    let taps = Taps {
        reader: image.reader().clone(),
        taps: taps.collect(),
    };
    let mut reader: Reader = taps.tapped(options.threads);
    let mut observer = Observer { told, report };
    let (image, limits) = (image.image(), image.limits());
    let summary = match options.content {
        true => audit(image, &mut reader, limits, &mut observer)?,
        false => audit_metadata(image, &mut reader, limits, &mut observer)?,
    };
    report.summary.audit = summary;
    Ok(())
}

/// Reads what is left of the blobs, and compares their digests. Whether all could be read.
fn settle(
    blobs: &Tapped,
    expected: &mut Expected,
    report: &mut Report<'_>,
) -> Result<bool, Cancelled> {
    let mut complete = true;
    for (blob, tap) in blobs.iter().flatten() {
        complete &= blob.settle(tap, expected, report)?;
    }
    Ok(complete)
}

/// Content, and the tar inside against `toc`, for which the layer is read once.
fn content_and_tar(
    image: &OpenImage,
    toc: &EstargzImage,
    options: &VerifyOptions,
    (mut blobs, expected): (Vec<Option<Planned>>, &mut Expected),
    report: &mut Report<'_>,
) -> Result<(), Cancelled> {
    let compare = estargz::compare_options(image, options);
    // The taps hold the other end of the comparison's pipe, so they must be dropped before the scope ends.
    std::thread::scope(|scope| {
        let layer = blobs
            .iter_mut()
            .flatten()
            .find_map(|blob| blob.sinks.as_mut());
        let comparison = layer.map(|sinks| Comparison::start(scope, toc, &compare, sinks));
        let taps = tap(image, blobs);
        content(image, options, &taps, report)?;
        let complete = settle(&taps, expected, report)?;
        drop(taps);
        if let Some(comparison) = comparison {
            let layer = image.source().filter(|_| complete);
            comparison.finish((toc, &compare), layer.map(|layer| &**layer), report);
        }
        estargz::check_landmarks(toc, image.reader(), report);
        Ok(())
    })
}

/// Hears of an audit.
struct Observer<'a, 'r> {
    /// Blobs that cannot be read, of which more is not told.
    told: HashSet<BlobId>,
    report: &'a mut Report<'r>,
}

impl AuditObserver for Observer<'_, '_> {
    fn fault(&mut self, fault: AuditFault) {
        let path = Some(fault.path().clone());
        let (mut object, mut offset) = (ImageObject::Image, None);
        if let AuditFault::Content { fault, .. } = &fault {
            if let ChunkFault::Unopened { blob, .. } = fault
                && self.told.contains(blob)
            {
                return;
            }
            if let Some(at) = fault.stored_at() {
                offset = Some(at.frame_offset);
                object = at.blob_id.clone().map_or(object, ImageObject::Blob);
            }
        }
        self.report.add_at(object, path, offset, Flaw::Audit(fault));
    }

    fn untold(&mut self, fault: Fault) {
        self.report.add_untold(fault);
    }

    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        self.report.advance(done, total)
    }
}
