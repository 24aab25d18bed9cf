//! How a bootstrap is written.

use image_model::InodeId;

use super::EncodeError;
use crate::flags::{Compat, Compressor, Digester, SuperFlags};

/// Options for writing a bootstrap.
///
/// ```
/// use lazyoci_rafs_format::v6::LayoutOptions;
/// assert_eq!(LayoutOptions::default().chunk_size(4096).chunk_size, 4096);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// Release of nydus-image whose bytes to reproduce.
    pub compat: Compat,
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 16 MiB.
    pub chunk_size: u32,
    /// Compressor that the superblock names.
    pub compressor: Compressor,
    /// Digest algorithm that the superblock names.
    pub digester: Digester,
    /// Whether owners are stored; if not, all are 0.
    pub explicit_ids: bool,
    /// Version 6 alone: whether the blobs are plain tars as they were, in which chunks lie at their addresses, plain and
    /// without digests. Blocks have 512 bytes then, and the kernel mounts the bootstrap with the tars as its devices.
    pub tarfs: bool,
    /// Version 6 alone: `i_ino` of the root in the profile of release 2.2, which writes 0 for a
    /// directory and 1 for a tar; readers ignore it. Release 2.4 numbers the root like every other
    /// inode.
    pub root_number: u32,
    /// Inodes of the prefetch table, in order; see [`prefetch_inodes`](crate::prefetch_inodes).
    pub prefetch: Vec<InodeId>,
    /// Version 5 alone: how many stored bytes at the start of each blob readers should fetch first, by
    /// position in the blob table; 0 where there is no value. Version 6 has no place for it.
    pub readahead: Vec<u32>,
}

impl LayoutOptions {
    /// Fails on the first inode of the prefetch table that is not `there`.
    pub(crate) fn check_prefetch(
        &self,
        there: impl Fn(InodeId) -> bool,
    ) -> Result<(), EncodeError> {
        match self.prefetch.iter().find(|id| !there(**id)) {
            Some(id) => Err(EncodeError::Prefetch { inode: id.index() }),
            None => Ok(()),
        }
    }
}

impl LayoutOptions {
    /// Those that superblocks tell of.
    pub(crate) fn of_superblock(flags: SuperFlags, chunk_size: u32) -> Self {
        Self::default()
            .chunk_size(chunk_size)
            .compressor(flags.compressor())
            .digester(flags.digester())
            .explicit_ids(flags.contains(SuperFlags::EXPLICIT_UID_GID))
            .tarfs(flags.contains(SuperFlags::TARFS_MODE))
    }
}

impl Default for LayoutOptions {
    /// What nydus-image 2.4 does when it is not told otherwise.
    fn default() -> Self {
        Self {
            compat: Compat::default(),
            chunk_size: 1 << 20,
            compressor: Compressor::Zstd,
            digester: Digester::Blake3,
            explicit_ids: true,
            tarfs: false,
            root_number: 0,
            prefetch: Vec::new(),
            readahead: Vec::new(),
        }
    }
}

impl LayoutOptions {
    image_model::setters! {
        compat: Compat,
        chunk_size: u32,
        compressor: Compressor,
        digester: Digester,
        explicit_ids: bool,
        tarfs: bool,
        root_number: u32,
        prefetch: Vec<InodeId>,
        readahead: Vec<u32>,
    }
}
