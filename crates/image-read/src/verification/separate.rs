//! What describes a layer that is a blob as it was.

use std::sync::Arc;

use blob_io::ReadAt;
use image_model::{BlobIndex, Digest, DigestAlgorithm};
use rafs_format::Bootstrap;
use rafs_format::blob::{BlobError, Section, Toc, ZranFault};

use super::blob::{BlobFile, Listed};
use super::digests::Expected;
use super::finding::{Flaw, ImageObject};
use super::report::Report;
use crate::detect::Format;
use crate::open::{OpenError, OpenImage, open_beside};

/// Looks at the file that describes blob number `index`: that which holds the bootstrap, or one of its own, whose digest
/// the bootstrap says. `None` if it cannot be read, which was told.
pub(super) fn inspect(
    image: &OpenImage,
    (bootstrap, index): (&Bootstrap, BlobIndex),
    expected: &mut Expected,
    report: &mut Report<'_>,
) -> Option<()> {
    let entry = &bootstrap.blob_entries()[index.0 as usize];
    let inlined = image.format() == Format::RafsBlob && entry.meta_id().is_none();
    let (object, source) = match image.source().filter(|_| inlined) {
        Some(opened) => (ImageObject::Image, Arc::clone(opened)),
        None => {
            let id = entry.meta_id().unwrap_or_else(|| entry.id.clone());
            let object = ImageObject::Blob(id);
            match open_beside(image.rafs(), image.blobs(), index) {
                Ok(source) => (object, source),
                Err(OpenError::Store(error)) => {
                    report.add(object, Flaw::Unopened(error));
                    return None;
                }
                Err(error) => {
                    report.add(object, Flaw::Open(error));
                    return None;
                }
            }
        }
    };
    let file = BlobFile::open(object.clone(), &*source, image.limits(), report)?;
    let found = file.inspect(Listed::By(bootstrap, index), report)?;
    if inlined && let Some(toc) = &found.sections.toc {
        expected.add("its TOC", Toc::digest(toc));
    }
    let toc = found.sections.toc.as_ref();
    if let Some(listed) = toc.and_then(|toc| toc.entry(Section::Data).ok()) {
        let front = file.digest(found.sections.digested_data(), report)?;
        if listed.digest != front {
            let what = Flaw::Data {
                object: object.clone(),
                expected: listed.digest,
                found: front,
            };
            report.add(object.clone(), what);
        }
    }
    if inlined {
        let vouched = toc.is_some() || expected.of_file().is_some();
        for range in found.unvouched.iter().filter(|_| !vouched) {
            report.unvouched(&object, range.clone());
        }
        return Some(());
    }
    let called = Digest::new(DigestAlgorithm::Sha256, entry.meta_digest);
    let found = file.digest(0..found.sections.len, report)?;
    if found != called {
        let what = Flaw::Name {
            object: object.clone(),
            found,
        };
        report.add(object, what);
    }
    Some(())
}

/// Compares the bytes that contexts repeat with those of the layer `source`: readers may use either.
pub(super) fn compare_bytes(
    image: &OpenImage,
    index: BlobIndex,
    source: &dyn ReadAt,
    report: &mut Report<'_>,
) {
    let Some(meta) = image.rafs().and_then(|rafs| rafs.meta(index)) else {
        return;
    };
    for number in 0..meta.context_count() {
        // One that is wrong was reported.
        let Ok(Some(context)) = meta.context(number) else {
            continue;
        };
        if context.bits == 0 {
            continue;
        }
        let mut byte = [0];
        // What cannot be read is told when the content is.
        if source.read_at(context.stored_offset(), &mut byte).is_err() {
            return;
        }
        let mask = u8::MAX << (8 - context.bits);
        if byte[0] & mask != context.byte & mask {
            let fault = ZranFault::Byte {
                offset: context.stored_offset(),
                byte: context.byte,
                found: byte[0],
            };
            let error = BlobError::Context {
                index: number,
                fault,
            };
            let id = image.image().blobs()[index.0 as usize].id.clone();
            report.blob_error(&ImageObject::Blob(id), None, error);
        }
    }
}
