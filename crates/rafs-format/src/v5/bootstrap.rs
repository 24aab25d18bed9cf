//! Opening a bootstrap: superblock and tables.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Blob, BlobId, FileKind, Ino, Limits};

use super::blob_table::{self, BlobTableEntry};
use super::ext_blob_entry::ExtBlobEntry;
use super::inode::{self, Inode, OWN_NUMBER, Unread};
use super::superblock::{self, RawSuperblock, Superblock};
use super::{inode_table, prefetch_table};
use crate::blob::MAX_CHUNKS;
use crate::chunk_index::ChunkIndex;
use crate::error::{At, DecodeError, limit};
use crate::flags::{BlobFeatures, Cipher, Compressor};
use crate::layout::LayoutOptions;
use crate::v6::BlobEntry;
use crate::view;

/// Longest blob that there can be, in stored bytes and in plain ones.
const MAX_SIZES: (u64, u64) = (1 << 40, 1 << 44);

/// A RAFS v5 bootstrap: a view of its bytes. Opening reads only the superblock and one entry for each blob, whatever
/// the image's size: every access checks what it reads, and [`check`](Self::check) checks everything. As an
/// [`Image`](image_model::Image) its inode numbers are those of the format. Lookups are binary searches among a
/// directory's children, and a frame's number tells where the record of its chunk lies. The first call of
/// [`shared_frame`](image_model::Image::shared_frame) reads all inodes for an index of 8 bytes for each chunk, by which
/// files share what they share.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{Image, Limits};
/// use lazyoci_rafs_format::v5::Bootstrap;
///
/// # let bytes = Bytes::from_static(include_bytes!("../../tests/goldens/a4-v5-none-sha256.boot"));
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
    /// The blob table, with where each entry begins.
    pub(super) table: Vec<(u64, BlobTableEntry)>,
    pub(super) entries: Vec<BlobEntry>,
    pub(super) blobs: Vec<Blob>,
    chunk_index: OnceLock<ChunkIndex>,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("len", &self.bytes.len())
            .field("superblock", &self.superblock)
            .finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// Opens the bootstrap that is all of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] if nydus would refuse superblock or tables, if tables leave the bytes or overlap,
    /// if the root is not a directory, or beyond `limits` or the 2 GiB that nydus accepts.
    pub fn open(bytes: Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        let len = u64_from(bytes.len());
        view::check_len(len, limits)?;
        let superblock = Superblock::from_raw(view::record(&bytes, "superblock", 0)?)?;
        let at = At::new("bootstrap", 0);
        at.require(len.is_multiple_of(8), "length", len, "a multiple of 8")?;
        view::check_tables(&mut superblock.tables().collect::<Vec<_>>(), len)?;
        let names = u64::from(superblock.inode_table_entries);
        limit("names", names, limits.max_inodes.into())?;
        let table = read_blob_table(&bytes, &superblock, limits)?;
        let mut bootstrap = Self {
            bytes,
            limits: limits.clone(),
            superblock,
            entries: Vec::with_capacity(table.len()),
            blobs: Vec::with_capacity(table.len()),
            table,
            chunk_index: OnceLock::new(),
        };
        bootstrap.describe_blobs();
        let root = bootstrap.numbered(inode::ROOT)?;
        let is_directory = root.kind == FileKind::Directory;
        let rule = "that of a directory for the root";
        let mode = root.kind.mode_bits();
        At::new("inode", root.offset).require(is_directory, "i_mode", mode, rule)?;
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

    /// Whether `bytes`, at least the first 80 of a file, begin like a RAFS v5 bootstrap.
    #[must_use]
    pub fn is_bootstrap(bytes: &[u8]) -> bool {
        view::record::<RawSuperblock>(bytes, "superblock", 0).is_ok_and(superblock::is_rafs_v5)
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

    /// The superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Options for writing a similar bootstrap, except the prefetch list: chunk size, compressor, digest algorithm,
    /// whether owners are stored.
    #[must_use]
    pub fn layout_options(&self) -> LayoutOptions {
        LayoutOptions::of_superblock(self.superblock.flags, self.superblock.chunk_size)
    }

    /// The blob table as stored.
    pub fn blob_table(&self) -> impl ExactSizeIterator<Item = &BlobTableEntry> {
        self.table.iter().map(|(_, entry)| entry)
    }

    /// The extended blob table as stored; empty if there is none.
    pub fn extended_blob_table(&self) -> impl ExactSizeIterator<Item = ExtBlobEntry> + '_ {
        let table = self.table_bytes(self.superblock.extended_blob_table());
        table.as_chunks().0.iter().map(ExtBlobEntry::from_bytes)
    }

    /// What both tables say of each blob, in the words of version 6. Of a blob that the extended table
    /// lacks, or has no chunks of, as in images of the first builders, number of chunks and lengths are
    /// the most that there can be.
    #[must_use]
    pub fn blob_entries(&self) -> &[BlobEntry] {
        &self.entries
    }

    /// The inodes of the prefetch table, in its order, up to the first 0. They need not exist.
    pub fn prefetch(&self) -> impl Iterator<Item = Ino> + '_ {
        let table = self.table_bytes(self.superblock.prefetch_table());
        prefetch_table::numbers(table).map(|number| Ino(number.into()))
    }

    /// The inode that stands for all names of `ino`.
    ///
    /// # Errors
    /// [`DecodeError`] if there is none, it leaves the bootstrap, breaks a rule of its own, or is a
    /// hard link to another one.
    pub fn inode(&self, ino: Ino) -> Result<Inode, DecodeError> {
        let number = u32::try_from(ino.0).unwrap_or(u32::MAX);
        let inode = self.numbered(number)?;
        let at = At::new("inode", inode.offset);
        at.require(inode.ino == ino.0, "i_ino", inode.ino, OWN_NUMBER)?;
        Ok(inode)
    }

    /// The inode at position `number` of the inode table, from 1: that of one name.
    ///
    /// # Errors
    /// [`DecodeError`] if there is none, it leaves the bootstrap, or breaks a rule of its own.
    #[inline]
    pub fn numbered(&self, number: u32) -> Result<Inode, DecodeError> {
        self.unread(number)?.read(&self.bytes)
    }

    /// The same, of which nothing was checked.
    #[inline]
    pub(super) fn unread(&self, number: u32) -> Result<Unread<'_>, DecodeError> {
        let entries = self.superblock.inode_table_entries;
        let table = self.superblock.inode_table_offset;
        let rule = "1 to the number of entries";
        let exists = (1..=entries).contains(&number);
        At::new("inode table", table).require(exists, "number", number, rule)?;
        let offset = inode_table::find(&self.bytes, table, number)?;
        Unread::at(&self.bytes, number, offset)
    }

    /// Puts both tables together.
    fn describe_blobs(&mut self) {
        let extended: Vec<_> = self.extended_blob_table().collect();
        for (index, (_, entry)) in self.table.iter().enumerate() {
            let known = extended.get(index).copied();
            let known = known.filter(|extended| extended.chunk_count != 0);
            let full = blob_entry(entry, known, &self.superblock);
            self.blobs.push(match known {
                Some(_) => full.blob(),
                None => Blob::new(full.id.clone()),
            });
            self.entries.push(full);
        }
    }

    pub(super) fn chunk_index(&self) -> &ChunkIndex {
        self.chunk_index
            .get_or_init(|| ChunkIndex::new(self.file_records()).distinct())
    }

    pub(super) fn table_bytes(&self, range: Range<u64>) -> &[u8] {
        let len = range.end.saturating_sub(range.start);
        match len {
            // An empty table may begin anywhere.
            0 => &[],
            len => view::slice(&self.bytes, "table", range.start, len)
                .expect("tables were found inside the bytes when the bootstrap was opened"),
        }
    }
}

fn read_blob_table(
    bytes: &[u8],
    superblock: &Superblock,
    limits: &Limits,
) -> Result<Vec<(u64, BlobTableEntry)>, DecodeError> {
    let offset = superblock.blob_table_offset;
    let table = match superblock.blob_table_size {
        // An empty table may begin anywhere.
        0 => &[],
        size => view::slice(bytes, "blob table", offset, size.into())?,
    };
    blob_table::read(table, offset, limits.max_blobs)
}

/// The entries of both tables as one of version 6.
fn blob_entry(
    entry: &BlobTableEntry,
    extended: Option<ExtBlobEntry>,
    superblock: &Superblock,
) -> BlobEntry {
    let (stored, plain) = MAX_SIZES;
    let extended = extended.unwrap_or(ExtBlobEntry {
        chunk_count: MAX_CHUNKS,
        features: 0,
        uncompressed_size: plain,
        compressed_size: stored,
    });
    BlobEntry {
        id: entry.id.clone(),
        chunk_size: superblock.chunk_size,
        chunk_count: extended.chunk_count.min(MAX_CHUNKS),
        compressor: superblock.flags.compressor(),
        digester: superblock.flags.digester(),
        features: BlobFeatures::truncated(extended.features),
        compressed_size: extended.compressed_size,
        uncompressed_size: extended.uncompressed_size,
        toc_size: 0,
        toc_digest: [0; 32],
        ci_compressor: Compressor::None,
        ci_offset: 0,
        ci_compressed_size: 0,
        ci_uncompressed_size: 0,
        meta_digest: [0; 32],
        meta_size: 0,
        cipher_iv: 0,
        cipher: Cipher::None,
    }
}

/// Where record number `id` begins, in which frames of this version are counted.
pub(super) fn record_offset(id: u32) -> u64 {
    u64::from(id).saturating_mul(inode_table::UNIT)
}

/// The number of the record at `offset`, a multiple of 8.
pub(super) fn record_number(offset: u64) -> u32 {
    u32::try_from(offset / inode_table::UNIT).expect("a bootstrap has at most 2 GiB")
}
