//! The tar of a layer, bit for bit, in members.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::num::NonZeroU32;

use blob_io::Output;
use chunk_dedup::FixedSize;
use estargz_toc::toc::{self, TOC_NAME};
use estargz_toc::write::Placements;
use image_model::image::ChunkRange;
use image_model::{Digest, ImagePath, Limits, Progress};
use tar_stream::{Entry, EntryKind, Member, TarReader};
use verify::{ExtentBytes, Hasher};

use super::ending::{End, Ending, Open};
use super::kept_entry::{self, Chunks, Described};
use super::members::Members;
use super::{EstargzOptions, rules};
use crate::kept_tar::{KeptTarError, KeptTarFault};
use crate::layer::LayerWriter;
use crate::report::Report;
use crate::source::KeptFrames;
use crate::stage::{self, Setup, Stage, Stored};
use crate::{ConvertError, Streaming};

/// A member is closed before a header once it contains this many bytes of headers.
const MAX_HEADERS_LEN: usize = 1 << 20;

/// Bytes that are read at once.
const BUFFER_LEN: usize = 128 << 10;

/// Writes the tar of `layer`, whose frames may be kept.
pub(super) fn convert(
    (layer, frames): (Streaming<'_>, Option<&KeptFrames>),
    output: &mut dyn Output,
    (options, chunk_size): (&EstargzOptions, NonZeroU32),
    ending: Ending,
    progress: &mut dyn Progress,
) -> Result<(Report, End), ConvertError> {
    let limits = layer.limits;
    let setup = Setup {
        rules: rules(options, frames),
        chunker: &mut FixedSize::new(chunk_size),
        max_chunks: limits.max_chunks,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let reader_options = tar_stream::TarReadOptions::default()
        .lenient(layer.lenient)
        .limits(limits.clone());
    let mut reader = TarReader::open_layer(layer.layer, reader_options)?;
    let target = Members::new(LayerWriter::begin(output, true)?, Placements::new(&limits));
    let mut report = Report::default();
    let (kept, target, stored) = stage::run(setup, target, |stage| {
        let mut kept = Kept::new((stage, frames), &limits, chunk_size);
        kept.write(&mut reader, &mut report)?;
        Ok((kept.members, kept.tar_len))
    })?;
    let (members, tar_len) = kept;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    let (layer, placed) = target.finish()?;
    let open = Open {
        layer,
        offset: placed.toc_offset,
        tar_len,
    };
    let chunks = Chunks {
        extents: &stored.extents,
        placed: &placed,
        chunk_size,
    };
    let document = |mut out: &mut dyn Write| -> Result<io::Result<()>, ConvertError> {
        toc::write_json(&mut out, kept_entry::entries(&members, chunks))
    };
    let end = open.end(ending, &document, (options.compression, &limits))?;
    Ok((report, end))
}

/// Hands the members of a tar to the stage.
struct Kept<'s, 'p, 'd, 'o> {
    stage: &'s mut Stage<'p, 'd, Members<'o>>,
    frames: Option<&'s KeptFrames>,
    limits: &'s Limits,
    chunk_size: NonZeroU32,
    members: Vec<Described>,
    /// Of the cleaned names so far, and whether they are directories.
    names: HashMap<Digest, bool>,
    /// Bytes of headers in the member that grows.
    headers_len: usize,
    /// Cleaned targets of hard links, and their members.
    targets: Vec<(Digest, usize)>,
    tar_len: u64,
    buffer: Vec<u8>,
}

impl<'s, 'p, 'd, 'o> Kept<'s, 'p, 'd, 'o> {
    fn new(
        (stage, frames): (&'s mut Stage<'p, 'd, Members<'o>>, Option<&'s KeptFrames>),
        limits: &'s Limits,
        chunk_size: NonZeroU32,
    ) -> Self {
        Self {
            stage,
            frames,
            limits,
            chunk_size,
            members: Vec::new(),
            names: HashMap::new(),
            headers_len: 0,
            targets: Vec::new(),
            tar_len: 0,
            buffer: vec![0; BUFFER_LEN],
        }
    }

    fn write<R: Read>(
        &mut self,
        reader: &mut TarReader<R>,
        report: &mut Report,
    ) -> Result<(), ConvertError> {
        while let Some(mut entry) = reader.next_entry()? {
            self.stage.tick()?;
            report.inodes += 1;
            let path = ImagePath::clean(&entry.path).ok();
            let oddities = entry.oddities.iter().cloned();
            report.advisories.add_all(path.as_ref(), oddities);
            if entry.mtime.nanoseconds != 0 {
                report.cut_times += 1;
            }
            self.member(&mut entry, reader)?;
        }
        self.check_targets()?;
        if let Some(mut trailer) = reader.trailer() {
            loop {
                let len = trailer.read(&mut self.buffer)?;
                if len == 0 {
                    break;
                }
                append(&mut *self.stage, &mut self.headers_len, &self.buffer[..len])?;
                self.tar_len += len as u64;
            }
        }
        let oddities = reader.oddities().iter().cloned();
        report.advisories.add_all(None, oddities);
        Ok(())
    }

    /// Refuses hard links out of the layer.
    fn check_targets(&self) -> Result<(), ConvertError> {
        let missing = |(target, _): &&(Digest, usize)| !self.names.contains_key(target);
        match self.targets.iter().find(missing) {
            None => Ok(()),
            Some((_, member)) => Err(KeptTarError {
                name: self.members[*member].entry.name.as_bytes().into(),
                reason: KeptTarFault::Target,
            }
            .into()),
        }
    }

    fn member<R: Read>(
        &mut self,
        entry: &mut Entry,
        reader: &mut TarReader<R>,
    ) -> Result<(), ConvertError> {
        let raw = entry.take_raw();
        let member = entry.clone().into_member(self.limits)?;
        let path = member.path().clone();
        if let Member::HardLink { target, .. } = &member {
            let target = verify::sha256(target.as_bytes());
            self.targets.push((target, self.members.len()));
        }
        let refused = |reason| KeptTarError {
            name: entry.path.clone().into(),
            reason,
        };
        let mut described = kept_entry::entry(entry).map_err(refused)?;
        if path.as_bytes() == TOC_NAME.as_bytes() {
            return Err(refused(KeptTarFault::TocName).into());
        }
        let is_directory = entry.kind == EntryKind::Directory;
        if path.as_bytes().is_empty() && !is_directory {
            return Err(refused(KeptTarFault::Root).into());
        }
        let name = verify::sha256(path.as_bytes());
        if let Some(was_directory) = self.names.insert(name, is_directory)
            && !(is_directory && was_directory)
        {
            return Err(refused(KeptTarFault::Duplicate).into());
        }
        append(&mut *self.stage, &mut self.headers_len, &raw)?;
        self.tar_len += raw.len() as u64 + entry.payload_len;
        let start = self.stage.chunks();
        if entry.kind == EntryKind::File {
            let digest = self.content(entry, reader, &path)?;
            described.digest = digest.to_string().into();
        }
        let end = self.stage.chunks();
        self.members.push(Described {
            entry: described,
            chunks: ChunkRange { start, end },
        });
        Ok(())
    }

    fn content<R: Read>(
        &mut self,
        entry: &Entry,
        reader: &mut TarReader<R>,
        path: &ImagePath,
    ) -> Result<Digest, ConvertError> {
        let mut digest = Hasher::sha256();
        self.stage.begin_file(entry.size, || path.clone())?;
        if let Some(frames) = self.frames {
            let file = frames.file_at(path, entry.size, self.chunk_size.get());
            self.stage.keep(&file.chunks, file.covers);
        }
        loop {
            let len = reader.read_payload(&mut self.buffer)?;
            if len == 0 {
                let digest = digest.finish();
                if let Some(frames) = self.frames {
                    frames.check(path, digest)?;
                }
                return Ok(digest);
            }
            self.headers_len = 0;
            digest.update(&self.buffer[..len]);
            self.stage.push(ExtentBytes::Data(&self.buffer[..len]))?;
        }
    }
}

/// Appends bytes that are no content to the member that grows, or to the next one.
fn append(
    stage: &mut Stage<'_, '_, Members<'_>>,
    headers_len: &mut usize,
    bytes: &[u8],
) -> Result<(), ConvertError> {
    if *headers_len >= MAX_HEADERS_LEN {
        *headers_len = 0;
        stage.begin_piece(bytes.len())?;
    }
    *headers_len += bytes.len();
    stage.append(bytes)
}
