//! Extended attributes, inline and shared.

use image_model::Xattrs;
use image_model::metadata::Xattr;
use image_model::width::u64_from;

use super::ErofsImage;
use crate::error::{DecodeError, limit};
use crate::inode::Inode;
use crate::xattr;

impl ErofsImage {
    pub(crate) fn read_xattrs(&self, inode: &Inode) -> Result<Xattrs, DecodeError> {
        let max = u64::from(self.limits.max_xattr_len);
        let what = "bytes of extended attributes";
        limit(what, inode.xattr_len, max)?;
        let offset = inode.offset.saturating_add(inode.header_len());
        let area = self.read("extended attributes", offset, inode.xattr_len)?;
        let mut sum = inode.xattr_len;
        xattr::read(&area, offset, &self.prefixes, &mut |id| {
            let shared = self.read_shared(id)?;
            let len = u64_from(shared.name.len().saturating_add(shared.value.len()));
            sum = sum.saturating_add(len);
            limit(what, sum, max)?;
            Ok(shared)
        })
    }

    /// Where the shared attribute `id` is.
    pub(crate) fn shared_offset(&self, id: u32) -> u64 {
        let start = self
            .superblock
            .block_size
            .bytes_in(self.superblock.xattr_blkaddr);
        start.saturating_add(u64::from(id) << 2)
    }

    fn read_shared(&self, id: u32) -> Result<Xattr, DecodeError> {
        let what = "shared extended attribute";
        let offset = self.shared_offset(id);
        let header = self.read(what, offset, 4)?;
        let len = xattr::entry_len(&header, offset)?;
        let bytes = self.read(what, offset, len)?;
        Ok(xattr::read_entry(&bytes, offset, &self.prefixes)?.0)
    }
}
