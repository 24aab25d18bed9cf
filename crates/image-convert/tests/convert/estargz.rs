//! eStargz: what is written, in which order, and what becomes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blob_io::WriterOutput;
use bytes::Bytes;
use estargz_toc::carry::Uncarried;
use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::image::Prefetch;
use estargz_toc::write::ListingError;
use frame_codec::Compression;
use image_model::walk::Walk;
use image_model::{Blame, Codec, Fault, Limits, Metadata, Timestamp};
use image_read::{NoBlobs, OpenImage, OpenOptions, open_source};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, EstargzReport, LossKind, Source, Streaming, TarOptions,
    to_estargz,
};
use oci_image::EstargzLayer;
use verify::{AuditFault, Profile, audit};

use crate::support::{
    Image, Tar, digest_of_tar, golden_tar, metadata, noise, path, sha256, tar_of,
};

fn options() -> EstargzOptions {
    EstargzOptions::default().chunk_size(4096).threads(2)
}

fn convert<'a>(
    source: impl Into<Source<'a>>,
    options: &EstargzOptions,
) -> Result<(Vec<u8>, EstargzReport), ConvertError> {
    let mut layer = Vec::new();
    let report = to_estargz(source, &mut WriterOutput::new(&mut layer), options, &mut ())?;
    Ok((layer, report))
}

fn of_tar(tar: &[u8], options: &EstargzOptions) -> (Vec<u8>, EstargzReport) {
    convert(Streaming::new(tar), options).unwrap()
}

/// Opens a layer by its TOC, which has to agree with the tar, and whose content has to be whole.
fn opened(layer: &[u8]) -> OpenImage {
    let source = Arc::new(Bytes::copy_from_slice(layer));
    let image = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    let toc = &image.estargz().unwrap().toc;
    let mut tell = |found| panic!("{found}");
    compare(toc, layer, &CompareOptions::default(), &mut tell).unwrap();
    let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
    audit(
        image.image(),
        &mut image.reader().clone(),
        &Limits::default(),
        &mut tell,
    )
    .unwrap();
    image
}

fn digest(image: &OpenImage) -> String {
    let digest = image.tree_digest(Profile::Default, &mut ());
    digest.unwrap().to_string()
}

/// The tar inside a layer.
fn inside(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut stream = tar_stream::LayerStream::open(layer, &Default::default()).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut tar).unwrap();
    tar
}

/// The names in the tar inside, in their order.
fn names(layer: &[u8]) -> Vec<String> {
    let tar = inside(layer);
    let mut reader = tar_stream::TarReader::new(&tar[..], tar_stream::TarReadOptions::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.path.clone()).unwrap());
    }
    names
}

fn many() -> Vec<u8> {
    let tar = (0..300).fold(few(), |tar, n| {
        tar.file(&format!("d/{n}"), &noise(n, (n as usize * 97) % 30_000))
    });
    tar.finish()
}

fn few() -> Tar {
    Tar::new().directory("d").file("zeros", &[0; 20_000])
}

#[test]
fn the_tree_is_that_of_the_source() {
    for tar in [golden_tar(), many(), Tar::new().finish()] {
        let (layer, _) = of_tar(&tar, &options());
        assert_eq!(digest(&opened(&layer)), digest_of_tar(&tar));
    }
}

#[test]
fn the_report_says_what_was_written() {
    let (layer, report) = of_tar(&golden_tar(), &options());
    let image = opened(&layer);
    let tar = inside(&layer);
    assert_eq!(report.blob.digest.hex(), sha256(&layer));
    assert_eq!(report.blob.len, layer.len() as u64);
    assert_eq!(report.report.bytes_out, report.blob.len);
    assert_eq!(report.diff_id.hex(), sha256(&tar));
    assert_eq!(report.uncompressed_size, tar.len() as u64);
    assert_eq!(report.toc_digest, image.estargz().unwrap().toc.digest);
    let layer = EstargzLayer::new(report.toc_digest).uncompressed_size(report.uncompressed_size);
    assert_eq!(
        EstargzLayer::read(&report.blob.annotations),
        Ok(Some(layer))
    );
    let descriptor = report.blob.descriptor().unwrap();
    assert_eq!(
        descriptor.media_type,
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    assert_eq!(report.report.content_bytes, 10_005);
    // Three of `z`, one of `f`, the landmark's.
    assert_eq!(report.report.chunks.stored, 5);
    assert_eq!(report.report.inodes, 6);
    assert_eq!(
        image.estargz().unwrap().toc.prefetch,
        Some(Prefetch::Nothing)
    );
}

#[test]
fn bytes_do_not_depend_on_threads_or_on_how_the_source_is_read() {
    let tar = many();
    let (expected, _) = of_tar(&tar, &options().threads(1));
    for threads in [2, 3, 8] {
        let (found, _) = of_tar(&tar, &options().threads(threads));
        assert!(found == expected, "{threads} threads");
    }
    let source = crate::support::layer(tar);
    assert!(convert(source, &options()).unwrap().0 == expected);
}

#[test]
fn a_tar_keeps_its_order_and_an_image_has_that_of_a_walk() {
    let tar = Tar::new()
        .file("z", b"z")
        .directory("b")
        .file("b/2", b"2")
        .file("b/1", b"1")
        .file("a", b"a")
        .link("b/a", "z")
        .finish();
    let (layer, _) = of_tar(&tar, &options());
    let landmark = ".no.prefetch.landmark";
    let toc = "stargz.index.json";
    assert_eq!(
        names(&layer),
        [landmark, "z", "b/", "b/a", "b/2", "b/1", "a", toc]
    );
    let image = opened(&layer);
    let source = image.reader();
    let (again, _) = convert(source, &options()).unwrap();
    assert_eq!(
        names(&again),
        [landmark, "a", "b/", "b/1", "b/2", "b/a", "z", toc]
    );
    assert_eq!(digest(&opened(&again)), digest_of_tar(&tar));
}

#[test]
fn what_is_wanted_first_comes_first() {
    let tar = Tar::new()
        .file("a", b"a")
        .directory("b")
        .file("b/1", b"1")
        .finish();
    let wanted = options().prefetch(vec![path("b/1"), path("nothing")]);
    let (layer, report) = of_tar(&tar, &wanted);
    assert_eq!(
        names(&layer),
        ["b/", "b/1", ".prefetch.landmark", "a", "stargz.index.json"]
    );
    assert_eq!(report.report.missed, [path("nothing")]);
    let image = opened(&layer);
    let Some(Prefetch::UpTo(end)) = image.estargz().unwrap().toc.prefetch else {
        panic!("there is a landmark");
    };
    assert!(0 < end && end < layer.len() as u64);
}

#[test]
fn whiteouts_come_before_what_replaces_what_they_hide() {
    let tar = Tar::new()
        .directory("d")
        .file("d/+p", b"+")
        .file("d/a", b"a")
        .file("d/.wh.a", b"")
        .file("d/.wh.+p", b"")
        .file("d/.wh..wh..opq", b"")
        .finish();
    let toc = "stargz.index.json";
    let whiteouts = ["d/.wh..wh..opq", "d/.wh.a", "d/.wh.+p"];
    let (layer, _) = of_tar(&tar, &options());
    let [opaque, wh_a, wh_p] = whiteouts;
    assert_eq!(
        names(&layer),
        [
            ".no.prefetch.landmark",
            "d/",
            opaque,
            wh_a,
            wh_p,
            "d/+p",
            "d/a",
            toc
        ]
    );
    let wanted = options().prefetch(vec![path("d/a")]);
    let (first, _) = of_tar(&tar, &wanted);
    assert_eq!(
        names(&first),
        [
            "d/",
            opaque,
            wh_a,
            "d/a",
            ".prefetch.landmark",
            wh_p,
            "d/+p",
            toc
        ]
    );
    // Out of an image siblings come in byte order, which has `+` before `.`.
    let image = opened(&layer);
    let source = image.reader();
    let (again, _) = convert(source, &options()).unwrap();
    let by_name = ["d/", opaque, wh_p, wh_a, "d/+p", "d/a"];
    assert_eq!(names(&again)[1..7], by_name);
    let (_, back) = tar_of(&image, &TarOptions::default()).unwrap();
    assert_eq!(names(&back), by_name);
}

#[test]
fn directories_that_no_entry_describes_get_none() {
    let tar = Tar::new()
        .directory("etc")
        .file("etc/a", b"a")
        .file("tmp/x/f", b"f")
        .file("usr/f", b"f")
        .directory("usr")
        .finish();
    let (landmark, toc) = (".no.prefetch.landmark", "stargz.index.json");
    let (layer, report) = of_tar(&tar, &options());
    let expected = [landmark, "etc/", "etc/a", "tmp/x/f", "usr/", "usr/f", toc];
    assert_eq!(names(&layer), expected);
    assert_eq!(report.report.inodes, 8);
    let image = opened(&layer);
    assert_eq!(digest(&image), digest_of_tar(&tar));

    // They are as little described by the TOC.
    let source = &image;
    let wanted = options().prefetch(vec![path("tmp/x/f"), path("tmp")]);
    let (again, report) = convert(source, &wanted).unwrap();
    let expected = [
        "tmp/x/f",
        ".prefetch.landmark",
        "etc/",
        "etc/a",
        "usr/",
        "usr/f",
        toc,
    ];
    assert_eq!(names(&again), expected);
    assert_eq!(report.report.missed, []);
    assert_eq!(digest(&opened(&again)), digest_of_tar(&tar));

    let (_, back) = tar_of(&image, &TarOptions::default()).unwrap();
    assert_eq!(names(&back), ["etc/", "etc/a", "tmp/x/f", "usr/", "usr/f"]);
    assert_eq!(digest_of_tar(&back), digest_of_tar(&tar));
}

#[test]
fn a_directory_keeps_the_time_of_its_root() {
    let directory = tempfile::tempdir().unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    let root = std::fs::File::open(directory.path()).unwrap();
    let file = std::fs::File::create(directory.path().join("f")).unwrap();
    for file in [file, root] {
        file.set_modified(time).unwrap();
    }
    let source = image_read::open(directory.path(), &Default::default()).unwrap();
    let (layer, _) = convert(&source, &options()).unwrap();
    assert_eq!(names(&layer)[1..3], ["./", "f"]);
    let image = opened(&layer);
    let root = image.image().attributes(image.image().root()).unwrap();
    assert_eq!(root.mtime, Timestamp::from_seconds(1_234_567_890));
    assert_eq!(digest(&image), crate::support::digest(directory.path()));
}

#[test]
fn fractions_of_a_second_are_a_loss_that_is_counted() {
    let at = |nanoseconds| Metadata {
        mtime: Timestamp {
            seconds: 1_600_000_000,
            nanoseconds,
        },
        ..metadata(0o644)
    };
    let tar = Tar::new()
        .file_with("half", &at(500_000_000), b"1")
        .link("other-name", "half")
        .file_with("some", &at(1), b"2")
        .file_with("whole", &at(0), b"3")
        .finish();
    let (layer, report) = of_tar(&tar, &options());
    assert_eq!(
        (report.report.cut_times, report.report.losses.len()),
        (2, 0)
    );
    let image = opened(&layer);
    let half = image.resolve("half", Default::default()).unwrap();
    let time = image.image().attributes(half).unwrap().mtime;
    assert_eq!(time, Timestamp::from_seconds(1_600_000_000));
    assert_eq!(digest(&image), digest_of_tar(&tar));
    // RAFS has a place for them.
    let rafs = Image::of_tar(&tar, &crate::support::plain_options());
    let boot = image_read::open(rafs.bootstrap_path(), &Default::default()).unwrap();
    let half = boot.resolve("half", Default::default()).unwrap();
    let time = boot.image().attributes(half).unwrap().mtime;
    assert_eq!(time.nanoseconds, 500_000_000);
}

#[test]
fn rafs_and_back() {
    let tar = many();
    let rafs = Image::of_tar(&tar, &crate::support::plain_options());
    let boot = image_read::open(rafs.bootstrap_path(), &Default::default()).unwrap();
    let (layer, _) = convert(&boot, &options()).unwrap();
    let image = opened(&layer);
    let source = &image;
    let rafs = Image::of(source, &crate::support::plain_options()).unwrap();
    assert_eq!(rafs.digest(), digest_of_tar(&tar));
    let (_, back) = tar_of(&image, &TarOptions::default()).unwrap();
    assert_eq!(digest_of_tar(&back), digest_of_tar(&tar));
}

#[test]
fn what_a_toc_cannot_carry_is_refused_or_lost() {
    let tar = Tar::new()
        .file(".prefetch.landmark", b"x")
        .file("kept", b"kept")
        .finish();
    let error = convert(Streaming::new(&tar[..]), &options()).unwrap_err();
    let ConvertError::NotCarried { target, loss } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*target, "eStargz");
    assert_eq!(loss.path, path(".prefetch.landmark"));
    assert_eq!(loss.what, LossKind::Estargz(Uncarried::ReservedName));
    assert_eq!(error.fault(), Fault::Unsupported);

    let lossy = options().lossy(true);
    let (layer, report) = of_tar(&tar, &lossy);
    assert_eq!(report.report.losses.len(), 1);
    let image = opened(&layer);
    let mut walk = Walk::new(image.image(), &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = walk.next_entry() {
        found.push(entry.unwrap().path.to_string());
    }
    assert_eq!(found, ["/", "/kept"]);
}

#[test]
fn layers_are_gzip() {
    let zstd = options().compression(Compression::Zstd { level: 3 });
    let error = convert(Streaming::new(&golden_tar()[..]), &zstd).unwrap_err();
    assert!(matches!(
        error,
        ConvertError::NoLayerCodec { codec: Codec::Zstd }
    ));
}

#[test]
fn chunks_are_not_longer_than_readers_take() {
    for (chunk_size, refused) in [
        (64 << 20, false),
        (0, true),
        ((64 << 20) + 1, true),
        (u32::MAX, true),
    ] {
        let options = options().chunk_size(chunk_size);
        let result = convert(Streaming::new(&golden_tar()[..]), &options);
        match result {
            Ok((layer, _)) if !refused => drop(opened(&layer)),
            Err(error @ ConvertError::ChunkSize { .. }) if refused => {
                assert_eq!(error.fault(), Fault::Misuse);
                let limit = 64 << 20;
                assert!(
                    matches!(error, ConvertError::ChunkSize { chunk_size: size, limit: l }
                        if (size, l) == (chunk_size, limit))
                );
            }
            other => panic!("{chunk_size}: {other:?}"),
        }
    }
}

#[test]
fn a_toc_is_not_longer_than_readers_take() {
    let tar = many();
    let source = crate::support::layer(tar);
    let convert = |max_metadata_len| {
        let limits = Limits::default().max_metadata_len(max_metadata_len);
        let source = Source::from(&source).with_limits(limits);
        convert(source, &options())
    };
    let (layer, _) = convert(u64::MAX).unwrap();
    let inside = inside(&layer);
    let mut reader = tar_stream::TarReader::new(&inside[..], tar_stream::TarReadOptions::default());
    let mut len = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        len = entry.size;
    }
    assert_eq!(convert(len).unwrap().0, layer);
    let error = convert(len - 1).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    assert!(
        matches!(error, ConvertError::Toc(ListingError::TooLong { limit }) if limit == len - 1)
    );
}

/// Sparse files and files of zeros, more than one batch of them.
#[test]
fn chunks_of_zeros_are_stored_like_others() {
    let tar = Tar::new()
        .file("a", &[0; 3 << 20])
        .file(
            "b",
            &[vec![0; 5000], vec![1; 5000], vec![0; 10_000]].concat(),
        )
        .finish();
    let (expected, report) = of_tar(&tar, &options());
    assert_eq!(report.report.chunks.stored, 1 + 768 + 5);
    let image = opened(&expected);
    assert_eq!(digest(&image), digest_of_tar(&tar));
    // Every member is what the encoder makes of its plain bytes.
    let mut encoder = frame_codec::Encoder::new(options().compression).unwrap();
    let mut zeros = Vec::new();
    encoder.encode_frame(&[0; 4096], &mut zeros).unwrap();
    let members = |layer: &[u8]| layer.windows(zeros.len()).filter(|w| *w == zeros).count();
    // The last chunk of `a` has a header behind it. Of `b` the chunks 0 and 3 are zeros, and the last
    // one with its padding.
    assert_eq!(members(&expected), 767 + 3);
    let one = options().threads(1);
    assert!(of_tar(&tar, &one).0 == expected);
}

#[test]
fn limits_hold() {
    let tar = Tar::new().file("big", &[1; 20_000]).finish();
    let limits = Limits::default().max_chunks(4);
    let error = convert(
        Source::from(Streaming::new(&tar[..])).with_limits(limits),
        &options(),
    )
    .unwrap_err();
    assert!(
        matches!(&error, ConvertError::TooManyChunks { path: p, limit: 4 } if *p == path("big"))
    );
    let metadata = metadata(0o644);
    let tar = Tar::new()
        .file_with("big", &metadata, &[1; 20_000])
        .finish();
    let limits = Limits::default().max_layer_len(1000);
    let source = Source::from(crate::support::layer(tar)).with_limits(limits);
    let error = convert(source, &options()).unwrap_err();
    assert!(
        matches!(&error, ConvertError::TarTooLong { path: p, limit: 1000 } if *p == path("big"))
    );
}
