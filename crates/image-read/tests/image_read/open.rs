//! Opening images by content: goldens of nydus-image, and what is none.

use std::fs;
use std::path::{Path, PathBuf};

use blob_io::ReadAt;
use image_model::{Blame, BlobIndex, DigestAlgorithm, Fault, FileKind, Limits};
use lazyoci_image_read::{
    BlobStore, Follow, Format, FrameError, OpenError, OpenImage, OpenOptions, ReadError,
    ReadOptions, ResolveError, StoreError, find, format_at, open,
};
use rafs_format::blob::LocateTrailer;
#[cfg(feature = "zstd")]
use rafs_format::blob::{BlobError, Trailer};
use verify::{Profile, tree_digest};

use crate::support::sha256;

pub(crate) const A4: &str =
    "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";
#[cfg(feature = "zstd")]
pub(crate) const ODD: &str =
    "tree1:378fadebc85cdeec9d3aaf908a899987df9b8af7786a747db53746b0c6b0d3f5";

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name)
}

pub(crate) fn blob_of(name: &str) -> PathBuf {
    let mut blobs = fs::read_dir(golden(name).join("blobs")).unwrap();
    blobs.next().unwrap().unwrap().path()
}

pub(crate) fn open_default(path: &Path) -> Result<OpenImage, OpenError> {
    open(path, &OpenOptions::default())
}

pub(crate) fn digest(image: &OpenImage) -> String {
    let digest = tree_digest(
        image.image(),
        &mut image.reader().clone(),
        Profile::Default,
        &mut (),
    );
    digest.unwrap().to_string()
}

#[test]
fn an_image_that_is_printed_fits_a_screen() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        fs::write(directory.path().join(number.to_string()), "content").unwrap();
    }
    for path in [
        directory.path(),
        &golden("a4-v6-none-sha256").join("image.boot"),
    ] {
        let printed = format!("{:#?}", open_default(path).unwrap());
        assert!(printed.len() < 4000, "{printed}");
    }
}

#[test]
fn goldens_of_nydus_hold_the_trees_they_were_made_of() {
    let cases = [
        ("a4-v6-none-sha256", A4),
        #[cfg(all(feature = "lz4", feature = "blake3"))]
        ("a4-v6-lz4_block-blake3", A4),
        #[cfg(feature = "zstd")]
        ("a4-v6-zstd-sha256", A4),
        #[cfg(feature = "zstd")]
        ("a4-v6-zstd-sha256-toc", A4),
        #[cfg(feature = "zstd")]
        ("odd-v6-zstd-sha256-4k", ODD),
        ("a4-v5-none-sha256", A4),
        #[cfg(feature = "zstd")]
        ("a4-v5-zstd-sha256", A4),
        #[cfg(feature = "zstd")]
        ("odd-v5-zstd-sha256-4k", ODD),
    ];
    for (name, expected) in cases {
        let image = open_default(&golden(name).join("image.boot")).unwrap();
        let format = match name.contains("-v5-") {
            true => Format::RafsV5,
            false => Format::RafsV6,
        };
        assert_eq!(image.format(), format);
        assert_eq!(digest(&image), expected, "{name}");
        assert!(image.bootstrap().is_some() && image.tree().is_none());
    }
}

#[test]
fn a_blob_with_its_bootstrap_is_an_image() {
    let cases = [
        "a4-v6-none-sha256-inline",
        #[cfg(feature = "zstd")]
        "a4-v6-zstd-sha256-inline-toc",
        #[cfg(feature = "zstd")]
        "a4-v5-zstd-sha256-inline",
    ];
    for name in cases {
        let path = blob_of(name);
        let image = open_default(&path).unwrap();
        assert_eq!(image.format(), Format::RafsBlob);
        assert_eq!(digest(&image), A4, "{name}");
        // The bootstrap cannot know what the blob is called.
        let [blob] = image.image().blobs() else {
            panic!("one blob")
        };
        assert_eq!(
            blob.id.as_str(),
            path.file_name().unwrap().to_str().unwrap()
        );
    }
}

#[test]
fn a_bootstrap_taken_out_of_its_blob_finds_it_by_its_name() {
    let blob = blob_of("a4-v6-none-sha256-inline");
    let id = blob.file_name().unwrap().to_str().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let boot = directory.path().join(format!("{id}.image.boot"));
    let inlined = open_default(&blob).unwrap();
    fs::write(&boot, inlined.bootstrap().unwrap().bytes()).unwrap();
    fs::copy(&blob, directory.path().join(id)).unwrap();
    let image = open_default(&boot).unwrap();
    assert_eq!(image.format(), Format::RafsV6);
    assert_eq!(digest(&image), A4);
}

#[cfg(feature = "mmap")]
#[test]
fn mapped_images_read_the_same() {
    let options = OpenOptions::default().map(true);
    let image = open(golden("a4-v6-none-sha256").join("image.boot"), &options).unwrap();
    assert_eq!(digest(&image), A4);
}

#[test]
fn blobs_are_found_where_the_options_say() {
    let name = "a4-v6-none-sha256";
    let directory = tempfile::tempdir().unwrap();
    let boot = directory.path().join("x");
    fs::copy(golden(name).join("image.boot"), &boot).unwrap();
    let blob = blob_of(name);
    let id = blob.file_name().unwrap();

    // Opening and listing need no blob.
    let image = open_default(&boot).unwrap();
    assert!(image.resolve(b"/f", Follow::All).is_ok());
    let error = image.read(b"/f", 100).unwrap_err();
    let ReadError::Frame { source, .. } = &error else {
        panic!("{error:?}");
    };
    let FrameError::Store(StoreError::Open {
        id: found, path, ..
    }) = &**source
    else {
        panic!("{error:?}");
    };
    assert_eq!(found.as_str(), id.to_str().unwrap());
    assert_eq!(path, &directory.path().join("blobs").join(id));
    assert_eq!(error.fault(), Fault::Io);
    // An empty file needs none either.
    assert_eq!(image.read(b"/e", 0).unwrap(), b"");

    let options = OpenOptions::default().blobs(golden(name).join("blobs"));
    assert_eq!(
        open(&boot, &options).unwrap().read(b"/f", 100).unwrap(),
        b"hello"
    );
    // Beside the bootstrap itself.
    fs::copy(&blob, directory.path().join(id)).unwrap();
    assert_eq!(
        open_default(&boot).unwrap().read(b"/f", 100).unwrap(),
        b"hello"
    );
}

#[test]
fn reads_cost_the_frames_that_they_need() {
    let image = open_default(&golden("a4-v6-none-sha256").join("image.boot")).unwrap();
    assert_eq!(image.stats().requests, 0);
    let opened = image.metadata_stats();
    assert_eq!((opened.requests, opened.bytes), (2, 20_480));
    let z = image.resolve(b"z", Follow::All).unwrap();
    let mut content = Vec::new();
    image.read_range(z, 9_990..20_000, &mut content).unwrap();
    assert_eq!(content, b"A".repeat(10));
    let stats = image.stats();
    assert_eq!((stats.requests, stats.bytes), (1, 10_000));
}

#[test]
fn links_lead_to_files() {
    let image = open_default(&golden("a4-v6-none-sha256").join("image.boot")).unwrap();
    assert_eq!(image.read(b"/d/l", 5).unwrap(), b"hello");
    assert!(matches!(
        image.read(b"/d/l", 4),
        Err(ReadError::TooLong {
            size: 5,
            limit: 4,
            ..
        })
    ));
    let link = image.resolve(b"/d/l", Follow::Parents).unwrap();
    assert_eq!(
        image.image().attributes(link).unwrap().kind,
        FileKind::Symlink
    );
    let error = image.read(b"/d/m", 5).unwrap_err();
    assert!(
        matches!(&error, ReadError::Resolve(ResolveError::NotFound { path }) if path.as_bytes() == b"d/m"),
        "{error:?}"
    );
}

#[test]
fn damage_is_found_unless_it_is_not_looked_for() {
    let name = "a4-v6-none-sha256";
    let directory = tempfile::tempdir().unwrap();
    let blob = blob_of(name);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[1] ^= 0x20;
    fs::write(directory.path().join(blob.file_name().unwrap()), bytes).unwrap();
    let options = OpenOptions::default().blobs(directory.path());
    let image = open(golden(name).join("image.boot"), &options).unwrap();
    let f = image.resolve(b"f", Follow::All).unwrap();
    let mut content = Vec::new();
    let error = image.read_range(f, 0..1, &mut content).unwrap_err();
    assert_eq!((error.fault(), &content[..]), (Fault::Corrupt, &b""[..]));
    image
        .reader()
        .read_range_unverified(f, 0..u64::MAX, &mut content)
        .unwrap();
    assert_eq!(content, b"hEllo");
    // The other file is whole.
    assert_eq!(image.read(b"z", 10_000).unwrap().len(), 10_000);
}

#[test]
fn what_is_known_but_not_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    // A footer without the TOC that it promises.
    let without_toc = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = open_default(&path).unwrap_err();
        assert!(matches!(error, OpenError::Estargz(_)), "{error:?}");
        assert!(error.may_be_layer());
        format_at(&path).unwrap()
    };
    let mut legacy = vec![0x1f, 0x8b, 8, 0, 0, 0];
    legacy.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 22, 0]);
    legacy.extend(b"0000000000000003STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0");
    assert_eq!(without_toc(&legacy), Format::Stargz);

    let chunked = [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0; 60], b"GNUlInUx"].concat();
    assert_eq!(without_toc(&chunked), Format::ZstdChunked);

    for data in ["a4-v6-none-sha256", "a4-v6-zstd-sha256"] {
        let error = open_default(&blob_of(data)).unwrap_err();
        assert!(matches!(error, OpenError::NoBootstrap), "{error:?}");
        assert_eq!(error.fault(), Fault::Misuse);
    }
    // It has a TOC, which lists no bootstrap.
    let error = open_default(&blob_of("a4-v6-zstd-sha256-toc")).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Blob(rafs_format::blob::BlobError::NoSection { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn nothing_known_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let script = b"#!/bin/sh\n".repeat(1_000);
    fs::write(&path, &script).unwrap();
    let error = open_default(&path).unwrap_err();
    assert!(
        matches!(&error, OpenError::Unknown { head } if **head == script[..16]),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Unsupported);

    let error = open_default(&directory.path().join("missing")).unwrap_err();
    assert!(matches!(&error, OpenError::Io { path, .. } if path.ends_with("missing")));
}

#[test]
fn metadata_beyond_the_limit_are_not_read() {
    let boot = golden("a4-v6-none-sha256").join("image.boot");
    let limits = Limits::default().max_metadata_len(4096);
    let options = OpenOptions::default().limits(limits);
    let error = open(&boot, &options).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Limit {
                len: 20_480,
                limit: 4096
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_format_that_was_said_is_not_looked_for() {
    let boot = golden("a4-v6-none-sha256").join("image.boot");
    let blob = blob_of("a4-v6-none-sha256-inline");
    let said = |path: &Path, format| open(path, &OpenOptions::default().format(format));
    let v5 = golden("a4-v5-none-sha256").join("image.boot");
    assert_eq!(digest(&said(&boot, Format::RafsV6).unwrap()), A4);
    assert_eq!(digest(&said(&v5, Format::RafsV5).unwrap()), A4);
    assert_eq!(digest(&said(&blob, Format::RafsBlob).unwrap()), A4);
    let directory = tempfile::tempdir().unwrap();
    said(directory.path(), Format::Directory).unwrap();

    let error = said(&blob, Format::RafsV6).unwrap_err();
    assert!(matches!(error, OpenError::Bootstrap(_)), "{error:?}");
    let error = said(&boot, Format::RafsBlob).unwrap_err();
    assert!(matches!(error, OpenError::NoBootstrap), "{error:?}");
    let error = said(&boot, Format::Estargz).unwrap_err();
    assert!(matches!(error, OpenError::Estargz(_)), "{error:?}");
    for (path, format) in [
        (directory.path(), Format::RafsV6),
        (&boot, Format::Directory),
        (&boot, Format::RafsV5),
        (&v5, Format::RafsV6),
    ] {
        let error = said(path, format).unwrap_err();
        assert!(
            matches!(error, OpenError::NotFormat { expected } if expected == format),
            "{error:?}"
        );
        assert_eq!(error.fault(), Fault::Misuse);
    }
    for format in [Format::Stargz, Format::ExternalToc, Format::ZstdChunked] {
        let error = said(&boot, format).unwrap_err();
        assert!(matches!(error, OpenError::Estargz(_)), "{error:?}");
    }
    let error = said(&boot, Format::RafsData).unwrap_err();
    assert!(matches!(error, OpenError::NoBootstrap), "{error:?}");
}

#[test]
fn metadata_tell_their_digests() {
    let boot = golden("a4-v6-none-sha256").join("image.boot");
    let image = open_default(&boot).unwrap();
    let bytes = fs::read(&boot).unwrap();
    let digest_of = |image: &OpenImage, algorithm| image.metadata_digest(algorithm).unwrap();
    assert_eq!(
        digest_of(&image, DigestAlgorithm::Sha256),
        Some(sha256(&bytes))
    );
    #[cfg(feature = "blake3")]
    assert_eq!(
        digest_of(&image, DigestAlgorithm::Blake3),
        Some(verify::digest(DigestAlgorithm::Blake3, &bytes).unwrap())
    );
    let blob = blob_of("a4-v6-none-sha256-inline");
    let inlined = open_default(&blob).unwrap();
    assert_eq!(
        digest_of(&inlined, DigestAlgorithm::Sha256),
        Some(sha256(inlined.bootstrap().unwrap().bytes()))
    );
    assert!(inlined.rafs().unwrap().toc().is_none());
    // It need not be opened again for that, or for what else is in it.
    let source = inlined.source().unwrap();
    assert_eq!(
        source.read_bytes(0, 5).unwrap(),
        fs::read(&blob).unwrap()[..5]
    );
    let directory = open(
        golden("a4-v6-none-sha256"),
        &OpenOptions::default().format(Format::Directory),
    )
    .unwrap();
    assert_eq!(digest_of(&directory, DigestAlgorithm::Sha256), None);
    assert!(directory.source().is_none());
}

#[cfg(feature = "zstd")]
#[test]
fn the_toc_of_the_opened_blob_is_kept() {
    let image = open_default(&blob_of("a4-v6-zstd-sha256-inline-toc")).unwrap();
    let toc = image.rafs().unwrap().toc().unwrap();
    let found = image
        .find(LocateTrailer::new(image.source().unwrap().len().unwrap()))
        .unwrap();
    assert_eq!(found, Trailer::Toc(toc.clone()));
}

#[cfg(feature = "zstd")]
#[test]
fn what_a_blob_says_of_its_chunks_is_loaded_when_needed() {
    let image = open_default(&golden("a4-v6-zstd-sha256-toc").join("image.boot")).unwrap();
    let rafs = image.rafs().unwrap();
    assert!(rafs.meta(BlobIndex(0)).is_none());
    assert_eq!(image.stats().requests, 0);
    for _ in 0..2 {
        let meta = image.blob_meta(BlobIndex(0)).unwrap().unwrap();
        assert_eq!(meta.chunk_count(), 2);
        assert_eq!(image.stats().requests, 1);
    }
    assert!(rafs.meta(BlobIndex(0)).is_some());

    let blob = image.blobs().blob(BlobIndex(0)).unwrap();
    let locate = rafs.locate_toc(BlobIndex(0), blob.len().unwrap()).unwrap();
    assert!(matches!(image.find(locate).unwrap(), Trailer::Toc(_)));
    assert_eq!(image.stats().requests, 2);

    let error = image.blob_meta(BlobIndex(1)).unwrap_err();
    let expected = BlobError::NoSuchBlob {
        index: BlobIndex(1),
        count: 1,
    };
    assert!(matches!(error, OpenError::Blob(found) if found == expected));
    let layer = open(
        golden("a4-v6-none-sha256"),
        &OpenOptions::default().format(Format::Directory),
    )
    .unwrap();
    assert!(layer.blob_meta(BlobIndex(0)).unwrap().is_none());
    // A directory is no file in which anything could be found.
    let error = layer.find(LocateTrailer::new(5000)).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::NoMetadata {
                found: Format::Directory
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_machine_that_needs_a_blob_finds_none_in_one_file() {
    let file = bytes::Bytes::from(vec![0; 5000]);
    let machine = LocateTrailer::new(5000).in_blob(BlobIndex(7));
    let error = find(machine, &file, &Limits::default()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Store(StoreError::NoSuchBlob {
                index: BlobIndex(7),
                count: 0
            })
        ),
        "{error:?}"
    );
}

#[test]
fn what_is_opened_is_read_as_the_options_say() {
    let limits = Limits::default().max_frame_len(9_999);
    let options = OpenOptions::default()
        .limits(limits)
        .read(ReadOptions::default().threads(1));
    let mut image = open(golden("a4-v6-none-sha256").join("image.boot"), &options).unwrap();
    let read = image.reader().options();
    assert_eq!((read.threads, read.limits.max_frame_len), (1, 9_999));
    for threads in [1, 2] {
        // The limits stay, however it is read.
        image.set_read_options(ReadOptions::default().threads(threads));
        assert_eq!(image.reader().options().threads, threads);
        let error = image.read(b"z", 10_000).unwrap_err();
        assert_eq!(error.fault(), Fault::Limit, "{error:?}");
    }
}

#[test]
fn images_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<OpenImage>();
    shared::<BlobStore>();
    shared::<OpenError>();
    shared::<ReadError>();
}
