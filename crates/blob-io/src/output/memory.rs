//! Objects in memory.

use std::io::{self, Write};

use bytes::Bytes;
use image_model::Digest;

use super::{ObjectRole, ObjectWriter, Output};
use crate::{WriteError, Written};

/// Objects in memory.
///
/// ```
/// use lazyoci_blob_io::MemoryOutput;
/// assert!(MemoryOutput::default().objects().is_empty());
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryOutput {
    /// Finished, but not committed.
    pending: Vec<StoredObject>,
    objects: Vec<StoredObject>,
}

/// An object in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredObject {
    /// Its role.
    pub role: ObjectRole,
    /// SHA-256 of its bytes, by which it is named; the hex digits are the id of a blob.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

impl MemoryOutput {
    /// The committed objects, in the order in which they were finished.
    #[must_use]
    pub fn objects(&self) -> &[StoredObject] {
        &self.objects
    }

    /// The first object with this role.
    #[must_use]
    pub fn object(&self, role: ObjectRole) -> Option<&StoredObject> {
        self.objects.iter().find(|object| object.role == role)
    }
}

impl Output for MemoryOutput {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        Ok(Box::new(Growing {
            role,
            bytes: Vec::new(),
            objects: &mut self.pending,
        }))
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        self.objects.append(&mut self.pending);
        Ok(())
    }
}

struct Growing<'o> {
    role: ObjectRole,
    bytes: Vec<u8>,
    objects: &'o mut Vec<StoredObject>,
}

impl Write for Growing<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Growing<'_> {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let Self {
            role,
            bytes,
            objects,
        } = *self;
        objects.push(StoredObject {
            role,
            digest: written.digest,
            bytes: bytes.into(),
        });
        Ok(())
    }
}
