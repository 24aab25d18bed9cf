//! Encode, decode, verify and convert lazily-loadable container images.
//!
//! This facade re-exports the crates of the workspace as modules; a tool that needs less depends on
//! the crate that it needs. Every format is read through one narrow trait, [`model::Image`].
//!
//! | module | holds |
//! |---|---|
//! | [`read`] | open anything, read, [verify](read::verify_image); [`read::ReadPlan`] for asynchronous callers |
//! | [`store`] | whole images in layouts and archives: found, compared with their digests, opened |
//! | `transcode` | whole images into other formats, from one place to another (feature `convert`) |
//! | `convert` | everything that writes images (feature `convert`) |
//! | [`model`] | names, metadata, trees, the trait [`model::Image`], walk, diff, limits |
//! | [`verify`] | digests, audit, the [tree digest](verify::tree_digest) |
//! | [`blob_io`] | where blobs are read from ([`blob_io::ReadAt`]) and images written to ([`blob_io::Output`]) |
//! | [`rafs_format`], [`estargz_toc`], [`tar_stream`] | the formats: bytes in, values out, and back |
//! | [`frame_codec`], [`chunk_dedup`] | compression; cutting and finding chunks |
//! | [`oci_image`] | indexes, manifests, configurations, media types, annotations |
//!
//! # A tour in five lines each
//!
//! Make an image out of a directory, open it again, read a file lazily and verified:
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
//!
//! Verify all there is, and name the tree by one digest, which is the same whatever holds it:
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
//!
//! A tool that reads metadata only needs no file at all: formats are bytes in, values out.
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
//! | `lz4`, `zstd`, `gzip` | yes | chunks of that codec; the last two also layers |
//! | `blake3` | yes | BLAKE3 chunk digests; SHA-256 is always there |
//! | `convert` | yes | the module of that name: everything that writes images |
//! | `libdeflate` | | [gzip by libdeflate](frame_codec::Compression::Libdeflate), the default of eStargz then |
//! | `mmap` | | `blob_io::Mapped`: map local files instead of reading them |
//! | `registry` | | a client of OCI registries: `blob_io::registry`, `store::RegistryStore`, `store::RegistryTarget` |
//! | `serde` | | `Serialize` for reports, findings, digests, paths and ids |
//!
//! What is not built in is refused with an error that names the feature.
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
