//! The tar of a zstd:chunked layer, put together again from its tar-split and its files.

use std::io::{self, Write};

use estargz_toc::containers_toc;
use estargz_toc::image::TocKind;
use estargz_toc::open::decompress_tar_split;
use estargz_toc::tar_split::{Crc64, Item, TarSplit, TarSplitError};
use image_model::name::Brief;
use image_model::walk::WalkError;
use image_model::{Blame, Digest, Fault, FileKind, ImageError, ImagePath, Ino, Limits};
use verify::Hasher;

use crate::content::ReadError;
use crate::open::{Estargz, OpenError, OpenImage, read_piece};

/// A tar that cannot be put together again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The image is not zstd:chunked of containers/storage.
    #[error("only zstd:chunked layers of containers/storage have a tar-split")]
    NoLayer,
    /// The layer has no tar-split, or none that its TOC vouches for.
    #[error("the TOC vouches for no tar-split")]
    NoTarSplit,
    /// The TOC has the digest of a tar-split, but nothing says where that is.
    #[error("the TOC has the digest of a tar-split, which is missing")]
    Missing,
    /// The TOC's digest of the tar-split is none.
    #[error("`tarSplitDigest` is not a sha256 digest: \"{}\"", found.escape_debug())]
    Digest {
        /// What it is.
        found: Box<str>,
    },
    /// The TOC or the tar-split cannot be read.
    #[error("cannot read the tar-split")]
    Open(#[from] OpenError),
    /// The tar-split cannot be parsed.
    #[error("cannot parse the tar-split")]
    Parse(#[from] TarSplitError),
    /// The tar-split names a file that the image does not have, or that is none.
    #[error(
        "the tar-split names \"{}\", which is not a file of the image",
        Brief(name)
    )]
    NoFile {
        /// Its name in the tar-split.
        name: Box<[u8]>,
    },
    /// A file has another length than the tar-split says.
    #[error(
        "\"{}\" has {found} bytes, but the tar-split says {expected}",
        Brief(name)
    )]
    Size {
        /// Its name in the tar-split.
        name: Box<[u8]>,
        /// By the tar-split.
        expected: u64,
        /// By the TOC.
        found: u64,
    },
    /// A file does not have the checksum in the tar-split.
    #[error("\"{}\" does not have the checksum in the tar-split", Brief(name))]
    Checksum {
        /// Its name in the tar-split.
        name: Box<[u8]>,
    },
    /// A file cannot be read.
    #[error("cannot read \"{}\"", Brief(name))]
    Read {
        /// Its name in the tar-split.
        name: Box<[u8]>,
        /// Why not.
        source: ReadError,
    },
    /// The tar cannot be written.
    #[error("cannot write the tar")]
    Write(#[source] io::Error),
    /// What is to be [pulled](OpenImage::plan_pull) has no TOC.
    #[error("only layers with a TOC can be pulled partially")]
    NoToc,
    /// An image cannot be walked.
    #[error("cannot walk the image")]
    Walk(#[from] WalkError),
    /// The image does not have a frame to which a file refers.
    #[error("cannot find a frame of the layer")]
    Frame(#[source] ImageError),
    /// A chunk that is [at hand](crate::AtHand) cannot be read, or is no longer what it was.
    #[error("cannot read a chunk of \"{}\" that is at hand", Brief(name))]
    AtHand {
        /// The file with the chunk.
        name: Box<[u8]>,
        /// Why not.
        source: io::Error,
    },
    /// The tar is another one.
    #[error("the tar has the digest {found} instead of {expected}")]
    DiffId {
        /// What was asked for.
        expected: Digest,
        /// What was put together.
        found: Digest,
    },
}

impl Blame for RebuildError {
    fn fault(&self) -> Fault {
        match self {
            Self::NoLayer | Self::NoToc => Fault::Misuse,
            Self::NoTarSplit => Fault::Unsupported,
            Self::Open(error) => error.fault(),
            Self::Parse(error) => error.fault(),
            Self::Read { source, .. } => source.fault(),
            Self::Write(_) | Self::AtHand { .. } => Fault::Io,
            Self::Walk(error) => error.fault(),
            Self::Frame(error) => error.fault(),
            Self::Missing
            | Self::Digest { .. }
            | Self::NoFile { .. }
            | Self::Size { .. }
            | Self::Checksum { .. }
            | Self::DiffId { .. } => Fault::Corrupt,
        }
    }
}

/// The TOC and the tar-split of a layer, as bytes.
pub(crate) struct Metadata {
    pub(crate) toc: Vec<u8>,
    /// The lines of the tar-split.
    pub(crate) tar_split: Vec<u8>,
}

/// Reads both; the tar-split is the one that the TOC vouches for.
pub(crate) fn metadata(image: &OpenImage) -> Result<Metadata, RebuildError> {
    let limits = image.limits();
    let (layer, source) = layer(image)?;
    let toc = layer.told.read(source, limits)?.json;
    let header = containers_toc::for_each_entry(&toc, limits, |_, _| Ok(()));
    let text = header
        .map_err(OpenError::Toc)?
        .tar_split_digest
        .into_owned();
    if text.is_empty() {
        return Err(RebuildError::NoTarSplit);
    }
    let Ok(digest) = text.parse::<Digest>() else {
        let found = text.into();
        return Err(RebuildError::Digest { found });
    };
    let piece = layer.pieces.and_then(|pieces| pieces.tar_split);
    let piece = piece.ok_or(RebuildError::Missing)?;
    let end = piece.offset.saturating_add(piece.stored_len);
    let stored = read_piece(source, &(piece.offset..end), limits)?;
    let tar_split = decompress_tar_split(piece, &digest, &stored, limits);
    Ok(Metadata {
        toc,
        tar_split: tar_split.map_err(OpenError::Estargz)?,
    })
}

fn layer(image: &OpenImage) -> Result<(&Estargz, &dyn blob_io::ReadAt), RebuildError> {
    let layer = image.estargz().zip(image.source());
    let layer = layer.filter(|(layer, _)| layer.toc.kind == TocKind::Containers);
    let (layer, source) = layer.ok_or(RebuildError::NoLayer)?;
    Ok((layer, &**source))
}

impl OpenImage {
    /// The lines of the tar-split of a zstd:chunked layer of containers/storage, which have the digest that the TOC
    /// gives; [`TarSplit`] parses them.
    ///
    /// # Errors
    /// [`RebuildError`], [`RebuildError::NoTarSplit`] if the TOC vouches for none.
    pub fn read_tar_split(&self) -> Result<Vec<u8>, RebuildError> {
        Ok(metadata(self)?.tar_split)
    }

    /// Writes the tar of a zstd:chunked layer of containers/storage to `out`, from its tar-split and its files, every
    /// chunk verified, and returns the tar's SHA-256: the layer's diff id, if all is well. Runs of zeros are not read
    /// from the layer. Memory: the tar-split.
    ///
    /// ```no_run
    /// let image = lazyoci_image_read::open("layer.tar.zst", &Default::default())?;
    /// let diff_id = image.rebuild_tar(&mut std::io::sink())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RebuildError`]; what comes before the fault has been written by then.
    pub fn rebuild_tar(&self, out: &mut (impl Write + ?Sized)) -> Result<Digest, RebuildError> {
        let metadata = metadata(self)?;
        let split = TarSplit::from_lines(&metadata.tar_split, self.limits())?;
        rebuild(self, &split, out)
    }
}

/// Why the content of a file cannot be read.
pub(crate) enum ContentFault {
    Read(ReadError),
    AtHand(io::Error),
}

impl From<ReadError> for ContentFault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Writes all bytes of a file.
type ReadFile<'r> =
    dyn FnMut((Ino, &ImagePath), u64, &mut dyn Write) -> Result<(), ContentFault> + 'r;

/// Writes the tar that `split` and the files of `image` make.
pub(crate) fn rebuild(
    image: &OpenImage,
    split: &TarSplit<'_>,
    out: &mut (impl Write + ?Sized),
) -> Result<Digest, RebuildError> {
    rebuild_with(image, split, out, &mut |(ino, _), size, out| {
        image.read_range(ino, 0..size, out)?;
        Ok(())
    })
}

/// Writes the tar that `split` and the files of `image` make, which `read` reads.
pub(crate) fn rebuild_with(
    image: &OpenImage,
    split: &TarSplit<'_>,
    out: &mut (impl Write + ?Sized),
    read: &mut ReadFile<'_>,
) -> Result<Digest, RebuildError> {
    let mut tar = Tee {
        out,
        hasher: Hasher::sha256(),
        crc: Crc64::new(),
        failed: None,
    };
    for item in split.items() {
        match item {
            Item::Segment(bytes) => tar.write_all(bytes).map_err(RebuildError::Write)?,
            Item::File { name, size, crc } => {
                let Some(expected) = *crc else { continue };
                let (ino, path) = file(image, name, *size)?;
                tar.crc = Crc64::new();
                let read = read((ino, &path), *size, &mut tar);
                if let Some(error) = tar.failed.take() {
                    return Err(RebuildError::Write(error));
                }
                let name = || name[..].into();
                read.map_err(|fault| {
                    let name = name();
                    match fault {
                        ContentFault::Read(source) => RebuildError::Read { name, source },
                        ContentFault::AtHand(source) => RebuildError::AtHand { name, source },
                    }
                })?;
                if tar.crc.finish() != expected {
                    return Err(RebuildError::Checksum { name: name() });
                }
            }
        }
    }
    Ok(tar.hasher.finish())
}

/// The file called `name`, which must have `expected` bytes, and its path.
fn file(image: &OpenImage, name: &[u8], expected: u64) -> Result<(Ino, ImagePath), RebuildError> {
    let none = || RebuildError::NoFile { name: name.into() };
    let path = ImagePath::clean(name).map_err(|_| none())?;
    let tree = image.estargz().map(|layer| &layer.toc.image.tree);
    let inode = tree.and_then(|tree| tree.resolve(path.as_bytes()));
    let ino = Ino(inode.ok_or_else(none)?.index() as u64);
    let found = image.image().attributes(ino).map_err(|source| {
        let (name, source) = (name.into(), source.into());
        RebuildError::Read { name, source }
    })?;
    if found.kind != FileKind::File {
        return Err(none());
    }
    match found.size {
        size if size == expected => Ok((ino, path)),
        found => Err(RebuildError::Size {
            name: name.into(),
            expected,
            found,
        }),
    }
}

/// Writes, and makes the digest of everything and the checksum of the current file.
struct Tee<'a, W: ?Sized> {
    out: &'a mut W,
    hasher: Hasher,
    crc: Crc64,
    /// Why it could not write.
    failed: Option<io::Error>,
}

impl<W: Write + ?Sized> Write for Tee<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.write_all(bytes) {
            Ok(()) => {
                self.hasher.update(bytes);
                self.crc.update(bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The digest of the tar in `source`, a layer of any compression.
pub(crate) fn tar_digest(
    source: &dyn blob_io::ReadAt,
    limits: &Limits,
    again: &mut dyn FnMut() -> Result<(), image_model::Cancelled>,
) -> Result<Result<Digest, tar_stream::LayerError>, image_model::Cancelled> {
    use std::io::Read as _;
    use tar_stream::{LayerError, LayerStream, StreamOptions};

    let read_error = |source: blob_io::ReadError| LayerError::Io {
        source: io::Error::other(source),
    };
    let mut stream = match blob_io::Sequential::new(source) {
        Ok(source) => LayerStream::new(source, &StreamOptions::from(limits)),
        Err(error) => return Ok(Err(read_error(error))),
    };
    let mut hasher = Hasher::sha256();
    let mut piece = vec![0; 1 << 20];
    loop {
        again()?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(Ok(hasher.finish())),
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) => {
                let error = error.downcast();
                return Ok(Err(error.unwrap_or_else(|source| LayerError::Io { source })));
            }
        }
    }
}
