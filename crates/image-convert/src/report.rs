//! What a conversion did, and what it could not carry.

use std::fmt;

use crate::ConvertError;
use image_model::name::NameRef;
use image_model::{Device, ImagePath};

/// What a conversion did. Holds no times: equal conversions report equally.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Distinct inodes of the tree that was written.
    pub inodes: u64,
    /// Bytes of file content that were read, holes included.
    pub content_bytes: u64,
    /// Bytes that were written.
    pub bytes_out: u64,
    /// Chunks, where the target has any.
    pub chunks: ChunkCounts,
    /// What the target could not carry and the caller allowed to lose, in the order of the source.
    pub losses: Vec<Loss>,
}

impl Report {
    /// Takes note of a loss where losses are allowed, else refuses it.
    pub(crate) fn lose(
        &mut self,
        loss: Loss,
        lossy: bool,
        target: &'static str,
    ) -> Result<(), ConvertError> {
        if lossy {
            self.losses.push(loss);
            Ok(())
        } else {
            Err(ConvertError::NotCarried { target, loss })
        }
    }
}

/// How many chunks went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkCounts {
    /// Written to a blob.
    pub stored: u64,
    /// Of those: of content that a later entry of the layer replaced, so that no file uses them.
    pub dead: u64,
    /// Found equal to a chunk that is stored already.
    pub deduplicated: u64,
    /// Stored bytes of all chunks.
    pub stored_bytes: u64,
    /// Plain bytes of the deduplicated chunks.
    pub deduplicated_bytes: u64,
}

/// Something that the target format or file system cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Loss {
    /// Which inode, by the first of its names.
    pub path: ImagePath,
    /// What of it.
    pub what: LossKind,
}

/// What is lost, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LossKind {
    /// An extended attribute.
    #[error("extended attribute {}: {reason}", Escaped(name))]
    Xattr {
        /// Its name.
        name: Box<[u8]>,
        /// Why it cannot be kept.
        reason: XattrReason,
    },
    /// A device number.
    #[error("device {}:{}: {reason}", device.major, device.minor)]
    Device {
        /// The number.
        device: Device,
        /// Why it cannot be kept.
        reason: &'static str,
    },
    /// A socket: the whole inode is left out.
    #[error("a socket: tar has no such thing")]
    Socket,
}

/// Why an extended attribute cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XattrReason {
    /// The format has no code for the namespace.
    #[error("its namespace has no place in the format")]
    Namespace,
    /// The name breaks a rule of the format.
    #[error("its name cannot be written")]
    Name,
    /// The value is longer than the format can say.
    #[error("its value of {len} bytes is over {max}")]
    Value {
        /// Bytes of the value.
        len: usize,
        /// Most that the format holds.
        max: usize,
    },
    /// All attributes of the inode together take more than the format has room for.
    #[error("with it the inode's attributes take more than {max} bytes")]
    Total {
        /// Most that the format holds.
        max: usize,
    },
    /// The file system or its permissions refuse it.
    #[error("the file system does not take it (error {errno})")]
    Refused {
        /// The operating system's error number.
        errno: i32,
    },
}

/// Bytes of an attribute name for a person.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NameRef::new(self.0) {
            Ok(name) => name.fmt(f),
            Err(_) => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}
