//! Why a tar cannot be written.

use std::io;

use image_model::name::Brief;
use image_model::{Blame, Fault, ImagePath, Timestamp};

use crate::error::TarError;

/// A tar that cannot be written any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The destination failed, or a source being copied.
    #[error("cannot write the tar")]
    Io(#[from] io::Error),
    /// A tar cannot hold a socket.
    #[error("{path:#}: sockets cannot be stored in a tar")]
    Socket {
        /// The socket.
        path: ImagePath,
    },
    /// An extended attribute whose name some tar readers do not find, or read differently.
    #[error(
        "{path:#}: extended attribute \"{}\": its name cannot be stored in a tar",
        Brief(name)
    )]
    XattrName {
        /// The member.
        path: ImagePath,
        /// Name of the attribute.
        name: Box<[u8]>,
    },
    /// A time whose nanoseconds are a second or more.
    #[error("{path:#}: invalid time of {} seconds and {} nanoseconds", mtime.seconds, mtime.nanoseconds)]
    Time {
        /// The member.
        path: ImagePath,
        /// Its time.
        mtime: Timestamp,
    },
    /// PAX records longer than readers accept.
    #[error("{path:#}: its PAX records have {len} bytes; readers accept at most 1 MiB")]
    ExtensionTooLong {
        /// The member.
        path: ImagePath,
        /// Length of the records in bytes.
        len: usize,
    },
    /// The payload of the previous member is incomplete.
    #[error("{left} bytes of the payload are missing at byte {offset} of the tar")]
    PayloadMissing {
        /// Bytes written so far.
        offset: u64,
        /// Bytes missing.
        left: u64,
    },
    /// More payload than announced.
    #[error("more payload than announced at byte {offset} of the tar")]
    PayloadTooLong {
        /// Bytes written so far.
        offset: u64,
    },
    /// Raw bytes that do not end at a whole block.
    #[error("raw header bytes end at byte {offset} of the tar, inside a block")]
    OutOfPlace {
        /// Where they would end.
        offset: u64,
    },
}

impl Blame for WriteError {
    fn fault(&self) -> Fault {
        match self {
            // A tar that is copied from may be what failed.
            Self::Io(source) => (source.get_ref())
                .and_then(|inner| inner.downcast_ref::<TarError>())
                .map_or(Fault::Io, Blame::fault),
            Self::Socket { .. }
            | Self::XattrName { .. }
            | Self::Time { .. }
            | Self::ExtensionTooLong { .. } => Fault::Unsupported,
            Self::PayloadMissing { .. } | Self::PayloadTooLong { .. } | Self::OutOfPlace { .. } => {
                Fault::Misuse
            }
        }
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(source) => source,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}
