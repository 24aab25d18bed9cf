//! Anything to EROFS and back.

use std::io::{self, Write};
use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, WriterOutput};
use bytes::Bytes;
use erofs_format::{DataLayout, ErofsImage, Superblock};
use image_model::{Device, FileKind, ImagePath, Ino, Limits};
use image_read::{Follow, Format, NoBlobs, OpenImage, open_source, resolve};
use lazyoci_image_convert::{
    ConvertError, ErofsOptions, ErofsReport, LossKind, Source, Streaming, to_erofs,
};
use oci_image::MediaType;
use proptest::collection::vec;
use proptest::prelude::*;
use verify::Profile;

use crate::round_trip::{attributes, kind, tar};
use crate::support::{GOLDEN_DIGEST, Tar, digest_of_tar, golden_tar, metadata, noise, with_xattr};

pub(crate) fn options() -> ErofsOptions {
    ErofsOptions::default()
        .digest(image_model::DigestAlgorithm::Sha256)
        .chunk_size(4096)
}

pub(crate) fn converted<'a>(
    source: impl Into<Source<'a>>,
    options: &ErofsOptions,
) -> Result<(Vec<u8>, ErofsReport), ConvertError> {
    let mut bytes = Vec::new();
    let report = to_erofs(source, &mut WriterOutput::new(&mut bytes), options, &mut ())?;
    assert_eq!(report.blob.len, bytes.len() as u64);
    assert_eq!(report.blob.digest, verify::sha256(&bytes));
    Ok((bytes, report))
}

pub(crate) fn of_tar(tar: &[u8], options: &ErofsOptions) -> (Vec<u8>, ErofsReport) {
    converted(Streaming::new(tar), options).unwrap()
}

pub(crate) fn opened(bytes: &[u8]) -> OpenImage {
    let source = Arc::new(Bytes::copy_from_slice(bytes));
    open_source(source, None, NoBlobs, &Default::default()).unwrap()
}

/// The digest of the tree, of an image without findings.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let image = opened(bytes);
    assert_eq!(image.format(), Format::Erofs);
    let mut found = Vec::new();
    let verified = image.verify(&Default::default(), &mut (), &mut |finding| {
        found.push(finding.to_string());
    });
    verified.unwrap();
    assert_eq!(found, Vec::<String>::new());
    let digest = image.tree_digest(Profile::Default, &mut ());
    digest.unwrap().to_string()
}

fn layout_of(bytes: &[u8], path: &str) -> DataLayout {
    let image = opened(bytes);
    let ino: Ino = resolve(image.image(), path.as_bytes(), Follow::All).unwrap();
    image.erofs().unwrap().inode(ino).unwrap().layout
}

#[test]
fn the_golden_tree() {
    let (bytes, report) = of_tar(&golden_tar(), &options());
    assert_eq!(digest(&bytes), GOLDEN_DIGEST);
    assert_eq!(report.blob.media_type, Some(MediaType::ErofsLayer));
    // A block of metadata, with all of `f`, one of 4096 A, one of the rest.
    assert_eq!(bytes.len(), 3 * 4096);
    assert_eq!(report.chunks_stored(), 3);
}

trait Stored {
    fn chunks_stored(&self) -> u64;
}

impl Stored for ErofsReport {
    fn chunks_stored(&self) -> u64 {
        self.report.chunks.stored
    }
}

/// Bytes of every release are the same, whatever the threads and the kind of source.
#[test]
fn bytes_depend_on_the_tree_alone() {
    let data = noise(1, 300_000);
    let tar = Tar::new()
        .directory("d")
        .file("d/a", &data)
        .file("b", &data[..9000])
        .finish();
    let (expected, _) = of_tar(&tar, &options().threads(1).verity(true));
    for threads in 1..5 {
        let options = options().threads(threads).verity(true);
        let (bytes, _) = of_tar(&tar, &options);
        assert!(bytes == expected, "{threads} threads");
        let layer = Streaming::of_file(Arc::new(Bytes::from(tar.clone()))).unwrap();
        let (bytes, _) = converted(layer, &options).unwrap();
        assert!(bytes == expected, "{threads} threads, in a file");
    }
    let source = Arc::new(Bytes::from(tar));
    let layer = open_source(source, None, NoBlobs, &Default::default()).unwrap();
    let (bytes, _) = converted(layer, &options().verity(true)).unwrap();
    assert!(bytes == expected, "an opened layer");
    // The same tree, in the order of its paths.
    let (again, _) = converted(opened(&expected), &options()).unwrap();
    assert_eq!(digest(&again), digest(&expected));
    let (once_more, _) = converted(opened(&again), &options()).unwrap();
    assert!(again == once_more, "of itself");
    let pinned = "509cbd";
    assert_eq!(&verify::sha256(&expected).hex()[..6], pinned);
}

#[test]
fn the_uuid_tells_contents_apart() {
    let of = |data: &[u8]| of_tar(&Tar::new().file("f", data).finish(), &options()).0;
    let uuid = |bytes: &[u8]| *bytes[1024 + 48..].first_chunk::<16>().unwrap();
    let (one, other) = (of(b"one"), of(b"two"));
    assert_ne!(uuid(&one), uuid(&other));
    assert_eq!(uuid(&one), uuid(&of(b"one")));
    assert_eq!((uuid(&one)[6] >> 4, uuid(&one)[8] >> 6), (8, 2));
}

/// In one piece, in pieces, and holes.
#[test]
fn equal_chunks_are_stored_once() {
    let data = noise(2, 4096 * 3);
    let swapped = [&data[4096..8192], &data[..4096]].concat();
    let holes = [&data[..4096], &[0; 8192], &data[4096..5000]].concat();
    let tar = Tar::new()
        .file("plain", &data)
        .file("again", &data)
        .file("swapped", &swapped)
        .file("holes", &holes)
        .file("zeros", &[0; 20_000])
        .finish();
    let (bytes, report) = of_tar(&tar, &options());
    assert_eq!(digest(&bytes), digest_of_tar(&tar));
    for (path, layout) in [
        ("plain", DataLayout::Plain),
        ("again", DataLayout::Plain),
        ("swapped", DataLayout::Chunked),
        ("holes", DataLayout::Chunked),
        ("zeros", DataLayout::Chunked),
    ] {
        assert_eq!(layout_of(&bytes, path), layout, "{path}");
    }
    // Three chunks of the first file, and the end of the one with holes.
    assert_eq!(bytes.len(), 5 * 4096);
    assert_eq!(report.report.chunks.deduplicated, 3 + 2 + 1 + 1 + 4);
}

/// The end of a file that shares no content is beside its inode, if both fit into a block.
#[test]
fn ends_of_files_are_inline() {
    let data = noise(8, 20_000);
    let files = [
        ("short", &data[..5], DataLayout::Inline),
        ("with a block", &data[1..4096 + 6], DataLayout::Inline),
        ("two chunks", &data[2..8192 + 7], DataLayout::Inline),
        ("as much as fits", &data[3..3 + 4032], DataLayout::Inline),
        ("more", &data[4..4 + 4033], DataLayout::Plain),
        ("a whole block", &data[5..5 + 4096], DataLayout::Plain),
        ("equal", &data[6..6 + 100], DataLayout::Plain),
        ("to this", &data[6..6 + 100], DataLayout::Plain),
        ("ends as more", &data[4..4 + 4033], DataLayout::Plain),
        ("zeros", &[0; 100], DataLayout::Chunked),
        ("nothing", b"", DataLayout::Plain),
    ];
    let tar = files.iter().fold(Tar::new(), |tar, (name, bytes, _)| {
        tar.file(name, bytes).link(&format!("link to {name}"), name)
    });
    let long = with_xattr(b"user.a", &[b'x'; 1000]);
    let tar = tar.file_with("attributes", &long, &data[7..7 + 3100]);
    let tar = tar.file_with("less", &long, &data[9..9 + 2900]).finish();
    let (bytes, report) = of_tar(&tar, &options());
    assert_eq!(digest(&bytes), digest_of_tar(&tar));
    let others = [
        ("attributes", &b""[..], DataLayout::Plain),
        ("less", b"", DataLayout::Inline),
    ];
    for (name, _, layout) in files.iter().chain(&others) {
        assert_eq!(layout_of(&bytes, name), *layout, "{name}");
    }
    // Blocks of the files in their order, the equal ones once, and the metadata.
    let content = 1 + 2 + 1 + 1 + 1 + 1;
    let metadata = bytes.len() / 4096 - content;
    assert_eq!((bytes.len() % 4096, metadata), (0, 3));
    assert_eq!(report.report.chunks.deduplicated, 2);
    for threads in 1..4 {
        let layer = Streaming::of_file(Arc::new(Bytes::from(tar.clone()))).unwrap();
        let options = options().threads(threads);
        assert!(converted(layer, &options).unwrap().0 == bytes);
        let layer = Streaming::of_file(Arc::new(Bytes::from(tar.clone()))).unwrap();
        let (verity, report) = converted(layer, &options.verity(true)).unwrap();
        assert!(verity[..bytes.len()] == bytes);
        // Of one block of digests there is no other.
        let root = verify::sha256(&verity[bytes.len()..]);
        assert_eq!(report.verity.unwrap().root, root);
        let blocks = verity[..bytes.len()].chunks(4096);
        let digests: Vec<_> = blocks
            .map(|block| *verify::sha256(block).as_bytes())
            .collect();
        let digests = digests.as_flattened();
        assert!(verity[bytes.len()..][..digests.len()] == *digests);
    }
}

/// What a later member replaces is not stored, though it went by.
#[test]
fn replaced_content_is_left_out() {
    let tar = Tar::new()
        .file("f", &noise(3, 50_000))
        .file("f", b"new")
        .finish();
    let (bytes, report) = of_tar(&tar, &options());
    assert_eq!(bytes.len(), 4096);
    assert_eq!(report.report.chunks.dead, 13);
    assert_eq!(digest(&bytes), digest_of_tar(&tar));
}

#[test]
fn stacks_become_one_tree() {
    let lower = Tar::new()
        .directory("d")
        .file("d/a", b"a")
        .file("d/b", b"b")
        .finish();
    let upper = Tar::new().file("d/.wh.a", b"").file("c", b"c").finish();
    let layers = [&lower, &upper].map(|layer| Streaming::new(&layer[..]).into());
    let (bytes, _) = converted(Source::stack(layers), &options()).unwrap();
    let flat = Tar::new()
        .directory("d")
        .file("d/b", b"b")
        .file("c", b"c")
        .finish();
    assert_eq!(digest(&bytes), digest_of_tar(&flat));
}

#[test]
fn what_cannot_be_carried_is_refused_or_reported() {
    let tar = Tar::new()
        .file_with("f", &with_xattr(b"odd.name", b"x"), b"content")
        .finish();
    let error = converted(Streaming::new(&tar[..]), &options()).unwrap_err();
    let ConvertError::NotCarried { target, loss } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (target, loss.path),
        ("EROFS", ImagePath::clean(b"f").unwrap())
    );
    let (bytes, report) = of_tar(&tar, &options().lossy(true));
    assert!(matches!(report.report.losses[0].what, LossKind::Rafs(_)));
    let kept = Tar::new()
        .file_with("f", &metadata(0o644), b"content")
        .finish();
    assert_eq!(digest(&bytes), digest_of_tar(&kept));
}

/// They are refused before anything is read.
#[test]
fn chunk_sizes_that_are_none() {
    for chunk_size in [0, 512, 5000] {
        let no_layer = Streaming::new(&b"no layer"[..]);
        let error = converted(no_layer, &options().chunk_size(chunk_size));
        assert!(matches!(error, Err(ConvertError::Erofs(_))), "{error:?}");
    }
}

/// Linux shows a target of 4096 bytes without its last.
#[test]
fn targets_that_linux_would_cut() {
    let of = |len| Tar::new().symlink("l", &"x".repeat(len)).finish();
    let (bytes, _) = of_tar(&of(4095), &options());
    assert_eq!(digest(&bytes), digest_of_tar(&of(4095)));
    let error = converted(Streaming::new(&of(4096)[..]), &options()).unwrap_err();
    assert!(
        matches!(error, ConvertError::NotCarried { .. }),
        "{error:?}"
    );
}

/// Whiteouts of a layer stay as they are, or become those of overlayfs.
#[test]
fn whiteouts_of_a_layer() {
    let tar = Tar::new()
        .directory("d")
        .file("d/.wh..wh..opq", b"")
        .file(".wh.f", b"")
        .finish();
    let (bytes, _) = of_tar(&tar, &options());
    assert_eq!(digest(&bytes), digest_of_tar(&tar));
    let (bytes, report) = of_tar(&tar, &options().overlay_whiteouts(true));
    let image = opened(&bytes);
    let at = |path: &[u8]| resolve(image.image(), path, Follow::All).unwrap();
    let device = image.image().attributes(at(b"/f")).unwrap();
    assert_eq!(device.kind, FileKind::CharDevice);
    assert_eq!(device.device, Device::default());
    let directory = at(b"/d");
    let xattrs = image.image().xattrs(directory).unwrap();
    let opaque = xattrs.iter().next().unwrap();
    assert_eq!(&*opaque.name, b"trusted.overlay.opaque");
    assert_eq!(&*opaque.value, b"y");
    assert_eq!(report.report.inodes, 3);
    digest(&bytes);
}

#[test]
fn the_hash_tree_follows_the_image() {
    let tar = Tar::new().file("f", &noise(4, 1 << 20)).finish();
    let (plain, report) = of_tar(&tar, &options());
    assert_eq!(report.verity, None);
    let mut output = MemoryOutput::default();
    let source = Streaming::new(&tar[..]);
    let report = to_erofs(source, &mut output, &options().verity(true), &mut ()).unwrap();
    let verity = report.verity.unwrap();
    let bytes = &output.object(ObjectRole::Layer).unwrap().bytes;
    assert!(bytes[..plain.len()] == plain);
    assert_eq!(verity.hash_offset, plain.len() as u64);
    assert_eq!(verity.data_blocks, plain.len() as u64 / 4096);
    // 257 blocks and more: three blocks of digests, and one above them.
    assert_eq!(bytes.len() - plain.len(), 4 * 4096);
    assert_eq!(verify::sha256(&bytes[plain.len()..][..4096]), verity.root);
    assert_eq!(digest(bytes), digest_of_tar(&tar));

    let (with_superblock, report) = of_tar(&tar, &options().verity(true).verity_superblock(true));
    let mut expected = verity;
    expected.superblock = true;
    assert_eq!(report.verity, Some(expected));
    let at = plain.len();
    assert!(with_superblock[..at] == plain);
    assert!(with_superblock[at + 4096..] == bytes[at..]);
    let superblock = &with_superblock[at..at + 4096];
    assert_eq!(superblock[..8], *b"verity\0\0");
    // That of the image.
    assert_eq!(superblock[16..32], plain[1024 + 48..1024 + 64]);
    assert_eq!(superblock[72..80], verity.data_blocks.to_le_bytes());
    assert!(superblock[80..].iter().all(|&byte| byte == 0));
}

/// Room for some bytes.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.0.min(buf.len()) {
            0 if !buf.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            taken => {
                self.0 -= taken;
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Images of more bytes than wait between the threads: what is written is the same, and an output that is full ends
/// all threads, by its own error.
#[test]
fn long_images_and_full_outputs() {
    let tar = Tar::new().file("f", &noise(5, 12 << 20)).finish();
    let of = |threads| options().threads(threads).verity(true).chunk_size(1 << 20);
    let (expected, report) = of_tar(&tar, &of(1));
    for threads in 1..5 {
        let (bytes, other) = of_tar(&tar, &of(threads));
        assert!(bytes == expected, "{threads} threads");
        assert_eq!(other.verity, report.verity, "{threads} threads");
        for room in [0, 3 << 20, expected.len() - 1] {
            let mut output = WriterOutput::new(Room(room));
            let source = Streaming::new(&tar[..]);
            let error = to_erofs(source, &mut output, &of(threads), &mut ()).unwrap_err();
            let ConvertError::Write(error) = error else {
                panic!("{threads} threads, room for {room}: {error}");
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}

/// Each flipped bit of a small image is found with the digest of the file; without it, all but those that
/// only it vouches for: the listed fields.
#[test]
fn flipped_bits() {
    let tar = Tar::new()
        .directory("d")
        .file_with("f", &with_xattr(b"user.a", b"value"), &noise(9, 4096))
        .file("inline", b"hello")
        .link("d/h", "f")
        .symlink("d/l", "../f")
        .finish();
    let (sound, _) = of_tar(&tar, &options());
    let content = 4096..2 * 4096;
    assert_eq!(sound.len(), content.end);
    let mut unseen = Vec::new();
    for at in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        assert_ne!(verify::sha256(&bytes), verify::sha256(&sound));
        let source = Bytes::from(bytes);
        let found = match ErofsImage::open(source, &Limits::default()) {
            Err(_) => true,
            Ok(image) => image.check(&mut |_| {}).findings != 0,
        };
        if !found {
            unseen.push(at / 8);
        }
    }
    unseen.dedup();
    // The superblock's checksum covers its block: here all metadata.
    let covered = 1024..1024 + Superblock::checksummed(erofs_format::BlockSize::B4096) as usize;
    let outside = |at: &usize| !covered.contains(at);
    let missed: Vec<_> = unseen.iter().filter(|at| !outside(at)).collect();
    assert_eq!(missed, Vec::<&usize>::new());
    assert!(content.clone().all(|at| unseen.contains(&at)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tar_to_erofs_keeps_the_tree(
        nodes in vec((any::<prop::sample::Index>(), attributes(), kind()), 0..60),
        threads in 1usize..4,
    ) {
        let tar = tar(nodes);
        let options = options().threads(threads).lossy(true);
        // Some trees are no trees: a file below a file, a link to what became a directory.
        let Ok((bytes, report)) = converted(Streaming::new(&tar[..]), &options) else {
            return Ok(());
        };
        prop_assert_eq!(&report.report.losses, &[]);
        prop_assert_eq!(digest(&bytes), digest_of_tar(&tar));
        let (again, _) = converted(opened(&bytes), &options).unwrap();
        prop_assert_eq!(digest(&again), digest(&bytes));
    }
}
