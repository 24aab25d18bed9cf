//! Every structure of an index of a layer: ours, or a zTOC.

use std::io::{self, Write};
use std::path::Path;

use lazyoci::blob_io::{LocalFile, ReadAt, ReadError};
use lazyoci::bytes::Bytes;
use lazyoci::model::Limits;
use lazyoci::model::dump::{Document, Dumped};
use lazyoci::read::gzip_index::{DecodeError, GzipIndex};
use lazyoci::read::soci_ztoc::Ztoc;
use lazyoci::read::{DETECT_LEN, Format, LayerIndex, LayerIndexError};
use serde_json::Value;

use super::{Failure, object};

/// An index whose structures are to be told.
pub enum IndexDump {
    /// One that can be used.
    Sound(LayerIndex),
    /// The bytes of a zTOC that cannot.
    Damaged(Bytes),
}

impl IndexDump {
    /// The index that is at `path` by itself; `None` if that is no file, or something else, or cannot be opened.
    pub fn find(path: &Path, limits: &Limits) -> Result<Option<Self>, Failure> {
        if !path.is_file() {
            return Ok(None);
        }
        let Ok(file) = LocalFile::open(path) else {
            return Ok(None);
        };
        let of = |error: Failure| error.of(path.display());
        let Some(bytes) = read(&file, limits).map_err(|error| of(Failure::usage(error)))? else {
            return Ok(None);
        };
        match LayerIndex::from_bytes(bytes.clone(), limits) {
            Ok(index) => Ok(Some(Self::Sound(index))),
            Err(LayerIndexError::Decode(DecodeError::Magic)) => Ok(None),
            Err(LayerIndexError::Ztoc(_)) => Ok(Some(Self::Damaged(bytes))),
            Err(error) => Err(of(error.into())),
        }
    }

    /// The name of its format, as `index --format` takes it.
    pub fn format(&self) -> &'static str {
        match self {
            Self::Sound(index) if index.gzip().is_some() => "own",
            _ => "soci",
        }
    }

    /// Prints the structures, one per line.
    pub fn lines(&self, limits: &Limits, out: &mut dyn Write) -> io::Result<()> {
        self.structures(limits, &mut |dumped| writeln!(out, "{dumped}"))
    }

    /// The structures, with the values of their fields.
    pub fn value(&self, limits: &Limits) -> Result<Value, Failure> {
        object(&Document::new(|tell| self.structures(limits, tell)))
    }

    fn structures<E>(
        &self,
        limits: &Limits,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = match self {
            Self::Sound(index) => match index.gzip() {
                Some(index) => return index.structures(tell),
                None => index.bytes(),
            },
            Self::Damaged(bytes) => bytes,
        };
        Ztoc::structures(bytes, limits, tell)
    }
}

/// All of `file`, unless it is an image, does not begin like an index, or is longer than one may be.
fn read(file: &LocalFile, limits: &Limits) -> Result<Option<Bytes>, ReadError> {
    let len = file.len()?;
    let at_once = usize::try_from(len).ok();
    let Some(at_once) = at_once.filter(|_| len <= limits.max_metadata_len) else {
        return Ok(None);
    };
    let ends = at_once.min(DETECT_LEN);
    let head = file.read_bytes(0, ends)?;
    let tail = file.read_bytes(len - ends as u64, ends)?;
    let is_ours = GzipIndex::decode(&head, limits) != Err(DecodeError::Magic);
    let is_index = is_ours || begins_like_ztoc(file, &head)?;
    match Format::detect(&head, &tail) {
        None if is_index => file.read_bytes(0, at_once).map(Some),
        _ => Ok(None),
    }
}

/// Whether the first four bytes lead to a table of a flatbuffer, and that to its list of fields.
fn begins_like_ztoc(file: &LocalFile, head: &[u8]) -> Result<bool, ReadError> {
    let len = file.len()?;
    let four = |at: u64| -> Result<Option<[u8; 4]>, ReadError> {
        if at.saturating_add(4) > len {
            return Ok(None);
        }
        Ok(file.read_bytes(at, 4)?.first_chunk().copied())
    };
    let Some(root) = head.first_chunk().map(|root| u32::from_le_bytes(*root)) else {
        return Ok(false);
    };
    let Some(back) = four(root.into())?.filter(|_| root >= 4) else {
        return Ok(false);
    };
    let fields = i64::from(root) - i64::from(i32::from_le_bytes(back));
    let Some([low, high, ..]) = u64::try_from(fields).map_or(Ok(None), four)? else {
        return Ok(false);
    };
    let fields_len = u16::from_le_bytes([low, high]);
    Ok((4..256).contains(&fields_len) && fields_len.is_multiple_of(2))
}
