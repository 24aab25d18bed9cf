//! The members of a tar, cut into frames.

use std::io::Read;
use std::num::NonZeroU32;

use chunk_dedup::rollsum::{Part, RollsumChunker};
use estargz_toc::tar_split::{Crc64, MAX_SEGMENT_LEN, TarSplitWriteError, TarSplitWriter};
use frame_codec::{Compression, FrameWriter};
use image_model::{ImagePath, Limits};
use tar_stream::block::{BLOCK_LEN, padding_len};
use tar_stream::{Entry, EntryKind, TarReader};
use verify::Hasher;

use super::cuts::SourceCuts;
use super::entry::entry;
use super::frames::{Cut, Frames, Waiting};
use crate::ConvertError;
use crate::kept_tar::{KeptTarError, KeptTarFault};
use crate::report::Report;
use crate::source::{KeptFile, KeptFrames};
use crate::stage::Stage;
use crate::zstd_chunked::bounded::{Bounded, Compressed};

/// Most bytes of a chunk. Only bytes that repeat, and holes, make longer ones.
pub(super) const MAX_CHUNK_LEN: NonZeroU32 = NonZeroU32::new(8 << 20).expect("not 0");

/// A frame is closed before a header once it contains this many bytes of headers.
const MAX_HEADERS_LEN: usize = 1 << 20;

/// Bytes of content that are read at once.
const BUFFER_LEN: usize = 128 << 10;

type Split = TarSplitWriter<Bounded<FrameWriter<Vec<u8>>>>;

/// Hands the members of a tar to the stage.
pub(super) struct Members<'s, 'p, 'd, 'o> {
    stage: &'s mut Stage<'p, 'd, Frames<'o>>,
    kept: Option<&'s KeptFrames>,
    limits: &'s Limits,
    chunker: RollsumChunker,
    split: Split,
    /// Bytes of headers in the frame that grows; `None` if that is a chunk's, or there is none.
    headers_len: Option<usize>,
    /// Names of hard links, and their targets, cleaned.
    links: Vec<(Box<[u8]>, ImagePath)>,
    buffer: Vec<u8>,
}

/// The tar-split of a tar.
pub(super) struct TarSplit {
    split: Split,
}

/// A tar-split, compressed.
pub(super) struct CompressedSplit {
    pub(super) stored: Vec<u8>,
    pub(super) len: u64,
    /// Bytes of the tar.
    pub(super) tar_len: u64,
}

impl TarSplit {
    pub(super) fn finish(self, what: &'static str) -> Result<CompressedSplit, ConvertError> {
        let tar_len = self.split.tar_len();
        let Compressed { stored, len } = self.split.into_inner().finish(what)?;
        Ok(CompressedSplit {
            stored,
            len,
            tar_len,
        })
    }
}

impl<'s, 'p, 'd, 'o> Members<'s, 'p, 'd, 'o> {
    pub(super) fn new(
        (stage, kept): (&'s mut Stage<'p, 'd, Frames<'o>>, Option<&'s KeptFrames>),
        compression: Compression,
        limits: &'s Limits,
    ) -> Result<Self, ConvertError> {
        let frame = FrameWriter::new(compression, Vec::new())?;
        Ok(Self {
            stage,
            kept,
            limits,
            chunker: RollsumChunker::default(),
            split: TarSplitWriter::new(Bounded::new(frame)),
            headers_len: None,
            links: Vec::new(),
            buffer: vec![0; BUFFER_LEN],
        })
    }

    pub(super) fn finish(self) -> Result<TarSplit, ConvertError> {
        Ok(TarSplit { split: self.split })
    }

    /// Takes all that `reader` reads.
    pub(super) fn write<R: Read>(
        &mut self,
        reader: &mut TarReader<R>,
        report: &mut Report,
    ) -> Result<(), ConvertError> {
        let mut end_of_content = 0;
        while let Some(mut member) = reader.next_entry()? {
            self.stage.tick()?;
            report.inodes += 1;
            let oddities = member.oddities.iter().cloned();
            let path = ImagePath::clean(&member.path).ok();
            report.advisories.add_all(path.as_ref(), oddities);
            end_of_content = member.payload_len;
            self.member(&mut member, reader)?;
        }
        let missing = |(_, target): &&(_, ImagePath)| !self.split.has(target);
        if let Some((name, _)) = self.links.iter().find(missing) {
            let (name, reason) = (name.clone(), KeptTarFault::Target);
            return Err(KeptTarError { name, reason }.into());
        }
        self.trailer(reader, padding_len(end_of_content))?;
        let oddities = reader.oddities().iter().cloned();
        report.advisories.add_all(None, oddities);
        Ok(())
    }

    fn member<R: Read>(
        &mut self,
        member: &mut Entry,
        reader: &mut TarReader<R>,
    ) -> Result<(), ConvertError> {
        let refused = |name: &[u8], reason| KeptTarError {
            name: name.into(),
            reason,
        };
        let mut entry = entry(member).map_err(|reason| refused(&member.path, reason))?;
        let is_root = ImagePath::clean(&member.path).is_ok_and(|path| path.as_bytes().is_empty());
        if is_root && member.kind != EntryKind::Directory {
            return Err(refused(&member.path, KeptTarFault::Root).into());
        }
        let raw = member.take_raw();
        self.headers(&raw)?;
        self.split.segment(&raw).map_err(split_failure)?;
        let mut content = Content::default();
        if member.size > 0 {
            self.content(member, reader, &mut content)?;
            let digest = content.digest.finish();
            if let (Some(kept), Ok(path)) = (self.kept, ImagePath::clean(&member.path)) {
                kept.check(&path, digest)?;
            }
            entry.digest = digest.to_string().into();
        }
        let named = self.split.file(&member.path, member.size, &content.crc);
        named.map_err(|error| match error {
            TarSplitWriteError::Duplicate { .. } => {
                refused(&member.path, KeptTarFault::Duplicate).into()
            }
            error @ TarSplitWriteError::Name { .. } => refused(&member.path, error.into()).into(),
            error => split_failure(error),
        })?;
        if member.kind == EntryKind::HardLink && member.whiteout().is_none() {
            // What is no path has no member either.
            let target = ImagePath::clean(&member.link_target).unwrap_or_default();
            self.links.push((member.path.as_slice().into(), target));
        }
        let chunks = content.chunks;
        self.stage.target().describe(Waiting { entry, chunks })
    }

    /// Takes bytes that are no content.
    fn headers(&mut self, raw: &[u8]) -> Result<(), ConvertError> {
        match &mut self.headers_len {
            Some(len) if *len < MAX_HEADERS_LEN => *len += raw.len(),
            _ => {
                self.headers_len = Some(raw.len());
                self.stage.begin_piece(raw.len())?;
            }
        }
        self.stage.append(raw)
    }

    fn content<R: Read>(
        &mut self,
        member: &Entry,
        reader: &mut TarReader<R>,
        content: &mut Content,
    ) -> Result<(), ConvertError> {
        let path = || ImagePath::clean(&member.path).unwrap_or_default();
        self.headers_len = None;
        self.stage.begin_file(0, path)?;
        let file = self.kept.map_or_else(KeptFile::default, |kept| {
            kept.file_at(&path(), member.size, MAX_CHUNK_LEN.get())
        });
        let follows = file.stands_alone();
        if follows {
            self.stage.keep(&file.chunks, false);
        }
        let mut cuts = SourceCuts::new(&file.chunks);
        let limit = self.limits.max_chunks;
        loop {
            let len = reader.read_payload(&mut self.buffer)?;
            if len == 0 {
                break;
            }
            let bytes = &self.buffer[..len];
            content.crc.update(bytes);
            content.digest.update(bytes);
            let mut cutter = Cutter {
                stage: &mut *self.stage,
                content: &mut *content,
                path: &path,
                limit,
            };
            let take = &mut |part: Part<'_>| cutter.take(part);
            match follows {
                true => cuts.feed(bytes, take)?,
                false => self.chunker.feed(bytes, take)?,
            }
        }
        let mut cutter = Cutter {
            stage: &mut *self.stage,
            content,
            path: &path,
            limit,
        };
        let take = &mut |part: Part<'_>| cutter.take(part);
        match follows {
            true => cuts.end_file(take),
            false => self.chunker.end_file(take),
        }
    }

    /// Takes what follows the last content, of which `padding` bytes fill its last block.
    fn trailer<R: Read>(
        &mut self,
        reader: &mut TarReader<R>,
        padding: usize,
    ) -> Result<(), ConvertError> {
        let end = reader.position();
        let Some(mut trailer) = reader.trailer() else {
            return Ok(());
        };
        let read = end - trailer.offset();
        let blocks = usize::from(trailer.zero_blocks()) * BLOCK_LEN;
        if read > (padding + blocks) as u64 {
            return Err(KeptTarError {
                name: Box::default(),
                reason: KeptTarFault::GlobalHeader,
            }
            .into());
        }
        // As the tar reader of the reference implementation hands them out: the end, then what nobody reads.
        let mut len = read as usize;
        let mut piece = vec![0; MAX_SEGMENT_LEN];
        loop {
            let mut filled = 0;
            while filled < len {
                match std::io::Read::read(&mut trailer, &mut piece[filled..len])? {
                    0 => break,
                    more => filled += more,
                }
            }
            if filled > 0 {
                self.headers(&piece[..filled])?;
                self.split
                    .segment(&piece[..filled])
                    .map_err(split_failure)?;
            }
            if filled < len {
                return Ok(());
            }
            len = MAX_SEGMENT_LEN;
        }
    }
}

/// What is known of a file's content.
struct Content {
    crc: Crc64,
    digest: Hasher,
    chunks: Vec<Cut>,
    /// The chunk that grows.
    growing: Cut,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            crc: Crc64::default(),
            digest: Hasher::sha256(),
            chunks: Vec::new(),
            growing: Cut::default(),
        }
    }
}

/// Hands a file's chunks to the stage.
struct Cutter<'c, 'p, 'd, 'o, P> {
    stage: &'c mut Stage<'p, 'd, Frames<'o>>,
    content: &'c mut Content,
    path: P,
    limit: u32,
}

impl<P: Fn() -> ImagePath> Cutter<'_, '_, '_, '_, P> {
    fn take(&mut self, part: Part<'_>) -> Result<(), ConvertError> {
        match part {
            Part::Data(mut bytes) => {
                while !bytes.is_empty() {
                    let len = self.room()?.min(bytes.len() as u64);
                    let (now, rest) = bytes.split_at(len as usize);
                    self.stage.grow(now)?;
                    self.content.growing.len += len as u32;
                    bytes = rest;
                }
                Ok(())
            }
            Part::Hole(mut zeros) => {
                while zeros > 0 {
                    let len = self.room()?.min(zeros);
                    self.stage.grow_zeros(len as u32)?;
                    self.content.growing.hole = true;
                    self.content.growing.len += len as u32;
                    zeros -= len;
                }
                Ok(())
            }
            Part::End => self.end(),
        }
    }

    /// Bytes that the chunk may still get; if none, it ends, and the next one begins.
    fn room(&mut self) -> Result<u64, ConvertError> {
        if self.content.growing.len == MAX_CHUNK_LEN.get() {
            self.end()?;
        }
        Ok((MAX_CHUNK_LEN.get() - self.content.growing.len).into())
    }

    fn end(&mut self) -> Result<(), ConvertError> {
        if self.stage.chunks() >= self.limit {
            let (path, limit) = ((self.path)(), self.limit);
            return Err(ConvertError::TooManyChunks { path, limit });
        }
        self.stage.end_here();
        self.content
            .chunks
            .push(std::mem::take(&mut self.content.growing));
        Ok(())
    }
}

/// Why lines of tar-split cannot be written.
fn split_failure(error: TarSplitWriteError) -> ConvertError {
    match error {
        TarSplitWriteError::Write(error) => Bounded::<()>::failure(error, "tar-split"),
        other => KeptTarError {
            name: Box::default(),
            reason: other.into(),
        }
        .into(),
    }
}
