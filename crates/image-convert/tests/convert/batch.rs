//! Small files that are compressed together.

use frame_codec::Compression;
use image_model::{BlobIndex, Codec, Extent, ExtentSource, FrameId, Image as _};
use image_read::{Follow, OpenImage, VerifyOptions, verify_image};
use lazyoci_image_convert::{RafsOptions, Source, Streaming};
use proptest::collection::vec;
use proptest::prelude::*;
use rafs_format::blob::ChunkExtra;
use rafs_format::flags::Compat;

use crate::round_trip::{attributes, kind, tar};
use crate::support::{Image, Tar, digest_of_tar, noise, plain_options};

/// Every compression that this build has.
fn compressions() -> Vec<Compression> {
    let mut all = vec![Compression::None];
    if cfg!(feature = "lz4") {
        all.push(Compression::Lz4Block);
    }
    if cfg!(feature = "zstd") {
        all.push(Compression::Zstd { level: 3 });
    }
    all
}

fn options(batch_size: u32) -> RafsOptions {
    plain_options().chunk_size(1 << 20).batch_size(batch_size)
}

fn open(image: &Image) -> OpenImage {
    image_read::open(image.bootstrap_path(), &Default::default()).unwrap()
}

/// What is found wrong.
fn found(image: &OpenImage) -> Vec<String> {
    let (mut found, options) = (Vec::new(), VerifyOptions::default().threads(1));
    let tell = &mut |finding: image_read::Finding| found.push(finding.to_string());
    verify_image(image, &options, &mut (), tell).unwrap();
    found
}

/// The batches: stored and plain bytes, and how many chunks are in each.
fn batches(image: &OpenImage) -> Vec<(u32, u32, usize)> {
    let meta = image.blob_meta(BlobIndex(0)).unwrap().unwrap();
    let batches = (0..meta.context_count()).map(|number| {
        let (batch, _) = meta.batch(number).unwrap().unwrap();
        let chunks = (0..meta.chunk_count()).filter(|&index| {
            let extra = meta.chunk(index).unwrap().extra;
            matches!(extra, ChunkExtra::Batch { context, .. } if context == number)
        });
        (batch.stored_len, batch.len, chunks.count())
    });
    batches.collect()
}

/// The frame of a file's first chunk, and where in that it begins.
fn place(image: &OpenImage, path: &str) -> (FrameId, u32) {
    let ino = image.resolve(path, Follow::All).unwrap();
    let mut places = Vec::new();
    let visit = &mut |extent: Extent| {
        if let ExtentSource::Chunk {
            frame,
            offset_in_frame,
            ..
        } = extent.source
        {
            places.push((frame, offset_in_frame));
        }
        std::ops::ControlFlow::Continue(())
    };
    image.image().extents(ino, 0..1, visit).unwrap();
    places[0]
}

#[test]
fn small_files_share_batches() {
    // 8 KiB: of files below 4 KiB, less than 8 KiB together.
    let tar = Tar::new()
        .file("a", &noise(1, 4_000))
        .file("b", &noise(2, 4_000))
        .file("c", &noise(3, 192))
        .file("d", &noise(4, 10))
        .file("half", &noise(5, 4_096))
        .file("e", &noise(6, 100))
        .file("again", &noise(1, 4_000))
        .file("f", &noise(7, 101))
        .file("empty", b"")
        .finish();
    let image = Image::of_tar(&tar, &options(8_192));
    let opened = open(&image);
    // `c` would make the first one 8 KiB. What is not batched ends a batch; what is known goes nowhere.
    assert_eq!(
        batches(&opened),
        [(8_000, 8_000, 2), (202, 202, 2), (201, 201, 2)]
    );
    assert_eq!(place(&opened, "/a"), place(&opened, "/again"));
    let (frame, _) = place(&opened, "/a");
    assert_eq!(place(&opened, "/b"), (frame, 4_000));
    assert_eq!(place(&opened, "/f").1, 100);
    let rafs = opened.rafs().unwrap();
    let frame = rafs.frame(place(&opened, "/f").0).unwrap();
    assert_eq!((frame.offset, frame.len), (8_000 + 202 + 4_096, 201));
    assert_eq!(found(&opened), [""; 0]);
    assert_eq!(image.digest(), digest_of_tar(&tar));
    assert_eq!(opened.read("/d", 100).unwrap(), noise(4, 10));
    let counts = image.report.chunks;
    assert_eq!((counts.stored, counts.deduplicated), (7, 1));
    assert_eq!(counts.stored_bytes, 8_000 + 202 + 4_096 + 201);
}

#[test]
fn batches_make_small_files_shorter() {
    let line = b"a line of text that all of these files have\n".repeat(8);
    let mut tar = Tar::new();
    for number in 0..200u32 {
        let content = [&line[..], format!("file {number}\n").as_bytes()].concat();
        tar = tar.file(&format!("{number:03}"), &content);
    }
    let tar = tar.file("zeros", &[0; 500]).finish();
    for compression in compressions() {
        let options = |batch_size| options(batch_size).compression(compression);
        let alone = Image::of_tar(&tar, &options(0));
        let image = Image::of_tar(&tar, &options(1 << 16));
        let opened = open(&image);
        assert_eq!(found(&opened), [""; 0], "{compression}");
        assert_eq!(image.digest(), digest_of_tar(&tar), "{compression}");
        let batches = batches(&opened);
        let chunks: usize = batches.iter().map(|batch| batch.2).sum();
        assert_eq!((batches.len(), chunks), (2, 201), "{compression}");
        let stored: u64 = batches.iter().map(|batch| u64::from(batch.0)).sum();
        let counts = image.report.chunks;
        assert_eq!(counts.stored_bytes, stored, "{compression}");
        match compression.codec() {
            Codec::None => assert_eq!(stored, alone.report.chunks.stored_bytes),
            _ => {
                assert_eq!(counts.compressed_bytes, stored);
                assert!(stored * 4 < alone.report.chunks.stored_bytes, "{stored}");
            }
        }
    }
}

/// The bootstrap lies in the blob, with or without a table of contents.
#[test]
fn blobs_with_a_bootstrap_have_batches() {
    let tar = Tar::new().file("a", b"one").file("b", b"two").finish();
    for toc in [false, true] {
        let options = options(4096).inline_meta(true).toc(toc);
        let image = Image::of_tar(&tar, &options);
        let blobs = crate::support::files(&image.output().join("blobs"));
        let blob = image.output().join("blobs").join(&blobs[0].0);
        for path in [blob, image.bootstrap_path()] {
            let opened = image_read::open(&path, &Default::default()).unwrap();
            assert_eq!(batches(&opened), [(6, 6, 2)]);
            assert_eq!(found(&opened), [""; 0]);
            assert_eq!(opened.read("/b", 3).unwrap(), b"two");
        }
    }
}

/// Which blob has batches, the blob table says of each.
#[test]
fn layers_have_batches_of_their_own() {
    let layer = |name: &str, content: &[u8]| Tar::new().file(name, content).finish();
    let (lower, upper) = (layer("a", b"lower"), layer("b", b"upper"));
    let stack = [&lower[..], &upper[..]].map(|layer| Source::from(Streaming::new(layer)));
    let stack = Source::stack(stack);
    let image = Image::of(stack, &options(4096)).unwrap();
    let opened = open(&image);
    assert_eq!(found(&opened), [""; 0]);
    for (path, content) in [("/a", b"lower"), ("/b", b"upper")] {
        assert_eq!(opened.read(path, 5).unwrap(), content);
    }
    assert_ne!(place(&opened, "/a").0, place(&opened, "/b").0);
}

#[test]
fn a_converted_image_is_converted_again() {
    let tar = Tar::new()
        .file("a", &noise(1, 3_000))
        .file("b", &noise(2, 3_000))
        .file("c", &noise(3, 300_000))
        .finish();
    let first = Image::of_tar(&tar, &options(1 << 16));
    let again = Image::of(open(&first), &options(1 << 16)).unwrap();
    assert_eq!(again.blob(), first.blob());
    let alone = Image::of(open(&first), &options(0)).unwrap();
    assert_eq!(alone.digest(), first.digest());
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let refused = |options: RafsOptions| {
        let error = Image::of(Streaming::new(&[0; 1024][..]), &options).err();
        let error = error.unwrap();
        std::error::Error::source(&error).unwrap().to_string()
    };
    let cannot = "a blob with aligned data cannot have batches";
    assert_eq!(refused(options(4096).aligned(true)), cannot);
    let cannot = "a blob with the bytes of release 2.2 cannot have batches";
    assert_eq!(refused(options(4096).compat(Compat::V2_2)), cannot);
    let size = "invalid batch size 8192: must be a power of two from 4096 to the chunk size, 4096";
    assert_eq!(refused(options(8192).chunk_size(4096)), size);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever is batched comes back, and the bytes do not depend on threads.
    #[test]
    fn any_tree_comes_back(
        nodes in vec((any::<prop::sample::Index>(), attributes(), kind()), 0..60),
        batch in 12u32..18,
        chunk in 18u32..20,
        compression in prop::sample::select(compressions()),
        toc in any::<bool>(),
    ) {
        let tar = tar(nodes);
        let options = options(1 << batch)
            .chunk_size(1 << chunk)
            .compression(compression)
            .toc(toc)
            .lossy(true);
        // Some trees are no trees: a file below a file, a link to what became a directory.
        let Ok(image) = Image::of(Streaming::new(&tar[..]), &options.clone().threads(1)) else {
            return Ok(());
        };
        prop_assert_eq!(image.digest(), digest_of_tar(&tar));
        let opened = open(&image);
        prop_assert_eq!(found(&opened), Vec::<String>::new());
        let many = Image::of(Streaming::new(&tar[..]), &options.threads(3)).unwrap();
        let files = |image: &Image| crate::support::files(&image.output());
        prop_assert_eq!(files(&image), files(&many));
        if opened.image().blobs().is_empty() {
            return Ok(());
        }
        for (stored, plain, chunks) in batches(&opened) {
            prop_assert!(stored <= plain && plain < 1 << batch && chunks > 0);
        }
    }
}
