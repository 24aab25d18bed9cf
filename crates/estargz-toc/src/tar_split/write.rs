//! Lines of a tar that is read once.

use std::collections::HashSet;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::name::Brief;
use image_model::path::PathError;
use image_model::width::u64_from;
use image_model::{Blame, Digest, Fault, ImagePath};
use serde::Serialize as _;
use serde_json::ser::Serializer;

use super::Crc64;
use crate::containers_toc::Compact;
use crate::toc::WRITES;

/// Most bytes of a segment after the last file.
pub const MAX_SEGMENT_LEN: usize = 1 << 20;

/// Writes a tar-split, line by line.
///
/// Text is escaped as Go does it. A tar that names a member twice cannot be described.
///
/// ```
/// use lazyoci_estargz_toc::tar_split::{Crc64, TarSplitWriter};
///
/// let mut crc = Crc64::new();
/// crc.update(b"hello");
/// let mut split = TarSplitWriter::new(Vec::new());
/// split.segment(b"headers")?;
/// split.file(b"d/a", 5, &crc)?;
/// split.segment(b"end")?;
/// let lines = "{\"type\":2,\"payload\":\"aGVhZGVycw==\",\"position\":0}\n\
///     {\"type\":1,\"name\":\"d/a\",\"size\":5,\"payload\":\"PD7u4tgQAAA=\",\"position\":1}\n\
///     {\"type\":2,\"payload\":\"ZW5k\",\"position\":2}\n";
/// assert_eq!(split.into_inner(), lines.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TarSplitWriter<W> {
    out: W,
    position: u64,
    line: Vec<u8>,
    /// Of the cleaned names so far.
    names: HashSet<Digest>,
    /// Bytes of the tar so far.
    tar_len: u64,
}

/// Why a tar cannot be described as tar-split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarSplitWriteError {
    /// A second member of that name.
    #[error("a second tar member named \"{}\"", Brief(name))]
    Duplicate {
        /// Its name, not cleaned.
        name: Box<[u8]>,
    },
    /// A name that no file can have.
    #[error("invalid tar member \"{}\"", Brief(name))]
    Name {
        /// The name.
        name: Box<[u8]>,
        /// What is wrong with it.
        source: PathError,
    },
    /// The lines cannot be written.
    #[error("cannot write the tar-split data")]
    Write(#[from] io::Error),
}

impl Blame for TarSplitWriteError {
    fn fault(&self) -> Fault {
        match self {
            Self::Duplicate { .. } => Fault::Unsupported,
            Self::Name { .. } => Fault::Corrupt,
            Self::Write(_) => Fault::Io,
        }
    }
}

impl<W: Write> TarSplitWriter<W> {
    /// Writes lines to `out`, each by itself.
    pub fn new(out: W) -> Self {
        Self {
            out,
            position: 0,
            line: Vec::new(),
            names: HashSet::new(),
            tar_len: 0,
        }
    }

    /// The next bytes that are not the content of a file; nothing for none. After the last file, at most
    /// [`MAX_SEGMENT_LEN`] at once.
    ///
    /// # Errors
    /// [`TarSplitWriteError::Write`].
    pub fn segment(&mut self, bytes: &[u8]) -> Result<(), TarSplitWriteError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.tar_len = self.tar_len.saturating_add(u64_from(bytes.len()));
        self.line.extend_from_slice(b"{\"type\":2,\"payload\":");
        self.base64(bytes);
        self.end_line()
    }

    /// The next member, after the segment with its headers: its name as the tar has it, and the length and checksum of
    /// its content.
    ///
    /// # Errors
    /// [`TarSplitWriteError`].
    pub fn file(&mut self, name: &[u8], size: u64, crc: &Crc64) -> Result<(), TarSplitWriteError> {
        let clean = ImagePath::clean(name).map_err(|source| TarSplitWriteError::Name {
            name: name.into(),
            source,
        })?;
        if !self.names.insert(verify::sha256(clean.as_bytes())) {
            let name = name.into();
            return Err(TarSplitWriteError::Duplicate { name });
        }
        self.tar_len = self.tar_len.saturating_add(size);
        self.line.extend_from_slice(b"{\"type\":1");
        match str::from_utf8(name) {
            Ok("") => {}
            Ok(name) => {
                self.line.extend_from_slice(b",\"name\":");
                let mut text = Serializer::with_formatter(&mut self.line, Compact);
                name.serialize(&mut text).expect(WRITES);
            }
            Err(_) => {
                self.line.extend_from_slice(b",\"name_raw\":");
                self.base64(name);
            }
        }
        if size > 0 {
            write!(self.line, ",\"size\":{size}")?;
            self.line.extend_from_slice(b",\"payload\":");
            self.base64(&crc.finish());
        } else {
            self.line.extend_from_slice(b",\"payload\":null");
        }
        self.end_line()
    }

    /// Whether there was a member at `path`.
    #[must_use]
    pub fn has(&self, path: &ImagePath) -> bool {
        self.names.contains(&verify::sha256(path.as_bytes()))
    }

    /// Bytes of the tar that the lines stand for.
    #[must_use]
    pub fn tar_len(&self) -> u64 {
        self.tar_len
    }

    /// What it writes to.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.out
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.line.push(b'"');
        let at = self.line.len();
        // Four characters for three bytes.
        let room = bytes.len().div_ceil(3).saturating_mul(4);
        self.line.resize(at.saturating_add(room), 0);
        let written = STANDARD.encode_slice(bytes, &mut self.line[at..]);
        self.line
            .truncate(at.saturating_add(written.expect("there is room")));
        self.line.push(b'"');
    }

    fn end_line(&mut self) -> Result<(), TarSplitWriteError> {
        writeln!(self.line, ",\"position\":{}}}", self.position)?;
        self.position = self.position.saturating_add(1);
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}
