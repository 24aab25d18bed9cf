//! What `convert` says of what it did.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lazyoci::convert::{
    ErofsReport, EstargzReport, RafsReport, Report, TarReport, ZstdChunkedReport,
};
use serde_json::Value;

use crate::args::{Args, name};
use crate::common::{self, Failure};

/// What was done.
pub(crate) enum Done {
    Rafs(RafsReport),
    Erofs(ErofsReport, PathBuf),
    Estargz(EstargzReport),
    ZstdChunked(ZstdChunkedReport),
    Tar(TarReport),
}

impl Done {
    fn report(&self) -> &Report {
        match self {
            Self::Rafs(rafs) => &rafs.report,
            Self::Erofs(erofs, _) => &erofs.report,
            Self::Estargz(estargz) => &estargz.report,
            Self::ZstdChunked(chunked) => &chunked.report,
            Self::Tar(tar) => &tar.report,
        }
    }

    fn output<'a>(&'a self, args: &'a Args) -> &'a Path {
        match self {
            Self::Erofs(_, target) => target,
            _ => args.output(),
        }
    }

    fn object(&self) -> Result<Value, Failure> {
        match self {
            Self::Rafs(rafs) => common::object(rafs),
            Self::Erofs(erofs, _) => common::object(erofs),
            Self::Estargz(estargz) => common::object(estargz),
            Self::ZstdChunked(chunked) => common::object(chunked),
            Self::Tar(tar) => common::object(tar),
        }
    }
}

pub(crate) fn say(args: &Args, done: &Done, out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        let mut value = done.object()?;
        let images = args.images().iter();
        let images: Vec<_> = images.map(|image| image.display().to_string()).collect();
        value["image"] = images.last().cloned().into();
        if images.len() > 1 {
            value["layers"] = images.into();
        }
        value["format"] = name(args.to).into();
        value["output"] = done.output(args).display().to_string().into();
        return common::json(out, &value);
    }
    let report = done.report();
    common::note_losses(report);
    tell(args, done, report, out).map_err(Failure::usage)
}

fn tell(args: &Args, done: &Done, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let written = common::size(report.bytes_out);
    writeln!(out, "{}: {written} written", done.output(args).display())?;
    if let Done::Rafs(_) | Done::Erofs(..) | Done::Estargz(_) | Done::ZstdChunked(_) = done {
        let chunks = report.chunks;
        writeln!(
            out,
            "{} inodes, {} of content; {} chunks stored, {} found again ({})",
            report.inodes,
            common::size(report.content_bytes),
            chunks.stored,
            chunks.deduplicated,
            common::size(chunks.deduplicated_bytes),
        )?;
        if args.keep_frames {
            let (copied, anew) = (chunks.copied_bytes, chunks.compressed_bytes);
            let (copied, anew) = (common::size(copied), common::size(anew));
            let count = chunks.copied;
            writeln!(
                out,
                "{count} chunks copied ({copied} stored), {anew} compressed"
            )?;
        }
        if chunks.reused > 0 {
            let bytes = common::size(chunks.reused_bytes);
            writeln!(
                out,
                "{} chunks of other blobs used ({bytes})",
                chunks.reused
            )?;
        }
        for (count, bytes, why) in [
            (chunks.short, chunks.short_bytes, "are too short"),
            (
                chunks.refused,
                chunks.refused_bytes,
                "are in blobs that are ruled out",
            ),
        ] {
            if count > 0 {
                let bytes = common::size(bytes);
                writeln!(out, "{count} chunks not shared ({bytes}): they {why}")?;
            }
        }
    }
    match done {
        Done::Rafs(rafs) => {
            writeln!(out, "bootstrap {}", rafs.bootstrap.digest)?;
            for blob in &rafs.blobs {
                writeln!(out, "blob {}", blob.object.digest)?;
            }
            for blob in &rafs.reuse {
                let bytes = common::size(blob.len);
                writeln!(
                    out,
                    "uses blob {}: {} chunks, {bytes}",
                    blob.id, blob.chunks
                )?;
            }
            Ok(())
        }
        Done::Erofs(erofs, _) => crate::erofs::tell(erofs, out),
        Done::Estargz(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            let toc = layer.toc_digest;
            writeln!(out, "layer {digest}\ndiff id {diff_id}\nTOC {toc}")
        }
        Done::ZstdChunked(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            let manifest = layer.manifest_checksum;
            writeln!(
                out,
                "layer {digest}\ndiff id {diff_id}\nmanifest {manifest}"
            )
        }
        Done::Tar(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            writeln!(out, "layer {digest}\ndiff id {diff_id}")
        }
    }
}
