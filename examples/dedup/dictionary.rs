//! Dictionary files of the chunks that images store.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use lazyoci::blob_io::{DigestWriter, ObjectRole, Written};
use lazyoci::chunk_dedup::{
    BuildOptions, DictionaryBuilder, ImageDictionary, PlacedDictionary as _, Summary,
};
use lazyoci::convert::add_to_dictionary;
use lazyoci::model::{BlobIndex, DigestAlgorithm};
use lazyoci::rafs_format::BlobPool;

use crate::Args;
use crate::common::Failure;
use crate::common::bootstrap::Named;
use crate::common::progress::Bar;

/// A dictionary that was written.
pub(crate) struct Dictionary {
    pub(crate) written: Written,
    pub(crate) summary: Summary,
}

/// Writes the chunks of all images to `target`: of RAFS images, or of eStargz layers.
pub(crate) fn write(
    args: &Args,
    target: &Path,
    out: &mut dyn Write,
) -> Result<Dictionary, Failure> {
    let builder = match rafs(args)? {
        Some(builder) => builder,
        None => estargz(args)?,
    };
    let mut output = args.outputs.file(target, out)?;
    let mut object = DigestWriter::new(output.begin(ObjectRole::Blob)?);
    let mut bar = Bar::new("writing");
    let summary = builder.finish(&mut object, &mut bar)?;
    let (object, written) = object.finish();
    object.finish(&written)?;
    output.commit()?;
    Ok(Dictionary { written, summary })
}

fn temporary() -> Result<File, Failure> {
    tempfile::tempfile().map_err(Failure::usage)
}

/// The chunks of RAFS images; `None` if the first image is something else.
fn rafs(args: &Args) -> Result<Option<DictionaryBuilder<File>>, Failure> {
    let first = args.open.open(&args.images[0])?;
    if first.bootstrap().is_none() {
        return Ok(None);
    }
    drop(first);
    let mut pool = BlobPool::default();
    for path in &args.images {
        let of = |failure: Failure| failure.of(path.display());
        let image = Named::open(path, &args.open)?;
        let added = pool.add(image.bootstrap(), image.own_blob.as_ref());
        added.map_err(|error| of(error.into()))?;
    }
    let Some(shape) = pool.shape() else {
        return Ok(None);
    };
    let options = BuildOptions::default().profile(shape.to_bytes());
    let mut builder = DictionaryBuilder::new(shape.digester.into(), temporary()?, options);
    add_to_dictionary(&pool, &args.repository, &mut builder)?;
    Ok(Some(builder))
}

/// The chunks that TOCs list.
fn estargz(args: &Args) -> Result<DictionaryBuilder<File>, Failure> {
    let options = BuildOptions::default().profile(*b"TOC");
    let mut builder = DictionaryBuilder::new(DigestAlgorithm::Sha256, temporary()?, options);
    for path in &args.images {
        let image = args.open.open(path)?;
        let Some(layer) = image.estargz() else {
            let what = format!("{}: neither RAFS nor eStargz as the others", image.format());
            return Err(Failure::usage(what).of(path.display()));
        };
        let dictionary = ImageDictionary::of(&layer.toc.image);
        let mut blobs = Vec::new();
        for index in 0..dictionary.blobs() {
            let blob = dictionary.blob(BlobIndex(index))?;
            blobs.push(builder.add_blob(blob.origin(args.repository.as_str()))?);
        }
        for mut entry in dictionary.entries() {
            let blob = &mut entry.placement.frame.blob;
            *blob = blobs[blob.0 as usize];
            builder.push(entry)?;
        }
    }
    Ok(builder)
}
