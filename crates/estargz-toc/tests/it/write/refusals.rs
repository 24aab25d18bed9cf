//! What cannot be written.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::order::Named;
use image_model::{Blob, ChunkedImage, Metadata, Name, Node, Tree};
use lazyoci_estargz_toc::carry::{CannotCarry, Uncarried};
use lazyoci_estargz_toc::write::{Listing, ListingError, Members};
use tar_stream::WriteError;

use super::vector;
use crate::common::{Options, TreeMaker, blob_id, file, metadata, path, write};

#[test]
fn content_has_to_be_complete() {
    let mut members = Members::new(NonZeroU32::new(4).unwrap());
    members
        .append(&path("f"), &Metadata::default(), &file(b"hello"))
        .unwrap();
    assert_eq!(members.next_chunk().unwrap().len(), 4);
    let missing = members.append(&path("g"), &Metadata::default(), &file(b""));
    assert!(matches!(
        missing,
        Err(WriteError::PayloadMissing {
            offset: 516,
            left: 1
        })
    ));
    assert!(members.finish().is_err());
    assert_eq!(members.next_chunk().unwrap().len(), 1);
    assert_eq!(members.next_chunk(), None);
    members.finish().unwrap();
    members.finish().unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| members.take()).collect();
    assert_eq!(
        taken
            .iter()
            .map(|m| (m.plain.len(), m.content().len()))
            .collect::<Vec<_>>(),
        [(512, 0), (4, 4), (508, 1)]
    );
    let socket: Node<()> = Node::Socket;
    let refused = members.append(&path("s"), &Metadata::default(), &socket);
    assert!(matches!(refused, Err(WriteError::Socket { .. })));
}

#[test]
fn images_that_no_toc_can_describe() {
    let cannot = |at: &str, what| {
        ListingError::CannotCarry(CannotCarry {
            path: path(at),
            what,
        })
    };
    let write = |maker: &TreeMaker| write(&maker.0, &maker.names(), &Options::default());
    let mut maker = TreeMaker::new();
    maker.file("stargz.index.json", b"x");
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("stargz.index.json", Uncarried::ReservedName)
    );
    let mut maker = TreeMaker::new();
    maker.add("old", metadata(0o644, -62_135_596_800), Node::Fifo);
    let seconds = -62_135_596_800;
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("old", Uncarried::Time { seconds })
    );
    let mut maker = TreeMaker::new();
    let target: Box<[u8]> = (*b"\xff").into();
    maker.add("l", metadata(0o777, 0), Node::Symlink(target.clone()));
    assert_eq!(
        write(&maker).unwrap_err(),
        cannot("l", Uncarried::SymlinkTarget { target })
    );
}

#[test]
fn images_that_are_not_stored_as_a_toc_needs_it() {
    let mut tree = Tree::new(Metadata::implied_directory());
    let content = ChunkRange { start: 0, end: 1 };
    let inode = tree.add(Metadata::default(), Node::File { size: 5, content });
    tree.link(Tree::<ChunkRange>::ROOT, Name::new(*b"f").unwrap(), inode)
        .unwrap();
    let names = [Named {
        path: path("f"),
        inode,
    }];
    let file_digests = BTreeMap::new();
    let error = |image: &ChunkedImage| {
        let listing = Listing {
            image,
            names: &names,
            landmark: None,
            chunk_size: NonZeroU32::new(4).unwrap(),
            file_digests: &file_digests,
        };
        listing.to_json().unwrap_err()
    };
    let hole = ChunkExtent {
        file_offset: 0,
        chunk: None,
    };
    let parts = ChunkedParts {
        extents: vec![hole],
        blobs: vec![Blob::new(blob_id())],
        ..ChunkedParts::default()
    };
    let image = ChunkedImage::new(tree, parts).unwrap();
    let expected = ListingError::Hole {
        path: path("f"),
        file_offset: 0,
    };
    assert_eq!(error(&image), expected);

    let mut written = vector(&Options::default()).image;
    let a = written.tree.resolve(b"d/a").unwrap();
    for chunk in &mut written.chunks {
        chunk.digest = None;
    }
    let names = [Named {
        path: path("d/a"),
        inode: a,
    }];
    let listing = Listing {
        image: &written,
        names: &names,
        landmark: None,
        chunk_size: NonZeroU32::new(4).unwrap(),
        file_digests: &file_digests,
    };
    let expected = ListingError::DigestMissing {
        path: path("d/a"),
        chunk_offset: 0,
    };
    assert_eq!(listing.to_json(), Err(expected));
}
