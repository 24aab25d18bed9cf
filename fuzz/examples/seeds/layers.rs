//! Seeds of tars made here.

use std::io::Write as _;

use lazyoci::blob_io::{MemoryOutput, ObjectRole};
use lazyoci::convert::{RafsOptions, Streaming, to_rafs};
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::gzip_index::{IndexBuilder, IndexOptions};
use lazyoci::model::metadata::Xattr;
use lazyoci::model::{Device, Metadata, Node, Timestamp, Xattrs};
use lazyoci::read::{LayerIndex, LayerIndexError, ZtocOptions};
use lazyoci::tar_stream::TarWriter;

use super::{Result, Seeds, path};

/// Small tars: one with every kind of member, one with what needs PAX records, one with whiteouts.
pub(super) fn tars() -> Result<Vec<(String, Vec<u8>)>> {
    let plain = Metadata {
        mode: 0o644,
        mtime: Timestamp::from_seconds(1_600_000_000),
        ..Metadata::default()
    };
    let kinds: [(&str, Node<()>); 7] = [
        ("d", Node::empty_directory()),
        (
            "d/f",
            Node::File {
                size: 700,
                content: (),
            },
        ),
        (
            "d/e",
            Node::File {
                size: 0,
                content: (),
            },
        ),
        ("d/l", Node::Symlink((*b"../d/f").into())),
        ("c", Node::CharDevice(Device { major: 1, minor: 3 })),
        (
            "b",
            Node::BlockDevice(Device {
                major: 8,
                minor: 300_000,
            }),
        ),
        ("p", Node::Fifo),
    ];
    let mut all = TarWriter::new(Vec::new());
    for (name, node) in kinds {
        all.append(&path(name)?, &plain, &node)?;
        if let Node::File { size, .. } = node {
            all.write_all(&vec![b'x'; usize::try_from(size)?])?;
        }
    }
    all.append_link(&path("h")?, &plain, &path("d/f")?)?;

    let odd = Metadata {
        mode: 0o4755,
        uid: 3_000_000,
        gid: 4_000_000_000,
        mtime: Timestamp {
            seconds: -1,
            nanoseconds: 500_000_000,
        },
        xattrs: Xattrs::new([Xattr {
            name: (*b"user.key").into(),
            value: (*b"a\0b\n").into(),
        }])?,
    };
    let mut pax = TarWriter::new(Vec::new());
    let long = "long/".repeat(60);
    pax.append(
        &path(&long)?,
        &odd,
        &Node::File {
            size: 3,
            content: (),
        },
    )?;
    pax.write_all(b"abc")?;
    let target = Node::<()>::Symlink(long.as_bytes().into());
    pax.append(&path("link")?, &odd, &target)?;

    let mut whiteouts = TarWriter::new(Vec::new());
    for name in ["etc/.wh.passwd", "var/.wh..wh..opq", "var/new"] {
        whiteouts.append(
            &path(name)?,
            &plain,
            &Node::File {
                size: 0,
                content: (),
            },
        )?;
    }
    Ok(vec![
        ("kinds".into(), all.finish()?),
        ("pax".into(), pax.finish()?),
        ("whiteouts".into(), whiteouts.finish()?),
        ("gnu-sparse".into(), gnu_sparse()),
    ])
}

/// A GNU sparse member with two regions of data, and one with a long name.
fn gnu_sparse() -> Vec<u8> {
    let mut tar = vec![0; 512 * 8];
    let mut header = |at: usize, name: &[u8], kind: u8, size: u32| {
        let block = &mut tar[at..at + 512];
        block[..name.len()].copy_from_slice(name);
        for (place, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0")] {
            block[place..place + 8].copy_from_slice(text.as_bytes());
        }
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"14000000000\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar  \0");
    };
    header(0, b"sparse", b'S', 1024);
    header(512 * 3, b"././@LongLink", b'L', 200);
    header(512 * 5, b"short", b'0', 0);
    for (at, number) in [
        (386, 0),
        (398, 512),
        (410, 4096),
        (422, 512),
        (434, 8192),
        (446, 0),
        (483, 8192),
    ] {
        tar[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    tar[512..1536].fill(b's');
    tar[512 * 4..512 * 4 + 199].fill(b'n');
    for at in [0, 512 * 3, 512 * 5] {
        let block = &mut tar[at..at + 512];
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

pub(super) fn take_tar(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    let mut compressed = vec![("tar", tar.to_vec())];
    for (suffix, compression) in [
        ("tar.gz", Compression::Gzip { level: 6 }),
        ("tar.zst", Compression::Zstd { level: 3 }),
    ] {
        let mut layer = Vec::new();
        Encoder::new(compression)?.encode_frame(tar, &mut layer)?;
        compressed.push((suffix, layer));
    }
    for (suffix, layer) in compressed {
        let name = format!("{name}.{suffix}");
        for target in ["layer_tar", "open_image", "convert_layer"] {
            seeds.insert((target, name.clone()), layer.clone());
        }
        seeds.insert(("unpack", name.clone()), [&[4], &layer[..]].concat());
        seeds.insert(
            ("convert_chunked", name.clone()),
            [&[0x52], &layer[..]].concat(),
        );
        seeds.insert(
            ("convert_chunked", format!("{name}.kept")),
            [&[1], &layer[..]].concat(),
        );
        let plain = [&[0, 8, 0, 0], &layer[..]].concat();
        seeds.insert(("convert_image", name.clone()), plain);
        let verified = [&[6, 0, 0, 0], &layer[..]].concat();
        seeds.insert(("verify_image", name.clone()), verified);
        // Lengths of pieces, and the choice of a layer.
        let choices = [1, 3, 2, 0, 0, 1, 0, 0, 2, 2];
        let pieced = [&choices[..], &layer].concat();
        seeds.insert(("read_boundaries", name.clone()), pieced);
        seeds.insert(("layer_stream", name), streamed(&layer));
    }
    take_members(name, tar, seeds)?;
    seeds.insert(("tar_round_trip", name.into()), tar.to_vec());
    take_rafs(name, tar, seeds)
}

/// Choices of the target `layer_stream`, and a layer.
fn streamed(layer: &[u8]) -> Vec<u8> {
    let choices = [0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 9, 1, 9, 1, 9, 1, 9];
    [&choices[..], layer].concat()
}

/// Choices of the target `gzip_index_build`, and a stream: its spans are short, and the first 1,000 bytes are kept.
fn indexed(layer: &[u8]) -> Vec<u8> {
    let choices = [0, 0, 4, 0, 0x40, 0, 0, 1, 1, 1, 1, 0xe8, 3];
    [&choices[..], layer].concat()
}

/// The zTOC of a layer if it has one, and choices of the target `ztoc_build` with the layer: spans of 1,000 bytes.
fn take_ztoc(name: &str, layer: &[u8], seeds: &mut Seeds) -> Result<()> {
    let options = ZtocOptions::default().span_size(1_000);
    match LayerIndex::build_ztoc(layer, &options, &Default::default(), &mut ()) {
        Ok(index) => {
            seeds.insert(("ztoc", name.to_owned()), index.bytes().to_vec());
        }
        // Some of them have sparse files.
        Err(LayerIndexError::Unlisted { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let choices = [0xe8, 3, 0, 1, 1, 1, 1];
    let built = [&choices[..], layer].concat();
    seeds.insert(("ztoc_build", name.to_owned()), built);
    Ok(())
}

/// Layers of several members and frames, with what may lie between them and behind.
fn take_members(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    let middle = tar.len() / 2 + 100;
    take_ztoc(&format!("{name}.tar"), tar, seeds)?;
    for (kind, compression) in [
        ("gz", Compression::Gzip { level: 6 }),
        ("zst", Compression::Zstd { level: 3 }),
    ] {
        let mut encoder = Encoder::new(compression)?;
        let mut layer = Vec::new();
        for part in [&tar[..middle], b"", &tar[middle..]] {
            encoder.encode_frame(part, &mut layer)?;
            if kind == "zst" {
                layer.extend([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
            }
        }
        let name = format!("{name}-members.{kind}");
        seeds.insert(("layer_stream", name.clone()), streamed(&layer));
        if kind == "gz" {
            seeds.insert(("gzip_index_build", name.clone()), indexed(&layer));
            let options = IndexOptions::default().max_stored_span(2_000);
            let (index, _) = IndexBuilder::new(&layer[..], &options).finish()?;
            let sealed = [&[1], &index.encode()[..]].concat();
            seeds.insert(("gzip_index_read", name.clone()), sealed);
            take_ztoc(&name, &layer, seeds)?;
        }
        layer.extend([0; 40]);
        let name = format!("{name}-trailing");
        seeds.insert(("layer_stream", name), streamed(&layer));
    }
    Ok(())
}

/// RAFS images of a tar, by themselves and with everything in the blob.
fn take_rafs(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    for (number, whole) in [false, true].into_iter().enumerate() {
        let options = RafsOptions::default()
            .chunk_size(4096)
            .toc(whole)
            .inline_meta(whole)
            .lossy(true);
        let mut output = MemoryOutput::default();
        to_rafs(Streaming::new(tar), &mut output, &options, &mut ())?;
        let object = |role| output.object(role).map_or(&[][..], |object| &object.bytes);
        let (bootstrap, blob) = (object(ObjectRole::Bootstrap), object(ObjectRole::Blob));
        let blocks = u8::try_from(bootstrap.len() / 4096)?;
        let image = [&[8, 7, 200, blocks], bootstrap, blob].concat();
        seeds.insert(("verify_image", format!("{name}-{number}.boot")), image);
        if !blob.is_empty() {
            seeds.insert(("sections", format!("{name}-{number}")), blob.to_vec());
            let alone = [&[16, 0, 0, 0], blob].concat();
            seeds.insert(("verify_image", format!("{name}-{number}.blob")), alone);
        }
    }
    Ok(())
}
