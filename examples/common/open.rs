//! The arguments that name an image.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
#[cfg(feature = "gzip-index")]
use lazyoci::blob_io::LocalFile;
use lazyoci::model::{Ino, Limits};
use lazyoci::oci_image::{Annotations, Platform};
#[cfg(feature = "gzip-index")]
use lazyoci::read::LayerIndex;
use lazyoci::read::{Follow, Format, OpenImage, OpenOptions, open_with_progress};
use lazyoci::store::open::described;

use super::whole::Whole;

use super::Failure;
use super::progress::Bar;
use super::registry::RegistryArgs;

/// How images are opened.
#[derive(Debug, Clone, Args)]
pub struct OpenArgs {
    /// Directory with the data blobs, by id [default: `blobs` beside the image]
    #[arg(long, value_name = "DIR")]
    blobs: Option<PathBuf>,
    /// Accept tars that strict reading refuses, as Go does
    #[arg(long)]
    lenient: bool,
    /// Read an eStargz or zstd:chunked layer as a plain layer
    #[arg(long)]
    as_layer: bool,
    /// Annotations of the layer as a JSON object: its digests, and where the TOC of a zstd:chunked layer is. Those of
    /// whole images come from their manifests
    #[arg(long, value_name = "FILE")]
    annotations: Option<PathBuf>,
    /// TOC of an eStargz layer whose TOC is another blob
    #[arg(long, value_name = "FILE")]
    external_toc: Option<PathBuf>,
    /// Index of the gzip layer, written by `index`: the layer is then read lazily, and `convert` decodes it with several
    /// threads
    #[cfg(feature = "gzip-index")]
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// Content that an image may declare, stored or not [default: 1 TiB in all; 16 GiB beyond 64 times the stored
    /// bytes; 1 GiB of repeated chunks]
    #[arg(long, value_name = "SIZE", value_parser = super::bytes::parse)]
    max_content: Option<u64>,
    /// Bytes that a piece of an image may decode to [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = super::bytes::parse_u32)]
    max_frame: Option<u32>,
    /// Platform of the image to choose among several, such as `linux/arm64` [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,
    /// Only this layer of a whole image, counted from 0, the lowest
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

impl OpenArgs {
    /// Opens what is at `path`, or the whole image that it names.
    pub fn open(&self, path: &Path) -> Result<OpenImage, Failure> {
        no_stream(path)?;
        if let Some(whole) = Whole::find(path, self)? {
            return whole.open(self);
        }
        self.registry.refuse(path)?;
        let given = [
            ("--platform", self.platform.is_some()),
            ("--layer", self.layer.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            let path = path.display();
            return Err(Failure::usage(format!(
                "{option} needs a whole image, such as `oci:DIR`, which {path} is not"
            )));
        }
        let mut bar = Bar::new("opening");
        open_with_progress(path, &self.layer_options()?, &mut bar)
            .map_err(|error| Failure::from(error).of(path.display()))
    }

    /// What was asked for.
    pub fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::default()
            .lenient(self.lenient)
            .as_layer(self.as_layer)
            .limits(self.limits());
        options.blobs = self.blobs.clone();
        options
    }

    /// What was asked for, with what is told of a single layer.
    pub fn layer_options(&self) -> Result<OpenOptions, Failure> {
        let mut options = self.options();
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| Failure::usage(error).of(path.display()))
        };
        if let Some(path) = &self.external_toc {
            options = options.external_toc(read(path)?);
        }
        if let Some(path) = &self.annotations {
            let annotations: Annotations = serde_json::from_slice(&read(path)?)
                .map_err(|error| Failure::usage(error).of(path.display()))?;
            options = described(&annotations, &options)?.unwrap_or(options);
        }
        #[cfg(feature = "gzip-index")]
        if let Some(index) = self.layer_index()? {
            options = options.index(index);
        }
        Ok(options)
    }

    /// The index that was given.
    #[cfg(feature = "gzip-index")]
    pub fn layer_index(&self) -> Result<Option<LayerIndex>, Failure> {
        let Some(path) = &self.index else {
            return Ok(None);
        };
        no_stream(path)?;
        let of = |error: Failure| error.of(path.display());
        let file = LocalFile::open(path).map_err(|error| of(Failure::usage(error)))?;
        let index = LayerIndex::open(&file, &self.limits());
        Ok(Some(index.map_err(|error| of(error.into()))?))
    }

    /// Whether an index was given.
    pub fn has_index(&self) -> bool {
        #[cfg(feature = "gzip-index")]
        return self.index.is_some();
        #[cfg(not(feature = "gzip-index"))]
        false
    }

    /// Whether anything is told of the image that is not in its file.
    pub fn tells(&self) -> bool {
        self.has_index()
            || self.annotations.is_some()
            || self.external_toc.is_some()
            || self.platform.is_some()
            || self.layer.is_some()
    }

    /// Refuses an index for what is no layer by itself.
    pub fn refuse_index(&self, path: &Path) -> Result<(), Failure> {
        if !self.has_index() {
            return Ok(());
        }
        let what = "--index needs a single gzip layer, which must be a file";
        Err(Failure::usage(what).of(path.display()))
    }

    /// Refuses an index for a whole image of which no layer is chosen.
    pub fn refuse_index_of_all(&self, path: &Path) -> Result<(), Failure> {
        if !self.has_index() || self.layer.is_some() {
            return Ok(());
        }
        let what = "--index needs a single gzip layer: --layer N chooses one of the image";
        Err(Failure::usage(what).of(path.display()))
    }

    /// The bounds on images.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(len) = self.max_frame {
            limits = limits.max_frame_len(len);
        }
        match self.max_content {
            Some(len) => limits
                .max_content_len(len)
                .max_hole_len(len)
                .max_repeat_len(len),
            None => limits,
        }
    }

    /// Whether lenient reading was asked for.
    pub fn lenient(&self) -> bool {
        self.lenient
    }

    /// Whether layers are to be taken as plain ones.
    pub fn as_layer(&self) -> bool {
        self.as_layer
    }

    /// Whether `format` is that of a layer, or is to be taken as that.
    pub fn is_layer(&self, format: Format) -> bool {
        match format {
            Format::Tar(_) => true,
            format => format.has_toc() && self.as_layer,
        }
    }
}

/// Whether `path` stands for stdin or stdout.
pub fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether what is at `path` can be read once only: stdin, or a pipe.
pub fn is_read_once(path: &Path) -> bool {
    is_stream(path) || is_pipe(path)
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_path: &Path) -> bool {
    false
}

/// Refuses stdin where a file is needed.
pub fn no_stream(path: &Path) -> Result<(), Failure> {
    if is_stream(path) {
        return Err(Failure::usage(
            "-: reading an image needs random access, which stdin does not allow; save it to a file first",
        ));
    }
    Ok(())
}

/// A path inside an image as given on the command line: any bytes.
#[cfg(unix)]
pub fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// The inode at `path`, symbolic links followed.
pub fn resolve(image: &OpenImage, path: &Path) -> Result<Ino, Failure> {
    Ok(image.resolve(path_bytes(path), Follow::All)?)
}
