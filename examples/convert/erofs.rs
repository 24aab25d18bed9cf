//! Conversions to EROFS, and where their output goes.

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lazyoci::blob_io::{AtomicFile, WriterOutput};
use lazyoci::convert::{ErofsReport, Verity, layer_cache_path};
use lazyoci::model::Digest;
use lazyoci::tar_stream::{Compression, LayerError, LayerStream, StreamOptions};

use crate::common::Failure;
use crate::common::output::OutputArgs;

type Tar = io::Chain<io::Cursor<Vec<u8>>, BufReader<LayerStream<Box<dyn Read>>>>;

/// The tar in a layer, which is digested while it is read. Copies read the same bytes.
#[derive(Clone)]
pub(crate) struct DigestedLayer(Rc<RefCell<Tar>>);

impl DigestedLayer {
    /// The layer whose stored bytes are `bytes`.
    pub(crate) fn open(bytes: Box<dyn Read>) -> Result<Self, Failure> {
        let options = StreamOptions::default().digests(true);
        let mut tar = BufReader::with_capacity(1 << 16, LayerStream::open(bytes, &options)?);
        // What reads the tar would decode it once more, and so take another one than that which is digested.
        let mut start = Vec::new();
        (tar.by_ref().take(6).read_to_end(&mut start)).map_err(failure)?;
        if Compression::detect(&start) != Compression::None {
            return Err(Failure::usage("the layer is compressed twice"));
        }
        let tar = io::Cursor::new(start).chain(tar);
        Ok(Self(Rc::new(RefCell::new(tar))))
    }

    /// Its DiffID: the digest of the tar.
    pub(crate) fn diff_id(self) -> Result<Digest, Failure> {
        let mut tar = self.0.borrow_mut();
        // What stands behind the end of the archive.
        io::copy(&mut *tar, &mut io::sink()).map_err(failure)?;
        let digest =
            (tar.get_ref().1.get_ref().summary()).and_then(|summary| summary.decoded.digest);
        digest.ok_or_else(|| Failure::usage("the layer is incomplete"))
    }
}

/// Whose fault it is that the layer cannot be read.
fn failure(error: io::Error) -> Failure {
    match error.downcast::<LayerError>() {
        Ok(error) => error.into(),
        Err(error) => Failure::usage(error),
    }
}

impl Read for DigestedLayer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

/// An image in the layer content cache, which gets its name when the DiffID is known.
pub(crate) struct CacheEntry {
    file: AtomicFile,
    cache: PathBuf,
}

impl CacheEntry {
    pub(crate) fn create(cache: &Path) -> Result<Self, Failure> {
        create_directory(cache)?;
        Ok(Self {
            file: AtomicFile::create_in(cache)?,
            cache: cache.into(),
        })
    }

    /// Where to write the image.
    pub(crate) fn output(&mut self) -> WriterOutput<&mut AtomicFile> {
        WriterOutput::new(&mut self.file)
    }

    /// Gives the image its name and describes its hash tree beside it. Returns the path.
    pub(crate) fn commit(
        self,
        diff_id: &Digest,
        verity: Option<&Verity>,
        outputs: &OutputArgs,
    ) -> Result<PathBuf, Failure> {
        let path = layer_cache_path(&self.cache, diff_id);
        outputs.check(&path)?;
        if let Some(parent) = path.parent() {
            create_directory(parent)?;
        }
        // A description of what is replaced must not outlive it.
        write_metadata(&path, None)?;
        self.file
            .renamed(layer_cache_path(Path::new(""), diff_id))
            .commit()?;
        write_metadata(&path, verity)?;
        Ok(path)
    }
}

fn create_directory(path: &Path) -> Result<(), Failure> {
    let made = fs::create_dir_all(path);
    made.map_err(|error| Failure::usage(error).of(path.display()))
}

/// Writes the description of the hash tree for containerd beside `image`. Without a hash tree it removes the file,
/// since one left over from a replaced image would be taken for its own.
fn write_metadata(image: &Path, verity: Option<&Verity>) -> Result<(), Failure> {
    let path = Verity::metadata_path(image);
    let Some(verity) = verity else {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::usage(error).of(path.display()))
            }
            _ => Ok(()),
        };
    };
    let mut file = AtomicFile::create(&path)?;
    let written = file.write_all(verity.metadata().as_bytes());
    written.map_err(|error| Failure::usage(error).of(path.display()))?;
    Ok(file.commit()?)
}

/// Prints what was written.
pub(crate) fn tell(erofs: &ErofsReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "image {}", erofs.blob.digest)?;
    match &erofs.verity {
        Some(verity) => writeln!(
            out,
            "dm-verity root {}\nhash offset {}, {} data blocks",
            verity.root.hex(),
            verity.hash_offset,
            verity.data_blocks
        ),
        None => Ok(()),
    }
}
