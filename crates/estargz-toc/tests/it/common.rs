//! Blobs for the tests: read from goldens, or written the way a pipeline would.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;

use bytes::Bytes;
use frame_codec::{Compression, Decoder, Encoder};
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::order::{Named, walk};
use image_model::{
    Blob, BlobId, ChunkId, ChunkedImage, FrameId, Image, ImagePath, InodeId, Limits, Metadata,
    Name, Node, Timestamp, Tree,
};
use lazyoci_estargz_toc::image::{EstargzImage, ImageOptions};
use lazyoci_estargz_toc::open::{Need, OpenError, OpenedToc, Opener, StepMachine};
use lazyoci_estargz_toc::write::{Listing, ListingError, Member, Members, Placements, toc_member};
use lazyoci_estargz_toc::{Landmark, footer};
use verify::sha256;

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    std::fs::read(path.join(name)).unwrap()
}

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

pub(crate) fn blob_id() -> BlobId {
    BlobId::new(b"layer").unwrap()
}

pub(crate) fn open_with(blob: &[u8], limits: &Limits) -> Result<OpenedToc, OpenError> {
    drive(Opener::new(blob.len() as u64, limits), blob).map(|(toc, _)| toc)
}

/// Drives `opener` over `blob`; also tells what it asked for.
pub(crate) fn drive(opener: Opener, blob: &[u8]) -> Result<(OpenedToc, Vec<Need>), OpenError> {
    let mut asked = Vec::new();
    let toc = opener.drive(|need| {
        asked.push(need.clone());
        let bytes = &blob[need.range.start as usize..need.range.end as usize];
        Ok::<_, OpenError>(Bytes::copy_from_slice(bytes))
    })?;
    Ok((toc, asked))
}

pub(crate) fn open(blob: &[u8]) -> Result<OpenedToc, OpenError> {
    open_with(blob, &Limits::default())
}

pub(crate) fn decode(blob: &[u8]) -> EstargzImage {
    let opened = open(blob).unwrap();
    opened.image(blob_id(), &ImageOptions::default()).unwrap()
}

/// The content of a file, every chunk of it compared with its digest; `None` if one differs, or
/// does not decode.
pub(crate) fn content(image: &ChunkedImage, blob: &[u8], inode: InodeId) -> Option<Vec<u8>> {
    let Node::File { size, content } = image.tree.inode(inode).node else {
        panic!("no file");
    };
    let mut bytes = Vec::new();
    for extent in image.file_extents(content).unwrap() {
        bytes.extend(chunk(image, blob, extent.chunk.unwrap())?);
    }
    assert_eq!(bytes.len() as u64, size);
    Some(bytes)
}

pub(crate) fn chunk(image: &ChunkedImage, blob: &[u8], id: ChunkId) -> Option<Vec<u8>> {
    let chunk = image.chunks[id.index()];
    let decoded = decoded_frame(image, blob, chunk.frame)?;
    let bytes = &decoded[chunk.offset_in_frame as usize..][..chunk.len as usize];
    verify::check(&chunk.digest.unwrap(), bytes).ok()?;
    Some(bytes.to_vec())
}

/// The bytes of a frame, decoded as its recipe says; `None` if they do not decode.
pub(crate) fn decoded_frame(image: &ChunkedImage, blob: &[u8], id: FrameId) -> Option<Vec<u8>> {
    let frame = image.frame(id).unwrap();
    let recipe = image.recipe(frame.recipe).unwrap();
    let stored = &blob[frame.offset as usize..][..frame.stored_len as usize];
    let mut plain = vec![0; frame.len as usize];
    let decoded = Decoder::new().decode_frame(&recipe.decode, stored, &mut plain);
    decoded.ok().map(|()| plain)
}

pub(crate) fn content_at(decoded: &EstargzImage, blob: &[u8], at: &str) -> Vec<u8> {
    let inode = decoded.image.tree.resolve(at.as_bytes()).unwrap();
    content(&decoded.image, blob, inode).unwrap()
}

/// Decompresses all members; `(offset, plain bytes)` of each.
pub(crate) fn members_of(blob: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut members = Vec::new();
    let mut at = 0;
    while at < blob.len() {
        // The next member begins where this one decodes to its end.
        let end = (at + 18..=blob.len())
            .filter(|&end| end == blob.len() || blob[end..].starts_with(&[0x1f, 0x8b, 8]))
            .find_map(|end| Some((end, inflate(&blob[at..end])?)));
        let (end, plain) = end.unwrap();
        members.push((at, plain));
        at = end;
    }
    members
}

fn inflate(member: &[u8]) -> Option<Vec<u8>> {
    let isize = u32::from_le_bytes(*member.last_chunk()?);
    let mut plain = vec![0; usize::try_from(isize).ok().filter(|len| *len < 1 << 24)?];
    let decoded = Decoder::new().decode(image_model::Codec::Gzip, member, &mut plain);
    decoded.ok().map(|()| plain)
}

/// How to write a blob.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) chunk_size: u32,
    pub(crate) landmark: Option<(usize, Landmark)>,
    pub(crate) level: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chunk_size: 4 << 20,
            landmark: Some((0, Landmark::NoPrefetch)),
            level: 9,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) blob: Vec<u8>,
    pub(crate) json: Vec<u8>,
    pub(crate) image: ChunkedImage,
}

/// Writes `tree`, whose files hold their content, as a pipeline does, on one thread.
pub(crate) fn write(
    tree: &Tree<Vec<u8>>,
    names: &[Named],
    options: &Options,
) -> Result<Written, ListingError> {
    let chunk_size = NonZeroU32::new(options.chunk_size).unwrap();
    let mut members = Members::new(chunk_size);
    let mut first_names = HashMap::new();
    let mut owners = Vec::new();
    let mut content_at = vec![0; tree.len()];
    let mut landmark = options.landmark;
    for position in 0..=names.len() {
        if let Some((_, landmark)) = landmark.take_if(|(before, _)| *before == position) {
            members.landmark(landmark).unwrap();
            owners.push(None);
        }
        let Some(Named { path, inode: id }) = names.get(position) else {
            break;
        };
        let inode = tree.inode(*id);
        if tree.directory(*id).is_none() {
            if let Some(first) = first_names.get(id) {
                members.append_link(path, &inode.metadata, first).unwrap();
                continue;
            }
            first_names.insert(*id, path.clone());
        }
        members.append(path, &inode.metadata, &inode.node).unwrap();
        while let Some(place) = members.next_chunk() {
            let Node::File { content, .. } = &inode.node else {
                panic!("only files have content");
            };
            let done = &mut content_at[id.index()];
            place.copy_from_slice(&content[*done..][..place.len()]);
            *done += place.len();
            owners.push(Some(*id));
        }
    }
    members.finish().unwrap();
    let members: Vec<Member> = std::iter::from_fn(|| members.take()).collect();

    let mut encoder = Encoder::new(Compression::Gzip {
        level: options.level,
    })
    .unwrap();
    let mut blob = Vec::new();
    let mut placements = Placements::new(&Limits::default());
    let mut landmark_chunk = None;
    let mut chunks: HashMap<InodeId, Vec<ChunkId>> = HashMap::new();
    let mut owners = owners.into_iter();
    for member in &members {
        let before = blob.len();
        encoder.encode_frame(&member.plain, &mut blob).unwrap();
        let chunk =
            (member.content_len > 0).then(|| (member.content_len, sha256(member.content())));
        let stored_len = (blob.len() - before) as u64;
        if let Some(id) = placements.push(stored_len, chunk).unwrap() {
            match owners.next().unwrap() {
                Some(owner) => chunks.entry(owner).or_default().push(id),
                None => landmark_chunk = Some(id),
            }
        }
    }
    let placed = placements.finish().unwrap();
    assert_eq!(placed.toc_offset, blob.len() as u64);

    let mut extents = Vec::new();
    let mut file_digests = BTreeMap::new();
    let next = |id: InodeId, _, content: Vec<u8>| {
        let start = u32::try_from(extents.len()).unwrap();
        let chunks = chunks.get(&id).cloned().unwrap_or_default();
        if chunks.len() > 1 {
            file_digests.insert(id, sha256(&content));
        }
        for (chunk, file_offset) in chunks
            .into_iter()
            .zip((0..).step_by(options.chunk_size as usize))
        {
            extents.push(ChunkExtent {
                file_offset,
                chunk: Some(chunk),
            });
        }
        let end = u32::try_from(extents.len()).unwrap();
        Ok::<_, std::convert::Infallible>(ChunkRange { start, end })
    };
    let tree = tree.clone().try_map(next).unwrap();
    let mut about = Blob::new(blob_id());
    about.decoded_len = Some(placed.decoded_len);
    about.chunk_count = u32::try_from(placed.chunks.len()).ok();
    let parts = ChunkedParts {
        extents,
        chunks: placed.chunks,
        frames: placed.frames,
        recipes: placed.recipes,
        blobs: vec![about],
    };
    let mut image = ChunkedImage::new(tree, parts).unwrap();
    let listing = Listing {
        image: &image,
        names,
        landmark: options
            .landmark
            .map(|(before, landmark)| (before, landmark, landmark_chunk.unwrap())),
        chunk_size,
        file_digests: &file_digests,
    };
    let json = listing.to_json()?;
    let member = listing.to_member(json.len() as u64)?;
    assert_eq!(member.plain(), toc_member(&json).unwrap());
    assert_eq!(member.json(), json);
    let limit = json.len() as u64 - 1;
    let too_long = listing.to_member(limit).unwrap_err();
    assert_eq!(too_long, ListingError::TooLong { limit });
    encoder.encode_frame(member.plain(), &mut blob).unwrap();
    blob.extend(footer::encode(placed.toc_offset));
    image.blobs[0].stored_len = Some(blob.len() as u64);
    Ok(Written { blob, json, image })
}

/// Makes trees.
#[derive(Debug)]
pub(crate) struct TreeMaker(pub(crate) Tree<Vec<u8>>);

impl TreeMaker {
    pub(crate) fn new() -> Self {
        Self(Tree::new(Metadata::implied_directory()))
    }

    pub(crate) fn add(&mut self, at: &str, metadata: Metadata, node: Node<Vec<u8>>) -> InodeId {
        let inode = self.0.add(metadata, node);
        self.name(at, inode);
        inode
    }

    pub(crate) fn name(&mut self, at: &str, inode: InodeId) {
        let (parent, name) = path(at)
            .split_last()
            .map(|(p, n)| (p, n.to_name()))
            .unwrap();
        self.name_in(&parent, name, inode);
    }

    pub(crate) fn name_in(&mut self, parent: &ImagePath, name: Name, inode: InodeId) {
        let parent = self.0.resolve(parent.as_bytes()).unwrap();
        self.0.link(parent, name, inode).unwrap();
    }

    pub(crate) fn directory(&mut self, at: &str, mode: u16, seconds: i64) -> InodeId {
        self.add(at, metadata(mode, seconds), Node::empty_directory())
    }

    pub(crate) fn file(&mut self, at: &str, content: &[u8]) -> InodeId {
        self.add(at, metadata(0o644, 0), file(content))
    }

    pub(crate) fn names(&self) -> Vec<Named> {
        walk(&self.0, &Limits::default()).unwrap()
    }

    pub(crate) fn write(&self, options: &Options) -> Written {
        write(&self.0, &self.names(), options).unwrap()
    }
}

pub(crate) fn metadata(mode: u16, seconds: i64) -> Metadata {
    Metadata {
        mode,
        mtime: Timestamp::from_seconds(seconds),
        ..Metadata::default()
    }
}

pub(crate) fn file(content: &[u8]) -> Node<Vec<u8>> {
    Node::File {
        size: content.len() as u64,
        content: content.to_vec(),
    }
}

/// The tree of the published test vectors, and its names in the order of their tar.
pub(crate) fn vector_tree() -> (Tree<Vec<u8>>, Vec<Named>) {
    let mut maker = TreeMaker::new();
    maker.directory("d", 0o755, 1_600_000_000);
    let owned = Metadata {
        uid: 1000,
        gid: 1000,
        ..metadata(0o644, 1_600_000_000)
    };
    let a = maker.add("d/a", owned, file(b"hello"));
    maker.file("e", b"");
    maker.add("l", metadata(0o777, 0), Node::Symlink((*b"d/a").into()));
    maker.name("h", a);
    let names = ["d", "d/a", "e", "l", "h"].map(|at| Named {
        path: path(at),
        inode: maker.0.resolve(at.as_bytes()).unwrap(),
    });
    (maker.0, names.to_vec())
}

/// The content of a zstd frame.
pub(crate) fn inflate_zstd(stored: &[u8], len: usize) -> Vec<u8> {
    let mut plain = vec![0; len];
    let decoded = Decoder::new().decode(image_model::Codec::Zstd, stored, &mut plain);
    decoded.unwrap();
    plain
}
