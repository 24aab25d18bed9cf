//! What a plan refuses.

use image_model::{
    Blame, BlobId, ChunkId, Codec, Digest, DigestAlgorithm, Fault, ImagePath, InodeId, Node,
    Recipe, RecipeId, Tree,
};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::flags::{BlobFeatures, Compressor};
use lazyoci_rafs_format::v6::{BadContent, BlobEntry, EncodeError, Layout};

use crate::common::{LZ4, Store, Stored, ZSTD, a4, a4_options, metadata, name, options};

fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

fn stored() -> Stored {
    a4(DigestAlgorithm::Sha256)
}

/// The golden's image, changed, is refused.
#[track_caller]
fn refuses(change: impl FnOnce(&mut Stored), expected: &EncodeError) {
    let mut stored = stored();
    change(&mut stored);
    let error = Layout::plan(stored.input(), &a4_options()).unwrap_err();
    assert_eq!(&error, expected);
}

#[test]
fn options_that_make_no_sense() {
    let stored = stored();
    for chunk_size in [0, 2048, 4097, 1 << 25] {
        let options = a4_options().chunk_size(chunk_size);
        let error = Layout::plan(stored.input(), &options).unwrap_err();
        assert_eq!(error, EncodeError::ChunkSize { chunk_size });
        assert_eq!(error.fault(), Fault::Misuse);
    }
    for inode in [6, 99] {
        let options = a4_options().prefetch(vec![InodeId::new(1), InodeId::new(inode)]);
        let error = Layout::plan(stored.input(), &options).unwrap_err();
        let inode = inode as usize;
        assert_eq!(error, EncodeError::Prefetch { inode });
    }
}

#[test]
fn blob_entries() {
    let counts = EncodeError::BlobCount {
        entries: 0,
        blobs: 1,
    };
    refuses(|stored| stored.entries.clear(), &counts);
    let many = |stored: &mut Stored| {
        stored.entries = vec![stored.entries[0].clone(); 255];
    };
    refuses(many, &EncodeError::TooManyBlobs { count: 255 });
    let two = |stored: &mut Stored| {
        stored.image.blobs.push(stored.image.blobs[0].clone());
        stored.entries.push(stored.entries[0].clone());
    };
    refuses(two, &EncodeError::DuplicateBlob { first: 0, index: 1 });
    let long = |stored: &mut Stored| {
        stored.entries[0].id = BlobId::new(&[b'a'; 65]).unwrap();
    };
    refuses(long, &EncodeError::BlobIdLength { index: 0, len: 65 });
    let wrong = |field, found, rule| EncodeError::BlobEntry {
        index: 0,
        source: DecodeError::Field {
            structure: "blob table entry",
            offset: 0,
            field,
            found,
            rule,
        },
    };
    let rule = "that of the extended superblock";
    refuses(
        |stored| stored.entries[0].chunk_size = 4096,
        &wrong("chunk_size", 4096, rule),
    );
    let rule = "16 bytes a chunk";
    refuses(
        |stored| stored.entries[0].chunk_count = 3,
        &wrong("ci_uncompressed_size", 32, rule),
    );
    let uncompressed_size = 4095;
    let tiny = EncodeError::DeviceSize {
        index: 0,
        uncompressed_size,
    };
    let shrink = |stored: &mut Stored| {
        stored.entries[0].uncompressed_size = uncompressed_size;
        // `z` no longer fits there.
        let directory = stored.image.tree.inode_mut(InodeId::ROOT);
        if let Node::Directory(names) = &mut directory.node {
            names.remove(&name(b"z"));
        }
    };
    refuses(shrink, &tiny);
    let tarfs = EncodeError::Tarfs { index: 0 };
    let features = BlobFeatures::TARFS | BlobFeatures::CAP_TAR_TOC;
    refuses(|stored| stored.entries[0].features = features, &tarfs);
    let encrypted = EncodeError::Unsupported {
        index: 0,
        feature: "an encrypted blob",
    };
    let features = BlobFeatures::ALIGNED | BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2;
    let encrypt = |stored: &mut Stored| {
        stored.entries[0].features = features;
        stored.entries[0].ci_uncompressed_size = 48;
    };
    refuses(encrypt, &encrypted);
}

/// All blobs together are one address space of 2^32 blocks, 16 TiB.
#[test]
fn devices_share_one_address_space() {
    let huge = EncodeError::DeviceSize {
        index: 1,
        uncompressed_size: 1 << 44,
    };
    let add = |stored: &mut Stored| {
        let second = BlobEntry {
            id: BlobId::new(b"second").unwrap(),
            uncompressed_size: 1 << 44,
            ..stored.entries[0].clone()
        };
        stored.image.blobs.push(second.blob());
        stored.entries.push(second);
    };
    refuses(add, &huge);
}

#[test]
fn content_that_is_stored_in_another_way() {
    let content = |text, what| EncodeError::Content {
        path: path(text),
        file_offset: 0,
        what,
    };
    // Extents: `f`, `z`; chunks and frames likewise.
    refuses(
        |stored| stored.image.extents[0].chunk = None,
        &content("d/h", BadContent::Hole),
    );
    let cut = |len, expected| BadContent::Cut { len, expected };
    refuses(
        |stored| stored.image.chunks[1].len = 9_999,
        &content("z", cut(9_999, 10_000)),
    );
    let swap = |stored: &mut Stored| {
        stored.image.extents[0].chunk = Some(ChunkId::new(1));
    };
    refuses(swap, &content("d/h", cut(10_000, 5)));
    let part = content("d/h", BadContent::PartOfFrame);
    refuses(|stored| stored.image.frames[0].len = 6, &part);
    refuses(|stored| stored.image.chunks[0].offset_in_frame = 1, &part);
    refuses(
        |stored| stored.image.recipes[0] = Recipe::prefix(Codec::None),
        &part,
    );
    for (recipe, codec) in [(LZ4, Codec::Lz4Block), (ZSTD, Codec::Zstd)] {
        refuses(
            |stored| stored.image.frames[0].recipe = recipe,
            &content("d/h", BadContent::Codec { codec }),
        );
    }
    let lz4_in_zstd = |stored: &mut Stored| {
        stored.entries[0].compressor = Compressor::Zstd;
        stored.image.frames[0].recipe = LZ4;
    };
    let codec = Codec::Lz4Block;
    refuses(lz4_in_zstd, &content("d/h", BadContent::Codec { codec }));
    for stored_len in [0, 4, 6] {
        let expected = content("d/h", BadContent::StoredLen { stored_len });
        refuses(
            |stored| stored.image.frames[0].stored_len = stored_len,
            &expected,
        );
    }
    for stored_len in [0, 5, 6] {
        let zstd = |stored: &mut Stored| {
            stored.entries[0].compressor = Compressor::Zstd;
            stored.image.frames[0].recipe = ZSTD;
            stored.image.frames[0].stored_len = stored_len;
        };
        refuses(zstd, &content("d/h", BadContent::StoredLen { stored_len }));
    }
    refuses(
        |stored| stored.image.chunks[0].digest = None,
        &content("d/h", BadContent::NoDigest),
    );
    let algorithm = DigestAlgorithm::Blake3;
    let other = |stored: &mut Stored| {
        stored.image.chunks[0].digest = Some(Digest::new(algorithm, [0; 32]));
    };
    refuses(
        other,
        &content("d/h", BadContent::DigestAlgorithm { algorithm }),
    );
    let address = 2048;
    let unaligned = content("d/h", BadContent::Unaligned { address });
    refuses(|stored| stored.places[0].address = address, &unaligned);
    let outside = content("d/h", BadContent::OutsideBlob);
    refuses(|stored| stored.places[0].address = 16_384, &outside);
    refuses(|stored| stored.image.frames[0].offset = 10_001, &outside);
    refuses(|stored| stored.places[0].index = 2, &outside);
}

#[test]
fn the_highest_chunk_index_is_not_used() {
    let grow = |index: u32| {
        let mut stored = stored();
        stored.entries[0].chunk_count = 1 << 24;
        stored.entries[0].ci_uncompressed_size = 16 << 24;
        stored.places[0].index = index;
        Layout::plan(stored.input(), &a4_options()).map(|layout| layout.len())
    };
    assert_eq!(grow(0xff_fffe), Ok(20_480));
    let error = EncodeError::Content {
        path: path("d/h"),
        file_offset: 0,
        what: BadContent::OutsideBlob,
    };
    assert_eq!(grow(0xff_ffff), Err(error));
}

#[test]
fn files_that_are_cut_elsewhere() {
    let mut store = Store::new(DigestAlgorithm::Sha256, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let file = tree.add(metadata(0o644), store.file(&[1; 10_000]));
    tree.link(InodeId::ROOT, name(b"file"), file).unwrap();
    let mut stored = store.image(tree);
    stored.entries[0].chunk_size = 8192;
    let options = options(DigestAlgorithm::Sha256, 8192);
    let error = Layout::plan(stored.input(), &options).unwrap_err();
    let cut = |file_offset, len, expected| EncodeError::Content {
        path: path("file"),
        file_offset,
        what: BadContent::Cut { len, expected },
    };
    assert_eq!(error, cut(0, 4096, 8192));
    stored.entries[0].chunk_size = 4096;
    let options = self::options(DigestAlgorithm::Sha256, 4096);
    stored.image.extents[1].file_offset = 4095;
    let error = Layout::plan(stored.input(), &options).unwrap_err();
    assert_eq!(error, cut(4095, 4096, 4096));
    stored.image.extents[1].file_offset = 4096;
    if let Node::File { content, .. } = &mut stored.image.tree.inode_mut(file).node {
        content.end = 2;
    }
    let error = Layout::plan(stored.input(), &options).unwrap_err();
    assert_eq!(error, EncodeError::Broken { what: "extent" });
}

#[test]
fn lists_that_do_not_fit_together() {
    let broken = |what| EncodeError::Broken { what };
    assert_eq!(broken("chunk").fault(), Fault::Misuse);
    let chunk = Some(ChunkId::new(2));
    refuses(
        |stored| stored.image.extents[0].chunk = chunk,
        &broken("chunk"),
    );
    refuses(|stored| stored.image.frames.clear(), &broken("frame"));
    refuses(
        |stored| stored.image.frames[1].recipe = RecipeId(3),
        &broken("recipe"),
    );
    refuses(|stored| stored.image.recipes.clear(), &broken("recipe"));
    refuses(|stored| stored.image.extents.clear(), &broken("extent"));
}

/// Each chunk has a place, also one that no file uses, and nothing else has.
#[test]
fn places_for_other_chunks() {
    let broken = EncodeError::Broken { what: "place" };
    assert_eq!(
        broken.to_string(),
        "the image refers to a place that it does not have"
    );
    refuses(|stored| stored.places.clear(), &broken);
    refuses(|stored| stored.places.truncate(1), &broken);
    refuses(|stored| stored.places.push(stored.places[0]), &broken);
    refuses(|stored| stored.image.chunks.clear(), &broken);
    let unused = |stored: &mut Stored| stored.image.chunks.push(stored.image.chunks[0]);
    refuses(unused, &broken);
}

#[test]
fn a_directory_has_one_name() {
    let link = |stored: &mut Stored| {
        let (d, again) = (InodeId::new(1), name(b"again"));
        stored.image.tree.link(d, again, d).unwrap();
    };
    let error = EncodeError::SharedDirectory {
        path: path("d/again"),
    };
    refuses(link, &error);
    let second = |stored: &mut Stored| {
        let d = InodeId::new(1);
        stored
            .image
            .tree
            .link(InodeId::ROOT, name(b"e2"), d)
            .unwrap();
    };
    refuses(second, &EncodeError::SharedDirectory { path: path("e2") });
}

#[test]
fn two_chunks_with_one_index() {
    let same = |stored: &mut Stored| stored.places[1].index = 0;
    refuses(same, &EncodeError::DuplicateChunk { blob: 0, index: 0 });
}
