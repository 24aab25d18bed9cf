//! What `convert` says of what it did.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lazyoci::convert::{
    ErofsReport, EstargzReport, RafsReport, Report, TarReport, TarfsReport, ZstdChunkedReport,
};
use serde_json::Value;

use crate::args::{Args, name};
use crate::common::{self, Failure, count};

/// What was done.
pub(crate) enum Done {
    Rafs(RafsReport),
    #[cfg(feature = "gzip-index")]
    Zran(lazyoci::convert::ZranReport),
    Tarfs(TarfsReport),
    Erofs(ErofsReport, PathBuf),
    Estargz(EstargzReport),
    ZstdChunked(ZstdChunkedReport),
    Tar(TarReport),
}

impl Done {
    fn report(&self) -> &Report {
        match self {
            Self::Rafs(rafs) => &rafs.report,
            #[cfg(feature = "gzip-index")]
            Self::Zran(zran) => &zran.report,
            Self::Tarfs(tarfs) => &tarfs.report,
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
            #[cfg(feature = "gzip-index")]
            Self::Zran(zran) => common::object(zran),
            Self::Tarfs(tarfs) => common::object(tarfs),
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
            "{}, {} of content; {} stored, {} repeated ({})",
            count(report.inodes, "inode"),
            common::size(report.content_bytes),
            count(chunks.stored, "chunk"),
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
            let reused = count(chunks.reused, "chunk");
            writeln!(out, "{reused} of other blobs used ({bytes})")?;
        }
        for (chunks, bytes, why) in [
            (chunks.short, chunks.short_bytes, "too short"),
            (
                chunks.refused,
                chunks.refused_bytes,
                "in blobs that are ruled out",
            ),
        ] {
            if chunks > 0 {
                let bytes = common::size(bytes);
                let chunks = count(chunks, "chunk");
                writeln!(out, "{chunks} not shared ({bytes}): {why}")?;
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
                let chunks = count(blob.chunks, "chunk");
                writeln!(out, "uses blob {}: {chunks}, {bytes}", blob.id)?;
            }
            Ok(())
        }
        #[cfg(feature = "gzip-index")]
        Done::Zran(zran) => {
            writeln!(out, "bootstrap {}", zran.bootstrap.digest)?;
            for (what, object) in [("layer", &zran.layer), ("metadata", &zran.meta)] {
                if let Some(object) = object {
                    let size = common::size(object.len);
                    writeln!(out, "{what} {} ({size})", object.digest)?;
                }
            }
            match zran.contexts {
                0 => Ok(()),
                contexts => {
                    let places = count(contexts.into(), "place");
                    writeln!(out, "{places} at which the layer can be entered")
                }
            }
        }
        Done::Tarfs(tarfs) => {
            writeln!(out, "bootstrap {}", tarfs.bootstrap.digest)?;
            let Some(tar) = &tarfs.tar else { return Ok(()) };
            writeln!(out, "tar {} ({})", tar.digest, common::size(tar.len))?;
            writeln!(out, "no digests of its files: only that of all of the tar")
        }
        Done::Erofs(erofs, _) => crate::erofs::tell(erofs, out),
        Done::Estargz(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            let toc = layer.toc_digest;
            writeln!(out, "layer {digest}\nDiffID {diff_id}\nTOC {toc}")
        }
        Done::ZstdChunked(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            let manifest = layer.manifest_checksum;
            writeln!(out, "layer {digest}\nDiffID {diff_id}\nmanifest {manifest}")
        }
        Done::Tar(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            writeln!(out, "layer {digest}\nDiffID {diff_id}")
        }
    }
}
