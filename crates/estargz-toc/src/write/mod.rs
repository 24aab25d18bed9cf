//! Planning an eStargz blob. Compression, threads and output are up to the caller.
//!
//! ```text
//!  names, metadata, payloads ──► Members ──► plain members ──► compressed by the caller, in parallel
//!                                                                       │ in order
//!  Listing ◄── image ◄── chunks, frames ◄── Placements ◄────────────────┘
//!     │
//!     └──► TocMember, with the JSON ──► compressed by the caller; then the footer
//! ```
//! A blob with one directory and a file with two names, from start to end:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::num::NonZeroU32;
//! use lazyoci_estargz_toc::write::{Listing, Members, Placements};
//! use lazyoci_estargz_toc::{Landmark, footer};
//! # use frame_codec::{Compression, Encoder};
//! use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
//! use image_model::{Blob, BlobId, ChunkedImage, Limits, Metadata, Name, Node, Tree};
//!
//! let mut tree = Tree::new(Metadata::implied_directory());
//! let content = ChunkRange { start: 0, end: 1 };
//! let file = tree.add(Metadata::default(), Node::File { size: 5, content });
//! tree.link(Tree::<ChunkRange>::ROOT, Name::new(*b"a")?, file)?;
//! tree.link(Tree::<ChunkRange>::ROOT, Name::new(*b"b")?, file)?;
//! let names = image_model::order::walk(&tree, &Limits::default())?;
//!
//! // Plain members.
//! let mut members = Members::new(NonZeroU32::new(4 << 20).unwrap());
//! members.landmark(Landmark::NoPrefetch)?;
//! for (position, name) in names.iter().enumerate() {
//!     let inode = tree.inode(name.inode);
//!     match names[..position].iter().find(|before| before.inode == name.inode) {
//!         Some(first) => members.append_link(&name.path, &inode.metadata, &first.path)?,
//!         None => members.append(&name.path, &inode.metadata, &inode.node)?,
//!     }
//!     while let Some(chunk) = members.next_chunk() {
//!         chunk.copy_from_slice(b"hello");
//!     }
//! }
//! members.finish()?;
//!
//! // Compressed members and where they are.
//! let mut encoder = Encoder::new(Compression::Gzip { level: 9 })?;
//! let mut blob = Vec::new();
//! let mut placements = Placements::new(&Limits::default());
//! let mut chunks_of_files = Vec::new();
//! while let Some(member) = members.take() {
//!     let mut stored = Vec::new();
//!     encoder.encode_frame(&member.plain, &mut stored)?;
//!     let digest = verify::sha256(member.content());
//!     let chunk = (member.content_len > 0).then_some((member.content_len, digest));
//!     chunks_of_files.extend(placements.push(stored.len() as u64, chunk)?);
//!     blob.extend(stored);
//! }
//! let placed = placements.finish()?;
//!
//! // The TOC, and the end of the blob.
//! let [landmark, hello] = chunks_of_files[..] else { panic!() };
//! let parts = ChunkedParts {
//!     extents: vec![ChunkExtent { file_offset: 0, chunk: Some(hello) }],
//!     chunks: placed.chunks,
//!     frames: placed.frames,
//!     recipes: placed.recipes,
//!     blobs: vec![Blob::new(BlobId::new(b"layer")?)],
//! };
//! let image = ChunkedImage::new(tree, parts)?;
//! let listing = Listing {
//!     image: &image,
//!     names: &names,
//!     landmark: Some((0, Landmark::NoPrefetch, landmark)),
//!     chunk_size: NonZeroU32::new(4 << 20).unwrap(),
//!     file_digests: &BTreeMap::new(),
//! };
//! let member = listing.to_member(Limits::default().max_metadata_len)?;
//! encoder.encode_frame(member.plain(), &mut blob)?;
//! blob.extend(footer::encode(placed.toc_offset));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod headers;
mod listing;
mod members;
mod placements;
mod toc_member;

pub use headers::{Headers, Joint};
pub use listing::{Entries, Listing, ListingError};
pub use members::{Member, Members};
pub use placements::{Placed, Placements};
pub use toc_member::{TocMember, toc_header, toc_member};
