//! The published test vectors.

use image_model::Limits;
use lazyoci_estargz_toc::image::Prefetch;
use lazyoci_estargz_toc::order::prioritize;
use lazyoci_estargz_toc::toc::Toc;
use lazyoci_estargz_toc::write::toc_member;
use lazyoci_estargz_toc::{Landmark, footer};
use tar_stream::{EntryKind, TarReadOptions, TarReader};

use super::{lengths, tar_names, vector};
use crate::common::{
    Options, content_at, decode, golden, members_of, open, path, vector_tree, write,
};
use verify::sha256;

/// A TOC with the offsets left out, which depend on the compressor.
fn without_offsets(json: &[u8]) -> Toc<'_> {
    let mut toc = Toc::from_json(json, &Limits::default()).unwrap();
    for entry in &mut toc.entries {
        entry.offset = 0;
    }
    toc
}

#[test]
fn the_first_vector() {
    let written = vector(&Options::default());
    let theirs = golden("vector1.esgz");
    // The same tar but for the offsets in the TOC, cut at the same places.
    let (ours, golden_members) = (members_of(&written.blob), members_of(&theirs));
    assert_eq!(lengths(&written.blob), [512, 1536, 2048, 3072, 0]);
    let plain = |members: &[(usize, Vec<u8>)]| -> Vec<Vec<u8>> {
        members[..2]
            .iter()
            .map(|(_, plain)| plain.clone())
            .collect()
    };
    assert!(plain(&ours) == plain(&golden_members));
    // All but the header of the hard link: ours has the attributes of the file, that one none.
    assert!(ours[2].1[..1536] == golden_members[2].1[..1536]);
    let json = golden("vector1.toc.json");
    let mut theirs = without_offsets(&json);
    let link = theirs.entries.last_mut().unwrap();
    (link.uid, link.gid) = (1000, 1000);
    link.modtime = "2020-09-13T12:26:40Z".into();
    assert_eq!(without_offsets(&written.json), theirs);
    assert_eq!(
        written.blob[written.blob.len() - 51..],
        footer::encode(ours[3].0 as u64)
    );
    assert_eq!(open(&written.blob).unwrap().json, written.json);
}

#[test]
fn the_third_vector() {
    let written = vector(&Options {
        chunk_size: 2,
        ..Options::default()
    });
    assert_eq!(lengths(&written.blob)[..5], [512, 1536, 2, 2, 2044]);
    let offsets: Vec<_> = members_of(&written.blob)
        .iter()
        .map(|m| m.0 as i64)
        .collect();
    let toc = Toc::from_json(&written.json, &Limits::default()).unwrap();
    let chunks: Vec<_> = (toc.entries.iter())
        .filter(|entry| entry.name == "d/a")
        .map(|e| {
            (
                e.kind.as_str(),
                e.offset,
                e.chunk_offset,
                e.chunk_size,
                e.chunk_digest.as_ref(),
            )
        })
        .collect();
    let digests = [&b"he"[..], b"ll", b"o"].map(|bytes| sha256(bytes).to_string());
    assert_eq!(
        chunks,
        [
            ("reg", offsets[2], 0, 2, &*digests[0]),
            ("chunk", offsets[3], 2, 2, &digests[1]),
            ("chunk", offsets[4], 4, 0, &digests[2]),
        ]
    );
    assert_eq!(toc.entries[2].digest, sha256(b"hello").to_string());
    let decoded = decode(&written.blob);
    assert_eq!(content_at(&decoded, &written.blob, "h"), b"hello");
}

#[test]
fn the_fourth_vector() {
    let (tree, names) = vector_tree();
    let prioritized = prioritize(names, &[path("e")]);
    let options = Options {
        landmark: Some((prioritized.landmark, Landmark::Prefetch)),
        ..Options::default()
    };
    let written = write(&tree, &prioritized.names, &options).unwrap();
    assert_eq!(
        tar_names(&written.blob),
        [
            "e",
            ".prefetch.landmark",
            "d/",
            "d/a",
            "l",
            "h",
            "stargz.index.json"
        ]
    );
    assert_eq!(lengths(&written.blob)[..3], [1024, 1536, 1536]);
    let second = members_of(&written.blob)[1].0 as u64;
    assert_eq!(decode(&written.blob).prefetch, Some(Prefetch::UpTo(second)));
}

#[test]
fn the_toc_member() {
    let member = toc_member(b"{}").unwrap();
    assert_eq!(member.len(), 512 + 512 + 1024);
    let theirs = members_of(&golden("vector1.esgz"))[3].1.clone();
    let json = golden("vector1.toc.json");
    assert!(toc_member(&json).unwrap() == theirs);
    let mut tar = TarReader::new(&member[..], TarReadOptions::default());
    let entry = tar.next_entry().unwrap().unwrap();
    assert_eq!(
        (entry.kind, entry.mode, entry.size),
        (EntryKind::File, 0, 2)
    );
}
