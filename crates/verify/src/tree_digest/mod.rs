//! One digest of a whole file tree.
//!
//! It is a Merkle digest over what a container sees of the tree, so it is the same whatever format
//! holds the tree. With `u64(n)` for eight bytes little endian, `bytes(b)` for `u64(len)` and the
//! bytes, and `H` for SHA-256:
//!
//! ```text
//! node(inode) = H( "lazyoci.tree.v1" 0x00
//!     type                one byte: d f l c b p s; in layers also o (opaque directory), w (whiteout)
//!     u64(mode)           12 bits; symbolic links: 0o777
//!     u64(uid) u64(gid)
//!     u64(mtime)          whole seconds, two's complement; root: 0
//!     u64(major) u64(minor)           of devices, else 0
//!     bytes(link)         least path of the inode's names, without leading slash, if it has several
//!     u64(n) n × ( bytes(name) bytes(value) )     extended attributes by name
//!     content
//! )
//! content of d, o:        u64(n) n × ( bytes(name) node(child) )      by name
//! content of f:           u64(size) SHA-256 of the bytes
//! content of l:           bytes(target)
//! ```

mod compute;
mod error;
mod files;

use std::fmt;
use std::str::FromStr;

use image_model::{Digest, DigestAlgorithm, Image, Limits, Progress};

use crate::content::Content;

pub use error::TreeDigestError;

/// The digest of a file tree, written `tree1:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeDigest([u8; 32]);

impl TreeDigest {
    /// The 32 raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TreeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = Digest::new(DigestAlgorithm::Sha256, self.0);
        write!(f, "tree1:{}", digest.hex())
    }
}

impl fmt::Debug for TreeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a tree digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a tree digest: expected `tree1:` and 64 lower-case hex digits")]
pub struct ParseTreeDigestError {
    /// The text.
    pub text: String,
}

impl FromStr for TreeDigest {
    type Err = ParseTreeDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseTreeDigestError { text: text.into() };
        let hex = text.strip_prefix("tree1:").ok_or_else(error)?;
        let digest: Digest = format!("sha256:{hex}").parse().map_err(|_| error())?;
        Ok(Self(*digest.as_bytes()))
    }
}

/// What counts in a tree digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// Everything that a container sees: names, kinds, modes, owners, times in seconds, devices,
    /// hard links, extended attributes, content. Names that begin with `.wh.` do not count, nor
    /// does anything below them: containers never see them.
    #[default]
    Default,
    /// The same for one layer of an image. A whiteout counts as a node of type `w`, with all fields
    /// 0, under the name that it hides; a directory that hides lower layers (by an opaque marker in
    /// it or a whiteout beside it) is of type `o`. A whiteout beside a file of the name that it
    /// hides has no effect and does not count, nor do leftovers of AUFS.
    Layer,
    /// Only names, kinds, targets of symbolic links and content.
    Content,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Layer => "layer",
            Self::Content => "content",
        })
    }
}

/// Text that does not name a [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a profile: expected `default`, `layer` or `content`")]
pub struct ParseProfileError {
    /// The text.
    pub text: String,
}

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            "layer" => Ok(Self::Layer),
            "content" => Ok(Self::Content),
            _ => Err(ParseProfileError { text: text.into() }),
        }
    }
}

/// Options of a tree digest. A [`Profile`] alone will do.
///
/// ```
/// use lazyoci_verify::{Profile, TreeDigestOptions};
/// let of_a_layer = TreeDigestOptions::default().profile(Profile::Layer);
/// assert_eq!(of_a_layer, Profile::Layer.into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TreeDigestOptions {
    /// What counts.
    pub profile: Profile,
    /// Bounds on names and depth, and, by [`Limits::max_content_len`], on the content of all files
    /// together, including holes.
    pub limits: Limits,
}

impl TreeDigestOptions {
    image_model::setters! {
        profile: Profile,
        limits: Limits,
    }
}

impl From<Profile> for TreeDigestOptions {
    fn from(profile: Profile) -> Self {
        Self::default().profile(profile)
    }
}

/// The digest of the file tree in `image`, its content read by `content`, verified. `progress`
/// receives the bytes of content digested. Memory beyond the image: the entries of the directories
/// on the current path, a path and a digest per hard-linked inode, a number and a digest for each
/// file.
///
/// ```
/// use image_model::Image;
/// use lazyoci_verify::{Content, Profile, TreeDigest, tree_digest};
///
/// fn print(image: &dyn Image, content: &mut dyn Content) -> Result<(), lazyoci_verify::TreeDigestError> {
///     let digest: TreeDigest = tree_digest(image, content, Profile::Default, &mut ())?;
///     println!("{digest}");
///     Ok(())
/// }
/// ```
///
/// # Errors
/// [`TreeDigestError`], with the path, on the first fault of the image or its content.
pub fn tree_digest(
    image: &dyn Image,
    content: &mut dyn Content,
    options: impl Into<TreeDigestOptions>,
    progress: &mut dyn Progress,
) -> Result<TreeDigest, TreeDigestError> {
    compute::compute(image, content, &options.into(), progress).map(TreeDigest)
}
