//! What a plan refuses, and what it does not.

use image_model::image::ChunkExtent;
use image_model::{
    Blame, BlobId, ChunkId, ChunkedImage, Codec, Device, Digest, DigestAlgorithm, Fault, ImagePath,
    InodeId, Metadata, Node, Tree,
};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::flags::{BlobFeatures, Compat, Compressor, SuperFlags};
use lazyoci_rafs_format::v6::{
    BadContent, BlobEntry, EncodeError, Layout, Options, prefetch_inodes,
};

use crate::common::{Store, a4, a4_options, encode, metadata, name, open, options};

fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

fn image() -> (ChunkedImage, Vec<BlobEntry>) {
    a4(DigestAlgorithm::Sha256)
}

/// The golden's image, changed, is refused.
#[track_caller]
fn refuses(change: impl FnOnce(&mut ChunkedImage, &mut Vec<BlobEntry>), expected: &EncodeError) {
    let (mut image, mut entries) = image();
    change(&mut image, &mut entries);
    let error = Layout::plan(&image, &entries, &a4_options()).unwrap_err();
    assert_eq!(&error, expected);
}

#[test]
fn options_that_make_no_sense() {
    let (image, entries) = image();
    for chunk_size in [0, 2048, 4097, 1 << 25] {
        let options = Options {
            chunk_size,
            ..a4_options()
        };
        let error = Layout::plan(&image, &entries, &options).unwrap_err();
        assert_eq!(error, EncodeError::ChunkSize { chunk_size });
        assert_eq!(error.fault(), Fault::Misuse);
    }
    for inode in [6, 99] {
        let options = Options {
            prefetch: vec![InodeId::new(1), InodeId::new(inode)],
            ..a4_options()
        };
        let error = Layout::plan(&image, &entries, &options).unwrap_err();
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
    refuses(|_, entries| entries.clear(), &counts);
    let many = |_: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        *entries = vec![entries[0].clone(); 255];
    };
    refuses(many, &EncodeError::TooManyBlobs { count: 255 });
    let two = |image: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        image.blobs.push(image.blobs[0].clone());
        entries.push(entries[0].clone());
    };
    refuses(two, &EncodeError::DuplicateBlob { first: 0, index: 1 });
    let long = |_: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        entries[0].id = BlobId::new(&[b'a'; 65]).unwrap();
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
        |_, entries| entries[0].chunk_size = 4096,
        &wrong("chunk_size", 4096, rule),
    );
    let rule = "16 bytes a chunk";
    refuses(
        |_, entries| entries[0].chunk_count = 3,
        &wrong("ci_uncompressed_size", 32, rule),
    );
    let uncompressed_size = 4095;
    let tiny = EncodeError::DeviceSize {
        index: 0,
        uncompressed_size,
    };
    let shrink = |image: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        entries[0].uncompressed_size = uncompressed_size;
        // `z` no longer fits there.
        let directory = image.tree.inode_mut(InodeId::ROOT);
        if let Node::Directory(names) = &mut directory.node {
            names.remove(&name(b"z"));
        }
    };
    refuses(shrink, &tiny);
    let tarfs = EncodeError::Unsupported {
        index: 0,
        feature: "a tarfs image",
    };
    let features = BlobFeatures::TARFS | BlobFeatures::CAP_TAR_TOC;
    refuses(|_, entries| entries[0].features = features, &tarfs);
    let encrypted = EncodeError::Unsupported {
        index: 0,
        feature: "an encrypted blob",
    };
    let features = BlobFeatures::ALIGNED | BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2;
    let encrypt = |_: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        entries[0].features = features;
        entries[0].ci_uncompressed_size = 48;
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
    let add = |image: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
        let second = BlobEntry {
            id: BlobId::new(b"second").unwrap(),
            uncompressed_size: 1 << 44,
            ..entries[0].clone()
        };
        image.blobs.push(second.blob());
        entries.push(second);
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
        |image, _| image.extents[0].chunk = None,
        &content("d/h", BadContent::Hole),
    );
    let cut = |len, expected| BadContent::Cut { len, expected };
    refuses(
        |image, _| image.chunks[1].len = 9_999,
        &content("z", cut(9_999, 10_000)),
    );
    let swap = |image: &mut ChunkedImage, _: &mut Vec<BlobEntry>| {
        image.extents[0].chunk = Some(ChunkId::new(1));
    };
    refuses(swap, &content("d/h", cut(10_000, 5)));
    let part = content("d/h", BadContent::PartOfFrame);
    refuses(|image, _| image.frames[0].len = 6, &part);
    refuses(|image, _| image.chunks[0].offset_in_frame = 1, &part);
    refuses(|image, _| image.frames[0].open_ended = true, &part);
    let codec = Codec::Zstd;
    refuses(
        |image, _| image.frames[0].codec = codec,
        &content("d/h", BadContent::Codec { codec }),
    );
    for stored_len in [0, 4, 6] {
        let expected = content("d/h", BadContent::StoredLen { stored_len });
        refuses(
            |image, _| image.frames[0].stored_len = stored_len,
            &expected,
        );
    }
    for stored_len in [0, 5, 6] {
        let zstd = |image: &mut ChunkedImage, entries: &mut Vec<BlobEntry>| {
            entries[0].compressor = Compressor::Zstd;
            image.frames[0].codec = codec;
            image.frames[0].stored_len = stored_len;
        };
        refuses(zstd, &content("d/h", BadContent::StoredLen { stored_len }));
    }
    refuses(
        |image, _| image.chunks[0].digest = None,
        &content("d/h", BadContent::NoDigest),
    );
    let algorithm = DigestAlgorithm::Blake3;
    let other = |image: &mut ChunkedImage, _: &mut Vec<BlobEntry>| {
        image.chunks[0].digest = Some(Digest::new(algorithm, [0; 32]));
    };
    refuses(
        other,
        &content("d/h", BadContent::DigestAlgorithm { algorithm }),
    );
    let address = 2048;
    let unaligned = content("d/h", BadContent::Unaligned { address });
    refuses(|image, _| image.chunks[0].address = address, &unaligned);
    let outside = content("d/h", BadContent::OutsideBlob);
    refuses(|image, _| image.chunks[0].address = 16_384, &outside);
    refuses(|image, _| image.frames[0].offset = 10_001, &outside);
    refuses(|image, _| image.chunks[0].index_in_blob = 2, &outside);
}

#[test]
fn the_highest_chunk_index_is_not_used() {
    let grow = |index: u32| {
        let (mut image, mut entries) = image();
        entries[0].chunk_count = 1 << 24;
        entries[0].ci_uncompressed_size = 16 << 24;
        image.chunks[0].index_in_blob = index;
        Layout::plan(&image, &entries, &a4_options()).map(|layout| layout.len())
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
    let (mut image, mut entries) = store.image(tree);
    entries[0].chunk_size = 8192;
    let options = options(DigestAlgorithm::Sha256, 8192);
    let error = Layout::plan(&image, &entries, &options).unwrap_err();
    let cut = |file_offset, len, expected| EncodeError::Content {
        path: path("file"),
        file_offset,
        what: BadContent::Cut { len, expected },
    };
    assert_eq!(error, cut(0, 4096, 8192));
    entries[0].chunk_size = 4096;
    let options = self::options(DigestAlgorithm::Sha256, 4096);
    image.extents[1].file_offset = 4095;
    let error = Layout::plan(&image, &entries, &options).unwrap_err();
    assert_eq!(error, cut(4095, 4096, 4096));
    image.extents[1].file_offset = 4096;
    if let Node::File { content, .. } = &mut image.tree.inode_mut(file).node {
        content.end = 2;
    }
    let error = Layout::plan(&image, &entries, &options).unwrap_err();
    assert_eq!(error, EncodeError::Broken { what: "extent" });
}

#[test]
fn lists_that_do_not_fit_together() {
    let broken = |what| EncodeError::Broken { what };
    refuses(|image, _| image.chunks.clear(), &broken("chunk"));
    refuses(|image, _| image.frames.clear(), &broken("frame"));
    refuses(|image, _| image.extents.clear(), &broken("extent"));
}

#[test]
fn a_directory_has_one_name() {
    let link = |image: &mut ChunkedImage, _: &mut Vec<BlobEntry>| {
        let (d, again) = (InodeId::new(1), name(b"again"));
        image.tree.link(d, again, d).unwrap();
    };
    let error = EncodeError::SharedDirectory {
        path: path("d/again"),
    };
    refuses(link, &error);
    let second = |image: &mut ChunkedImage, _: &mut Vec<BlobEntry>| {
        let d = InodeId::new(1);
        image.tree.link(InodeId::ROOT, name(b"e2"), d).unwrap();
    };
    refuses(second, &EncodeError::SharedDirectory { path: path("e2") });
}

/// Two chunks with one digest in one blob both keep their records; two with one index cannot be.
#[test]
fn equal_digests_and_equal_indexes() {
    let same = |image: &mut ChunkedImage, _: &mut Vec<BlobEntry>| image.chunks[1].index_in_blob = 0;
    refuses(same, &EncodeError::DuplicateChunk { blob: 0, index: 0 });

    let (mut image, entries) = image();
    image.chunks[0].digest = image.chunks[1].digest;
    let bytes = encode(&image, &entries, &a4_options()).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let indexes: Vec<u32> = bootstrap.chunk_records().map(|r| r.index).collect();
    assert_eq!(indexes, [0, 1]);
    bootstrap.check(&mut |finding| panic!("{finding}"));
}

/// The record of a chunk that several places use says where the last of them is, in the order in which
/// names are numbered.
#[test]
fn records_remember_their_last_use() {
    let mut store = Store::new(DigestAlgorithm::Sha256, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let mut add = |parent, label: &[u8], content: &[u8], store: &mut Store| {
        let node = match content {
            [] => Node::empty_directory(),
            content => store.file(content),
        };
        let id = tree.add(metadata(0o755), node);
        tree.link(parent, name(label), id).unwrap();
        id
    };
    let (a, b) = ([b'a'; 4096], [b'b'; 4096]);
    let directory = add(InodeId::ROOT, b"a-directory", b"", &mut store);
    add(directory, b"in-directory", &[b, b, a].concat(), &mut store);
    add(InodeId::ROOT, b"file", &[a, b].concat(), &mut store);
    let (mut image, entries) = store.image(tree);
    let offsets = |image: &ChunkedImage| {
        let bytes = encode(image, &entries, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
        let records = open(&bytes).unwrap();
        let mut offsets: Vec<_> = records
            .chunk_records()
            .map(|record| (record.index, record.file_offset))
            .collect();
        offsets.sort_unstable();
        offsets
    };
    // Number 0 is `b`, stored first.
    assert_eq!(offsets(&image), [(0, 4096), (1, 8192)]);
    // Of a file with several names the last one counts, whichever that is.
    let file = image.tree.resolve(b"file").unwrap();
    let mut link = |label: &[u8]| {
        image.tree.link(directory, name(label), file).unwrap();
        image.links = image.tree.link_counts();
        offsets(&image)
    };
    assert_eq!(link(b"before"), [(0, 4096), (1, 8192)]);
    assert_eq!(link(b"late"), [(0, 4096), (1, 0)]);
}

#[test]
fn what_options_change() {
    let (mut image, entries) = image();
    image.tree.inode_mut(InodeId::new(2)).metadata = Metadata {
        uid: 7,
        gid: 8,
        ..metadata(0o600)
    };
    let flags_and_owner = |options: &Options| {
        let bytes = encode(&image, &entries, options).unwrap();
        let bootstrap = open(&bytes).unwrap();
        let inode = bootstrap.inode(image_model::Ino(133)).unwrap();
        let records: Vec<_> = bootstrap.chunk_records().map(|r| r.flags.bits()).collect();
        let flags = bootstrap.ext_superblock().flags;
        (
            flags,
            (inode.uid, inode.gid),
            records,
            bootstrap.devices()[0].mapped_blkaddr,
        )
    };
    let explicit = SuperFlags::EXPLICIT_UID_GID;
    let (flags, owner, records, mapped) = flags_and_owner(&a4_options());
    assert!(flags.contains(explicit | SuperFlags::ENCRYPTION_NONE));
    assert_eq!((owner, records, mapped), ((7, 8), vec![16, 16], 128));
    let (flags, owner, ..) = flags_and_owner(&Options {
        explicit_ids: false,
        ..a4_options()
    });
    assert!(!flags.contains(explicit));
    assert_eq!(owner, (0, 0));
    let (flags, _, records, mapped) = flags_and_owner(&Options {
        compat: Compat::V2_2,
        ..a4_options()
    });
    assert!(!flags.contains(SuperFlags::ENCRYPTION_NONE));
    assert_eq!((records, mapped), (vec![0, 0], 0));
}

/// Inodes of the table that no directory holds are not written, and neither are their chunks.
#[test]
fn unreachable_inodes() {
    let (mut image, mut entries) = image();
    let extra = image.chunks[0];
    image.chunks.push(extra);
    image.extents.push(ChunkExtent {
        file_offset: 0,
        chunk: Some(ChunkId::new(2)),
    });
    let device = Device {
        major: 1 << 20,
        minor: 0,
    };
    image.tree.add(metadata(0), Node::CharDevice(device));
    image.links = image.tree.link_counts();
    entries[0].features = entries[0].features | BlobFeatures::INLINED_CHUNK_DIGEST;
    let bytes = encode(&image, &entries, &a4_options()).unwrap();
    let bootstrap = open(&bytes).unwrap();
    assert_eq!(bootstrap.superblock().inos, 7);
    assert_eq!(bootstrap.chunk_record_count(), 2);
    let inlined = SuperFlags::INLINED_CHUNK_DIGEST;
    assert!(bootstrap.ext_superblock().flags.contains(inlined));
}

/// What is gathered before it is written does not grow with a directory or a file.
#[test]
fn memory_of_writing() {
    struct Longest {
        piece: usize,
        all: usize,
    }
    impl std::io::Write for Longest {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.piece = self.piece.max(bytes.len());
            self.all += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut store = Store::new(DigestAlgorithm::Sha256, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let file = tree.add(metadata(0o644), store.file(&vec![7; 20_000 * 4096]));
    for number in 0..20_000 {
        let label = name(format!("{number}").as_bytes());
        tree.link(InodeId::ROOT, label, file).unwrap();
    }
    let (image, entries) = store.image(tree);
    let options = options(DigestAlgorithm::Sha256, 4096);
    let layout = Layout::plan(&image, &entries, &options).unwrap();
    let mut out = Longest { piece: 0, all: 0 };
    layout.write_to(&mut out).unwrap();
    assert_eq!(out.all as u64, layout.len());
    assert!(
        out.all > 400_000 && out.piece < 64 * 1024 + 4096,
        "{}",
        out.piece
    );
}

#[test]
fn prefetch_rules() {
    let (image, _) = image();
    let picked = |rules: &[&str]| {
        let rules: Vec<_> = rules.iter().map(|rule| path(rule)).collect();
        let ids = prefetch_inodes(&image.tree, &rules);
        ids.iter().map(|id| id.index()).collect::<Vec<_>>()
    };
    assert_eq!(picked(&[]), [0; 0]);
    assert_eq!(picked(&["z", "d", "f", "e", "missing"]), [4, 1, 3]);
    assert_eq!(picked(&["d/l", "d", "d/h", "d"]), [5, 1]);
    assert_eq!(picked(&["/", "d", "f"]), [0]);
}
