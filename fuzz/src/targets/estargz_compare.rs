//! A TOC and the tar that it should be about, put together to a layer.

use std::sync::Arc;

use lazyoci::estargz_toc::compare::{CompareOptions, Disagreement, compare};
use lazyoci::estargz_toc::footer;
use lazyoci::estargz_toc::image::EstargzImage;
use lazyoci::estargz_toc::toc::TOC_NAME;
use lazyoci::estargz_toc::write::toc_member;
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::model::{
    BlobId, DigestAlgorithm, FileKind, InodeId, Limits, NameRef, Tree, tree::Spans,
};
use lazyoci::read::{LayerImage, LayerImageOptions, Reader, SharedImage, TreeImage};
use lazyoci::verify::{self, AuditFault, Profile, TreeDigest, TreeDigestOptions};
use serde_json::Value;

use super::estargz::{check, id, open, options};
use super::input::Input;
use super::memory::Memory;
use super::reading::reader;
use super::stargz::landmarks_are_right;
use super::tar::repair_checksums;

/// Takes the bytes as choices, a TOC up to the first zero byte, and a tar without its end; makes a
/// layer of them, opens it, and compares the two. If they agree and all chunks are right, the layer
/// is the same tree for those who read the TOC and those who read the tar.
///
/// By one of the choices offsets in the TOC are numbers of gzip members, and digests are made right.
pub fn estargz_compare(data: &[u8]) {
    estargz_agrees(data);
}

/// What [`estargz_compare`] does; whether TOC and tar were found to agree.
pub fn estargz_agrees(data: &[u8]) -> bool {
    let layer = LayerParts::take(data);
    let blob = layer.blob();
    let Ok(opened) = open(&blob) else {
        return false;
    };
    let Ok(decoded) = opened.image(id(), &options(false)) else {
        return false;
    };
    check(&decoded, opened.toc_offset);
    let disagreements = compare_with_tar(&decoded, &blob, layer.lenient);
    let faults = audit(&decoded, &blob);
    if disagreements != Some(0) || faults > 0 {
        return false;
    }
    same_tree(&decoded, blob, &layer);
    true
}

/// A member of the layer.
struct Part {
    /// First byte in the layer.
    offset: u64,
    /// First byte in the tar.
    start: usize,
}

/// The layer up to its TOC.
struct LayerParts {
    json: Vec<u8>,
    tar: Vec<u8>,
    stored: Vec<u8>,
    lenient: bool,
}

impl LayerParts {
    fn take(data: &[u8]) -> Self {
        let input = &mut Input::new(data);
        let flags = input.byte();
        let cuts: Vec<usize> = (0..input.byte()).map(|_| input.u16().into()).collect();
        let mut parts = input.rest().splitn(2, |&byte| byte == 0);
        let json = parts.next().unwrap_or_default();
        let mut tar = parts.next().unwrap_or_default().to_vec();
        tar.resize(tar.len().next_multiple_of(512), 0);
        repair_checksums(&mut tar);

        // Without compression offsets stay as they are when a byte of the tar changes.
        let level = u32::from(flags & 1);
        let mut encoder = Encoder::new(Compression::Gzip { level }).expect("the level exists");
        let (mut stored, mut members) = (Vec::new(), Vec::new());
        let mut start = 0;
        for len in cuts.into_iter().chain([tar.len()]) {
            let end = tar.len().min(start + len);
            if start == end {
                continue;
            }
            let offset = stored.len() as u64;
            members.push(Part { offset, start });
            encoder
                .encode_frame(&tar[start..end], &mut stored)
                .expect("it is short");
            start = end;
        }
        let repaired = (flags & 2 != 0).then(|| repair(json, &members, &tar));
        Self {
            json: repaired.flatten().unwrap_or_else(|| json.to_vec()),
            tar,
            stored,
            lenient: flags & 4 != 0,
        }
    }

    /// The layer with TOC and footer.
    fn blob(&self) -> Vec<u8> {
        let mut blob = self.stored.clone();
        let mut encoder = Encoder::new(Compression::Gzip { level: 1 }).expect("the level exists");
        encoder
            .encode_frame(&self.toc_member(), &mut blob)
            .expect("it is short");
        blob.extend(footer::encode(self.stored.len() as u64));
        blob
    }

    fn toc_member(&self) -> Vec<u8> {
        toc_member(&self.json).expect("a vector takes all bytes")
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = verify::digest(DigestAlgorithm::Sha256, bytes);
    digest.expect("SHA-256 is always there").to_string()
}

/// Puts the offsets of members in the place of their numbers, and the digests of what is there in the
/// place of what the TOC has.
fn repair(json: &[u8], members: &[Part], tar: &[u8]) -> Option<Vec<u8>> {
    let mut toc: Value = serde_json::from_slice(json).ok()?;
    let entries = toc.get_mut("entries")?.as_array_mut()?;
    let number = |entry: &Value, key| entry.get(key).and_then(Value::as_u64).unwrap_or(0);
    // Entries of files, their sizes, and their content so far.
    let mut files: Vec<(usize, usize, Vec<u8>)> = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        match entry.get("type").and_then(Value::as_str) {
            Some("reg") => {
                let size = number(entry, "size").min(tar.len() as u64) as usize;
                files.push((index, size, Vec::new()));
            }
            Some("chunk") => {}
            _ => continue,
        }
        let member = members.get(number(entry, "offset") as usize);
        let (Some((_, size, content)), Some(member)) = (files.last_mut(), member) else {
            continue;
        };
        let rest = *size - content.len();
        let len = match number(entry, "chunkSize") {
            0 => rest,
            len => rest.min(len as usize),
        };
        let start = member.start as u64;
        let start = start.saturating_add(number(entry, "innerOffset")) as usize;
        let chunk = tar.iter().skip(start).take(len).copied();
        let known = content.len();
        content.extend(chunk);
        if content.len() > known {
            let entry = entry.as_object_mut()?;
            entry.insert("offset".into(), member.offset.into());
            entry.insert("chunkDigest".into(), sha256(&content[known..]).into());
        }
    }
    for (index, _, content) in files {
        let entry = entries[index].as_object_mut()?;
        entry.insert("digest".into(), sha256(&content).into());
    }
    serde_json::to_vec(&toc).ok()
}

/// How many disagreements are found; `None` if the tar cannot be read.
fn compare_with_tar(decoded: &EstargzImage, blob: &[u8], lenient: bool) -> Option<usize> {
    let limits = Limits::small();
    let options = CompareOptions::default().lenient(lenient).limits(limits);
    let mut found = 0;
    let mut report = |disagreement: Disagreement| {
        found += 1;
        drop(disagreement.to_string());
    };
    let compared = compare(decoded, blob, &options, &mut report);
    compared.is_ok().then_some(found)
}

fn audit(decoded: &EstargzImage, blob: &[u8]) -> u64 {
    let limits = Limits::small();
    let image = Arc::clone(&decoded.image) as SharedImage;
    let mut reader = reader(&image, Memory(blob.to_vec()));
    let mut tell = |fault: AuditFault| drop(fault.to_string());
    let summary = verify::audit(&*image, &mut reader, &limits, &mut tell);
    let summary = summary.expect("nobody cancels");
    assert_eq!(summary.unverifiable_chunks, 0, "every chunk has a digest");
    summary.faults + u64::from(!landmarks_are_right(decoded, &reader, blob))
}

/// The layer is the same tree, TOC and landmarks aside, by its TOC and by its tar.
fn same_tree(decoded: &EstargzImage, blob: Vec<u8>, layer: &LayerParts) {
    let tar = [&layer.tar[..], &layer.toc_member()].concat();
    let options = LayerImageOptions::default()
        .lenient(layer.lenient)
        .limits(Limits::small());
    let tar_len = tar.len() as u64;
    let opened = LayerImage::open(Arc::new(Memory(tar)), &options).expect("it was compared");
    let LayerImage { image, source, .. } = opened;
    let mut tree = image.into_tree();
    for name in [TOC_NAME, ".prefetch.landmark", ".no.prefetch.landmark"] {
        let name = NameRef::new(name.as_bytes()).expect("it is a name");
        let found = tree.lookup(Tree::<Spans>::ROOT, name);
        if found.is_some_and(|inode| tree.inode(inode).node.kind() == FileKind::File) {
            let unlinked = tree.unlink(Tree::<Spans>::ROOT, name);
            unlinked.expect("the root is a directory");
        }
    }
    tree.drop_unreachable();
    // A TOC may have rounded times.
    let inodes = (0..tree.len()).map(|index| tree.inode(InodeId::new(index as u32)));
    let rounded = { inodes }.any(|inode| inode.metadata.mtime.nanoseconds >= 500_000_000);
    let profiles: &[Profile] = match rounded {
        true => &[Profile::Content],
        false => &[Profile::Default, Profile::Layer, Profile::Content],
    };
    let tar_id = BlobId::new(b"tar").expect("it is a name");
    let in_tar: SharedImage = Arc::new(TreeImage::new(tree, tar_id, tar_len));
    let in_toc = Arc::clone(&decoded.image) as SharedImage;
    let of_toc = reader(&in_toc, Memory(blob));
    let of_tar = reader(&in_tar, source);
    for &profile in profiles {
        assert_eq!(
            digest(&of_toc, profile),
            digest(&of_tar, profile),
            "TOC and tar agree, and are other trees: {profile}"
        );
    }
}

fn digest(reader: &Reader, profile: Profile) -> TreeDigest {
    let limits = Limits::small();
    let options = TreeDigestOptions::default().profile(profile).limits(limits);
    let digest = verify::tree_digest(&**reader.image(), &mut reader.clone(), options, &mut ());
    digest.expect("all of it was read before")
}
