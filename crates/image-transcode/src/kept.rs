//! nydus images whose blobs are the layers of the source as they are.
//!
//! ```text
//! layer ─► to_zran ─┬► the layer, which the target may have already
//!                   ├► what describes it: contexts and chunks
//!                   └► its bootstrap ─► merged ─► the bootstrap layer
//! ```

use std::io::{self, Write};
use std::time::Instant;

use blob_io::{ObjectRole, ObjectWriter, Output, WriteError, Written};
use image_convert::rafs_format::Bootstrap;
use image_convert::rafs_format::merge::{Merge, MergeError, MergeOptions};
use image_convert::{ConvertError, FileContent, Report, ZranOptions, to_zran};
use image_store::ImageTarget;
use oci_image::nydus::{FsVersion, NydusLayer};

use crate::conversion::Conversion;
use crate::error::TranscodeError;
use crate::layers::layer;
use crate::nydus::{descriptor, pack};
use crate::output::begin;
use crate::progress::Reporter;
use crate::report::LayerWork;
use crate::transcode::Made;

/// Describes each layer, lowest first, and writes the bootstrap layer. `listed` are the DiffIDs in the configuration.
pub(crate) fn convert(
    conversion: &Conversion<'_>,
    options: &ZranOptions,
    listed: &[String],
    reporter: &mut Reporter<'_>,
) -> Result<Made, TranscodeError> {
    let (target, limits) = (conversion.target, &conversion.options.limits);
    let mut made = Made::default();
    let mut merge = Merge::new(MergeOptions::default().limits(limits.clone()));
    let mut metas = Vec::new();
    let mut reports = Vec::new();
    // An image was refused whose configuration lists another number of layers.
    for (position, (source, diff_id)) in conversion.sources.iter().zip(listed).enumerate() {
        let begun = Instant::now();
        let incoming = conversion.streaming(conversion.stream(position)?);
        let mut output = KeptOutput {
            target,
            bootstrap: Vec::new(),
        };
        let done = to_zran(incoming, &mut output, options, reporter);
        let done = done.map_err(TranscodeError::in_layer(position))?;
        let bootstrap = Bootstrap::open(output.bootstrap.into(), limits);
        let unreadable = |source| MergeError::Decode {
            layer: position,
            source,
        };
        merge.push(&bootstrap.map_err(unreadable)?, None)?;
        conversion.tallies[position].done();
        let mut work = LayerWork {
            source: source.map(|layer| layer.digest.clone()),
            read: conversion.tallies[position].read(),
            deduplicated: done.report.chunks.deduplicated_bytes,
            ..LayerWork::default()
        };
        if let Some(kept) = &done.layer {
            let mut kept = layer(kept, diff_id, *source);
            let digest = &kept.descriptor.digest;
            let mut others = made.layers.iter();
            kept.repeated = others.any(|other| other.descriptor.digest == *digest);
            work = work.became(&kept.descriptor, target);
            made.layers.push(kept);
        }
        work.time = begun.elapsed();
        if let Some(meta) = done.meta.filter(|meta| !metas.contains(meta)) {
            metas.push(meta);
        }
        made.work.push(work);
        reports.push(done.report);
    }
    for meta in &metas {
        let begun = Instant::now();
        made.added.push("Nydus Blob Metadata");
        made.add(
            descriptor(meta),
            meta.digest.to_string(),
            begun.elapsed(),
            target,
        );
    }
    let begun = Instant::now();
    let bootstrap = merge.finish().to_bytes();
    let bootstrap = bootstrap.map_err(|error| TranscodeError::Layers(ConvertError::from(error)))?;
    let content = FileContent::reader(&bootstrap[..]);
    let packed = pack((content, bootstrap.len() as u64), &[], target, reporter);
    let packed = packed.map_err(TranscodeError::Layers)?;
    let mut last = descriptor(&packed.blob);
    let kind = NydusLayer::Bootstrap {
        fs_version: FsVersion::V6,
    };
    kind.write(&mut last.annotations);
    made.add(last, packed.diff_id.to_string(), begun.elapsed(), target);
    made.report = Report::sum(reports, limits);
    made.report.bytes_out = made.layers.iter().map(|layer| layer.descriptor.size).sum();
    Ok(made)
}

/// Writes the layer and what describes it to an image target, and keeps the bootstrap.
struct KeptOutput<'t> {
    target: &'t dyn ImageTarget,
    bootstrap: Vec<u8>,
}

impl Output for KeptOutput<'_> {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        match role {
            ObjectRole::Bootstrap => Ok(Box::new(Kept(&mut self.bootstrap))),
            _ => Ok(begin(self.target)?),
        }
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A bootstrap in memory.
struct Kept<'b>(&'b mut Vec<u8>);

impl Write for Kept<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Kept<'_> {
    fn finish(self: Box<Self>, _: &Written) -> Result<(), WriteError> {
        Ok(())
    }
}
