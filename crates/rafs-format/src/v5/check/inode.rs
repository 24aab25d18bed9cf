//! One inode, with all that follows it.

use image_model::width::{u64_from, usize_from};
use image_model::{FileKind, ImagePath, Ino};
use zerocopy::IntoBytes;

use super::Checker;
use crate::check::Inconsistency;
use crate::chunk_record::ChunkRecord;
use crate::error::DecodeError;
use crate::native::missing_support;
use crate::v5::inode::{self, Inode, InodeFlags};
use crate::v5::{merkle, xattr};
use crate::view;

/// What builders of tars write as the number of anything that is not a device.
const NO_DEVICE: u32 = u32::MAX;

impl Checker<'_> {
    pub(super) fn inode(&mut self, path: &ImagePath, inode: &Inode) {
        self.space.take("inode", inode.offset, inode.len());
        self.seen.has_xattr |= inode.xattr_len != 0;
        self.reserved(path, inode);
        self.fields(path, inode);
        let bootstrap = self.bootstrap;
        let mut results = vec![bootstrap.read_xattrs(inode).map(drop)];
        match inode.kind {
            FileKind::File => {
                results.push(bootstrap.require_chunks(inode));
                self.content(path, inode);
            }
            FileKind::Symlink => results.push(bootstrap.read_target(inode).map(drop)),
            _ => {}
        }
        for error in results.into_iter().filter_map(Result::err) {
            self.report_at(path, inode.offset, error);
        }
        self.own_digest(path, inode);
        if inode.ino != u64::from(inode.number) {
            self.further_name(path, inode);
        }
    }

    /// Bytes that nobody reads.
    fn reserved(&mut self, path: &ImagePath, inode: &Inode) {
        let bytes = &self.bootstrap.bytes;
        let name = inode.offset.saturating_add(inode::LEN);
        let name_end = name.saturating_add(inode.name_len.into());
        let is_zero = |start: u64, end: u64| {
            let padding = view::slice(bytes, "padding", start, end.saturating_sub(start));
            padding.is_ok_and(|padding| padding.iter().all(|&byte| byte == 0))
        };
        let stored = view::slice(bytes, "inode", inode.offset, inode::LEN);
        for (structure, sound) in [
            (
                "inode",
                stored.is_ok_and(|stored| stored == inode.to_raw().as_bytes()),
            ),
            ("name", is_zero(name_end, inode.target().start)),
            ("target", is_zero(inode.target().end, inode.xattr_offset())),
            (
                "extended attributes",
                inode.xattr_len == 0 || xattr::padding_is_zero(bytes, inode.xattr_offset()),
            ),
        ] {
            if !sound {
                self.report_at(path, inode.offset, Inconsistency::Reserved { structure });
            }
        }
    }

    /// Fields that follow from others.
    fn fields(&mut self, path: &ImagePath, inode: &Inode) {
        let is = |kind| inode.kind == kind;
        let (file, directory) = (is(FileKind::File), is(FileKind::Directory));
        let target_len = u64::from(inode.target_len);
        let mut expected = InodeFlags::default();
        // Not all builders set these where they could.
        let optional = [
            (InodeFlags::HARDLINK, !directory && inode.links > 1),
            (InodeFlags::HAS_HOLE, file),
            (InodeFlags::XATTR, inode.xattr_len != 0),
        ];
        for (flag, possible) in optional {
            if possible && inode.flags.contains(flag) {
                expected = expected | flag;
            }
        }
        if is(FileKind::Symlink) {
            expected = expected | InodeFlags::SYMLINK;
        }
        let mut fields = vec![
            ("i_projid", u64::from(inode.project), 0),
            ("i_flags", inode.flags.bits(), expected.bits()),
        ];
        match inode.kind {
            FileKind::Symlink => fields.push(("i_size", inode.size, target_len)),
            FileKind::File | FileKind::Directory => {
                fields.push(("i_symlink_size", target_len, 0));
            }
            _ => {
                fields.push(("i_symlink_size", target_len, 0));
                fields.push(("i_size", inode.size, 0));
            }
        }
        if !directory {
            fields.push(("i_child_index", inode.child_index.into(), 0));
            if !file {
                fields.push(("i_child_count", inode.child_count.into(), 0));
            }
        }
        // FIFOs of tars have what the tar says.
        let number = matches!(
            inode.kind,
            FileKind::CharDevice | FileKind::BlockDevice | FileKind::Fifo
        );
        if !number && inode.rdev != NO_DEVICE {
            fields.push(("i_rdev", inode.rdev.into(), 0));
        }
        for (field, found, expected) in fields {
            self.expect_at(path, inode, field, found, expected);
        }
        // nydus 2.2 leaves the length of the extended attributes out.
        let pairs = inode.xattr_len.saturating_sub(xattr::SIZE_LEN);
        if inode.blocks != inode::blocks(inode.size, pairs) {
            let expected = inode::blocks(inode.size, inode.xattr_len);
            self.expect_at(path, inode, "i_blocks", inode.blocks, expected);
        }
    }

    /// The chunks of a file.
    fn content(&mut self, path: &ImagePath, inode: &Inode) {
        let bootstrap = self.bootstrap;
        let records = match bootstrap.records(inode) {
            Ok(records) => records,
            Err(error) => return self.report_at(path, inode.offset, error),
        };
        self.seen.chunks = self.seen.chunks.saturating_add(u64_from(records.len()));
        for number in 0..records.len() {
            match bootstrap.file_chunk(inode, records, number) {
                Ok(_) => {}
                // Blobs that are not supported were reported already.
                Err(DecodeError::Unsupported { .. }) if self.is_foreign(&records[number]) => {}
                Err(error) => {
                    let start = inode.chunks_offset();
                    let offset = view::element_offset(start, number, ChunkRecord::LEN);
                    self.report_at(path, offset, error);
                }
            }
        }
    }

    /// Whether the chunk is in a blob that is not supported.
    fn is_foreign(&self, record: &[u8; ChunkRecord::LEN]) -> bool {
        let index = ChunkRecord::from_bytes(record).blob_index;
        let entry = self.bootstrap.entries.get(usize_from(index));
        entry.is_some_and(|entry| missing_support(entry).is_some())
    }

    /// The digest of anything but a directory.
    fn own_digest(&mut self, path: &ImagePath, inode: &Inode) {
        let bootstrap = self.bootstrap;
        let expected = match inode.kind {
            FileKind::Directory => return,
            FileKind::File => {
                let records = bootstrap.records(inode).unwrap_or_default();
                let digests = records
                    .iter()
                    .map(|record| ChunkRecord::from_bytes(record).digest);
                merkle::digest(self.algorithm, digests)
            }
            FileKind::Symlink => merkle::digest(
                self.algorithm,
                [bootstrap.raw_target(inode).unwrap_or_default()],
            ),
            _ => merkle::digest(self.algorithm, [[0; 0]; 0]),
        };
        // That it cannot be computed was reported.
        if let Ok(expected) = expected {
            self.expect_digest(path, inode, expected);
        }
    }

    /// A hard link to an inode must say what the first one does.
    fn further_name(&mut self, path: &ImagePath, inode: &Inode) {
        let bootstrap = self.bootstrap;
        let first = match bootstrap.inode(Ino(inode.ino)) {
            Ok(first) => first,
            Err(error) => {
                self.seen.incomplete = true;
                return self.report_at(path, inode.offset, error);
            }
        };
        let differs = [
            (
                "i_mode",
                (first.kind, first.mode) != (inode.kind, inode.mode),
            ),
            ("i_uid", first.uid != inode.uid),
            ("i_gid", first.gid != inode.gid),
            ("i_size", first.size != inode.size),
            ("i_nlink", first.links != inode.links),
            ("i_rdev", first.rdev != inode.rdev),
            ("i_mtime", first.mtime != inode.mtime),
            ("i_digest", first.digest != inode.digest),
            (
                "the extended attributes",
                bootstrap.read_xattrs(&first) != bootstrap.read_xattrs(inode),
            ),
            (
                "the chunks",
                bootstrap.records(&first) != bootstrap.records(inode),
            ),
        ];
        for (field, _) in differs.into_iter().filter(|(_, differs)| *differs) {
            let first = first.offset;
            self.report_at(path, inode.offset, Inconsistency::HardLink { field, first });
        }
    }
}
