//! RAFS images opened for their bootstraps.

use std::fs::File;
use std::io;
use std::path::Path;

use lazyoci::blob_io::DigestWriter;
use lazyoci::model::BlobId;
use lazyoci::rafs_format::Bootstrap;
use lazyoci::rafs_format::v6::BlobEntry;
use lazyoci::read::{Format, OpenImage};

use super::Failure;
use super::open::OpenArgs;

/// A RAFS image, and the name of its blob if that contains the bootstrap, which then cannot name it.
pub struct Named {
    image: OpenImage,
    pub own_blob: Option<BlobId>,
}

impl Named {
    /// Opens the bootstrap, or the blob that contains it, at `path`.
    pub fn open(path: &Path, args: &OpenArgs) -> Result<Self, Failure> {
        let image = args.open(path)?;
        let format = image.format();
        let Some(bootstrap) = image.bootstrap() else {
            let what = format!("{}: {format}, not RAFS", path.display());
            return Err(Failure::usage(what));
        };
        let own_blob = match bootstrap.blob_entries().iter().any(BlobEntry::is_self) {
            true => Some(name_of(format, path)?),
            false => None,
        };
        Ok(Self { image, own_blob })
    }

    /// The bootstrap.
    pub fn bootstrap(&self) -> &Bootstrap {
        self.image.bootstrap().expect("others are not opened")
    }
}

/// The name of a blob that contains its own bootstrap: its digest, or the name of a bootstrap file extracted from it.
fn name_of(format: Format, path: &Path) -> Result<BlobId, Failure> {
    let name = match format {
        Format::RafsBlob => {
            let mut digested = DigestWriter::new(io::sink());
            let mut blob = File::open(path).map_err(Failure::usage)?;
            io::copy(&mut blob, &mut digested).map_err(Failure::usage)?;
            digested.finish().1.digest.hex()
        }
        _ => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.split('.').next().unwrap_or_default().to_owned()
        }
    };
    BlobId::new(name.as_bytes()).map_err(|error| Failure::usage(error).of(path.display()))
}
