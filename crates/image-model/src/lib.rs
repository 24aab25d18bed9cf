//! The shared model of container images. Every format crate of this workspace translates between
//! its bytes and these types; formats do not know each other. The crate has no byte layouts,
//! hashing, I/O or compression.
//!
//! | module | holds |
//! |---|---|
//! | [`name`], [`path`] | validated names and cleaned paths: bytes, not UTF-8 |
//! | [`metadata`] | modes, owners, times, devices, extended attributes |
//! | [`tree`] | a file system: inodes in one table, names only in directories |
//! | [`chunk`], [`frame`], [`blob`] | the units of addressing and sharing, of decompression, and of storage |
//! | [`image`] | the narrow [`Image`] trait that every format implements, and [`ChunkedImage`], the owned one |
//! | [`tree_view`] | what an owned image answers from its tree alone |
//! | [`layer`] | building a tree from a layer's entries; stacking layers |
//! | [`order`] | the order of names in a tar |
//! | [`walk`], [`diff`] | visiting every path of an image; comparing two images with reasons |
//! | [`limits`], [`progress`] | bounds on hostile input; progress and cancellation |
//! | [`step`] | machines that find something without I/O: they request bytes, and their caller reads them |
//! | [`dump`] | what dumps of metadata tell |
//! | [`stored_piece`] | where compressed metadata is in a blob |
//! | [`width`] | lossless integer conversions |
//! The stages of a conversion are types: a [`Tree<Spans>`](tree::Tree) says where each file's bytes
//! are in the source, a [`ChunkedImage`] in which chunks they are stored. Encoders take only the
//! latter.
#![forbid(unsafe_code)]

pub mod advisory;
pub mod blob;
pub mod chunk;
mod cipher;
pub mod deflate;
pub mod diff;
pub mod digest;
pub mod dump;
pub mod error;
pub mod frame;
pub mod image;
pub mod layer;
pub mod limits;
mod memory;
pub mod metadata;
pub mod name;
pub mod order;
pub mod path;
pub mod progress;
mod setters;
pub mod step;
pub mod stored_piece;
pub mod tree;
pub mod tree_view;
pub mod walk;
pub mod width;

pub use blob::{Blob, BlobId, BlobIndex};
pub use chunk::{Chunk, ChunkId};
pub use cipher::XtsKey;
pub use digest::{Digest, DigestAlgorithm};
pub use error::{Blame, Fault, ImageError};
pub use frame::{Codec, Decode, Frame, FrameId, Recipe, RecipeId, Vouched};
pub use image::{Attributes, ChunkedImage, DirEntry, Extent, ExtentSource, Image, Ino};
pub use limits::Limits;
pub use metadata::{Device, FileKind, Metadata, Timestamp, Xattrs};
pub use name::{Name, NameRef};
pub use path::ImagePath;
pub use progress::{Cancelled, Progress};
pub use step::{Need, Object, Step, StepMachine};
pub use stored_piece::StoredPiece;
pub use tree::{Inode, InodeId, Node, Tree};
pub use tree_view::TreeView;

// A crate whose types stand in signatures here.
pub use bytes;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
