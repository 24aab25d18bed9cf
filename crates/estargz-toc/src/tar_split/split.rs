//! A tar-split as a whole.

use std::io::{self, Read, Seek, SeekFrom};

use image_model::Limits;
use image_model::width::{u64_from, usize_up_to};

use super::{Item, TarSplitError, for_each_item};

/// A tar-split, decoded. Memory: that of the segments.
///
/// ```
/// use image_model::Limits;
/// use lazyoci_estargz_toc::tar_split::TarSplit;
/// let lines = b"{\"type\":2,\"payload\":\"aGVhZGVy\",\"position\":0}\n";
/// let split = TarSplit::from_lines(lines, &Limits::default())?;
/// assert_eq!(split.tar_len(), 6);
/// # Ok::<(), lazyoci_estargz_toc::tar_split::TarSplitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarSplit<'a> {
    /// With where each begins in the tar.
    items: Vec<(u64, Item<'a>)>,
    len: u64,
}

impl<'a> TarSplit<'a> {
    /// Parses the lines.
    ///
    /// # Errors
    /// [`TarSplitError`], [`TarSplitError::TarTooLong`] if the tar would be longer than
    /// [`Limits::max_layer_len`].
    pub fn from_lines(lines: &'a [u8], limits: &Limits) -> Result<Self, TarSplitError> {
        let mut split = Self {
            items: Vec::new(),
            len: 0,
        };
        let limit = limits.max_layer_len;
        for_each_item(lines, limits, |item| {
            let start = split.len;
            split.len = split.len.saturating_add(item.len());
            split.items.push((start, item));
            match split.len {
                len if len > limit => Err(TarSplitError::TarTooLong { len, limit }),
                _ => Ok(()),
            }
        })?;
        Ok(split)
    }

    /// Segments and files, in the order of the tar.
    pub fn items(&self) -> impl Iterator<Item = &Item<'a>> {
        self.items.iter().map(|(_, item)| item)
    }

    /// Length of the tar in bytes.
    #[must_use]
    pub fn tar_len(&self) -> u64 {
        self.len
    }

    /// The files, with where their content begins in the tar.
    pub(super) fn files(&self) -> impl Iterator<Item = (u64, &[u8], u64)> {
        self.items.iter().filter_map(|(start, item)| match item {
            Item::File { name, size, .. } => Some((*start, &**name, *size)),
            Item::Segment(_) => None,
        })
    }

    /// The tar with zeros in place of content: to read its headers.
    pub(super) fn skeleton(&self) -> Skeleton<'_, 'a> {
        Skeleton {
            split: self,
            position: 0,
        }
    }
}

/// A tar without its content.
pub(super) struct Skeleton<'s, 'a> {
    split: &'s TarSplit<'a>,
    position: u64,
}

impl Read for Skeleton<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let items = &self.split.items;
        // Items without bytes begin where the next one does.
        let next = items.partition_point(|(start, _)| *start <= self.position);
        let Some((start, item)) = next.checked_sub(1).and_then(|last| items.get(last)) else {
            return Ok(0);
        };
        let skip = self.position.saturating_sub(*start);
        let left = usize_up_to(item.len().saturating_sub(skip)).min(buf.len());
        match item {
            Item::Segment(bytes) => {
                let from = usize_up_to(skip).min(bytes.len());
                buf[..left].copy_from_slice(&bytes[from..from.saturating_add(left)]);
            }
            Item::File { .. } => buf[..left].fill(0),
        }
        self.position = self.position.saturating_add(u64_from(left));
        Ok(left)
    }
}

impl Seek for Skeleton<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.split.len.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
