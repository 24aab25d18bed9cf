//! The copy into the shared model: limits, and trees that are none.

use std::ops::ControlFlow;

use bytes::Bytes;
use image_model::{
    Blame, DigestAlgorithm, Fault, FrameId, Image, Ino, InodeId, Limits, Node, RecipeId, Tree,
};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::v6::{Bootstrap, ChunkPlace, OwnedBootstrap};

use crate::common::{A4, Store, encode, field, metadata, name, open, options};
use crate::damage::{D, ROOT, broken, cause};
use crate::xattr::with_xattrs;

#[test]
fn the_callers_limits() {
    let (bytes, area) = with_xattrs();
    let limits = Limits::default().max_xattr_len(35);
    let bootstrap = Bootstrap::open(Bytes::from(bytes), &limits).unwrap();
    let error = bootstrap.xattrs(Ino((area as u64 - 64) / 32)).unwrap_err();
    let what = "bytes of extended attributes";
    let (found, max) = (36, 35);
    assert_eq!(cause(&error), DecodeError::Limit { what, found, max });

    let copy = |limits: &Limits| {
        let bootstrap = Bootstrap::open(Bytes::from_static(A4), limits).unwrap();
        bootstrap.to_chunked().unwrap_err()
    };
    let limits = Limits::default().max_inodes(4);
    let what = "names";
    let (found, max) = (5, 4);
    assert_eq!(copy(&limits), DecodeError::Limit { what, found, max });
    let limits = Limits::default().max_depth(0);
    let what = "nested directories";
    let (found, max) = (1, 0);
    assert_eq!(copy(&limits), DecodeError::Limit { what, found, max });
}

#[test]
fn the_copy_refuses_what_is_no_tree() {
    let again = |offset: usize| DecodeError::DirectoryAgain {
        offset: offset as u64,
    };
    let copy = |patches: &[(usize, &[u8])]| broken(patches).to_chunked().unwrap_err();
    // The root in `d`, `d` in `d`, `d` twice in the root.
    let first_in_d = D + 64 + 24;
    assert_eq!(
        copy(&[(first_in_d, &[128]), (first_in_d + 10, &[2])]),
        again(ROOT)
    );
    assert_eq!(
        copy(&[(first_in_d, &[141]), (first_in_d + 10, &[2])]),
        again(D)
    );
    assert_eq!(
        copy(&[(ROOT + 64 + 36, &[141]), (ROOT + 64 + 46, &[2])]),
        again(D)
    );
    // An entry of another kind than its inode.
    let entry = ROOT + 64 + 36;
    let expected = field(
        "directory entry",
        entry,
        "file_type",
        7,
        "the kind of its inode",
    );
    assert_eq!(copy(&[(entry + 10, &[7])]), expected);
    let expected = field(
        "directory entry",
        first_in_d,
        "file_type",
        7,
        "the kind of its inode",
    );
    assert_eq!(copy(&[(first_in_d + 10, &[7])]), expected);
}

/// Many directories that share one block of entries would make a small bootstrap a large image.
#[test]
fn the_copy_refuses_structures_that_overlap() {
    let mut tree = Tree::new(metadata(0o755));
    for number in 0..200 {
        let id = tree.add(metadata(0o755), Node::empty_directory());
        let label = format!("{number:0>40}");
        tree.link(InodeId::ROOT, name(label.as_bytes()), id)
            .unwrap();
    }
    let stored = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let mut bytes = encode(&stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let root = bootstrap.inode(bootstrap.root()).unwrap();
    let mut children = Vec::new();
    let list = &mut |entry: image_model::DirEntry<'_>| {
        children.push(bootstrap.inode(entry.ino).unwrap().offset as usize);
        ControlFlow::Continue(())
    };
    bootstrap.read_directory(bootstrap.root(), list).unwrap();
    for child in children {
        // Plain data, those of the root.
        bytes[child] = 1;
        bytes[child + 8..child + 16].copy_from_slice(&8192u64.to_le_bytes());
        bytes[child + 16..child + 20].copy_from_slice(&root.word.to_le_bytes());
    }
    let error = open(&bytes).unwrap().to_chunked().unwrap_err();
    assert!(
        matches!(error, DecodeError::Crowded { taken, available, .. } if taken > available),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}

/// Frames and places stand in the order in which files use them first, not in that of the table.
#[test]
fn the_copy_says_where_chunks_stand() {
    let bootstrap = open(A4).unwrap();
    let OwnedBootstrap { image, places } = bootstrap.to_chunked().unwrap();
    let expected = [(0, 0), (1, 4096)].map(|(index, address)| ChunkPlace {
        index,
        address,
        in_batch: false,
    });
    assert_eq!(places, expected);
    assert_eq!(image.blobs, [bootstrap.blob_entries()[0].blob()]);
    let recipes: Vec<_> = image.recipes.iter().cloned().map(Some).collect();
    assert_eq!(recipes, [0, 1, 2].map(|id| bootstrap.recipe(RecipeId(id))));
    for record in bootstrap.chunk_records() {
        let at = places.iter().position(|p| p.index == record.index).unwrap();
        assert_eq!(places[at].address, record.uncompressed_offset);
        let frame = image.frame(FrameId(at as u32)).unwrap();
        assert_eq!(frame.offset, record.compressed_offset);
        assert_eq!(image.chunks[at].frame, FrameId(at as u32));
    }
}
