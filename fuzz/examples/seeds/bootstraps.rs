//! Seeds of bootstraps made here.

use std::io::Write as _;

use lazyoci::blob_io::{MemoryOutput, ObjectRole};
use lazyoci::convert::{RafsOptions, Streaming, to_rafs};
use lazyoci::model::{Limits, Metadata, Node};
use lazyoci::tar_stream::TarWriter;

use super::{MAX_LEN, Result, Seeds, path};

/// Bootstraps of a file with more chunks than small limits allow: one file of that many, and one with
/// half of them but two names.
pub(super) fn take_many_chunks(seeds: &mut Seeds) -> Result<()> {
    let chunks = u64::from(Limits::small().max_chunks) + 1;
    for (name, chunks, names) in [
        ("chunks", chunks, 1),
        ("chunks-of-two-names", chunks / 2 + 1, 2),
    ] {
        let size = chunks * 4096;
        let mut tar = TarWriter::new(Vec::new());
        let file = Node::File { size, content: () };
        tar.append(&path("f")?, &Metadata::default(), &file)?;
        tar.write_all(&vec![0; usize::try_from(size)?])?;
        for number in 1..names {
            let name = path(&format!("g{number}"))?;
            tar.append_link(&name, &Metadata::default(), &path("f")?)?;
        }
        seeds.insert(("v6_bootstrap", name.into()), bootstrap_of(&tar.finish()?)?);
    }
    Ok(())
}

/// Each bootstrap over the one before it, which often is of the same kind, and over itself.
pub(super) fn take_pairs(seeds: &mut Seeds) -> Result<()> {
    let mut pairs = Seeds::new();
    let bootstraps = seeds
        .iter()
        .filter(|((target, _), _)| ["v5_bootstrap", "v6_bootstrap"].contains(target));
    let mut before: &[u8] = &[];
    for (number, ((_, name), upper)) in (0u8..=255).cycle().zip(bootstraps) {
        for (kind, lower) in [("same", &upper[..]), ("two", before)] {
            let len = u32::try_from(lower.len())?.to_le_bytes();
            // Whiteouts by turns, all that may be prefetched; a parent, no dictionary, a name for blobs.
            let choices = [1, number % 3, 3, number & 1, 0, 1];
            let seed = [&choices, &len[..], lower, upper].concat();
            if seed.len() <= MAX_LEN {
                pairs.insert(("merge", format!("{name}-{kind}")), seed);
            }
        }
        before = upper;
    }
    seeds.extend(pairs);
    Ok(())
}

fn bootstrap_of(tar: &[u8]) -> Result<Vec<u8>> {
    let options = RafsOptions::default().chunk_size(4096);
    let mut output = MemoryOutput::default();
    to_rafs(Streaming::new(tar), &mut output, &options, &mut ())?;
    let bootstrap = output.object(ObjectRole::Bootstrap);
    Ok(bootstrap.ok_or("an image has a bootstrap")?.bytes.to_vec())
}

/// Images that lead out of the directory into which they are unpacked, as far as they can: by links, by
/// two entries of one name, by names that are none, by members below a link.
pub(super) fn take_traps(seeds: &mut Seeds) -> Result<()> {
    let plain = Metadata {
        mode: 0o755,
        ..Metadata::default()
    };
    let file = Node::File {
        size: 0,
        content: (),
    };
    for (name, target) in [("relative", "../guard"), ("absolute", "/guard")] {
        let link = Node::<()>::Symlink(target.as_bytes().into());
        let mut tar = TarWriter::new(Vec::new());
        tar.append(&path("link-a")?, &plain, &link)?;
        tar.append(&path("link-b")?, &plain, &Node::<()>::empty_directory())?;
        tar.append(&path("link-b/f")?, &plain, &file)?;
        tar.append_link(&path("link-c")?, &plain, &path("link-a")?)?;
        let tar = tar.finish()?;
        let bootstrap = bootstrap_of(&tar)?;
        let below = replaced(&tar, b"link-b", b"link-a");
        seeds.insert(
            ("unpack", format!("trap-{name}-below.tar")),
            [&[5], &below[..]].concat(),
        );
        for (number, other) in [b"link-b", b"link-a", b"../x/y", b"/guard", b"..\0\0\0\0"]
            .iter()
            .enumerate()
        {
            let bytes = replaced(&bootstrap, b"link-b", other);
            let seed = [&[4], &bytes[..]].concat();
            seeds.insert(("unpack", format!("trap-{name}-{number}.boot")), seed);
        }
    }
    let nobody = Metadata {
        uid: u32::MAX,
        gid: u32::MAX,
        mode: 0o6755,
        ..Metadata::default()
    };
    let mut tar = TarWriter::new(Vec::new());
    tar.append(&path("f")?, &nobody, &file)?;
    seeds.insert(
        ("unpack", "nobody.tar".into()),
        [&[4], &tar.finish()?[..]].concat(),
    );
    Ok(())
}

/// `bytes` with every `old` replaced; the checksums of tar headers are left for the target to make right.
fn replaced(bytes: &[u8], old: &[u8; 6], new: &[u8; 6]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(old.len()) {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
    bytes
}
