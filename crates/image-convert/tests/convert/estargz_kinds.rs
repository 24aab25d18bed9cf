//! eStargz in other ways: an external TOC, files that share members, tars that are kept, zstd frames.

use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, WriterOutput};
use bytes::Bytes;
use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::footer::{Footer, find};
use estargz_toc::toc::{EntryType, Toc};
use image_model::{Blame, Fault, ImagePath, Limits};
use image_read::{NoBlobs, OpenImage, OpenOptions, open_source};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, EstargzReport, KeptTarFault, Source, Streaming,
    ZstdChunkedDialect, ZstdChunkedOptions, ZstdChunkedReport, to_estargz, to_zstd_chunked,
};
use oci_image::zstd_chunked::Dialect;
use oci_image::{EstargzLayer, ExternalToc, ZstdChunkedLayer};
use proptest::collection::vec;
use proptest::prelude::*;
use verify::{AuditFault, Profile, audit};

use crate::round_trip::{attributes, kind, tar};
use crate::support::{Tar, digest_of_tar, golden_tar, layer, noise};

fn options() -> EstargzOptions {
    EstargzOptions::default().chunk_size(4096).threads(2)
}

/// A layer and its TOC.
struct Apart {
    layer: Vec<u8>,
    toc: Vec<u8>,
}

fn apart<'a>(
    source: impl Into<Source<'a>>,
    options: &EstargzOptions,
) -> Result<(Apart, EstargzReport), ConvertError> {
    let mut memory = MemoryOutput::default();
    let report = to_estargz(source, &mut memory, options, &mut ())?;
    let bytes = |role| memory.object(role).unwrap().bytes.to_vec();
    let (layer, toc) = (bytes(ObjectRole::Layer), bytes(ObjectRole::Toc));
    assert_eq!(memory.objects().len(), 2);
    assert_eq!(report.blob.digest, verify::sha256(&layer));
    let described = report.toc.as_ref().unwrap();
    assert_eq!(
        (described.digest, described.len),
        (verify::sha256(&toc), toc.len() as u64)
    );
    let of = ExternalToc::read(&described.annotations).unwrap().unwrap();
    assert_eq!(of.layer, report.blob.digest);
    assert_eq!(report.report.bytes_out, (layer.len() + toc.len()) as u64);
    assert_eq!(find(&layer, layer.len() as u64), Ok(Footer::External));
    Ok((Apart { layer, toc }, report))
}

fn dialect_a(options: ZstdChunkedOptions) -> ZstdChunkedOptions {
    options
        .dialect(ZstdChunkedDialect::Stargz)
        .chunk_size(4096)
        .threads(2)
}

fn chunked<'a>(
    source: impl Into<Source<'a>>,
    options: &ZstdChunkedOptions,
) -> Result<(Vec<u8>, ZstdChunkedReport), ConvertError> {
    let mut layer = Vec::new();
    let report = to_zstd_chunked(source, &mut WriterOutput::new(&mut layer), options, &mut ())?;
    assert_eq!(report.blob.digest, verify::sha256(&layer));
    Ok((layer, report))
}

/// Opens a layer by its TOC, whose content has to be whole.
fn opened(layer: &[u8], options: &OpenOptions) -> OpenImage {
    let source = Arc::new(Bytes::copy_from_slice(layer));
    let image = open_source(source, None, NoBlobs, options).unwrap();
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

/// Compares the TOC of an image with its tar.
fn agrees(image: &OpenImage, layer: &[u8]) {
    let toc = &image.estargz().unwrap().toc;
    let mut tell = |found| panic!("{found}");
    compare(toc, layer, &CompareOptions::default(), &mut tell).unwrap();
}

fn digest(image: &OpenImage) -> String {
    image
        .tree_digest(Profile::Default, &mut ())
        .unwrap()
        .to_string()
}

fn inside(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut stream = tar_stream::LayerStream::open(layer, &Default::default()).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut tar).unwrap();
    tar
}

fn many() -> Vec<u8> {
    let tar = (0..300).fold(Tar::new().directory("d"), |tar, n| {
        tar.file(&format!("d/{n}"), &noise(n, (n as usize * 97) % 30_000))
    });
    tar.file("zeros", &[0; 20_000])
        .link("hard", "d/7")
        .symlink("soft", "d")
        .finish()
}

#[test]
fn an_external_toc_is_an_object_of_its_own() {
    for tar in [golden_tar(), many(), Tar::new().finish()] {
        let (Apart { layer, toc }, report) =
            apart(Streaming::new(&tar[..]), &options().external_toc(true)).unwrap();
        let image = opened(&layer, &OpenOptions::default().external_toc(toc.clone()));
        assert_eq!(digest(&image), digest_of_tar(&tar));
        assert_eq!(image.estargz().unwrap().toc.digest, report.toc_digest);
        let plain = inside(&layer);
        assert_eq!(verify::sha256(&plain), report.diff_id);
        // The end of the tar is in the TOC.
        assert_eq!(report.uncompressed_size, plain.len() as u64);
        let member = inside(&toc);
        assert!(member.starts_with(b"stargz.index.json\0"));
        assert!(member.ends_with(&[0; 1024]));
        let described = EstargzLayer::new(report.toc_digest).uncompressed_size(plain.len() as u64);
        assert_eq!(
            EstargzLayer::read(&report.blob.annotations),
            Ok(Some(described))
        );
    }
}

#[test]
fn a_tar_is_kept() {
    let mut long = golden_tar();
    long.resize(20_480, 0);
    let garbage = [golden_tar(), noise(1, 5000)].concat();
    let runs = (0..4000).fold(Tar::new(), |tar, n| tar.directory(&format!("d{n}")));
    let tars = [
        golden_tar(),
        many(),
        Tar::new().finish(),
        long,
        runs.finish(),
        garbage,
    ];
    for (number, tar) in tars.into_iter().enumerate() {
        let kept = options().external_toc(true).lossless(true);
        let (Apart { layer, toc }, report) = apart(Streaming::new(&tar[..]), &kept).unwrap();
        assert_eq!(inside(&layer), tar);
        assert_eq!(report.diff_id, verify::sha256(&tar));
        assert_eq!(report.uncompressed_size, tar.len() as u64);
        let image = opened(&layer, &OpenOptions::default().external_toc(toc));
        assert_eq!(digest(&image), digest_of_tar(&tar));

        let kept = dialect_a(ZstdChunkedOptions::default()).lossless(true);
        let (layer, report) = chunked(Streaming::new(&tar[..]), &kept).unwrap();
        assert_eq!(inside(&layer), tar);
        assert_eq!(report.diff_id, verify::sha256(&tar));
        let image = opened(&layer, &OpenOptions::default());
        assert_eq!(digest(&image), digest_of_tar(&tar));
        // What comes after the end is found there.
        if number < 5 {
            agrees(&image, &layer);
        }
    }
}

#[test]
fn a_kept_tar_has_the_toc_that_a_new_one_has() {
    let tar = many();
    let toc = |options: &EstargzOptions| {
        let (Apart { toc, .. }, _) = apart(Streaming::new(&tar[..]), options).unwrap();
        let member = inside(&toc);
        let size = std::str::from_utf8(&member[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        let json = member[512..512 + size].to_vec();
        let mut toc = Toc::from_json(json.leak(), &Limits::default()).unwrap();
        toc.entries
            .retain(|entry| entry.name != ".no.prefetch.landmark");
        for entry in &mut toc.entries {
            // Without a landmark before them they are elsewhere.
            entry.offset = entry.offset.signum();
            entry.inner_offset = 0;
        }
        // In another order, too.
        toc.entries
            .sort_by_key(|entry| (entry.name.to_string(), entry.chunk_offset));
        toc
    };
    let new = toc(&options().external_toc(true));
    let kept = toc(&options().external_toc(true).lossless(true));
    assert_eq!(kept.entries.len(), new.entries.len());
    for (kept, new) in kept.entries.iter().zip(&new.entries) {
        assert_eq!(kept, new);
    }
}

#[test]
fn dialect_a_is_estargz_in_zstd_frames() {
    for tar in [golden_tar(), many(), Tar::new().finish()] {
        let (layer, report) = chunked(
            Streaming::new(&tar[..]),
            &dialect_a(ZstdChunkedOptions::default()),
        )
        .unwrap();
        let plain = inside(&layer);
        assert_eq!(report.diff_id, verify::sha256(&plain));
        assert_eq!(report.uncompressed_size, plain.len() as u64);
        let described = ZstdChunkedLayer::read(&report.blob.annotations)
            .unwrap()
            .unwrap();
        let estargz =
            EstargzLayer::new(report.toc_digest.unwrap()).uncompressed_size(plain.len() as u64);
        assert_eq!(described.dialect, Dialect::Stargz(estargz));
        assert_eq!(described.checksum, report.manifest_checksum);
        let footer = find(&layer, layer.len() as u64);
        assert_eq!(footer, Ok(Footer::ZstdChunked { toc: described.toc }));
        let image = opened(&layer, &OpenOptions::default());
        assert_eq!(
            image.estargz().unwrap().toc.digest,
            report.toc_digest.unwrap()
        );
        assert_eq!(digest(&image), digest_of_tar(&tar));
        agrees(&image, &layer);
        // No TOC in the tar, and nothing that ends it.
        let mut reader = tar_stream::TarReader::new(&plain[..], Default::default());
        let mut names = 0;
        while let Some(entry) = reader.next_entry().unwrap() {
            assert_ne!(entry.path, b"stargz.index.json");
            names += 1;
        }
        assert!(names > 0);
        assert_eq!(reader.trailer().unwrap().zero_blocks(), 0);
    }
}

#[test]
fn files_share_members() {
    let tar = many();
    for min in [1, 5000, 100_000, 10 << 20] {
        let shared = options().min_chunk_size(min).external_toc(true);
        let (Apart { layer, toc }, report) = apart(Streaming::new(&tar[..]), &shared).unwrap();
        let image = opened(&layer, &OpenOptions::default().external_toc(toc));
        assert_eq!(digest(&image), digest_of_tar(&tar));
        let plain = apart(Streaming::new(&tar[..]), &options().external_toc(true)).unwrap();
        assert_eq!(report.diff_id, plain.1.diff_id);
        assert_eq!(report.report.content_bytes, plain.1.report.content_bytes);
        assert_eq!(report.report.chunks.stored, plain.1.report.chunks.stored);

        let shared = dialect_a(ZstdChunkedOptions::default()).min_chunk_size(min);
        let (layer, _) = chunked(Streaming::new(&tar[..]), &shared).unwrap();
        let image = opened(&layer, &OpenOptions::default());
        assert_eq!(digest(&image), digest_of_tar(&tar));
    }
}

/// Two files of 64,000 bytes that nothing compresses, and small ones around them: the peer's test of the same name.
#[test]
fn several_files_in_chunk() {
    let tar = Tar::new()
        .directory("foo")
        .file("foo/foo1", b"content")
        .file("foo2", &noise(1, 64_000))
        .directory("bar")
        .file("bar/bar.txt", b"content")
        .file("foo22", &noise(2, 64_000))
        .finish();
    let members = |options: &EstargzOptions| {
        let mut layer = Vec::new();
        let source = Streaming::new(&tar[..]);
        to_estargz(source, &mut WriterOutput::new(&mut layer), options, &mut ()).unwrap();
        let image = opened(&layer, &OpenOptions::default());
        agrees(&image, &layer);
        assert_eq!(digest(&image), digest_of_tar(&tar));
        let json = image_read::read_toc(&Bytes::from(layer), &Limits::default())
            .unwrap()
            .json;
        let toc = Toc::from_json(&json, &Limits::default()).unwrap();
        let files = toc.entries.iter().filter(|entry| {
            entry.kind == EntryType::Chunk || entry.kind == EntryType::Reg && entry.size > 0
        });
        let mut places: Vec<_> = files
            .map(|entry| (entry.offset, entry.inner_offset > 0))
            .collect();
        let inner: Vec<_> = places.iter().map(|(_, inner)| *inner).collect();
        places.dedup_by_key(|(offset, _)| *offset);
        (places.len(), inner)
    };
    let whole = EstargzOptions::default().min_chunk_size(8000);
    // The landmark, foo1 and foo2 in one member; bar.txt begins the next one, which foo22 is in.
    assert_eq!(members(&whole), (2, vec![false, true, true, false, true]));
    let whole = EstargzOptions::default();
    assert_eq!(members(&whole), (5, vec![false; 5]));
    let cut = EstargzOptions::default()
        .min_chunk_size(8000)
        .chunk_size(32_000);
    let expected = vec![false, true, true, false, false, true, false];
    assert_eq!(members(&cut), (4, expected));
}

fn refused(tar: &[u8]) -> (String, KeptTarFault) {
    let kept = options().external_toc(true).lossless(true);
    match apart(Streaming::new(tar), &kept).map(|_| ()).unwrap_err() {
        ConvertError::KeptTar(error) => {
            assert_eq!(error.fault(), Fault::Unsupported, "{error:?}");
            (
                String::from_utf8_lossy(&error.name).into_owned(),
                error.reason,
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_toc_cannot_describe_is_refused() {
    let toc = Tar::new().file("stargz.index.json", b"{}").finish();
    let (name, reason) = refused(&toc);
    assert!(matches!(
        (&*name, reason),
        ("stargz.index.json", KeptTarFault::TocName)
    ));
    let twice = Tar::new()
        .file("a", b"1")
        .file("b", b"")
        .file("a", b"2")
        .finish();
    let (name, reason) = refused(&twice);
    assert!(matches!((&*name, reason), ("a", KeptTarFault::Duplicate)));
    let root = Tar::new().symlink(".", "a").finish();
    let (name, reason) = refused(&root);
    assert!(matches!((&*name, reason), (".", KeptTarFault::Root)));
    let below = Tar::new().link("a", "below").finish();
    let (name, reason) = refused(&below);
    assert!(
        matches!((&*name, reason), ("a", KeptTarFault::Target)),
        "{name}"
    );
    // A directory may be there twice: the last one counts.
    let twice = Tar::new()
        .directory("a")
        .file("a/b", b"")
        .directory("a")
        .finish();
    let kept = options().external_toc(true).lossless(true);
    let (Apart { layer, .. }, _) = apart(Streaming::new(&twice[..]), &kept).unwrap();
    assert_eq!(inside(&layer), twice);
}

#[test]
fn options_that_exclude_each_other() {
    let tar = golden_tar();
    let misused = |options: &EstargzOptions| {
        let error = apart(Streaming::new(&tar[..]), options)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.fault(), Fault::Misuse);
        error.to_string()
    };
    let kept = options().external_toc(true).lossless(true);
    assert_eq!(
        misused(&kept.clone().external_toc(false)),
        "a tar that is kept as it is has no room for a TOC: it needs an external one, or zstd:chunked"
    );
    assert_eq!(
        misused(&kept.clone().prefetch(vec![ImagePath::clean(b"f").unwrap()])),
        "a tar that is kept as it is keeps its order: nothing can be put first"
    );
    assert_eq!(
        misused(&kept.clone().min_chunk_size(1)),
        "files of a tar that is kept as it is do not share members"
    );
    assert_eq!(
        misused(&options().external_toc(true).min_chunk_size(64 << 20)),
        "minimum chunk size 67108864 is too large: with this chunk size it is at most 62910464"
    );
    let image = layer(tar.clone());
    let error = apart(&image, &kept).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "only the tar of a layer can be kept as it is: the source is something else"
    );
    assert_eq!(error.fault(), Fault::Misuse);
}

/// Everything that a layer says by its TOC, if its source may be refused.
fn read_again<T>(written: Result<T, ConvertError>, read: impl FnOnce(T)) {
    match written {
        Ok(written) => read(written),
        Err(error) => assert_eq!(error.fault(), Fault::Unsupported, "{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        nodes in vec((any::<prop::sample::Index>(), attributes(), kind()), 0..30),
        min_chunk_size in prop_oneof![Just(0u32), 1u32..30_000],
    ) {
        let tar = tar(nodes);
        let plain = Arc::new(Bytes::from(tar.clone()));
        // Some trees are no trees: a file below a file, a link to what became a directory.
        if open_source(plain, None, NoBlobs, &OpenOptions::default()).is_err() {
            return Ok(());
        }
        let expected = digest_of_tar(&tar);
        let source = || Streaming::new(&tar[..]);
        let external = options().external_toc(true);
        for options in [external.clone().min_chunk_size(min_chunk_size), external.lossless(true)] {
            read_again(apart(source(), &options), |(Apart { layer, toc }, report)| {
                if options.lossless {
                    assert_eq!(inside(&layer), tar);
                    assert_eq!(report.diff_id, verify::sha256(&tar));
                }
                let image = opened(&layer, &OpenOptions::default().external_toc(toc));
                assert_eq!(digest(&image), expected);
            });
        }
        for options in [
            dialect_a(ZstdChunkedOptions::default()).min_chunk_size(min_chunk_size),
            dialect_a(ZstdChunkedOptions::default()).lossless(true),
            ZstdChunkedOptions::default().threads(2),
        ] {
            read_again(chunked(source(), &options), |(layer, report)| {
                if options.lossless || options.dialect == ZstdChunkedDialect::Containers {
                    assert_eq!(inside(&layer), tar);
                    assert_eq!(report.diff_id, verify::sha256(&tar));
                }
                let image = opened(&layer, &OpenOptions::default());
                assert_eq!(digest(&image), expected);
            });
        }
    }
}
