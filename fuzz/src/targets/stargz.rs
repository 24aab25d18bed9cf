//! What the targets of eStargz share: writing a blob.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use lazyoci::estargz_toc::image::EstargzImage;
use lazyoci::estargz_toc::order::{Prioritized, prioritize};
use lazyoci::estargz_toc::write::{Listing, Members, Placements, toc_member};
use lazyoci::estargz_toc::{Landmark, footer};
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use lazyoci::model::order::walk;
use lazyoci::model::{
    Blob, BlobId, ChunkId, ChunkedImage, Digest, DigestAlgorithm, Image as _, ImagePath, InodeId,
    Limits, Node, Tree,
};
use lazyoci::read::{Reader, Want};
use lazyoci::verify;

use super::input::Input;
use super::reading::{ByHand, Chance};
use super::tree::Pattern;

/// How a tree is stored.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    chunk_size: NonZeroU32,
    level: u32,
    /// Names that come first, by their number in a walk.
    wanted: Option<Vec<u8>>,
}

impl Choices {
    /// Choices out of the input.
    pub(super) fn take(input: &mut Input<'_>) -> Self {
        let chunk_size = input.one_of(&[4096, 1000, 8192, 1 << 22]);
        let level = input.byte();
        let wanted = input.flag().then(|| input.bytes().to_vec());
        Self {
            chunk_size: NonZeroU32::new(chunk_size).unwrap_or(NonZeroU32::MIN),
            level: u32::from(level % 10),
            wanted: wanted.filter(|wanted| wanted.len() < 16),
        }
    }
}

/// An image with its blob.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) image: ChunkedImage,
    pub(super) blob: Vec<u8>,
    pub(super) toc_digest: Digest,
}

fn sha256(bytes: &[u8]) -> Digest {
    verify::digest(DigestAlgorithm::Sha256, bytes).expect("SHA-256 is always there")
}

/// Writes a tree that a TOC can carry, as far as `limits` allow.
pub(super) fn store(tree: Tree<Pattern>, choices: &Choices, limits: &Limits) -> Option<Stored> {
    let (members, order, landmark) = plan(&tree, choices);
    let mut encoder = Encoder::new(Compression::Gzip {
        level: choices.level,
    })
    .expect("the level exists");
    let mut blob = Vec::new();
    let mut placements = Placements::new(limits);
    let mut chunks = Vec::new();
    for member in members {
        let start = blob.len();
        encoder
            .encode_frame(&member.plain, &mut blob)
            .expect("it is short");
        let stored_len = (blob.len() - start) as u64;
        let content = member.content();
        let chunk = (!content.is_empty()).then(|| (member.content_len, sha256(content)));
        chunks.extend(placements.push(stored_len, chunk).ok()?);
    }
    let placed = placements.finish().expect("members are short");

    let digests = files_of(&tree, &order).map(|(id, content)| (id, sha256(&content.bytes())));
    let digests: BTreeMap<InodeId, Digest> = digests.collect();
    let (extents, ranges, landmark) = hand_out(&tree, &order, choices, landmark, &chunks);
    let tree = tree.try_map(|id, _, _| Ok::<_, std::convert::Infallible>(ranges[&id]));
    let tree = tree.unwrap_or_else(|never| match never {});
    let parts = ChunkedParts {
        extents,
        chunks: placed.chunks,
        frames: placed.frames,
        recipes: placed.recipes,
        blobs: vec![Blob::new(BlobId::new(b"fuzz").expect("it is a name"))],
    };
    let image = ChunkedImage::new(tree, parts)
        .expect("each extent, chunk and frame was put in where it belongs");
    let listing = Listing {
        image: &image,
        names: &order.names,
        landmark: Some(landmark),
        chunk_size: choices.chunk_size,
        file_digests: &digests,
    };
    let json = listing.to_json().expect("the TOC can carry all");
    let member = toc_member(&json).expect("a vector takes all bytes");
    encoder
        .encode_frame(&member, &mut blob)
        .expect("it is short");
    blob.extend(footer::encode(placed.toc_offset));
    Some(Stored {
        toc_digest: sha256(&json),
        image,
        blob,
    })
}

/// Whether each landmark is the byte that it has to be, in the `blob` that `reader` reads.
pub(super) fn landmarks_are_right(toc: &EstargzImage, reader: &Reader, blob: &[u8]) -> bool {
    toc.landmark_extents().all(|landmark| {
        let Ok((_, extent)) = landmark else {
            return false;
        };
        let want = Want {
            tag: 0,
            ino: toc.image.root(),
            extent,
            range: 0..extent.len,
        };
        let plan = reader.plan(std::iter::once(Ok(want)));
        let found = ByHand::new(plan, blob, 0).read(&mut Chance(0));
        found.is_ok_and(|found| found == [Landmark::BYTE])
    })
}

/// Regular files in the order of their first names.
fn files_of<'a>(
    tree: &'a Tree<Pattern>,
    order: &'a Prioritized,
) -> impl Iterator<Item = (InodeId, Pattern)> + 'a {
    let first = |&(position, named): &(usize, &lazyoci::model::order::Named)| {
        order.names[..position]
            .iter()
            .all(|before| before.inode != named.inode)
    };
    let names = order.names.iter().enumerate().filter(first);
    names.filter_map(|(_, named)| match &tree.inode(named.inode).node {
        Node::File { content, .. } => Some((named.inode, *content)),
        _ => None,
    })
}

/// The plain members, the order of names, the landmark and its place.
fn plan(
    tree: &Tree<Pattern>,
    choices: &Choices,
) -> (
    Vec<lazyoci::estargz_toc::write::Member>,
    Prioritized,
    Landmark,
) {
    let names = walk(tree, &Limits::default()).expect("short paths");
    let wanted: Vec<ImagePath> = (choices.wanted.iter().flatten())
        .map(|&number| names[usize::from(number) % names.len()].path.clone())
        .collect();
    let order = prioritize(names, &wanted);
    assert!(order.missed.is_empty(), "all that is wanted is there");
    let landmark = match choices.wanted {
        Some(_) => Landmark::Prefetch,
        None => Landmark::NoPrefetch,
    };
    let mut members = Members::new(choices.chunk_size);
    for position in 0..=order.names.len() {
        if position == order.landmark {
            members.landmark(landmark).expect("a tar can hold it");
        }
        let Some(named) = order.names.get(position) else {
            break;
        };
        let inode = tree.inode(named.inode);
        let earlier = order.names[..position]
            .iter()
            .find(|before| before.inode == named.inode);
        let appended = match earlier {
            Some(first) => members.append_link(&named.path, &inode.metadata, &first.path),
            None => members.append(&named.path, &inode.metadata, &inode.node),
        };
        appended.expect("a tar can hold it");
        if let (None, Node::File { content, .. }) = (earlier, &inode.node) {
            let bytes = content.bytes();
            let mut at = 0;
            while let Some(chunk) = members.next_chunk() {
                chunk.copy_from_slice(&bytes[at..at + chunk.len()]);
                at += chunk.len();
            }
            assert_eq!(at, bytes.len());
        }
    }
    members.finish().expect("all content is complete");
    let all = std::iter::from_fn(|| members.take()).collect();
    (all, order, landmark)
}

/// Gives each file its chunks, which come in the order of the blob.
fn hand_out(
    tree: &Tree<Pattern>,
    order: &Prioritized,
    choices: &Choices,
    landmark: Landmark,
    chunks: &[ChunkId],
) -> (
    Vec<ChunkExtent>,
    BTreeMap<InodeId, ChunkRange>,
    (usize, Landmark, ChunkId),
) {
    let chunk_size = u64::from(choices.chunk_size.get());
    let mut chunks = chunks.iter().copied();
    let mut next = || chunks.next().expect("each chunk was placed");
    let mut extents = Vec::new();
    let mut ranges = BTreeMap::new();
    let mut landmark_chunk = None;
    for (position, named) in order.names.iter().enumerate() {
        if position == order.landmark {
            landmark_chunk = Some(next());
        }
        let Node::File { size, .. } = tree.inode(named.inode).node else {
            continue;
        };
        ranges.entry(named.inode).or_insert_with(|| {
            let start = extents.len() as u32;
            extents.extend((0..size.div_ceil(chunk_size)).map(|number| ChunkExtent {
                file_offset: number * chunk_size,
                chunk: Some(next()),
            }));
            let end = extents.len() as u32;
            ChunkRange { start, end }
        });
    }
    let landmark_chunk = landmark_chunk.unwrap_or_else(&mut next);
    (extents, ranges, (order.landmark, landmark, landmark_chunk))
}
