//! What a tar that is kept bit for bit must not have.

use estargz_toc::tar_split::TarSplitWriteError;
use image_model::name::Brief;
use image_model::{Blame, Fault};

/// A member of a tar that is to be kept bit for bit, and that a table of contents cannot describe so that readers
/// agree.
#[derive(Debug, thiserror::Error)]
#[error("tar member \"{}\"", Brief(name))]
pub struct KeptTarError {
    /// Its name, not cleaned.
    pub name: Box<[u8]>,
    /// Why not.
    #[source]
    pub reason: KeptTarFault,
}

impl Blame for KeptTarError {
    fn fault(&self) -> Fault {
        match &self.reason {
            KeptTarFault::TarSplit(error) => error.fault(),
            _ => Fault::Unsupported,
        }
    }
}

/// Why a table of contents cannot describe a member of a tar that is to be kept bit for bit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptTarFault {
    /// A PAX header for all further members.
    #[error("a global PAX header comes before it, which no table of contents describes")]
    GlobalHeader,
    /// A sparse file: the tar has fewer bytes than the file.
    #[error("it is a sparse file, whose holes the tar does not have")]
    Sparse,
    /// A second member of the same name.
    #[error("there is a member of that name already")]
    Duplicate,
    /// The root, as something else than a directory.
    #[error("its name is that of the root, which is a directory")]
    Root,
    /// The table of contents itself.
    #[error("the name is that of the table of contents")]
    TocName,
    /// A name that JSON has no form for.
    #[error("its {what} is not UTF-8")]
    NotUtf8 {
        /// Which name.
        what: &'static str,
    },
    /// A hard link to nothing in the layer.
    #[error("it is a hard link to what the layer does not have")]
    Target,
    /// A size for a member without content.
    #[error("it has size {size}, but no content; readers would look for it")]
    Size {
        /// The size.
        size: i64,
    },
    /// A mode, an owner, or the number of a device that does not fit.
    #[error("its {field} {value} does not fit 32 bits")]
    Number {
        /// Which.
        field: &'static str,
        /// The number.
        value: i64,
    },
    /// A member that is not a file, or not in every reader.
    #[error("it is of type {typeflag:#04x}, for which a table of contents has no name")]
    Kind {
        /// The type.
        typeflag: u8,
    },
    /// A time beyond the years 1 to 9999.
    #[error("its time {seconds} is beyond the years 1 to 9999")]
    Time {
        /// Seconds since 1970.
        seconds: i64,
    },
    /// It cannot be part of a tar-split.
    #[error(transparent)]
    TarSplit(#[from] TarSplitWriteError),
}
