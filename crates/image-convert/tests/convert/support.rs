//! What the tests share.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::{DirectoryOutput, ReadAt, WriterOutput};
use bytes::Bytes;
use frame_codec::Compression;
use image_model::metadata::Xattr;
use image_model::{
    Chunk, DigestAlgorithm, ImagePath, Limits, Metadata, Node, Progress, Timestamp, Xattrs,
};
use image_read::{BlobStore, NoBlobs, OpenImage, Reader, TreeImage, open_source};
use lazyoci_image_convert::{
    ConvertError, RafsOptions, RafsReport, Report, Source, Streaming, TarOptions, TarReport,
    to_rafs, to_tar,
};
use rafs_format::flags::Compat;
use rafs_format::v6::{Bootstrap, OwnedBootstrap};
use tar_stream::TarWriter;
use tempfile::TempDir;
use verify::Profile;

/// 2020-09-13T12:26:40Z, the time of the golden trees.
pub(crate) const MTIME: Timestamp = Timestamp::from_seconds(1_600_000_000);

/// The tree digest of the golden tree.
pub(crate) const GOLDEN_DIGEST: &str =
    "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";

pub(crate) fn sha256(bytes: &[u8]) -> String {
    verify::sha256(bytes).hex()
}

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

pub(crate) fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        mtime: MTIME,
        ..Metadata::default()
    }
}

pub(crate) fn with_xattr(name: &[u8], value: &[u8]) -> Metadata {
    let xattr = Xattr {
        name: name.into(),
        value: value.into(),
    };
    Metadata {
        xattrs: Xattrs::new([xattr]).unwrap(),
        ..metadata(0o644)
    }
}

/// A tar under construction.
pub(crate) struct Tar(TarWriter<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(TarWriter::new(Vec::new()))
    }

    pub(crate) fn node(mut self, name: &str, metadata: &Metadata, node: &Node<()>) -> Self {
        self.0.append(&path(name), metadata, node).unwrap();
        self
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.node(name, &metadata(0o755), &Node::empty_directory())
    }

    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.file_with(name, &metadata(0o644), bytes)
    }

    pub(crate) fn file_with(self, name: &str, metadata: &Metadata, bytes: &[u8]) -> Self {
        let size = bytes.len() as u64;
        let mut this = self.node(name, metadata, &Node::File { size, content: () });
        this.0.write_all(bytes).unwrap();
        this
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        let node = Node::Symlink(target.as_bytes().into());
        self.node(name, &metadata(0o777), &node)
    }

    pub(crate) fn link(mut self, name: &str, target: &str) -> Self {
        let metadata = metadata(0o644);
        let (name, target) = (path(name), path(target));
        self.0.append_link(&name, &metadata, &target).unwrap();
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

/// The tree of the golden vectors. The root is implied: its time is 0, as nydus has it for
/// directories.
pub(crate) fn golden_tar() -> Vec<u8> {
    Tar::new()
        .directory("d")
        .file("f", b"hello")
        .link("d/h", "f")
        .symlink("d/l", "../f")
        .file("e", b"")
        .file("z", &[b'A'; 10_000])
        .finish()
}

/// Bytes that nothing compresses, a function of `seed`.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The profiles that can be written: 2.2 compresses its chunk information with zstd.
pub(crate) const COMPATS: &[Compat] = if cfg!(feature = "zstd") {
    &[Compat::V2_4, Compat::V2_2]
} else {
    &[Compat::V2_4]
};

/// Options that need no feature: no compression, SHA-256; chunks of 4 KiB.
pub(crate) fn plain_options() -> RafsOptions {
    RafsOptions::default()
        .compression(Compression::None)
        .digest(DigestAlgorithm::Sha256)
        .chunk_size(4096)
        .threads(2)
}

/// A converted image in a directory of its own.
pub(crate) struct Image {
    pub(crate) directory: TempDir,
    pub(crate) report: Report,
    pub(crate) done: RafsReport,
}

/// Converts `source` into the directory `output`.
pub(crate) fn convert<'a>(
    source: impl Into<Source<'a>>,
    output: &Path,
    options: &RafsOptions,
    progress: &mut dyn Progress,
) -> Result<RafsReport, ConvertError> {
    let mut directory = DirectoryOutput::create(output)?;
    to_rafs(source, &mut directory, options, progress)
}

impl Image {
    pub(crate) fn of<'a>(
        source: impl Into<Source<'a>>,
        options: &RafsOptions,
    ) -> Result<Self, ConvertError> {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("image");
        let done = convert(source, &output, options, &mut ());
        if done.is_err() {
            assert_eq!(files(directory.path()), [], "a failure leaves nothing");
            assert!(!output.exists());
        }
        let done = done?;
        Ok(Self {
            report: done.report.clone(),
            done,
            directory,
        })
    }

    pub(crate) fn of_tar(tar: &[u8], options: &RafsOptions) -> Self {
        Self::of(Streaming::new(tar), options).unwrap()
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub(crate) fn bootstrap_path(&self) -> PathBuf {
        self.output().join("image.boot")
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        let bytes = fs::read(self.bootstrap_path()).unwrap();
        Bootstrap::open(bytes.into(), &Limits::default()).unwrap()
    }

    /// The stored chunks in the order of the blob.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        let OwnedBootstrap { image, places } = self.bootstrap().to_chunked().unwrap();
        let mut order: Vec<_> = image.chunks.into_iter().collect();
        order.sort_by_key(|chunk| places[chunk.frame.0 as usize].index);
        order
    }

    /// The only blob.
    pub(crate) fn blob(&self) -> Vec<u8> {
        let mut blobs = files(&self.output().join("blobs"));
        assert_eq!(blobs.len(), 1);
        let (name, bytes) = blobs.remove(0);
        assert_eq!(name, sha256(&bytes));
        bytes
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.bootstrap_path())
    }
}

/// The tree digest of whatever is at `path`.
pub(crate) fn digest(path: &Path) -> String {
    let image = image_read::open(path, &Default::default()).unwrap();
    let digest = image.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

/// The tree digest of the layer `tar`.
pub(crate) fn digest_of_tar(tar: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer.tar");
    fs::write(&path, tar).unwrap();
    digest(&path)
}

/// A reader of the plain bytes in `source` as the files of `image`.
pub(crate) fn reader(image: TreeImage, source: Arc<dyn ReadAt>) -> Reader {
    Reader::new(
        Arc::new(image),
        BlobStore::single(source),
        Default::default(),
    )
}

/// The layer `tar`, opened.
pub(crate) fn layer(tar: Vec<u8>) -> OpenImage {
    open_source(
        Arc::new(Bytes::from(tar)),
        None,
        NoBlobs,
        &Default::default(),
    )
    .unwrap()
}

/// The tar of `source`.
pub(crate) fn tar_of<'a>(
    source: impl Into<Source<'a>>,
    options: &TarOptions,
) -> Result<(TarReport, Vec<u8>), ConvertError> {
    let mut tar = Vec::new();
    let report = to_tar(source, &mut WriterOutput::new(&mut tar), options, &mut ())?;
    Ok((report, tar))
}

/// Every file below `directory` by its path there, and its bytes.
pub(crate) fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap();
                found.push((name.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
