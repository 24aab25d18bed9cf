//! Opening a bootstrap: headers and tables.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use erofs_format::{
    BlockSize, CHUNK_FORMAT_BITS, CHUNK_FORMAT_INDEXES, DataLayout, DeviceSlot, Inode, Superblock,
};
use image_model::width::{u64_from, usize_from};
use image_model::{Blob, BlobId, FileKind, Ino, Limits};
use zerocopy::little_endian::U32;

use super::blob_entry::BlobEntry;
use super::device;
use super::ext_superblock::{self, ExtSuperblock};
use super::superblock;
use crate::chunk_index::ChunkIndex;
use crate::chunk_record::ChunkRecord;
use crate::error::{At, DecodeError, limit};
use crate::layout::LayoutOptions;
use crate::native::is_tarfs;
use crate::view;

/// Maximum number of data blobs that chunk addresses can tell apart.
pub(crate) const MAX_BLOBS: u16 = 254;

/// A RAFS v6 bootstrap: a view of its bytes. Opening reads only the headers and one entry for each blob, whatever the
/// image's size: every access checks what it reads, and [`check`](Self::check) checks everything. As an
/// [`Image`](image_model::Image) its inode numbers are nids. Lookups are binary searches in the directory's blocks. The
/// first call of [`extents`](image_model::Image::extents) sorts an index of 8 bytes for each chunk.
///
/// Reading the metadata works for every mode of v6. Content in zran mode and in batches is answered with
/// [`DecodeError::Unsupported`]: [`RafsImage`](crate::RafsImage) finds it; that of encrypted blobs needs feature
/// `encryption`. That of [tarfs](Self::is_tarfs) images is plain bytes of their tars.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{Image, Limits};
/// use lazyoci_rafs_format::v6::Bootstrap;
///
/// # let bytes = Bytes::from_static(include_bytes!("../../tests/goldens/a4-v6-none-sha256.boot"));
/// let bootstrap = Bootstrap::open(bytes, &Limits::default())?;
/// let attributes = bootstrap.attributes(bootstrap.root())?;
/// assert_eq!((attributes.mode, attributes.links), (0o755, 3));
/// assert_eq!(bootstrap.blob_entries()[0].chunk_count, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Bootstrap {
    pub(super) bytes: Bytes,
    pub(super) limits: Limits,
    pub(super) superblock: Superblock,
    pub(super) ext: ExtSuperblock,
    pub(super) devices: Vec<DeviceSlot>,
    pub(super) entries: Vec<BlobEntry>,
    pub(super) blobs: Vec<Blob>,
    chunk_index: OnceLock<ChunkIndex>,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("len", &self.bytes.len())
            .field("superblock", &self.superblock)
            .field("ext_superblock", &self.ext)
            .finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// Opens the bootstrap that is all of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] if nydus would refuse superblocks, device table or blob table, if tables leave
    /// the bytes or overlap, if the root is not a directory, or beyond `limits` or the 2 GiB that nydus
    /// accepts.
    pub fn open(bytes: Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        let len = u64_from(bytes.len());
        view::check_len(len, limits)?;
        let superblock = superblock::read(&bytes)?;
        let at = At::new("bootstrap", 0);
        at.require(
            len.is_multiple_of(4096),
            "length",
            len,
            "a multiple of 4096",
        )?;
        let raw = view::record(&bytes, "extended superblock", ext_superblock::OFFSET)?;
        let ext = ExtSuperblock::from_raw(raw)?;
        check_tables(&superblock, &ext, len)?;
        check_tarfs_blocks(&superblock, &ext)?;
        let devices = u64::from(superblock.extra_devices);
        limit("blobs", devices, limits.max_blobs.into())?;
        let chunks = view::element_count(ext.chunk_table_size, ChunkRecord::LEN);
        limit("chunks", chunks, limits.max_chunks.into())?;

        let devices = read_devices(&bytes, superblock.extra_devices)?;
        let entries = read_blob_table(&bytes, &ext)?;
        let bootstrap = Self {
            blobs: entries.iter().map(BlobEntry::blob).collect(),
            bytes,
            limits: limits.clone(),
            superblock,
            ext,
            devices,
            entries,
            chunk_index: OnceLock::new(),
        };
        let root = bootstrap.inode(bootstrap.root_ino())?;
        let is_directory = root.kind == FileKind::Directory;
        let rule = "that of a directory for the root";
        At::new("inode", root.offset).require(
            is_directory,
            "i_mode",
            root.kind.mode_bits(),
            rule,
        )?;
        Ok(bootstrap)
    }

    /// Gives the blob that [could not name itself](BlobEntry::is_self) the id `id`, in what
    /// [`blobs`](image_model::Image::blobs) answers: the bootstrap in a blob cannot hold that blob's
    /// digest, the blob's name does.
    pub fn name_self(&mut self, id: &BlobId) {
        for (blob, entry) in self.blobs.iter_mut().zip(&self.entries) {
            if entry.is_self() {
                blob.id = id.clone();
            }
        }
    }

    /// Whether `bytes`, at least the first 1152 of a file, begin like a RAFS v6 bootstrap.
    #[must_use]
    pub fn is_bootstrap(bytes: &[u8]) -> bool {
        superblock::is_rafs_v6(bytes)
    }

    /// Whether the blobs are plain tars as they were, whose sectors chunk addresses name: the image is in tarfs mode. Its
    /// chunks have no digests, and there is no chunk information.
    #[must_use]
    pub fn is_tarfs(&self) -> bool {
        self.ext.is_tarfs()
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bounds that it was opened with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The EROFS superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The RAFS extended superblock.
    #[must_use]
    pub fn ext_superblock(&self) -> &ExtSuperblock {
        &self.ext
    }

    /// Options for writing a similar bootstrap, except the prefetch list: chunk size, compressor, digest algorithm,
    /// whether owners are stored.
    #[must_use]
    pub fn layout_options(&self) -> LayoutOptions {
        LayoutOptions::of_superblock(self.ext.flags, self.ext.chunk_size)
    }

    /// The device table, in the order of the blob table.
    #[must_use]
    pub fn devices(&self) -> &[DeviceSlot] {
        &self.devices
    }

    /// The blob table.
    #[must_use]
    pub fn blob_entries(&self) -> &[BlobEntry] {
        &self.entries
    }

    /// The inodes of the prefetch table, in its order, up to the first 0: nydus 2.2 fills the table up
    /// with one for each rule that names nothing. They need not exist.
    pub fn prefetch(&self) -> impl Iterator<Item = Ino> + '_ {
        let table = self.table(self.ext.prefetch_table());
        let (nids, _) = table.as_chunks::<4>();
        nids.iter()
            .map(|&nid| Ino(U32::from_bytes(nid).get().into()))
            .take_while(|&ino| ino != Ino(0))
    }

    /// Number of records in the chunk table.
    #[must_use]
    pub fn chunk_record_count(&self) -> usize {
        self.raw_chunk_records().len()
    }

    /// The chunk table, in its order. The records were not checked.
    pub fn chunk_records(&self) -> impl ExactSizeIterator<Item = ChunkRecord> + '_ {
        self.raw_chunk_records().iter().map(ChunkRecord::from_bytes)
    }

    /// The inode as stored.
    ///
    /// # Errors
    /// [`DecodeError`] if it leaves the bootstrap or breaks a rule of its own.
    pub fn inode(&self, ino: Ino) -> Result<Inode, DecodeError> {
        let offset = self.superblock.inode_offset(ino.0);
        At::new("inode", offset).require(ino.0 != 0, "nid", ino.0, "not 0")?;
        let inode = Inode::read(&self.bytes, &self.superblock, ino.0)?;
        check_inode(&inode)?;
        Ok(inode)
    }

    pub(super) fn root_ino(&self) -> Ino {
        Ino(self.superblock.root_nid.into())
    }

    pub(super) fn raw_chunk_records(&self) -> &[[u8; ChunkRecord::LEN]] {
        let (records, _) = self.table(self.ext.chunk_table()).as_chunks();
        records
    }

    /// Where record `position` of the chunk table begins.
    pub(super) fn chunk_record_offset(&self, position: usize) -> u64 {
        view::element_offset(self.ext.chunk_table_offset, position, ChunkRecord::LEN)
    }

    pub(super) fn chunk_index(&self) -> &ChunkIndex {
        self.chunk_index
            .get_or_init(|| ChunkIndex::new((0..).zip(self.chunk_records())))
    }

    fn table(&self, range: Range<u64>) -> &[u8] {
        let len = range.end.saturating_sub(range.start);
        view::slice(&self.bytes, "table", range.start, len)
            .expect("tables were found inside the bytes when the bootstrap was opened")
    }
}

/// Checks that chunk addresses of tarfs images count sectors of tars.
fn check_tarfs_blocks(superblock: &Superblock, ext: &ExtSuperblock) -> Result<(), DecodeError> {
    let bits = superblock.block_size.bits();
    let holds = !ext.is_tarfs() || superblock.block_size == BlockSize::B512;
    let at = At::new("superblock", Superblock::OFFSET);
    at.require(holds, "blkszbits", bits, "9 in tarfs mode")
}

/// Checks that counts agree and that tables lie apart, inside `len` bytes.
fn check_tables(superblock: &Superblock, ext: &ExtSuperblock, len: u64) -> Result<(), DecodeError> {
    let at = At::new("superblock", Superblock::OFFSET);
    let devices = superblock.extra_devices;
    at.require(
        devices <= MAX_BLOBS,
        "extra_devices",
        devices,
        "at most 254",
    )?;
    let entries = view::element_count(ext.blob_table_size.into(), BlobEntry::LEN);
    let rule = "the number of entries in the blob table";
    at.require(
        u64::from(devices) == entries,
        "extra_devices",
        devices,
        rule,
    )?;
    at.require(
        superblock.meta_start() < len,
        "meta_blkaddr",
        superblock.meta_blkaddr,
        "inside the bootstrap",
    )?;

    let headers = view::element_offset(device::OFFSET, devices.into(), DeviceSlot::LEN);
    let mut tables = [
        ("device table", 0..headers),
        ("blob table", ext.blob_table()),
        ("chunk table", ext.chunk_table()),
        ("prefetch table", ext.prefetch_table()),
    ];
    view::check_tables(&mut tables, len)
}

fn read_devices(bytes: &[u8], count: u16) -> Result<Vec<DeviceSlot>, DecodeError> {
    (0..usize::from(count))
        .map(|index| {
            let offset = view::element_offset(device::OFFSET, index, DeviceSlot::LEN);
            let slot = DeviceSlot::read(bytes, offset)?;
            let at = At::new("device slot", offset);
            at.require(slot.blocks != 0, "blocks", slot.blocks, "not 0")?;
            Ok(slot)
        })
        .collect()
}

fn read_blob_table(bytes: &[u8], ext: &ExtSuperblock) -> Result<Vec<BlobEntry>, DecodeError> {
    let table = ext.blob_table();
    let len = table.end.saturating_sub(table.start);
    let table_bytes = view::slice(bytes, "blob table", table.start, len)?;
    let (raw, _) = table_bytes.as_chunks();
    let mut entries: Vec<BlobEntry> = Vec::with_capacity(raw.len());
    for (index, raw) in (0u32..).zip(raw) {
        let offset = view::element_offset(table.start, usize_from(index), BlobEntry::LEN);
        let entry = BlobEntry::from_bytes(raw, index, offset, ext.chunk_size)?;
        let rule = "with TARFS if the superblock has TARFS_MODE, and only then";
        let features = entry.features.bits();
        let fits = is_tarfs(&entry) == ext.is_tarfs();
        At::new("blob table entry", offset).require(fits, "features", features, rule)?;
        if let Some(first) = entries.iter().position(|earlier| earlier.id == entry.id) {
            return Err(DecodeError::DuplicateBlob { first, offset });
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What RAFS wants of an inode besides what EROFS does.
fn check_inode(inode: &Inode) -> Result<(), DecodeError> {
    let at = At::new("inode", inode.offset);
    let chunked = inode.layout == DataLayout::Chunked;
    match inode.kind {
        FileKind::File if chunked => {
            let rule = "of chunk addresses (0x20 and at most 5 bits)";
            let others = inode.word & !CHUNK_FORMAT_BITS;
            at.require(others == CHUNK_FORMAT_INDEXES, "i_u", inode.word, rule)
        }
        FileKind::File => match inode.size {
            0 => Ok(()),
            _ => Err(at.unsupported("file content inside the bootstrap")),
        },
        FileKind::Directory | FileKind::Symlink => {
            let rule = "plain or inline for this kind";
            at.require(!chunked, "i_format", inode.layout.id() << 1, rule)?;
            at.require(inode.size != 0, "i_size", inode.size, "not 0 for this kind")
        }
        _ => Ok(()),
    }
}
