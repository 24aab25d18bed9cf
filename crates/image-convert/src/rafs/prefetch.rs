//! What readers should fetch first, and how the image says so.

use image_model::{ChunkedImage, InodeId, Node};
use rafs_format::layout::LayoutOptions;
use rafs_format::prefetch_inodes;

use super::RafsOptions;
use crate::tree::StoreOrder;

/// How an image says what to fetch first, by the names of nydus-image.
///
/// | policy | order of content | image |
/// |---|---|---|
/// | `none` | as without rules | nothing |
/// | `fs` | prefetched files first | the prefetch table: inodes, from which readers find the content |
/// | `blob` | as with `fs` | version 5: how many bytes at the start of each blob; version 6 has no place for it |
///
/// ```
/// use lazyoci_image_convert::PrefetchPolicy;
/// assert_eq!("blob".parse(), Ok(PrefetchPolicy::Blob));
/// assert_eq!("all".parse::<PrefetchPolicy>().unwrap_err().to_string(), "expected none, fs or blob");
/// ```
///
/// Source: nydus v2, `builder/src/core/prefetch.rs` (`PrefetchPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PrefetchPolicy {
    /// Rules are ignored.
    None,
    /// The metadata name the files.
    #[default]
    Fs,
    /// Blobs begin with the files.
    Blob,
}

/// A word that is no prefetch policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected none, fs or blob")]
#[non_exhaustive]
pub struct ParsePrefetchPolicyError;

impl std::str::FromStr for PrefetchPolicy {
    type Err = ParsePrefetchPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "fs" => Ok(Self::Fs),
            "blob" => Ok(Self::Blob),
            _ => Err(ParsePrefetchPolicyError),
        }
    }
}

/// Adds to `layout` what `options` want `image` to say.
pub(super) fn describe(
    layout: LayoutOptions,
    image: &ChunkedImage,
    options: &RafsOptions,
) -> LayoutOptions {
    let named = || prefetch_inodes(&image.tree, &options.prefetch);
    match options.prefetch_policy {
        PrefetchPolicy::None => layout,
        PrefetchPolicy::Fs => layout.prefetch(named()),
        PrefetchPolicy::Blob => layout.readahead(readahead(image, &named())),
    }
}

/// How many bytes at the start of each blob hold nothing but chunks of the files at and below `named`. A layer that
/// was streamed need not have these files first.
fn readahead(image: &ChunkedImage, named: &[InodeId]) -> Vec<u32> {
    let files = StoreOrder::new(&image.tree, named);
    let (first, _) = files.parts();
    let content = first
        .iter()
        .filter_map(|&id| match image.tree.inode(id).node {
            Node::File { content, .. } => image.file_extents(content),
            _ => None,
        });
    let chunks = content.flatten().filter_map(|extent| extent.chunk);
    let mut frames: Vec<_> = chunks
        .map(|chunk| {
            let frame = &image.frames[image.chunks[chunk.index()].frame.0 as usize];
            (frame.blob, frame.offset, frame.stored_len)
        })
        .collect();
    frames.sort_unstable();
    frames.dedup();
    let mut ends = vec![0u32; image.blobs.len()];
    for (blob, offset, stored_len) in frames {
        let end = &mut ends[blob.0 as usize];
        if offset == u64::from(*end) {
            *end = end.saturating_add(stored_len);
        }
    }
    ends
}
