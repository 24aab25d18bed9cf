//! What comes after the last file: TOC and footer.

use std::io::{self, BufWriter, Write};

use blob_io::{ObjectRole, Output, Written};
use estargz_toc::footer::{self, external, zstd_chunked};
use estargz_toc::write::{ListingError, toc_header};
use frame_codec::{Compression, FrameWriter};
use image_model::{Digest, Limits, StoredPiece};
use tar_stream::block::{BLOCK_LEN, padding_len};
use verify::Hasher;

use crate::ConvertError;
use crate::layer::{LayerWriter, WrittenLayer};
use crate::object::DigestedObject;
use crate::zstd_chunked::skippable_piece;

/// Where the TOC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In the tar, as its last member.
    Inline,
    /// In an object of its own.
    External,
    /// In a skippable frame behind the tar.
    ZstdChunked,
}

/// A layer with its TOC.
pub(super) struct End {
    pub(super) layer: WrittenLayer,
    pub(super) toc_digest: Digest,
    pub(super) uncompressed_size: u64,
    pub(super) toc: TocPlace,
}

/// Where the TOC went.
pub(super) enum TocPlace {
    Inline,
    /// Not yet anywhere: compressed, as the member of a tar.
    External(Vec<u8>),
    ZstdChunked {
        checksum: Digest,
        piece: StoredPiece,
    },
}

/// Writes the document of a TOC: the same bytes whenever it is called.
pub(super) type Document<'d> = &'d dyn Fn(&mut dyn Write) -> Result<io::Result<()>, ConvertError>;

/// A layer that lacks its TOC.
pub(super) struct Open<'o> {
    pub(super) layer: LayerWriter<'o>,
    /// Bytes of the blob so far.
    pub(super) offset: u64,
    /// Bytes of the tar so far.
    pub(super) tar_len: u64,
}

/// Bytes that are compressed at once.
const BUFFER_LEN: usize = 64 << 10;

impl Open<'_> {
    /// Completes the layer, whose compression is `compression`, with the TOC in the layer.
    pub(super) fn end(
        mut self,
        ending: Ending,
        document: Document<'_>,
        (compression, limits): (Compression, &Limits),
    ) -> Result<End, ConvertError> {
        let mut sink = Counter {
            len: 0,
            limit: limits.toc_len(),
        };
        document(&mut sink)?.map_err(|error| sink.failure(error))?;
        let json_len = sink.len;
        let member = ending != Ending::ZstdChunked;
        let mut sink = TocSink {
            frame: FrameWriter::new(compression, Vec::new())?,
            json: None,
            tar: (ending == Ending::Inline).then_some(&mut self.layer),
            len: 0,
        };
        if member {
            sink.write_all(&toc_header(json_len)?)?;
        }
        sink.json = Some(Hasher::sha256());
        let mut buffered = BufWriter::with_capacity(BUFFER_LEN, sink);
        document(&mut buffered)??;
        let mut sink = buffered.into_inner().map_err(io::Error::from)?;
        let toc_digest = sink
            .json
            .take()
            .map_or_else(|| verify::sha256(b""), Hasher::finish);
        if member {
            sink.write_all(&[0; BLOCK_LEN][..padding_len(json_len)])?;
            sink.write_all(&[0; 2 * BLOCK_LEN])?;
        }
        let member_len = sink.len;
        let stored = sink.frame.finish()?;
        let mut uncompressed_size = self.tar_len;
        let toc = match ending {
            Ending::Inline => {
                uncompressed_size += member_len;
                self.layer.write(&[], &stored)?;
                self.layer.write(&[], &footer::encode(self.offset))?;
                TocPlace::Inline
            }
            Ending::External => {
                self.layer.write(&[], &external::encode())?;
                TocPlace::External(stored)
            }
            Ending::ZstdChunked => {
                let piece = skippable_piece(&mut self.layer, self.offset, &stored, json_len)?;
                self.layer.write(&[], &zstd_chunked::encode(piece))?;
                let checksum = verify::sha256(&stored);
                TocPlace::ZstdChunked { checksum, piece }
            }
        };
        Ok(End {
            layer: self.layer.finish()?,
            toc_digest,
            uncompressed_size,
            toc,
        })
    }
}

/// Writes the TOC of a layer that is complete as an object of its own.
pub(super) fn write_apart(output: &mut dyn Output, toc: &[u8]) -> Result<Written, ConvertError> {
    let mut object = DigestedObject::begin(output, ObjectRole::Toc)?;
    object.write_all(toc)?;
    object.finish()
}

/// Counts bytes up to a limit.
struct Counter {
    len: u64,
    limit: u64,
}

impl Counter {
    fn failure(&self, error: io::Error) -> ConvertError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                let limit = self.limit;
                ListingError::TooLong { limit }.into()
            }
            _ => error.into(),
        }
    }
}

impl Write for Counter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.len = self.len.saturating_add(buf.len() as u64);
        match self.len > self.limit {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(buf.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses and digests the TOC as it is written.
struct TocSink<'l, 'o> {
    frame: FrameWriter<Vec<u8>>,
    /// Of the document, while that is written.
    json: Option<Hasher>,
    /// The layer whose tar it is part of.
    tar: Option<&'l mut LayerWriter<'o>>,
    len: u64,
}

impl Write for TocSink<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.frame.write_all(buf)?;
        self.len += buf.len() as u64;
        if let Some(json) = &mut self.json {
            json.update(buf);
        }
        if let Some(layer) = &mut self.tar {
            layer.write(buf, &[])?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
