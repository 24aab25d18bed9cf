//! The structure of an image, for `inspect`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use lazyoci::estargz_toc::Landmark;
use lazyoci::estargz_toc::image::{Prefetch, TocKind};
use lazyoci::model::walk::{InoSet, Walk};
use lazyoci::model::{DigestAlgorithm, FileKind, Ino, Limits};
use lazyoci::oci_image::{Annotations, EstargzLayer, ZstdChunkedLayer};
use lazyoci::rafs_format::Bootstrap;
use lazyoci::read::{Estargz, Format, OpenImage};
use lazyoci::tar_stream::Compression;
use serde::Serialize;

use super::{Failure, count, size};

/// The structure of an image. Its `Display` is for people.
#[derive(Debug, Serialize)]
pub struct Description {
    image: String,
    format: String,
    metadata_bytes: u64,
    counts: Counts,
    blobs: Vec<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rafs: Option<Rafs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estargz: Option<EstargzToc>,
}

/// Paths, and inodes by kind.
#[derive(Debug, Default, Serialize)]
struct Counts {
    paths: u64,
    inodes: u64,
    directories: u64,
    files: u64,
    symlinks: u64,
    char_devices: u64,
    block_devices: u64,
    fifos: u64,
    sockets: u64,
    content_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Blob {
    id: String,
    bytes: Option<u64>,
    decoded_bytes: Option<u64>,
    chunks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Word>,
}

/// A flag word, and the names of its bits.
#[derive(Debug, Serialize)]
struct Word {
    word: u64,
    names: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Rafs {
    version: u32,
    digest: String,
    bytes: u64,
    flags: Word,
    chunk_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_records: Option<u64>,
    prefetch: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EstargzToc {
    toc_digest: String,
    toc_offset: u64,
    toc_bytes: u64,
    landmark: Option<&'static str>,
    prefetch_bytes: Option<u64>,
    annotations: Annotations,
}

impl Description {
    /// Describes `opened`, the image named `image`.
    pub fn of(image: &Path, opened: &OpenImage) -> Result<Self, Failure> {
        let bootstrap = opened.bootstrap();
        let wanted = bootstrap.map(Bootstrap::prefetch);
        let (counts, prefetch) = count_inodes(opened, &wanted.unwrap_or_default())?;
        let entries = bootstrap.map(Bootstrap::blob_entries);
        let compressed = matches!(opened.format(), Format::Tar(kind) if kind != Compression::None);
        let blobs = opened.image().blobs().iter().enumerate();
        let blobs = blobs.map(|(index, blob)| Blob {
            id: blob.id.as_str().into(),
            // A compressed layer without an index is read from a decoded copy, whose length is not the layer's.
            bytes: (blob.stored_len).filter(|&len| !compressed || Some(len) != blob.decoded_len),
            decoded_bytes: blob.decoded_len,
            chunks: blob.chunk_count,
            features: entries.and_then(|entries| {
                let features = entries.get(index)?.features;
                Some(Word {
                    word: features.bits().into(),
                    names: features.names().collect(),
                })
            }),
        });
        let digest = opened.metadata_digest(DigestAlgorithm::Sha256)?;
        let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
        Ok(Self {
            image: image.display().to_string(),
            format: opened.format().to_string(),
            metadata_bytes: opened.metadata_stats().bytes,
            counts,
            blobs: blobs.collect(),
            rafs: bootstrap.map(|bootstrap| rafs(bootstrap, digest, prefetch)),
            estargz: opened.estargz().map(estargz),
        })
    }
}

/// Counts the image's inodes and paths, and finds a path for each of the inodes `wanted`, in that order.
fn count_inodes(opened: &OpenImage, wanted: &[Ino]) -> Result<(Counts, Vec<String>), Failure> {
    let mut counts = Counts::default();
    let mut seen = InoSet::default();
    let mut paths: BTreeMap<u64, Option<String>> = wanted.iter().map(|ino| (ino.0, None)).collect();
    let mut walk = Walk::new(opened.image(), &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        counts.paths += 1;
        if !seen.insert(entry.ino) {
            continue;
        }
        if let Some(path) = paths.get_mut(&entry.ino.0) {
            *path = Some(entry.path.to_string());
        }
        counts.inodes += 1;
        *match entry.attributes.kind {
            FileKind::Directory => &mut counts.directories,
            FileKind::File => {
                counts.content_bytes = counts.content_bytes.saturating_add(entry.attributes.size);
                &mut counts.files
            }
            FileKind::Symlink => &mut counts.symlinks,
            FileKind::CharDevice => &mut counts.char_devices,
            FileKind::BlockDevice => &mut counts.block_devices,
            FileKind::Fifo => &mut counts.fifos,
            FileKind::Socket => &mut counts.sockets,
        } += 1;
    }
    let path = |ino: &Ino| match paths.get(&ino.0) {
        Some(Some(path)) => path.clone(),
        _ => format!("inode {}, which has no path", ino.0),
    };
    Ok((counts, wanted.iter().map(path).collect()))
}

fn rafs(bootstrap: &Bootstrap, digest: String, prefetch: Vec<String>) -> Rafs {
    let v5 = bootstrap.v5().map(|bootstrap| {
        let superblock = bootstrap.superblock();
        (5, superblock.flags, superblock.chunk_size, None)
    });
    let v6 = bootstrap.v6().map(|bootstrap| {
        let (ext, records) = (bootstrap.ext_superblock(), bootstrap.chunk_record_count());
        (6, ext.flags, ext.chunk_size, Some(records as u64))
    });
    let (version, flags, chunk_size, chunk_records) = v5.or(v6).unwrap_or_default();
    Rafs {
        version,
        digest,
        bytes: bootstrap.bytes().len() as u64,
        flags: Word {
            word: flags.bits(),
            names: flags.names().collect(),
        },
        chunk_size,
        chunk_records,
        prefetch,
    }
}

fn estargz(estargz: &Estargz) -> EstargzToc {
    let mut annotations = Annotations::default();
    let layer = EstargzLayer::new(estargz.toc.digest);
    match (estargz.pieces, estargz.checksum) {
        (Some(pieces), Some(checksum)) if estargz.toc.kind == TocKind::Containers => {
            ZstdChunkedLayer::containers(checksum, pieces.toc)
                .tar_split(pieces.tar_split)
                .write(&mut annotations);
        }
        (Some(pieces), Some(checksum)) => {
            ZstdChunkedLayer::stargz(checksum, pieces.toc, layer).write(&mut annotations);
        }
        _ => layer.write(&mut annotations),
    }
    EstargzToc {
        toc_digest: estargz.toc.digest.to_string(),
        toc_offset: estargz.toc_offset,
        toc_bytes: estargz.toc_len,
        landmark: estargz.toc.prefetch.map(|prefetch| match prefetch {
            Prefetch::UpTo(_) => Landmark::Prefetch.name(),
            Prefetch::Nothing => Landmark::NoPrefetch.name(),
        }),
        prefetch_bytes: match estargz.toc.prefetch {
            Some(Prefetch::UpTo(end)) => Some(end),
            Some(Prefetch::Nothing) => Some(0),
            None => None,
        },
        annotations,
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "image", &self.image)?;
        line(f, "format", &self.format)?;
        if self.metadata_bytes > 0 {
            line(f, "read to open", bytes(self.metadata_bytes))?;
        }
        self.counts.fmt(f)?;
        if let Some(rafs) = &self.rafs {
            rafs.fmt(f)?;
        }
        if let Some(estargz) = &self.estargz {
            estargz.fmt(f)?;
        }
        for blob in &self.blobs {
            blob.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "paths", self.paths)?;
        line(f, "inodes", self.inodes)?;
        for (what, count) in [
            ("directories", self.directories),
            ("files", self.files),
            ("symlinks", self.symlinks),
            ("character devices", self.char_devices),
            ("block devices", self.block_devices),
            ("fifos", self.fifos),
            ("sockets", self.sockets),
        ] {
            if count > 0 {
                line(f, format_args!("  {what}"), count)?;
            }
        }
        line(f, "content", bytes(self.content_bytes))
    }
}

impl fmt::Display for Rafs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bootstrap, RAFS v{}", self.version)?;
        line(f, "  digest", &self.digest)?;
        line(f, "  size", bytes(self.bytes))?;
        line(f, "  chunk size", bytes(self.chunk_size.into()))?;
        if let Some(records) = self.chunk_records {
            line(f, "  chunk records", records)?;
        }
        line(f, "  flags", &self.flags)?;
        for path in &self.prefetch {
            line(f, "  prefetch", path)?;
        }
        Ok(())
    }
}

impl fmt::Display for EstargzToc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "TOC")?;
        line(f, "  digest", &self.toc_digest)?;
        line(f, "  offset", self.toc_offset)?;
        line(f, "  size", bytes(self.toc_bytes))?;
        if let Some(landmark) = self.landmark {
            line(f, "  landmark", landmark)?;
        }
        if let Some(prefetch) = self.prefetch_bytes {
            line(f, "  prefetch", bytes(prefetch))?;
        }
        for (name, value) in self.annotations.iter() {
            line(f, "  annotation", format_args!("{name}={value}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "blob {}", self.id)?;
        for (what, len) in [("  size", self.bytes), ("  decoded", self.decoded_bytes)] {
            if let Some(len) = len {
                line(f, what, bytes(len))?;
            }
        }
        if let Some(chunks) = self.chunks {
            line(f, "  chunks", chunks)?;
        }
        match &self.features {
            Some(features) => line(f, "  features", features),
            None => Ok(()),
        }
    }
}

/// `COMPRESSION_ZSTD HASH_BLAKE3 (0x84)`
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            write!(f, "{name} ")?;
        }
        write!(f, "({:#x})", self.word)
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    key: impl fmt::Display,
    value: impl fmt::Display,
) -> fmt::Result {
    writeln!(f, "{:<20}{value}", format!("{key}:"))
}

/// `1.00 MiB (1048576)`
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => count(bytes, "byte"),
        _ => format!("{} ({bytes})", size(bytes)),
    }
}
