//! What every image is converted to, by the library.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lazyoci::blob_io::{DirectoryOutput, FileOutput, ObjectRole, ObjectWriter, Output};
use lazyoci::blob_io::{WriteError, Written};
use lazyoci::convert::{
    ConvertError, ErofsOptions, EstargzOptions, RafsOptions, Report, Source, TarOptions,
    ZstdChunkedDialect, ZstdChunkedOptions, to_erofs, to_estargz, to_rafs, to_tar, to_zstd_chunked,
};
use lazyoci::frame_codec::Compression;
use lazyoci::rafs_format::Version;

/// Fast, and in need of as much memory as other levels are.
const GZIP: Compression = Compression::Gzip { level: 1 };
const ZSTD: Compression = Compression::Zstd { level: 3 };

/// A format with its compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// RAFS v6.
    Rafs(Compression),
    /// RAFS v5.
    RafsV5(Compression),
    /// EROFS, with a hash tree.
    Erofs,
    /// eStargz.
    Estargz,
    /// eStargz whose TOC is an object of its own.
    ExternalToc,
    /// zstd:chunked.
    ZstdChunked(ZstdChunkedDialect),
    /// A tar.
    Tar(Compression),
}

/// Those that differ most.
pub const TARGETS: [Target; 8] = [
    Target::Rafs(ZSTD),
    Target::Rafs(Compression::Lz4Block),
    Target::Rafs(Compression::None),
    Target::Erofs,
    Target::Estargz,
    Target::Tar(Compression::None),
    Target::Tar(GZIP),
    Target::Tar(ZSTD),
];

/// Those that are written much as others are.
pub const VARIANTS: [Target; 4] = [
    Target::RafsV5(ZSTD),
    Target::ExternalToc,
    Target::ZstdChunked(ZstdChunkedDialect::Stargz),
    Target::ZstdChunked(ZstdChunkedDialect::Containers),
];

impl Target {
    /// Converts `source`, on two threads; what cannot be carried is left out.
    ///
    /// # Errors
    /// Those of the conversion.
    pub fn convert<'a>(
        self,
        source: impl Into<Source<'a>>,
        output: &mut dyn Output,
    ) -> Result<Report, ConvertError> {
        let done = &mut ();
        Ok(match self {
            Self::Rafs(compression) | Self::RafsV5(compression) => {
                let version = match self {
                    Self::RafsV5(_) => Version::V5,
                    _ => Version::V6,
                };
                let options = RafsOptions::default().compression(compression);
                let options = options.version(version).threads(2).lossy(true);
                to_rafs(source, output, &options, done)?.report
            }
            Self::Erofs => {
                let options = ErofsOptions::default().verity(true);
                let options = options.threads(2).lossy(true);
                to_erofs(source, output, &options, done)?.report
            }
            Self::Estargz | Self::ExternalToc => {
                let options = EstargzOptions::default().compression(GZIP);
                let options = options.external_toc(self == Self::ExternalToc);
                let options = options.threads(2).lossy(true);
                to_estargz(source, output, &options, done)?.report
            }
            Self::ZstdChunked(dialect) => {
                let options = ZstdChunkedOptions::default().dialect(dialect);
                let options = options.compression(ZSTD).threads(2).lossy(true);
                to_zstd_chunked(source, output, &options, done)?.report
            }
            Self::Tar(compression) => {
                let options = TarOptions::default().compression(compression);
                let options = options.threads(2).lossy(true);
                to_tar(source, output, &options, done)?.report
            }
        })
    }

    /// Converts `source` to `path`, a new directory or file; what to open then.
    ///
    /// # Panics
    /// If that fails, or needs several files, as [`Target::ExternalToc`] does.
    pub fn write<'a>(self, source: impl Into<Source<'a>>, path: &Path) -> PathBuf {
        let (mut directory, mut file);
        let (output, image): (&mut dyn Output, _) = match self {
            Self::Rafs(_) | Self::RafsV5(_) => {
                directory = DirectoryOutput::create(path).expect("a new directory");
                (&mut directory, path.join("image.boot"))
            }
            _ => {
                file = FileOutput::create(path).expect("a new file");
                (&mut file, path.into())
            }
        };
        let converted = self.convert(source, output);
        converted.unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        image
    }
}

/// Takes any objects, and keeps none.
#[derive(Debug)]
pub struct Nowhere;

impl Output for Nowhere {
    fn begin(&mut self, _: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        Ok(Box::new(Self))
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

impl Write for Nowhere {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Nowhere {
    fn finish(self: Box<Self>, _: &Written) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A directory in memory, where there is one: for what is written by the gigabyte and read once. Gone
/// when dropped.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("room for a directory")
}
