//! Writing tars: entries back to the bytes they came from, and new members from the model.

mod encode;
mod error;

use std::io::{self, Read, Write};

use image_model::width::u64_from;
use image_model::{ImagePath, Metadata, Node};

use crate::block::{BLOCK_LEN, padding_len};
use crate::pax::{NANOS, is_portable};
use encode::Fields;
pub use error::WriteError;

/// Writes a tar. The payload of a member is written with [`Write`] after its header; exactly as
/// many bytes as were announced. Padding is added automatically. Writing the [raw
/// bytes](crate::Entry::raw) and the payload of each entry in the order in which they were read,
/// and then the trailer, reproduces the tar:
///
/// ```
/// # use lazyoci_tar_stream::{TarReadOptions, TarReader, TarWriter};
/// # use std::io::{copy, Write};
/// # let mut made = TarWriter::new(Vec::new());
/// # made.append(&image_model::ImagePath::clean(b"f")?, &Default::default(),
/// #     &image_model::Node::File { size: 3, content: () })?;
/// # made.write_all(b"abc")?;
/// # let original = [made.finish()?, b"garbage".to_vec()].concat();
/// let mut reader = TarReader::new(&original[..], TarReadOptions::default());
/// let mut writer = TarWriter::new(Vec::new());
/// while let Some(entry) = reader.next_entry()? {
///     writer.append_raw(entry.raw(), entry.payload_len)?;
///     copy(&mut reader, &mut writer)?;
/// }
/// let mut trailer = reader.trailer().expect("there is no further entry");
/// assert_eq!(writer.finish_raw(&mut trailer)?, original);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TarWriter<W> {
    inner: W,
    position: u64,
    /// Payload bytes of the current member not written yet.
    left: u64,
    /// The headers of a member; kept to reuse the allocation.
    headers: Vec<u8>,
}

impl<W: Write> TarWriter<W> {
    /// Writes a tar to `inner`, in pieces as small as headers: use a buffered writer if small writes are expensive.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            position: 0,
            left: 0,
            headers: Vec::new(),
        }
    }

    /// Bytes written.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes the bytes before a payload as they were read, including the padding of the previous
    /// member; `payload_len` bytes of payload must follow.
    ///
    /// # Errors
    /// [`WriteError::PayloadMissing`] if the previous member is incomplete;
    /// [`WriteError::OutOfPlace`] if the payload would not begin at a whole block, which means that
    /// entries were left out or reordered; errors of the destination.
    pub fn append_raw(&mut self, raw: &[u8], payload_len: u64) -> Result<(), WriteError> {
        self.check_payload()?;
        let end = self.position.saturating_add(u64_from(raw.len()));
        if !end.is_multiple_of(u64_from(BLOCK_LEN)) {
            return Err(WriteError::OutOfPlace { offset: end });
        }
        self.emit(raw)?;
        self.left = payload_len;
        Ok(())
    }

    /// Writes the rest of a tar as it was read: everything after the last payload.
    ///
    /// # Errors
    /// [`WriteError::PayloadMissing`]; errors of `trailer` and the destination.
    pub fn finish_raw(mut self, trailer: &mut impl Read) -> Result<W, WriteError> {
        self.check_payload()?;
        io::copy(trailer, &mut self.inner)?;
        Ok(self.inner)
    }

    /// Writes the header of a new member; the `size` bytes of a [`Node::File`] must follow, with
    /// holes as zeros. The bytes are a function of the arguments. The member has a ustar header, in
    /// which names are bytes, preceded by a PAX header if something does not fit: long names and
    /// link targets, sizes from 8 GiB, ids from 2^21, times before 1970, after 2242 or with
    /// fractions, and extended attributes (`SCHILY.xattr.`). If any of its text is not UTF-8, it
    /// begins with `hdrcharset=BINARY`. Numbers that do not fit are also in the ustar header, in
    /// base-256, for the many readers that know GNU's form but not every PAX record; device numbers
    /// from 2^21 are only there.
    ///
    /// # Errors
    /// [`WriteError::Socket`]: a tar cannot hold one. [`WriteError::XattrName`] for an attribute name that readers
    /// would not find ([`is_portable`]). [`WriteError::Time`] for a fraction of 10^9 nanoseconds or more.
    /// [`WriteError::ExtensionTooLong`] if PAX records are longer than readers accept. [`WriteError::PayloadMissing`];
    /// errors of the destination.
    pub fn append<C>(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        node: &Node<C>,
    ) -> Result<(), WriteError> {
        let mut names = metadata.xattrs.iter().map(|xattr| &xattr.name);
        if let Some(name) = names.find(|name| !is_portable(name)) {
            let (path, name) = (path.clone(), name.clone());
            return Err(WriteError::XattrName { path, name });
        }
        let fields = Fields::of_node(path, metadata, node)
            .ok_or_else(|| WriteError::Socket { path: path.clone() })?;
        self.append_fields(path, &fields)
    }

    /// Writes a hard link to the member at `target`, which should have been written before.
    /// `metadata` should be that member's.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), WriteError> {
        // Attributes belong to the target; repeating them would only waste space.
        self.append_fields(path, &Fields::of_link(path, metadata, target))
    }

    fn append_fields(&mut self, path: &ImagePath, fields: &Fields<'_>) -> Result<(), WriteError> {
        if fields.mtime.nanoseconds >= NANOS {
            return Err(WriteError::Time {
                path: path.clone(),
                mtime: fields.mtime,
            });
        }
        self.pad()?;
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        encode::encode(fields, &mut headers).map_err(|len| WriteError::ExtensionTooLong {
            path: path.clone(),
            len,
        })?;
        let written = self.emit(&headers);
        self.headers = headers;
        written?;
        self.left = fields.size;
        Ok(())
    }

    /// Writes two zero blocks and returns the destination.
    ///
    /// # Errors
    /// [`WriteError::PayloadMissing`]; errors of the destination.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.pad()?;
        self.emit(&[0; 2 * BLOCK_LEN])?;
        Ok(self.inner)
    }

    fn pad(&mut self) -> Result<(), WriteError> {
        self.check_payload()?;
        self.emit(&[0; BLOCK_LEN][..padding_len(self.position)])
    }

    fn check_payload(&self) -> Result<(), WriteError> {
        match self.left {
            0 => Ok(()),
            left => Err(WriteError::PayloadMissing {
                offset: self.position,
                left,
            }),
        }
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.inner.write_all(bytes)?;
        self.position = self.position.saturating_add(u64_from(bytes.len()));
        Ok(())
    }
}

/// The payload of the current member; [`WriteError::PayloadTooLong`], inside the
/// [`io::Error`], for more than that.
impl<W: Write> Write for TarWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if u64_from(buf.len()) > self.left {
            let offset = self.position;
            return Err(WriteError::PayloadTooLong { offset }.into());
        }
        let written = self.inner.write(buf)?;
        self.position = self.position.saturating_add(u64_from(written));
        self.left = self.left.saturating_sub(u64_from(written));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
