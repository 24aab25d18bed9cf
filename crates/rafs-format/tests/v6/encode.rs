//! What a plan makes of unusual images and of options.

use image_model::image::ChunkExtent;
use image_model::{ChunkId, Device, DigestAlgorithm, ImagePath, InodeId, Metadata, Node, Tree};
use lazyoci_rafs_format::flags::{BlobFeatures, Compat, SuperFlags};
use lazyoci_rafs_format::v6::{Layout, LayoutOptions, prefetch_inodes};

use crate::common::{Store, Stored, a4, a4_options, encode, metadata, name, open, options};

fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

fn stored() -> Stored {
    a4(DigestAlgorithm::Sha256)
}

/// Two chunks with one digest in one blob both keep their records.
#[test]
fn equal_digests() {
    let mut stored = stored();
    stored.image.chunks[0].digest = stored.image.chunks[1].digest;
    let bytes = encode(&stored, &a4_options()).unwrap();
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
    let mut stored = store.image(tree);
    let offsets = |stored: &Stored| {
        let bytes = encode(stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
        let records = open(&bytes).unwrap();
        let mut offsets: Vec<_> = records
            .chunk_records()
            .map(|record| (record.index, record.file_offset))
            .collect();
        offsets.sort_unstable();
        offsets
    };
    // Number 0 is `b`, stored first.
    assert_eq!(offsets(&stored), [(0, 4096), (1, 8192)]);
    // Of a file with several names the last one counts, whichever that is.
    let file = stored.image.tree.resolve(b"file").unwrap();
    let mut link = |label: &[u8]| {
        stored
            .image
            .tree
            .link(directory, name(label), file)
            .unwrap();
        stored.image.links = stored.image.tree.link_counts();
        offsets(&stored)
    };
    assert_eq!(link(b"before"), [(0, 4096), (1, 8192)]);
    assert_eq!(link(b"late"), [(0, 4096), (1, 0)]);
}

#[test]
fn what_options_change() {
    let mut stored = stored();
    stored.image.tree.inode_mut(InodeId::new(2)).metadata = Metadata {
        uid: 7,
        gid: 8,
        ..metadata(0o600)
    };
    let flags_and_owner = |options: &LayoutOptions| {
        let bytes = encode(&stored, options).unwrap();
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
    let (flags, owner, ..) = flags_and_owner(&a4_options().explicit_ids(false));
    assert!(!flags.contains(explicit));
    assert_eq!(owner, (0, 0));
    let (flags, _, records, mapped) = flags_and_owner(&a4_options().compat(Compat::V2_2));
    assert!(!flags.contains(SuperFlags::ENCRYPTION_NONE));
    assert_eq!((records, mapped), (vec![0, 0], 0));
}

/// Inodes of the table that no directory holds are not written, and neither are their chunks.
#[test]
fn unreachable_inodes() {
    let mut stored = stored();
    let extra = stored.image.chunks[0];
    stored.image.chunks.push(extra);
    stored.places.push(stored.places[0]);
    stored.image.extents.push(ChunkExtent {
        file_offset: 0,
        chunk: Some(ChunkId::new(2)),
    });
    let device = Device {
        major: 1 << 20,
        minor: 0,
    };
    stored.image.tree.add(metadata(0), Node::CharDevice(device));
    stored.image.links = stored.image.tree.link_counts();
    stored.entries[0].features = stored.entries[0].features | BlobFeatures::INLINED_CHUNK_DIGEST;
    let bytes = encode(&stored, &a4_options()).unwrap();
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
    let stored = store.image(tree);
    let options = options(DigestAlgorithm::Sha256, 4096);
    let layout = Layout::plan(stored.input(), &options).unwrap();
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
    let stored = stored();
    let picked = |rules: &[&str]| {
        let rules: Vec<_> = rules.iter().map(|rule| path(rule)).collect();
        let ids = prefetch_inodes(&stored.image.tree, &rules);
        ids.iter().map(|id| id.index()).collect::<Vec<_>>()
    };
    assert_eq!(picked(&[]), [0; 0]);
    assert_eq!(picked(&["z", "d", "f", "e", "missing"]), [4, 1, 3]);
    assert_eq!(picked(&["d/l", "d", "d/h", "d"]), [5, 1]);
    assert_eq!(picked(&["/", "d", "f"]), [0]);
}
