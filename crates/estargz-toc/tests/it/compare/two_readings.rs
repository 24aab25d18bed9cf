//! Layers made to be read in two ways.

use image_model::{FileKind, Node};
use lazyoci_estargz_toc::Landmark;
use lazyoci_estargz_toc::compare::Readings;
use lazyoci_estargz_toc::write::toc_member;
use tar_stream::TarWriter;
use verify::sha256;

use super::{both, found};
use crate::by_hand::{blob_of, header, link, padded};
use crate::common::{content_at, decode, metadata, path};

/// A file of two chunks of two bytes each: its TOC entries.
fn two_chunks(name: &str, whole: &[u8], chunks: [(&[u8], usize); 2]) -> String {
    let [(first, at), (second, then)] = chunks;
    let (whole, first, second) = (sha256(whole), sha256(first), sha256(second));
    format!(
        r#"{{"name":"{name}","type":"reg","size":4,"mode":420,"offset":{at},"chunkSize":2,
            "digest":"{whole}","chunkDigest":"{first}"}},
        {{"name":"{name}","type":"chunk","offset":{then},"chunkOffset":2,"chunkDigest":"{second}"}}"#
    )
}

/// What a lazy reader gets of `b` is nowhere among the files of the tar, whatever the TOC claims of
/// the whole file.
#[test]
fn chunks_of_a_file_whose_content_the_tar_has_elsewhere() {
    let decoy = |first: &[&[u8]], name: &str| -> Vec<Vec<u8>> {
        let start = first.concat();
        let decoy = header(name, 0, 4);
        let rest = padded(b"YY")[..510].to_vec();
        vec![start, decoy, b"XX".to_vec(), rest]
    };
    let file = Readings::ChunkDigests;

    // By a hard link to what only looks like a landmark.
    let landmark = header(Landmark::NoPrefetch.name(), 0, 4);
    let target = link("b", Landmark::NoPrefetch.name());
    let members = decoy(&[&landmark, &padded(b"AAAA"), &target], "stargz.index.json");
    let blob = blob_of(&members, |at| {
        let b = two_chunks("b", b"AAAA", [(b"XX", at[2]), (b"YY", at[3])]);
        format!(
            r#"{{"name":"{}","type":"reg"}},{b}"#,
            Landmark::NoPrefetch.name()
        )
    });
    assert_eq!(content_at(&decode(&blob), &blob, "b"), b"XXYY");
    let found = found(&blob);
    assert!(
        found.contains(&("/b".to_owned(), file.clone())),
        "{found:?}"
    );
    let index = (
        "/stargz.index.json".to_owned(),
        Readings::OnlyInTar(FileKind::File),
    );
    assert!(found.contains(&index), "{found:?}");

    // By a hard link to a file that is replaced later.
    let (a, b) = (header("a", 0o644, 4), link("b", "a"));
    let members = [
        [&a[..], &padded(b"AAAA"), &b, &a].concat(),
        b"BB".to_vec(),
        [&padded(b"BB")[..510], &[0; 1024]].concat(),
        b"XX".to_vec(),
        b"YY".to_vec(),
    ];
    let blob = blob_of(&members, |at| {
        let a = two_chunks("a", b"BBBB", [(b"BB", at[1]), (b"BB", at[2])]);
        let b = two_chunks("b", b"AAAA", [(b"XX", at[3]), (b"YY", at[4])]);
        format!("{a},{b}")
    });
    assert_eq!(content_at(&decode(&blob), &blob, "b"), b"XXYY");
    let expected = [
        ("/".to_owned(), Readings::BehindEnd),
        ("/b".to_owned(), file),
    ];
    assert_eq!(super::found(&blob), expected);
}

#[test]
fn landmarks_and_tocs_that_are_none() {
    let evil = header(Landmark::NoPrefetch.name(), 0o4755, 600);
    let index = header("stargz.index.json", 0o4755, 2);
    let members = [[&evil[..], &padded(&[7; 600]), &index, &padded(b"{}")].concat()];
    let blob = blob_of(&members, |_| {
        format!(
            r#"{{"name":"{}","type":"reg"}}"#,
            Landmark::NoPrefetch.name()
        )
    });
    let only_in_tar = |path: &str| (path.to_owned(), Readings::OnlyInTar(FileKind::File));
    let landmark = Readings::Landmark(both(Some(Landmark::NoPrefetch), None));
    let expected = [
        ("/".to_owned(), landmark),
        only_in_tar("/.no.prefetch.landmark"),
        only_in_tar("/stargz.index.json"),
    ];
    assert_eq!(found(&blob), expected);
}

#[test]
fn members_behind_the_end() {
    let fifo = |name: &str| {
        let mut tar = TarWriter::new(Vec::new());
        let node: Node<()> = Node::Fifo;
        tar.append(&path(name), &metadata(0o644, 0), &node).unwrap();
        tar.finish().unwrap()
    };
    let entry = r#"{"name":"a","type":"fifo","mode":420}"#;
    let of = |members: &[Vec<u8>]| found(&blob_of(members, |_| entry.into()));
    let behind = [("/".to_owned(), Readings::BehindEnd)];
    // As the reference implementation's library writes it when it keeps a tar as it was.
    assert_eq!(of(&[fifo("a")]), []);
    assert_eq!(of(&[fifo("a"), vec![0; 8192]]), []);
    assert_eq!(of(&[fifo("a"), fifo("hidden")]), behind);
    assert_eq!(of(&[fifo("a"), b"x".to_vec()]), behind);
    let another = [header("stargz.index.json", 0, 2), padded(b"{}")].concat();
    assert_eq!(of(&[fifo("a"), another]), behind);
    // The TOC twice, once behind the end.
    let json = format!(r#"{{"version":1,"entries":[{entry}]}}"#);
    let inside = toc_member(json.as_bytes()).unwrap();
    let start = fifo("a")[..512].to_vec();
    assert_eq!(of(&[start, inside]), behind);
}
