//! Inodes, compact and extended.

use image_model::image::WrongInode;
use image_model::width::u64_from;
use image_model::{Attributes, Device, FileKind, Timestamp};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::device_number::unpack_device;
use crate::error::{At, StructureError};
use crate::superblock::Superblock;
use crate::view;
use crate::xattr;

/// Size of an extended inode in bytes.
pub const EXTENDED_LEN: u64 = 64;
/// Size of a compact inode in bytes.
const COMPACT_LEN: u64 = 32;
/// Inodes begin at multiples of this many bytes, which nids count.
pub const SLOT: u64 = 32;

const FORMAT_EXTENDED: u16 = 1;
/// Mark of `i_u` that a file has chunk indexes of 8 bytes, not addresses of 4.
pub const CHUNK_FORMAT_INDEXES: u32 = 0x20;
/// Bits of `i_u` with the binary logarithm of the chunk size in blocks.
pub const CHUNK_FORMAT_BITS: u32 = 0x1f;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawExtendedInode {
    i_format: U16,
    i_xattr_icount: U16,
    i_mode: U16,
    reserved: U16,
    i_size: U64,
    i_u: U32,
    i_ino: U32,
    i_uid: U32,
    i_gid: U32,
    i_mtime: U64,
    i_mtime_nsec: U32,
    i_nlink: U32,
    reserved2: [u8; 16],
}

const _: () = assert!(u64_from(size_of::<RawExtendedInode>()) == EXTENDED_LEN);

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawCompactInode {
    i_format: U16,
    i_xattr_icount: U16,
    i_mode: U16,
    i_nlink: U16,
    i_size: U32,
    reserved: U32,
    i_u: U32,
    i_ino: U32,
    i_uid: U16,
    i_gid: U16,
    reserved2: U32,
}

const _: () = assert!(u64_from(size_of::<RawCompactInode>()) == COMPACT_LEN);

/// Where an inode's data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataLayout {
    /// 0: in whole blocks from block `i_u`, the last one perhaps short.
    Plain,
    /// 2: whole blocks from block `i_u`, the rest directly after inode and extended attributes.
    Inline,
    /// 4: by the chunk addresses after inode and extended attributes.
    Chunked,
}

impl DataLayout {
    /// `plain`, `inline`, `chunked`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Inline => "inline",
            Self::Chunked => "chunked",
        }
    }

    /// Bits 1 to 3 of `i_format`.
    #[must_use]
    pub const fn id(self) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Inline => 2,
            Self::Chunked => 4,
        }
    }
}

/// An inode, read from either form.
///
/// | extended | compact | field | unit and meaning |
/// |---|---|---|---|
/// | 0, 2 | 0, 2 | i_format | bit 0: extended; bits 1 to 3: [`DataLayout`] |
/// | 2, 2 | 2, 2 | i_xattr_icount | extended attributes take 12 + 4 (n - 1) bytes, none if 0 |
/// | 4, 2 | 4, 2 | i_mode | as `st_mode` |
/// | 8, 8 | 8, 4 | i_size | bytes of content, directory data or link target |
/// | 16, 4 | 16, 4 | i_u | plain, inline: first block; chunks: `0x20` if indexes, and the chunk bits; devices: number |
/// | 20, 4 | 20, 4 | i_ino | sequential number; readers use the nid |
/// | 24, 4 | 24, 2 | i_uid | owner |
/// | 28, 4 | 26, 2 | i_gid | group |
/// | 32, 8 | | i_mtime | seconds since 1970, signed; compact: the superblock's build_time |
/// | 40, 4 | | i_mtime_nsec | nanoseconds |
/// | 44, 4 | 6, 2 | i_nlink | names; directories: 2 plus subdirectories |
/// | 6, 2 and 48, 16 | 12, 4 and 28, 4 | reserved | 0, not read |
///
/// (offset and size in bytes; 64 bytes extended, 32 compact.) After the inode follow its extended
/// attributes, then, with [`DataLayout::Chunked`], [chunk addresses](crate::ChunkIndex), with
/// [`DataLayout::Inline`] the rest of the data.
///
/// Source: Linux `fs/erofs/erofs_fs.h` (`erofs_inode_compact`, `erofs_inode_extended`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    /// Number: 32-byte slots from the superblock's meta_blkaddr.
    pub nid: u64,
    /// First byte in the image.
    pub offset: u64,
    /// Whether it takes 64 bytes rather than 32.
    pub extended: bool,
    /// Where the data are.
    pub layout: DataLayout,
    /// Bytes of extended attributes after the inode; 0 if there are none.
    pub xattr_len: u64,
    /// Kind of file.
    pub kind: FileKind,
    /// Low 12 bits of i_mode.
    pub mode: u16,
    /// Bytes of content, directory data or link target.
    pub size: u64,
    /// The word `i_u`, whose meaning depends on the kind.
    pub word: u32,
    /// Sequential number, which readers ignore.
    pub number: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Names of the inode; directories: 2 plus subdirectories.
    pub links: u32,
}

impl Inode {
    /// Reads inode `nid` out of `bytes`, which lie at `offset` and hold it whole, and checks it against
    /// itself.
    ///
    /// # Errors
    /// [`StructureError`] if a field breaks its rule, or the content is compressed.
    #[inline]
    pub fn parse(
        bytes: &[u8],
        offset: u64,
        superblock: &Superblock,
        nid: u64,
    ) -> Result<Self, StructureError> {
        let at = At::new("inode", offset);
        let format = view::record::<U16>(bytes, "inode", 0)?.get();
        let (extended, layout) = parse_format(at, format)?;
        if extended {
            Self::from_extended(nid, layout, at, view::record(bytes, "inode", 0)?)
        } else {
            let raw = view::record(bytes, "inode", 0)?;
            Self::from_compact(nid, layout, at, raw, superblock.build_time)
        }
    }

    /// Reads inode `nid` of an image that is all of `image`, with the extended attributes after it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and if it, or its extended attributes, leave the image.
    #[inline]
    pub fn read(image: &[u8], superblock: &Superblock, nid: u64) -> Result<Self, StructureError> {
        let offset = superblock.inode_offset(nid);
        let format = view::record::<U16>(image, "inode", offset)?.get();
        let len = header_len(format & FORMAT_EXTENDED != 0);
        let header = match parse_format(At::new("inode", offset), format) {
            Ok(_) => view::slice(image, "inode", offset, len)?,
            Err(error) => return Err(error),
        };
        let inode = Self::parse(header, offset, superblock, nid)?;
        view::slice(image, "inode", offset, inode.end().saturating_sub(offset))?;
        Ok(inode)
    }

    #[inline]
    fn from_extended(
        nid: u64,
        layout: DataLayout,
        at: At,
        raw: &RawExtendedInode,
    ) -> Result<Self, StructureError> {
        let (kind, mode) = parse_mode(at, raw.i_mode.get())?;
        let nanoseconds = raw.i_mtime_nsec.get();
        let rule = "less than a second";
        at.require(
            nanoseconds < 1_000_000_000,
            "i_mtime_nsec",
            nanoseconds,
            rule,
        )?;
        Ok(Self {
            nid,
            offset: at.offset,
            extended: true,
            layout,
            xattr_len: xattr::area_len(raw.i_xattr_icount.get()),
            kind,
            mode,
            size: raw.i_size.get(),
            word: raw.i_u.get(),
            number: raw.i_ino.get(),
            uid: raw.i_uid.get(),
            gid: raw.i_gid.get(),
            mtime: Timestamp {
                seconds: raw.i_mtime.get().cast_signed(),
                nanoseconds,
            },
            links: raw.i_nlink.get(),
        })
    }

    fn from_compact(
        nid: u64,
        layout: DataLayout,
        at: At,
        raw: &RawCompactInode,
        build_time: Timestamp,
    ) -> Result<Self, StructureError> {
        let (kind, mode) = parse_mode(at, raw.i_mode.get())?;
        Ok(Self {
            nid,
            offset: at.offset,
            extended: false,
            layout,
            xattr_len: xattr::area_len(raw.i_xattr_icount.get()),
            kind,
            mode,
            size: raw.i_size.get().into(),
            word: raw.i_u.get(),
            number: raw.i_ino.get(),
            uid: raw.i_uid.get().into(),
            gid: raw.i_gid.get().into(),
            mtime: build_time,
            links: raw.i_nlink.get().into(),
        })
    }

    /// Refuses an inode of another kind: the caller mixed something up.
    ///
    /// # Errors
    /// [`StructureError::WrongInode`] then.
    #[inline]
    pub fn require_kind(&self, expected: FileKind) -> Result<(), StructureError> {
        let found = self.kind;
        if found == expected {
            Ok(())
        } else {
            Err(WrongInode::Kind { expected, found }.into())
        }
    }

    /// Length of the inode itself in bytes.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> u64 {
        header_len(self.extended)
    }

    /// One past the last byte of inode and extended attributes.
    #[inline]
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset
            .saturating_add(self.header_len())
            .saturating_add(self.xattr_len)
    }

    /// Where a file's chunk addresses begin, each of 8 bytes.
    #[inline]
    #[must_use]
    pub const fn chunk_addresses(&self) -> u64 {
        view::align(self.end(), 8)
    }

    /// Bytes of each chunk address: 8 for indexes, 4 else.
    #[inline]
    #[must_use]
    pub const fn chunk_address_len(&self) -> u64 {
        match self.word & CHUNK_FORMAT_INDEXES {
            0 => 4,
            _ => 8,
        }
    }

    /// Binary logarithm of the chunk size, in bytes, of this file.
    #[inline]
    #[must_use]
    pub fn chunk_bits(&self, superblock: &Superblock) -> u32 {
        let blocks = self.word & CHUNK_FORMAT_BITS;
        blocks.saturating_add(superblock.block_size.bits().into())
    }

    /// Device number, 0:0 for anything that is not a device.
    #[must_use]
    pub const fn device(&self) -> Device {
        match self.kind {
            FileKind::CharDevice | FileKind::BlockDevice => unpack_device(self.word),
            _ => Device { major: 0, minor: 0 },
        }
    }

    /// The fixed-size part in the shared model.
    #[inline]
    #[must_use]
    pub const fn attributes(&self) -> Attributes {
        let size = match self.kind {
            FileKind::File | FileKind::Symlink => self.size,
            _ => 0,
        };
        Attributes {
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            size,
            links: self.links,
            device: self.device(),
        }
    }

    /// The inode as stored if it is extended. `nid`, `offset` and `extended` do not go into it.
    ///
    /// # Panics
    /// If the extended attributes take more than [`MAX_AREA_LEN`](xattr::MAX_AREA_LEN).
    #[must_use]
    pub fn to_extended(&self) -> [u8; 64] {
        let mut raw = RawExtendedInode::new_zeroed();
        raw.i_format = (self.layout.id() << 1 | FORMAT_EXTENDED).into();
        raw.i_xattr_icount = xattr::icount(self.xattr_len).into();
        raw.i_mode = (self.kind.mode_bits() | self.mode).into();
        raw.i_size = self.size.into();
        raw.i_u = self.word.into();
        raw.i_ino = self.number.into();
        raw.i_uid = self.uid.into();
        raw.i_gid = self.gid.into();
        raw.i_mtime = self.mtime.seconds.cast_unsigned().into();
        raw.i_mtime_nsec = self.mtime.nanoseconds.into();
        raw.i_nlink = self.links.into();
        zerocopy::transmute!(raw)
    }
}

const fn header_len(extended: bool) -> u64 {
    if extended { EXTENDED_LEN } else { COMPACT_LEN }
}

#[inline]
fn parse_format(at: At, format: u16) -> Result<(bool, DataLayout), StructureError> {
    let layout = match format >> 1 {
        0 => DataLayout::Plain,
        2 => DataLayout::Inline,
        4 => DataLayout::Chunked,
        1 | 3 => return Err(at.unsupported("content compressed by EROFS")),
        _ => return Err(at.wrong("i_format", format, "plain, inline or chunked")),
    };
    Ok((format & FORMAT_EXTENDED != 0, layout))
}

#[inline]
fn parse_mode(at: At, mode: u16) -> Result<(FileKind, u16), StructureError> {
    let kind = FileKind::from_mode(mode)
        .ok_or_else(|| at.wrong("i_mode", mode, "of a known file type"))?;
    Ok((kind, mode & 0o7777))
}
