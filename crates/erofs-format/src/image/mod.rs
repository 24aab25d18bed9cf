//! Reading an image.

mod answers;
mod content;
mod directory;
mod dump;
mod open;
mod xattrs;

use std::fmt;

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};
use image_model::{Blob, BlobIndex, FileKind, Ino, Limits};

use crate::device_slot::DeviceSlot;
use crate::error::{At, DecodeError, StructureError, limit};
use crate::inode::{DataLayout, EXTENDED_LEN, Inode};
use crate::source::MetadataBytes;
use crate::superblock::Superblock;
use crate::xattr::LongPrefixes;

/// Bits of `i_u` of a file in chunks that are known: the size, and whether there are indexes.
const KNOWN_CHUNK_FORMAT: u32 = crate::CHUNK_FORMAT_BITS | crate::CHUNK_FORMAT_INDEXES;
/// The chunk addresses of the file have 48 bits.
const CHUNK_FORMAT_48BIT: u32 = 0x40;

/// An uncompressed EROFS image: a view of its metadata, which is read on demand.
///
/// Opening costs the headers, whatever the image's size; every access checks what it touches, and
/// [`check`](Self::check) looks at everything. As an [`Image`](image_model::Image) its inode
/// numbers are nids, its blob 0 is the image itself, and the others are the devices. Content is not
/// read: extents say where it is. Devices inside the image (whose `mapped_blkaddr` are within it)
/// are read there.
///
/// ```
/// use image_model::{Image, Limits, Metadata, Name, Node, Tree};
/// use lazyoci_erofs_format::{ErofsImage, Layout, LayoutInput};
///
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let link = tree.add(Metadata::default(), Node::Symlink((*b"usr/bin").into()));
/// tree.link(Tree::<()>::ROOT, Name::new(*b"bin")?, link)?;
/// # let tree = tree.try_map(|_, _, ()| Ok::<_, std::convert::Infallible>(Default::default()))?;
/// let layout = Layout::plan(LayoutInput { tree: &tree, extents: &[], chunks: &[], inline: &[], chunk_size: 4096 })?;
/// let mut bytes = Vec::new();
/// layout.write_metadata([0; 16], &|_, _| Ok(()), &mut bytes)?;
///
/// let image = ErofsImage::open(bytes::Bytes::from(bytes), &Limits::default())?;
/// let bin = image.lookup(image.root(), Name::new(*b"bin")?.as_ref())?.unwrap();
/// assert_eq!(&*image.symlink_target(bin)?, b"usr/bin");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ErofsImage {
    source: Box<dyn MetadataBytes>,
    len: u64,
    limits: Limits,
    superblock: Superblock,
    devices: Vec<DeviceSlot>,
    /// By their first byte.
    mapped: Vec<Mapped>,
    prefixes: LongPrefixes,
    blobs: Vec<Blob>,
}

/// Where the address space of the image has a device that does not lie in it: bytes.
struct Mapped {
    start: u64,
    end: u64,
    blob: BlobIndex,
}

impl fmt::Debug for ErofsImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErofsImage")
            .field("len", &self.len)
            .field("superblock", &self.superblock)
            .field("devices", &self.devices)
            .finish_non_exhaustive()
    }
}

impl ErofsImage {
    /// The superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The device table: blob n is slot n - 1.
    #[must_use]
    pub fn devices(&self) -> &[DeviceSlot] {
        &self.devices
    }

    /// Whether the content of the device `slot` lies in the image itself, where it is read.
    #[must_use]
    pub fn holds(&self, slot: &DeviceSlot) -> bool {
        let block_size = self.superblock.block_size;
        let start = block_size.bytes_in(slot.mapped_blkaddr);
        let end = start.saturating_add(block_size.bytes_in(slot.blocks));
        // The end of a device without a length is unknown.
        slot.mapped_blkaddr != 0 && slot.blocks != 0 && end <= self.len
    }

    /// The bounds that it was opened with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Length of the image in bytes, its devices aside.
    #[expect(clippy::len_without_is_empty, reason = "no image is empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The inode as stored.
    ///
    /// # Errors
    /// [`DecodeError`] if it leaves the image, breaks a rule of its own, or its content is compressed.
    pub fn inode(&self, ino: Ino) -> Result<Inode, DecodeError> {
        let nid = ino.0;
        let offset = self.superblock.inode_offset(nid);
        // The shorter form may be the last thing in the image.
        let len = EXTENDED_LEN.min(self.len.saturating_sub(offset));
        let bytes = self.read("inode", offset, len.max(32))?;
        let inode = Inode::parse(&bytes, offset, &self.superblock, nid).map_err(|error| {
            // It is the image that is too short, not the inode.
            match error {
                StructureError::Truncated { what, len, .. } => StructureError::Truncated {
                    what,
                    offset,
                    len,
                    available: self.len,
                },
                error => error,
            }
        })?;
        self.require("inode", offset, inode.end().saturating_sub(offset))?;
        check_inode(&inode)?;
        Ok(inode)
    }

    pub(crate) fn root_ino(&self) -> Ino {
        Ino(self.superblock.root_nid.into())
    }

    /// Reads `len` bytes of `what` at `offset`.
    pub(crate) fn read(
        &self,
        what: &'static str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, DecodeError> {
        self.require(what, offset, len)?;
        limit("bytes of metadata", len, self.limits.max_metadata_len)?;
        let memory = usize_up_to(len);
        let failed = |source| DecodeError::Read {
            offset,
            len,
            source,
        };
        let bytes = self.source.bytes(offset, memory).map_err(failed)?;
        if u64_from(bytes.len()) != len {
            return Err(truncated(what, offset, len, self.len).into());
        }
        Ok(bytes)
    }

    /// Refuses bytes that the image does not have.
    pub(crate) fn require(
        &self,
        what: &'static str,
        offset: u64,
        len: u64,
    ) -> Result<(), StructureError> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(truncated(what, offset, len, self.len)),
        }
    }
}

fn truncated(what: &'static str, offset: u64, len: u64, available: u64) -> StructureError {
    StructureError::Truncated {
        what,
        offset,
        len,
        available,
    }
}

/// What an inode's kind asks of its layout.
fn check_inode(inode: &Inode) -> Result<(), StructureError> {
    let at = At::new("inode", inode.offset);
    let chunked = inode.layout == DataLayout::Chunked;
    match inode.kind {
        FileKind::File if chunked => {
            if inode.word & CHUNK_FORMAT_48BIT != 0 {
                return Err(at.unsupported("chunk addresses of 48 bits"));
            }
            let rule = "of a chunk format (0x20 and at most 5 bits)";
            let known = inode.word & !KNOWN_CHUNK_FORMAT == 0;
            at.require(known, "i_u", inode.word, rule)
        }
        FileKind::Directory | FileKind::Symlink => {
            let rule = "plain or inline for this kind";
            at.require(!chunked, "i_format", inode.layout.id() << 1, rule)?;
            at.require(inode.size != 0, "i_size", inode.size, "not 0 for this kind")
        }
        _ => Ok(()),
    }
}
