//! Encode, decode, verify and convert lazily loaded container images. This facade re-exports the
//! crates of the workspace as modules; a tool that needs less can depend on a single crate. Every
//! format is read through one narrow trait, [`model::Image`].
//!
//! | module | holds |
//! |---|---|
//! | [`read`] | open anything, read, [verify](read::verify_image); [`read::ReadPlan`] for asynchronous callers |
//! | [`store`] | whole images in layouts and archives: find, check against digests, open |
//! | `transcode` | convert whole images, from one store to another (feature `convert`) |
//! | `convert` | everything that writes images (feature `convert`) |
//! | [`model`] | names, metadata, trees, the trait [`model::Image`], walk, diff, limits |
//! | [`verify`] | digests, audit, the [tree digest](verify::tree_digest) |
//! | [`blob_io`] | reading blobs ([`blob_io::ReadAt`]) and writing images ([`blob_io::Output`]) |
//! | [`rafs_format`], [`estargz_toc`], [`tar_stream`] | the formats: bytes in, values out, and back |
//! | `gzip_index`, `soci_ztoc` | where gzip streams can be entered; zTOCs of SOCI (feature `gzip-index`) |
//! | [`frame_codec`], [`chunk_dedup`] | compression; cutting and finding chunks |
//! | [`oci_image`] | indexes, manifests, configurations, media types, annotations |
//!
//! # A tour in five lines each
//! Make an image from a directory, open it, and read a file lazily and verified:
//!
//! ```
//! # #[cfg(feature = "convert")] {
//! use lazyoci::blob_io::DirectoryOutput;
//! use lazyoci::convert::{RafsOptions, to_rafs};
//! use lazyoci::read::open;
//! # let dir = tempfile::tempdir()?;
//! # let (source, output) = (dir.path().join("source"), dir.path().join("image"));
//! # std::fs::create_dir(&source)?;
//! # std::fs::write(source.join("motd"), "hello")?;
//!
//! let source = open(&source, &Default::default())?;
//! to_rafs(source, &mut DirectoryOutput::create(&output)?, &RafsOptions::default(), &mut ())?;
//! let image = open(output.join("image.boot"), &Default::default())?;
//! assert_eq!(image.read("/motd", 1 << 20)?, b"hello");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Verify everything, and compute a tree digest that does not depend on the format:
//!
//! ```
//! use lazyoci::{read::open, verify::Profile};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! # std::fs::write(path.join("motd"), "hello")?;
//! let image = open(path, &Default::default())?;
//! let summary = image.verify(&Default::default(), &mut (), &mut |found| println!("{found}"))?;
//! assert!(summary.is_sound());
//! let digest = image.tree_digest(Profile::Content, &mut ())?;
//! assert!(digest.to_string().starts_with("tree1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! A tool that only reads metadata does not even need a file: format crates turn bytes into values.
//!
//! ```
//! use lazyoci::{bytes::Bytes, model::Limits, rafs_format::v6::Bootstrap};
//! let truncated = Bytes::from_static(&[0; 4096]);
//! let error = Bootstrap::open(truncated, &Limits::default()).unwrap_err();
//! println!("{error}");
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `lz4`, `zstd`, `gzip` | yes | chunks in that codec; the last two also layers |
//! | `gzip-index` | yes | [`read::LayerIndex`]: gzip layers read lazily and by several threads; zTOCs of SOCI |
//! | `blake3` | yes | BLAKE3 chunk digests; SHA-256 is always available |
//! | `encryption` | | encrypted RAFS blobs (AES-128-XTS) |
//! | `convert` | yes | the module `convert`: everything that writes images |
//! | `libdeflate` | | [gzip by libdeflate](frame_codec::Compression::Libdeflate), which becomes the default for eStargz |
//! | `mmap` | | `blob_io::Mapped`: map local files instead of reading them |
//! | `registry` | | a client of OCI registries: `blob_io::registry`, `store::RegistryStore`, `store::RegistryTarget` |
//! | `serde` | | `Serialize` for reports, findings, digests, paths and ids, and for dumps (`model::dump::Document`) |
//! Using something that is not built in fails with an error that names the feature.
#![forbid(unsafe_code)]

pub use blob_io;
pub use chunk_dedup;
pub use erofs_format;
pub use estargz_toc;
pub use frame_codec;
#[cfg(feature = "convert")]
pub use image_convert as convert;
pub use image_model as model;
pub use image_model::bytes;
pub use image_read as read;
#[cfg(feature = "gzip-index")]
pub use image_read::{gzip_index, soci_ztoc};
pub use image_store as store;
#[cfg(feature = "convert")]
pub use image_transcode as transcode;
pub use oci_image;
pub use rafs_format;
pub use tar_stream;
pub use verify;

/// Compiles the snippets of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
