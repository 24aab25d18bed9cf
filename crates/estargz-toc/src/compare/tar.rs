//! The tar inside, with the digests of its files.

use std::convert::Infallible;
use std::io::Read;

use image_model::advisory::Advisories;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::layer::LayerBuilder;
use image_model::layer::LayerOptions;
use image_model::width::{u64_from, usize_up_to};
use image_model::{ChunkedImage, Digest, FileKind, ImagePath, InodeId, Metadata, Node, Tree};
use tar_stream::{Member, TarReadOptions, TarReader};
use verify::Hasher;

use super::end::{BehindEnd, behind_end};
use super::{CompareError, CompareOptions};
use crate::image::{EstargzImage, TocKind};
use crate::landmark::Landmark;
use crate::toc::TOC_NAME;

/// The tar as an image, without landmarks and TOC.
pub(super) struct TarInside {
    /// Tree and attributes; where content is does not matter here, so it is all zeros.
    pub(super) image: ChunkedImage,
    pub(super) landmark: Option<Landmark>,
    /// Whether there is hidden data after the end of the archive.
    pub(super) goes_on: bool,
    /// The oddities of its members.
    pub(super) advisories: Advisories,
    contents: Vec<Option<TarContent>>,
}

/// Members with the name of the TOC.
#[derive(Debug, Default)]
struct TocMembers {
    count: u64,
    /// Whether the latest of them is the last member, and contains the TOC.
    last: bool,
}

/// A file's content.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TarContent {
    /// SHA-256; `None` for a sparse file, whose bytes are not all in the blob.
    pub(super) digest: Option<Digest>,
    /// The file that the TOC has at the same path, and whether its chunks have the digests of the
    /// same pieces of this content.
    pieces: Option<(InodeId, bool)>,
}

impl TarContent {
    /// Whether the TOC gives its file `inode` this content.
    pub(super) fn is_that_of(&self, toc: &EstargzImage, inode: InodeId) -> bool {
        let (Some(digest), whole) = (self.digest, toc.file_digest(inode)) else {
            return false;
        };
        // Nothing that could disagree.
        if toc.kind == TocKind::Legacy && whole.is_none() {
            return true;
        }
        if whole.is_some_and(|whole| whole != digest) {
            return false;
        }
        match self.pieces {
            Some((compared, same)) if compared == inode => same,
            // Nobody compared the chunks of a file whose content the tar has at another path, and
            // the digest of the whole is but a claim of the TOC.
            _ => whole.is_some() && !has_several_chunks(toc, inode),
        }
    }
}

fn has_several_chunks(toc: &EstargzImage, inode: InodeId) -> bool {
    match &toc.image.tree.inode(inode).node {
        Node::File { content, .. } => {
            let extents = toc.image.file_extents(*content);
            extents.is_some_and(|extents| extents.len() > 1)
        }
        _ => false,
    }
}

impl TarInside {
    pub(super) fn read(
        toc: &EstargzImage,
        layer: impl Read,
        options: &CompareOptions,
    ) -> Result<Self, CompareError> {
        let CompareOptions { lenient, limits } = options;
        let lenient = *lenient;
        let tar_options = TarReadOptions::default()
            .lenient(lenient)
            .limits(limits.clone());
        let mut tar = TarReader::open_layer(layer, tar_options)?;
        let mut builder = LayerBuilder::new(
            LayerOptions::default()
                .lenient(lenient)
                .limits(limits.clone()),
        );
        let mut piece = vec![0; 1 << 16];
        let toc_path = toc_path();
        let mut toc_members = TocMembers::default();
        let mut advisories = Advisories::default();
        while let Some(mut entry) = tar.next_entry()? {
            let sparse = entry.size != entry.payload_len;
            let oddities = std::mem::take(&mut entry.oddities);
            let member = entry.into_member(limits)?;
            advisories.add_all(Some(member.path()), oddities);
            toc_members.last = false;
            match member {
                Member::HardLink { path, target } => builder.link(&path, &target)?,
                Member::Node {
                    path,
                    metadata,
                    node,
                } => {
                    let content = if sparse || node.kind() != FileKind::File {
                        TarContent::default()
                    } else {
                        content(toc, &path, &mut tar, &mut piece)?
                    };
                    if path == toc_path {
                        toc_members.count = toc_members.count.saturating_add(1);
                        toc_members.last = content.digest == Some(toc.digest);
                    }
                    let Ok(node) = node.try_map(|_, _| Ok::<_, Infallible>(content));
                    builder.add(&path, metadata, node)?;
                }
            }
        }
        // So the checksums of all members are looked at, too.
        let goes_on = match behind_end(&mut tar, &toc.digest)? {
            BehindEnd::Nothing => false,
            BehindEnd::Toc => toc_members.count > 0,
            BehindEnd::Something => true,
        };
        advisories.add_all(None, tar.oddities().iter().cloned());
        let layer = builder.finish()?;
        advisories.append(layer.advisories().clone());
        let special = toc.kind != TocKind::Containers;
        let mut inside = Self::of(layer.into_tree()?, &toc_members, special);
        inside.goes_on = goes_on;
        inside.advisories = advisories;
        Ok(inside)
    }

    /// `special` is whether landmarks and the TOC are none of the files.
    fn of(tree: Tree<TarContent>, toc_members: &TocMembers, special: bool) -> Self {
        let count = |extents: &Vec<ChunkExtent>| {
            u32::try_from(extents.len()).expect("not more extents than inodes")
        };
        let mut extents = Vec::new();
        let mut contents = vec![None; tree.len()];
        let zeros = |inode: InodeId, size, content| {
            contents[inode.index()] = Some(content);
            let start = count(&extents);
            let extent = ChunkExtent {
                file_offset: 0,
                chunk: None,
            };
            extents.extend((size > 0).then_some(extent));
            let end = count(&extents);
            Ok::<_, Infallible>(ChunkRange { start, end })
        };
        let mut tree = tree.try_map(zeros).unwrap_or_else(|never| match never {});
        let links = tree.link_counts();
        let mut take = |path: ImagePath, is_it: &dyn Fn(&Metadata, Option<Digest>) -> bool| {
            let name = path.last().expect("it is not the root");
            let inode = tree.lookup(InodeId::ROOT, name)?;
            let digest = contents[inode.index()]?.digest;
            let alone = links[inode.index()] == 1;
            (alone && is_it(&tree.inode(inode).metadata, digest)).then(|| {
                tree.unlink(InodeId::ROOT, name)
                    .expect("the root is a directory")
            })
        };
        // Only what holds the TOC, or is a landmark in every respect, is none of the files.
        if special && toc_members.count == 1 && toc_members.last {
            take(toc_path(), &|_, _| true);
        }
        let byte = verify::sha256(&[Landmark::BYTE]);
        let is_landmark =
            |metadata: &Metadata, digest| *metadata == Metadata::default() && digest == Some(byte);
        let landmark = [Landmark::Prefetch, Landmark::NoPrefetch]
            .into_iter()
            .filter(|landmark| special && take(landmark.path(), &is_landmark).is_some())
            .last();
        let parts = ChunkedParts {
            extents,
            ..ChunkedParts::default()
        };
        let image = ChunkedImage::new(tree, parts).expect("every file is one run of zeros");
        Self {
            image,
            landmark,
            goes_on: false,
            advisories: Advisories::default(),
            contents,
        }
    }

    /// The content of a file.
    pub(super) fn content(&self, inode: InodeId) -> Option<TarContent> {
        self.contents[inode.index()]
    }
}

fn toc_path() -> ImagePath {
    ImagePath::clean(TOC_NAME.as_bytes()).expect("it is a name")
}

/// Reads the payload of the current member of `tar`, at `path`.
fn content<R: Read>(
    toc: &EstargzImage,
    path: &ImagePath,
    tar: &mut TarReader<R>,
    piece: &mut [u8],
) -> Result<TarContent, CompareError> {
    let mut chunks = ExpectedChunks::of(toc, path, tar.payload_left());
    let mut whole = Hasher::sha256();
    loop {
        let read = tar.read_payload(piece)?;
        if read == 0 {
            break;
        }
        whole.update(&piece[..read]);
        if let Some(chunks) = &mut chunks {
            chunks.update(&piece[..read]);
        }
    }
    Ok(TarContent {
        digest: Some(whole.finish()),
        pieces: chunks.map(|chunks| (chunks.inode, chunks.same)),
    })
}

/// The chunks of a file according to the TOC; more than one.
struct ExpectedChunks<'a> {
    toc: &'a EstargzImage,
    inode: InodeId,
    chunks: std::slice::Iter<'a, ChunkExtent>,
    /// Length of the file.
    size: u64,
    /// Bytes that the current chunk still lacks.
    left: u64,
    /// Whether it is a run of zeros.
    hole: bool,
    hasher: Hasher,
    expected: Option<Digest>,
    same: bool,
}

impl<'a> ExpectedChunks<'a> {
    /// Those at `path`, if the TOC has a file of `size` bytes there that has several chunks.
    fn of(toc: &'a EstargzImage, path: &ImagePath, size: u64) -> Option<Self> {
        let image = &toc.image;
        let inode = image.tree.resolve(path.as_bytes())?;
        let Node::File {
            size: in_toc,
            content,
        } = image.tree.inode(inode).node
        else {
            return None;
        };
        let extents = image.file_extents(content)?;
        (in_toc == size && extents.len() > 1).then(|| Self {
            toc,
            inode,
            chunks: extents.iter(),
            size,
            left: 0,
            hole: false,
            hasher: Hasher::sha256(),
            expected: None,
            same: true,
        })
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 && !self.next_chunk() {
                self.same = false;
                return;
            }
            let (now, rest) = bytes.split_at(usize_up_to(self.left).min(bytes.len()));
            match self.hole {
                true => self.same &= now.iter().all(|&byte| byte == 0),
                false => self.hasher.update(now),
            }
            self.left = self.left.saturating_sub(u64_from(now.len()));
            bytes = rest;
            if self.left == 0 && !self.hole {
                let found = std::mem::replace(&mut self.hasher, Hasher::sha256()).finish();
                self.same &= self.expected == Some(found);
            }
        }
    }

    fn next_chunk(&mut self) -> bool {
        let Some(extent) = self.chunks.next() else {
            return false;
        };
        let chunk = extent.chunk.map(|id| self.toc.image.chunks[id.index()]);
        let next = self.chunks.as_slice().first();
        let end = next.map_or(self.size, |next| next.file_offset);
        self.left = end.saturating_sub(extent.file_offset);
        self.hole = chunk.is_none();
        self.expected = chunk.and_then(|chunk| chunk.digest);
        self.left > 0
    }
}
