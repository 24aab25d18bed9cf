//! Blobs made by hand, member by member.

use std::io::Write as _;

use frame_codec::{Compression, Encoder};
use image_model::Node;
use lazyoci_estargz_toc::footer;
use lazyoci_estargz_toc::write::toc_member;
use tar_stream::TarWriter;

use crate::common::{metadata, path};

/// A header of a file.
pub(crate) fn header(name: &str, mode: u16, size: u64) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let node: Node<()> = Node::File { size, content: () };
    tar.append(&path(name), &metadata(mode, 0), &node).unwrap();
    tar.write_all(&vec![0; size as usize]).unwrap();
    tar.finish().unwrap()[..512].to_vec()
}

/// A header of a hard link.
pub(crate) fn link(name: &str, target: &str) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    tar.append_link(&path(name), &metadata(0o644, 0), &path(target))
        .unwrap();
    tar.finish().unwrap()[..512].to_vec()
}

/// Content and its padding.
pub(crate) fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len().next_multiple_of(512), 0);
    padded
}

/// A blob of these members; `entries` is told where they are.
pub(crate) fn blob_of(members: &[Vec<u8>], entries: impl Fn(&[usize]) -> String) -> Vec<u8> {
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    let (mut blob, mut offsets) = (Vec::new(), Vec::new());
    for member in members {
        offsets.push(blob.len());
        encoder.encode_frame(member, &mut blob).unwrap();
    }
    let toc_offset = blob.len() as u64;
    let json = format!(r#"{{"version":1,"entries":[{}]}}"#, entries(&offsets));
    let member = toc_member(json.as_bytes()).unwrap();
    encoder.encode_frame(&member, &mut blob).unwrap();
    blob.extend(footer::encode(toc_offset));
    blob
}
