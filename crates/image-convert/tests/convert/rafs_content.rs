//! What is stored, and what is not.

use std::collections::HashSet;

use frame_codec::Compression;
use image_model::tree::{Span, Spans};
use image_model::{BlobId, Metadata, Name, Node, Tree};
use image_read::{Reader, TreeImage};
use lazyoci_image_convert::{ChunkCounts, Streaming};
use rafs_format::Version;
use rafs_format::flags::Compat;

use crate::support::{
    COMPATS, Image, Tar, digest_of_tar, files, layer, metadata, noise, plain_options, reader,
};

fn compressions() -> Vec<Compression> {
    vec![
        Compression::None,
        #[cfg(feature = "lz4")]
        Compression::Lz4Block,
        #[cfg(feature = "zstd")]
        Compression::Zstd { level: 3 },
    ]
}

/// Small files, large files, duplicates near and far, empty files, compressible and not.
fn varied_tar() -> Vec<u8> {
    let mut tar = Tar::new().directory("small").directory("large");
    for n in 0..600u64 {
        let bytes = noise(n % 250, (n as usize % 250) * 37);
        tar = tar.file(&format!("small/{n}"), &bytes);
    }
    for n in 0..6u64 {
        let mut bytes = noise(1000 + n % 4, 700_000);
        bytes.extend(b"compressible ".repeat(60_000));
        tar = tar.file(&format!("large/{n}"), &bytes);
    }
    tar.finish()
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let tar = varied_tar();
    for compression in compressions() {
        for chunk_size in [4096, 1 << 20] {
            let convert = |threads| {
                let options = plain_options()
                    .compression(compression)
                    .chunk_size(chunk_size)
                    .threads(threads);
                Image::of_tar(&tar, &options)
            };
            let one = convert(1);
            assert!(one.report.chunks.deduplicated > 100);
            assert_eq!(one.digest(), digest_of_tar(&tar));
            let expected = files(&one.output());
            for threads in [2, 3, 8] {
                let image = convert(threads);
                assert_eq!(image.report, one.report);
                assert!(
                    files(&image.output()) == expected,
                    "{compression} {threads}"
                );
            }
        }
    }
}

#[test]
fn equal_chunks_are_stored_once() {
    let block = noise(1, 4096);
    let tar = Tar::new()
        .file("a", &[&block[..], b"tail"].concat())
        .file("b", &[&block[..], &block, b"tail"].concat())
        .file("c", b"tail")
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let mut expected = ChunkCounts::default();
    expected.stored = 2;
    expected.deduplicated = 4;
    expected.stored_bytes = 4100;
    expected.deduplicated_bytes = 2 * 4096 + 2 * 4;
    assert_eq!(image.report.chunks, expected);
    assert_eq!(image.report.content_bytes, 4100 + 8196 + 4);
    assert_eq!(image.blob()[..4100], [&block[..], b"tail"].concat());
    assert_eq!(image.digest(), digest_of_tar(&tar));
}

#[test]
fn replaced_files_leave_dead_chunks_only_in_a_stream() {
    let tar = Tar::new()
        .file("f", b"first")
        .file("shared", b"both")
        .directory("d")
        .file("d/gone", b"gone")
        .file("f", b"second")
        .file("d", b"both")
        .finish();
    let streamed = Image::of_tar(&tar, &plain_options());
    assert_eq!(streamed.report.chunks.stored, 4);
    assert_eq!(streamed.report.chunks.dead, 2);
    assert_eq!(streamed.report.inodes, 4);
    assert!(streamed.blob().starts_with(b"firstbothgonesecond"));

    let seeked = Image::of(layer(tar.clone()), &plain_options()).unwrap();
    assert_eq!(seeked.report.chunks.stored, 2);
    assert_eq!(seeked.report.chunks.dead, 0);
    assert!(seeked.blob().starts_with(b"bothsecond"));
    assert_eq!(seeked.digest(), streamed.digest());
    assert_eq!(seeked.digest(), digest_of_tar(&tar));
}

/// A tree of one sparse file, data at the given places of a file of `size` bytes.
fn sparse(size: u64, regions: &[(u64, &[u8])]) -> Reader {
    let mut source = Vec::new();
    let spans = regions.iter().map(|&(file_offset, bytes)| {
        let span = Span {
            file_offset,
            source_offset: source.len() as u64,
            len: bytes.len() as u64,
        };
        source.extend_from_slice(bytes);
        span
    });
    let content = Spans::sparse(spans.collect::<Vec<_>>()).unwrap();
    let mut tree = Tree::new(Metadata::implied_directory());
    let file = tree.add(metadata(0o644), Node::File { size, content });
    tree.link(Tree::<()>::ROOT, Name::new(*b"sparse").unwrap(), file)
        .unwrap();
    let id = BlobId::new(b"source").unwrap();
    let image = TreeImage::new(tree, id, source.len() as u64);
    reader(image, std::sync::Arc::new(source.into_boxed_slice()))
}

#[test]
fn holes_become_one_chunk_of_zeros() {
    let size = 40 * 4096 + 10;
    let source = sparse(size, &[(5, b"start"), (8 * 4096 + 4000, &noise(7, 200))]);
    for compression in compressions() {
        let options = plain_options().compression(compression);
        let converted = Image::of(&source, &options).unwrap();
        // "start" and zeros, zeros, the two ends of the noise, ten zeros.
        assert_eq!(converted.report.chunks.stored, 5);
        assert_eq!(converted.report.chunks.deduplicated, 36);
        assert_eq!(converted.report.content_bytes, size);
        let ino = image_model::Image::lookup(
            &converted.bootstrap(),
            image_model::Image::root(&converted.bootstrap()),
            image_model::NameRef::new(b"sparse").unwrap(),
        );
        let opened = image_read::open(converted.bootstrap_path(), &Default::default()).unwrap();
        let mut bytes = Vec::new();
        let ino = ino.unwrap().unwrap();
        opened.read_range(ino, 0..size, &mut bytes).unwrap();
        let mut expected = vec![0; size as usize];
        expected[5..10].copy_from_slice(b"start");
        expected[8 * 4096 + 4000..][..200].copy_from_slice(&noise(7, 200));
        assert!(bytes == expected, "{compression}");
    }
}

#[test]
fn a_file_of_a_single_hole_is_stored_without_being_read() {
    let source = sparse(1 << 30, &[]);
    let options = plain_options().chunk_size(1 << 20);
    let converted = Image::of(&source, &options).unwrap();
    assert_eq!(converted.report.chunks.stored, 1);
    assert_eq!(converted.report.chunks.deduplicated, 1023);
}

#[test]
fn an_image_without_content_has_no_blob() {
    let tar = Tar::new()
        .directory("d")
        .file("e", b"")
        .symlink("l", "e")
        .finish();
    let image = Image::of_tar(&tar, &plain_options());
    let files: Vec<_> = files(&image.output()).into_iter().map(|f| f.0).collect();
    assert_eq!(files, ["image.boot"]);
    assert_eq!(image.bootstrap().blob_entries(), []);
    assert_eq!(image.digest(), digest_of_tar(&tar));
}

#[test]
fn every_chunk_size_and_both_compat_profiles_carry_the_tree() {
    let tar = varied_tar();
    let expected = digest_of_tar(&tar);
    for chunk_size in (12..=24).step_by(4).map(|bits| 1 << bits) {
        for &compat in COMPATS {
            let options = plain_options().chunk_size(chunk_size).compat(compat);
            let image = Image::of_tar(&tar, &options);
            assert_eq!(image.digest(), expected);
            let chunks = image.chunks();
            let checksums: HashSet<_> = chunks.iter().map(|c| c.crc32c.is_some()).collect();
            assert_eq!(checksums, HashSet::from([compat == Compat::V2_4]));
        }
    }
}

#[test]
fn a_compressed_layer_gives_what_the_plain_one_gives() {
    let tar = varied_tar();
    let expected = files(&Image::of_tar(&tar, &plain_options()).output());
    let compressions = [
        #[cfg(feature = "gzip")]
        Compression::Gzip { level: 1 },
        #[cfg(feature = "zstd")]
        Compression::Zstd { level: 1 },
        Compression::None,
    ];
    for compression in compressions {
        let mut layer = Vec::new();
        let mut encoder = frame_codec::Encoder::new(compression).unwrap();
        for piece in tar.chunks(500_000) {
            encoder.encode_frame(piece, &mut layer).unwrap();
        }
        let image = Image::of(Streaming::new(&layer[..]), &plain_options()).unwrap();
        assert!(files(&image.output()) == expected, "{compression}");
    }
}

#[test]
fn an_image_converts_to_another() {
    let tar = varied_tar();
    let first = Image::of_tar(&tar, &plain_options());
    let opened = image_read::open(first.bootstrap_path(), &Default::default()).unwrap();
    let options = plain_options().chunk_size(1 << 16);
    let second = Image::of(&opened, &options).unwrap();
    assert_eq!(second.bootstrap().ext_superblock().chunk_size, 1 << 16);
    assert_eq!(second.digest(), digest_of_tar(&tar));
}

/// nydus-image refuses them.
#[test]
fn fifos_with_empty_device_fields() {
    let tar = Tar::new().node("fifo", &metadata(0o644), &Node::Fifo);
    let mut tar = tar.file("f", b"content").finish();
    let expected = digest_of_tar(&tar);
    assert_eq!(&tar[156..157], b"6");
    // The major and the minor number, and the checksum over all with itself as blanks.
    tar[329..345].fill(0);
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().copied().map(u32::from).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    for version in [Version::V5, Version::V6] {
        let image = Image::of_tar(&tar, &plain_options().version(version));
        assert_eq!(image.digest(), expected, "{version:?}");
    }
}
