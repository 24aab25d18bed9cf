//! An image: an EROFS bootstrap, and what its blobs say of themselves.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use erofs_format::{DeviceSlot, ErofsImage, StructureError};
use image_model::image::NoSuchEntry;
use image_model::metadata::Xattr;
use image_model::width::{u64_from, usize_from};
use image_model::{
    Attributes, Blob, BlobId, BlobIndex, Digest, DirEntry, Extent, ExtentSource, FileKind, Frame,
    FrameId, Image, ImageError, Ino, Limits, NameRef, Recipe, RecipeId, Vouched, Xattrs,
};

use super::BLOCK;
use super::error::V7Error;
use super::footer::Footer;
use super::group::Group;
use super::groups::Groups;
use super::open::OpenedBlob;

/// Extended attributes of the root that begin so are of the format, not of the files.
const MARKERS: &[u8] = b"trusted.nydus.";

/// The blob that holds the bootstrap, if one does.
const OWN: BlobIndex = BlobIndex(1);

/// An image of version 7. As an [`Image`] it is its [`ErofsImage`], but for content in blobs whose groups are known:
/// groups are frames. The groups of a blob are given by [`with_blob`](Self::with_blob); without them, its address
/// space is taken for the blob itself, which is true of raw devices only.
///
/// Attributes of the root that the format adds (`trusted.nydus.*`) are left out.
#[derive(Debug)]
pub struct V7Image {
    erofs: ErofsImage,
    /// The bootstrap, if it was in a blob.
    bootstrap: Option<Bytes>,
    blobs: Vec<Blob>,
    /// For each blob, what it says of itself.
    known: Vec<Option<V7Blob>>,
    /// Blobs of which groups are frames, in the order in which those are numbered: each with the number of its first.
    frames: Vec<(u32, BlobIndex)>,
    /// For each blob with groups, the number of its first frame.
    firsts: Vec<u32>,
}

/// What a blob says of itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct V7Blob {
    /// Where its parts are.
    pub footer: Footer,
    /// Its groups; `None` of a raw device.
    pub groups: Option<Groups>,
}

impl V7Blob {
    /// Where the `len` bytes at byte `offset` of a raw device are, which is blob number `blob`: its data are the device.
    fn raw(&self, blob: BlobIndex, offset: u64, len: u64) -> Option<ExtentSource> {
        let data = &self.footer.data;
        let start = data.start.checked_add(offset)?;
        let end = start.checked_add(len)?;
        (end <= data.end).then_some(ExtentSource::Plain {
            blob,
            offset: start,
        })
    }
}

impl From<OpenedBlob> for V7Blob {
    fn from(opened: OpenedBlob) -> Self {
        Self {
            footer: opened.footer,
            groups: opened.groups,
        }
    }
}

impl V7Image {
    /// Whether `erofs` looks like a bootstrap of version 7: its devices are called by SHA-256 digests, and its root is
    /// the first inode.
    #[must_use]
    pub fn is_one(erofs: &ErofsImage) -> bool {
        let named = |slot: &DeviceSlot| named_digest(slot).is_some();
        let devices = erofs.devices();
        erofs.superblock().root_nid == 0 && !devices.is_empty() && devices.iter().all(named)
    }

    /// The image of a bootstrap beside its blobs, of which nothing is known yet.
    #[must_use]
    pub fn new(erofs: ErofsImage) -> Self {
        let blobs = erofs.blobs().to_vec();
        Self {
            known: blobs.iter().map(|_| None).collect(),
            firsts: vec![0; blobs.len()],
            blobs,
            bootstrap: None,
            erofs,
            frames: Vec::new(),
        }
    }

    /// The image of a blob that holds its bootstrap, and is called `id`.
    ///
    /// # Errors
    /// [`V7Error::NoBootstrap`]; those of [`ErofsImage::open`], and of [`with_blob`](Self::with_blob).
    pub fn of_blob(
        mut opened: OpenedBlob,
        id: Option<&BlobId>,
        limits: &Limits,
    ) -> Result<Self, V7Error> {
        let bootstrap = opened.bootstrap.take().ok_or(V7Error::NoBootstrap)?;
        let mut image = Self::new(ErofsImage::open(bootstrap.clone(), limits)?);
        image.bootstrap = Some(bootstrap);
        if image.blobs.len() < 2 {
            // No file has content.
            return Ok(image);
        }
        if let Some(own) = image.blobs.get_mut(usize_from(OWN.0)) {
            let unnamed = || BlobId::new(b"blob").expect("a valid id");
            own.id = id.cloned().unwrap_or_else(unnamed);
        }
        image.with_blob(OWN, opened.into())
    }

    /// The same with what blob number `index` says of itself.
    ///
    /// # Errors
    /// [`V7Error::NoSuchBlob`]; [`V7Error::TooManyGroups`] beyond 2^32 frames.
    pub fn with_blob(mut self, index: BlobIndex, blob: V7Blob) -> Result<Self, V7Error> {
        let count = u64_from(self.blobs.len());
        let position = usize_from(index.0);
        let (Some(listed), Some(known)) =
            (self.blobs.get_mut(position), self.known.get_mut(position))
        else {
            return Err(V7Error::NoSuchBlob { index, count });
        };
        listed.stored_len = Some(blob.footer.offset.saturating_add(u64_from(Footer::LEN)));
        listed.chunk_count = blob.groups.as_ref().map(Groups::chunk_count);
        let groups = blob.groups.as_ref().map(Groups::group_count);
        if known.replace(blob).is_some() {
            self.frames.retain(|&(_, blob)| blob != index);
        }
        let first = self.frame_bound();
        if let Some(groups) = groups {
            first.checked_add(groups).ok_or(V7Error::TooManyGroups)?;
            self.frames.push((first, index));
            self.firsts[position] = first;
        }
        Ok(self)
    }

    /// The bootstrap as an EROFS image.
    #[must_use]
    pub fn erofs(&self) -> &ErofsImage {
        &self.erofs
    }

    /// The bootstrap, not compressed, if it was found in a blob.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&Bytes> {
        self.bootstrap.as_ref()
    }

    /// The blob that holds the bootstrap, if one does and has content.
    #[must_use]
    pub fn opened_blob(&self) -> Option<BlobIndex> {
        let holds = self.bootstrap.is_some() && self.blobs.len() > 1;
        holds.then_some(OWN)
    }

    /// What blob number `index` says of itself, if that is known.
    #[must_use]
    pub fn blob(&self, index: BlobIndex) -> Option<&V7Blob> {
        self.known.get(usize_from(index.0))?.as_ref()
    }

    /// The SHA-256 that the bootstrap calls blob number `index` by: of its data if that holds the bootstrap, else of
    /// the whole blob. `None` if it is called otherwise.
    #[must_use]
    pub fn listed_digest(&self, index: BlobIndex) -> Option<Digest> {
        let slot = usize_from(index.0).checked_sub(1)?;
        named_digest(self.erofs.devices().get(slot)?)
    }

    /// The blob, its groups, and the number of the group that is frame `number`.
    fn frame_at(&self, number: u32) -> Option<(BlobIndex, &Groups, u32)> {
        let after = self.frames.partition_point(|&(first, _)| first <= number);
        let &(first, blob) = self.frames.get(after.checked_sub(1)?)?;
        let groups = self.blob(blob)?.groups.as_ref()?;
        Some((blob, groups, number.checked_sub(first)?))
    }

    fn group_at(&self, number: u32) -> Option<(BlobIndex, Group)> {
        let (blob, groups, index) = self.frame_at(number)?;
        Some((blob, groups.group(index)?))
    }

    /// Where `extent` is: that which lies in a blob with groups is a chunk of one.
    fn located(&self, extent: Extent) -> Result<Extent, V7Error> {
        let ExtentSource::Plain { blob, offset } = extent.source else {
            return Ok(extent);
        };
        let Some(known) = self.blob(blob) else {
            return Ok(extent);
        };
        let found = match &known.groups {
            Some(groups) => self.chunk(blob, groups, offset, extent.len),
            None => known.raw(blob, offset, extent.len),
        };
        let source = found.ok_or(V7Error::NoChunk {
            blob,
            address: offset,
            len: extent.len,
        })?;
        Ok(Extent { source, ..extent })
    }

    /// The chunk of `len` bytes at byte `address` of blob number `blob`.
    fn chunk(
        &self,
        blob: BlobIndex,
        groups: &Groups,
        address: u64,
        len: u64,
    ) -> Option<ExtentSource> {
        let first = self.firsts.get(usize_from(blob.0))?;
        if address & BLOCK.saturating_sub(1) != 0 {
            return None;
        }
        let block = u32::try_from(address.checked_div(BLOCK)?).ok()?;
        let chunk = groups.chunk_at(block)?;
        if u64::from(chunk.len) != len {
            return None;
        }
        let group = groups.group(chunk.group)?;
        let alone = group.is_one_chunk();
        Some(ExtentSource::Chunk {
            frame: FrameId(first.checked_add(chunk.group)?),
            offset_in_frame: chunk.offset,
            digest: group.digest.filter(|_| alone),
            crc32c: alone.then_some(group.crc32c),
        })
    }
}

/// The SHA-256 that a device is called by.
fn named_digest(slot: &DeviceSlot) -> Option<Digest> {
    let tag = str::from_utf8(slot.tag()).ok()?;
    format!("sha256:{tag}").parse().ok()
}

/// What vouches for a group as a whole: chunks that are alone have what vouches for them themselves.
fn vouched(group: &Group) -> Vouched {
    match group.digest {
        _ if group.is_one_chunk() => Vouched::Nothing,
        Some(digest) => Vouched::Decoded(digest),
        None => Vouched::DecodedCrc32c(group.crc32c),
    }
}

impl Image for V7Image {
    fn root(&self) -> Ino {
        self.erofs.root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        self.erofs.attributes(ino)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        let xattrs = self.erofs.xattrs(ino)?;
        let is_marker = |xattr: &&Xattr| xattr.name.starts_with(MARKERS);
        if ino != self.root() || !xattrs.iter().any(|xattr| is_marker(&xattr)) {
            return Ok(xattrs);
        }
        let others = xattrs.iter().filter(|xattr| !is_marker(xattr));
        let offset = self.erofs.superblock().inode_offset(ino.0);
        let wrong = |source| StructureError::Xattrs { offset, source };
        let others = Xattrs::new(others.cloned()).map_err(wrong);
        others.map_err(|error| ImageError::new(ino, error))
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.erofs.lookup(directory, name)
    }

    fn lookup_kind(
        &self,
        directory: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<(Ino, FileKind)>, ImageError> {
        self.erofs.lookup_kind(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.erofs.read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.erofs.symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let mut wrong = None;
        self.erofs
            .extents(ino, range, &mut |extent| match self.located(extent) {
                Ok(extent) => visit(extent),
                Err(error) => {
                    wrong = Some(error);
                    ControlFlow::Break(())
                }
            })?;
        wrong.map_or(Ok(()), |error| Err(ImageError::new(ino, error)))
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let found = self.group_at(frame.0).and_then(|(blob, group)| {
            let stored_len = group.stored.end.checked_sub(group.stored.start)?;
            Some(Frame {
                blob,
                offset: group.stored.start,
                stored_len: u32::try_from(stored_len).ok()?,
                len: group.len,
                recipe: RecipeId(frame.0),
            })
        });
        found.ok_or_else(|| {
            let count = usize_from(self.frame_bound());
            let (what, index) = ("frame", frame.0);
            ImageError::new(None, NoSuchEntry { what, index, count })
        })
    }

    fn frame_bound(&self) -> u32 {
        let last = self.frames.last();
        last.map_or(0, |&(first, blob)| {
            let groups = self.blob(blob).and_then(|blob| blob.groups.as_ref());
            first.saturating_add(groups.map_or(0, Groups::group_count))
        })
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        let (_, group) = self.group_at(recipe.0)?;
        Some(Recipe::exact(group.codec).vouched(vouched(&group)))
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
