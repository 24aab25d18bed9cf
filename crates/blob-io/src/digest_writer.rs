//! Digesting output.

use std::io::{self, Write};

use image_model::Digest;
use verify::Hasher;

/// Forwards writes to another writer, and computes SHA-256 and length: the identity of a blob.
///
/// ```
/// use std::io::Write;
/// use lazyoci_blob_io::DigestWriter;
/// let mut writer = DigestWriter::new(Vec::new());
/// writer.write_all(b"abc")?;
/// let (bytes, written) = writer.finish();
/// assert_eq!((&bytes[..], written.len), (&b"abc"[..], 3));
/// assert!(written.digest.to_string().starts_with("sha256:ba7816bf"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    hasher: Hasher,
    len: u64,
}

/// Digest and length of the bytes written to a [`DigestWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Written {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    #[cfg_attr(feature = "serde", serde(rename = "bytes"))]
    pub len: u64,
}

impl Written {
    /// `len` bytes with this SHA-256, for callers that compute the digest themselves.
    #[must_use]
    pub fn new(digest: Digest, len: u64) -> Self {
        Self { digest, len }
    }
}

impl<W> DigestWriter<W> {
    /// Starts with no bytes written.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::sha256(),
            len: 0,
        }
    }

    /// Bytes written so far: the offset of the next one.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has been written so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The writer, and the digest and length of the bytes written. Does not flush.
    pub fn finish(self) -> (W, Written) {
        let written = Written::new(self.hasher.finish(), self.len);
        (self.inner, written)
    }

    fn note(&mut self, written: &[u8]) {
        self.hasher.update(written);
        self.len += written.len() as u64;
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.note(&buf[..written]);
        Ok(written)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)?;
        self.note(buf);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
