//! zstd:chunked: what is written in both dialects, and what is refused.

mod refusals;

use std::collections::HashMap;

use blob_io::WriterOutput;
use estargz_toc::containers_toc::{ContainersEntry, ContainersToc};
use estargz_toc::footer::{Footer, find};
use estargz_toc::tar_split::{Crc64, Item, TarSplitError, for_each_item};
use estargz_toc::toc::EntryType;
use frame_codec::{Compression, Decoder};
use image_model::{Blame, Codec, Fault, Limits, StoredPiece};
use lazyoci_image_convert::{
    ConvertError, KeptTarFault, Source, Streaming, TarOptions, ZstdChunkedDialect,
    ZstdChunkedOptions, ZstdChunkedReport, to_zstd_chunked,
};
use oci_image::ZstdChunkedLayer;
use oci_image::zstd_chunked::Dialect;

use crate::support::{Tar, golden_tar, layer as opened, metadata, noise, tar_of, with_xattr};

/// A layer of skopeo 1.18.
const SKOPEO: &[u8] = include_bytes!("../../goldens/zstd-chunked-b.zst");
/// Its tar-split, from the annotations.
const SKOPEO_SPLIT: StoredPiece = StoredPiece::new(911, 483, 11_564);

fn options() -> ZstdChunkedOptions {
    ZstdChunkedOptions::default().threads(2)
}

fn convert<'a>(
    source: impl Into<Source<'a>>,
    options: &ZstdChunkedOptions,
) -> Result<(Vec<u8>, ZstdChunkedReport), ConvertError> {
    let mut layer = Vec::new();
    let report = to_zstd_chunked(source, &mut WriterOutput::new(&mut layer), options, &mut ())?;
    Ok((layer, report))
}

/// The tar inside a layer.
fn inside(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut stream = tar_stream::LayerStream::open(layer, &Default::default()).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut tar).unwrap();
    tar
}

fn piece(layer: &[u8], piece: StoredPiece) -> Vec<u8> {
    let stored = &layer[piece.offset as usize..][..piece.stored_len as usize];
    let mut plain = vec![0; piece.len as usize];
    Decoder::new()
        .decode(Codec::Zstd, stored, &mut plain)
        .unwrap();
    plain
}

/// What a layer of dialect B says about itself.
struct Described {
    json: Vec<u8>,
    split: Vec<u8>,
}

/// Reads the metadata of a layer of dialect B by its annotations, which its footer has to repeat.
fn described(layer: &[u8], report: &ZstdChunkedReport) -> Described {
    let read = ZstdChunkedLayer::read(&report.blob.annotations)
        .unwrap()
        .unwrap();
    let Dialect::Containers { tar_split } = read.dialect else {
        panic!("{read:?}");
    };
    let tar_split = tar_split.unwrap();
    match find(layer, layer.len() as u64).unwrap() {
        Footer::Containers(pieces) => {
            assert_eq!((pieces.toc, pieces.tar_split), (read.toc, Some(tar_split)));
        }
        other => panic!("{other:?}"),
    }
    let stored = &layer[read.toc.offset as usize..][..read.toc.stored_len as usize];
    assert_eq!(verify::sha256(stored), read.checksum);
    assert_eq!(read.checksum, report.manifest_checksum);
    let json = piece(layer, read.toc);
    let stored = &layer[tar_split.offset as usize..][..tar_split.stored_len as usize];
    let toc = ContainersToc::from_json(&json, &Limits::default()).unwrap();
    assert_eq!(
        toc.header.tar_split_digest,
        verify::sha256(stored).to_string()
    );
    Described {
        split: piece(layer, tar_split),
        json,
    }
}

/// The files of a layer by name, each chunk out of one frame that holds nothing else, checked against its digests.
fn files(layer: &[u8], toc: &ContainersToc<'_>) -> HashMap<String, Vec<u8>> {
    let mut files = HashMap::new();
    let mut entries = toc.entries.iter().peekable();
    while let Some(entry) = entries.next() {
        if entry.kind != EntryType::Reg || entry.size == 0 {
            assert_ne!(entry.kind, EntryType::Chunk, "{}", entry.name);
            continue;
        }
        let mut chunks: Vec<&ContainersEntry<'_>> = vec![entry];
        while let Some(chunk) = entries.next_if(|next| next.kind == EntryType::Chunk) {
            assert_eq!(chunk.name, entry.name);
            chunks.push(chunk);
        }
        let mut file = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let end = chunks
                .get(index + 1)
                .map_or(entry.end_offset, |next| next.offset);
            let stored = &layer[chunk.offset as usize..end as usize];
            let len = match chunks.len() {
                1 => entry.size,
                _ => chunk.chunk_size,
            };
            let mut plain = vec![0; len as usize];
            Decoder::new()
                .decode(Codec::Zstd, stored, &mut plain)
                .unwrap();
            if chunks.len() > 1 {
                assert_eq!(chunk.chunk_offset, file.len() as i64);
                assert_eq!(chunk.chunk_digest, verify::sha256(&plain).to_string());
                assert!(chunk.chunk_type.is_empty() || plain.iter().all(|byte| *byte == 0));
            }
            file.extend(plain);
        }
        assert_eq!(entry.digest, verify::sha256(&file).to_string());
        files.insert(entry.name.clone().into_owned(), file);
    }
    files
}

/// The tar that a tar-split and the contents of the files are.
fn put_together(split: &[u8], files: &HashMap<String, Vec<u8>>) -> Vec<u8> {
    let mut tar = Vec::new();
    for_each_item(split, &Limits::default(), |item| {
        match item {
            Item::Segment(bytes) => tar.extend(bytes),
            Item::File { name, size, crc } => {
                let name = String::from_utf8(name.into_owned()).unwrap();
                let empty = Vec::new();
                let content = files.get(&name).unwrap_or(&empty);
                assert_eq!(content.len() as u64, size, "{name}");
                let mut sum = Crc64::new();
                sum.update(content);
                assert_eq!(crc, (size > 0).then(|| sum.finish()), "{name}");
                tar.extend(content);
            }
        }
        Ok::<_, TarSplitError>(())
    })
    .unwrap();
    tar
}

/// Converts `tar` to dialect B, and checks everything that the layer says.
fn checked(tar: &[u8], options: &ZstdChunkedOptions) -> (Vec<u8>, ZstdChunkedReport) {
    let (layer, report) = convert(Streaming::new(tar), options).unwrap();
    assert_eq!(inside(&layer), tar);
    assert_eq!(report.diff_id, verify::sha256(tar));
    assert_eq!(report.uncompressed_size, tar.len() as u64);
    assert_eq!(report.blob.digest, verify::sha256(&layer));
    assert_eq!(report.blob.len, layer.len() as u64);
    assert_eq!(report.report.bytes_out, report.blob.len);
    assert_eq!(
        report.blob.descriptor().unwrap().media_type,
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
    let described = described(&layer, &report);
    let toc = ContainersToc::from_json(&described.json, &Limits::default()).unwrap();
    assert_eq!(toc.to_json(), described.json);
    let files = files(&layer, &toc);
    assert_eq!(put_together(&described.split, &files), tar);
    (layer, report)
}

fn many() -> Vec<u8> {
    let mixed = [noise(1, 200_000), vec![0; 2_000_000], noise(2, 3000)].concat();
    let tar = (0..300).fold(Tar::new().directory("d"), |tar, n| {
        tar.file(&format!("d/{n}"), &noise(n, (n as usize * 97) % 30_000))
    });
    tar.file("zeros", &[0; 20_000])
        .file("mixed", &mixed)
        .file("ones", &vec![1; 20_000_000])
        .file("hole", &vec![0; 20_000_000])
        .finish()
}

/// The tar of one file, with a header that `change` changes; its checksum is made right again.
fn with_header(name: &str, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut tar = Tar::new().file(name, b"x").finish();
    change(&mut tar[..512]);
    let _ = with_header_sum(&mut tar);
    tar
}

/// A PAX record.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len() + 1;
    while len != rest.len() + len.to_string().len() {
        len += 1;
    }
    format!("{len}{rest}").into_bytes()
}

/// A PAX header of that type with these records, before the tar of one file.
fn after_pax(typeflag: u8, records: &[u8]) -> Vec<u8> {
    let mut header = with_header("pax", |header| {
        header[156] = typeflag;
        let size = format!("{:011o}\0", records.len());
        header[124..136].copy_from_slice(size.as_bytes());
    });
    header.truncate(512);
    header.extend(records);
    header.resize(1024, 0);
    [header, Tar::new().file("f", b"x").finish()].concat()
}

/// Makes the checksum of the first header right.
fn with_header_sum(tar: &mut [u8]) -> &[u8] {
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

#[test]
fn the_layer_of_skopeo() {
    let tar = inside(SKOPEO);
    let (layer, report) = checked(&tar, &options());
    let described = described(&layer, &report);
    assert_eq!(
        String::from_utf8(described.split).unwrap(),
        String::from_utf8(piece(SKOPEO, SKOPEO_SPLIT)).unwrap()
    );
    let theirs = piece(SKOPEO, StoredPiece::new(364, 539, 1298));
    let theirs = ContainersToc::from_json(&theirs, &Limits::default()).unwrap();
    let ours = ContainersToc::from_json(&described.json, &Limits::default()).unwrap();
    // Frames of another library, and so their places.
    let without_places = |mut toc: ContainersToc<'static>| {
        for entry in &mut toc.entries {
            (entry.offset, entry.end_offset) = (entry.offset.signum(), entry.end_offset.signum());
        }
        toc.header.tar_split_digest = "".into();
        String::from_utf8(toc.to_json()).unwrap()
    };
    let owned = |toc: &ContainersToc<'_>| {
        let json: &'static [u8] = toc.to_json().leak();
        ContainersToc::from_json(json, &Limits::default()).unwrap()
    };
    assert_eq!(without_places(owned(&ours)), without_places(owned(&theirs)));
}

#[test]
fn every_byte_is_described() {
    let (_, report) = checked(&many(), &options());
    // 300 files, of which 3 are empty, and the chunks of the others.
    assert_eq!(report.report.inodes, 305);
    assert_eq!(report.report.chunks.deduplicated, 0);
    assert!(
        report.report.chunks.stored > 310,
        "{:?}",
        report.report.chunks
    );
    for tar in [golden_tar(), Tar::new().finish(), Vec::new(), vec![0; 4096]] {
        checked(&tar, &options());
    }
}

#[test]
fn what_follows_the_end_is_kept() {
    let mut tar = golden_tar();
    tar.resize(tar.len() + 10_240, 0);
    checked(&tar, &options());
    tar.extend(noise(1, 3 << 20));
    checked(&tar, &options());
    let whole = golden_tar();
    checked(&whole[..whole.len() - 1024], &options());
    checked(&whole[..whole.len() - 512], &options());
}

#[test]
fn long_runs_of_headers_are_cut() {
    let tar = (0..5000).fold(Tar::new(), |tar, n| tar.directory(&format!("d{n}")));
    let (_, report) = checked(&tar.finish(), &options());
    assert_eq!(report.report.inodes, 5000);
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let tar = many();
    for dialect in [ZstdChunkedDialect::Stargz, ZstdChunkedDialect::Containers] {
        for shared in [0, 50_000] {
            let options = options().dialect(dialect).min_chunk_size(shared);
            let (one, report) =
                convert(Streaming::new(&tar[..]), &options.clone().threads(1)).unwrap();
            let (four, again) = convert(Streaming::new(&tar[..]), &options.threads(4)).unwrap();
            assert!(one == four);
            assert_eq!(report, again);
        }
    }
}

#[test]
fn one_chunk_has_no_chunk_fields_even_if_it_is_a_hole() {
    let tar = Tar::new().file("hole", &[0; 5000]).file("e", b"").finish();
    let (layer, report) = checked(&tar, &options());
    let described = described(&layer, &report);
    let toc = ContainersToc::from_json(&described.json, &Limits::default()).unwrap();
    let [hole, empty] = &toc.entries[..] else {
        panic!("{toc:?}");
    };
    assert_eq!(
        (hole.chunk_size, &*hole.chunk_digest, &*hole.chunk_type),
        (0, "", "")
    );
    assert!(hole.offset > 0 && hole.end_offset > hole.offset);
    assert_eq!((empty.offset, empty.end_offset, &*empty.digest), (0, 0, ""));
}

#[test]
fn a_source_without_a_tar_gets_the_canonical_one() {
    let tar = golden_tar();
    let image = opened(tar);
    let (canonical, _) = tar_of(&image, &TarOptions::default()).unwrap();
    let (layer, report) = convert(&image, &options()).unwrap();
    assert_eq!(report.diff_id, canonical.diff_id);
    assert_eq!(verify::sha256(&inside(&layer)), canonical.diff_id);
    assert_eq!(report.report.inodes, canonical.report.inodes);
}

#[test]
fn times_and_modes_are_those_of_the_tar() {
    let records = [
        record("atime", "1600000001.5"),
        record("ctime", "1600000002"),
    ]
    .concat();
    let mut tar = after_pax(b'x', &records);
    // A mode with the bits of the type, as old Docker wrote it.
    tar[1024 + 100..1024 + 108].copy_from_slice(b"0100644\0");
    with_header_sum(&mut tar[1024..]);
    let (layer, report) = checked(&tar, &options());
    let json = described(&layer, &report).json;
    let toc = ContainersToc::from_json(&json, &Limits::default()).unwrap();
    let entry = &toc.entries[0];
    assert_eq!(entry.mode, 0o100_644);
    assert_eq!(entry.modtime, "2020-09-13T12:26:40Z");
    assert_eq!(entry.access_time, "2020-09-13T12:26:41.5Z");
    assert_eq!(entry.change_time, "2020-09-13T12:26:42Z");
}
