//! Members that hold several chunks (`innerOffset`), as the reference implementation writes them with
//! a minimum chunk size. Cases `several_files_in_chunk` and `several_files_in_chunk_chunked` of its tests.

use lazyoci_estargz_toc::image::EstargzImage;
use verify::sha256;

use crate::by_hand::{blob_of, header, padded};
use crate::common::{content_at, decode};
use crate::compare::found;

/// Entries of a file whose chunks lie at these places: offset of the member, position in it.
fn entries(name: &str, content: &[u8], chunk_size: usize, places: &[(usize, usize)]) -> String {
    let whole = sha256(content);
    let chunks = content.chunks(chunk_size).zip(places).enumerate();
    let entries = chunks.map(|(index, (chunk, (offset, inner)))| {
        let digest = sha256(chunk);
        let place = format!(r#""offset":{offset},"innerOffset":{inner},"chunkDigest":"{digest}""#);
        let len = match chunk.len() == chunk_size {
            true => format!(r#","chunkSize":{chunk_size}"#),
            false => String::new(),
        };
        match index * chunk_size {
            0 => {
                let size = content.len();
                let file = format!(r#""type":"reg","size":{size},"mode":420,"digest":"{whole}""#);
                format!(r#"{{"name":"{name}",{file},{place}{len}}}"#)
            }
            at => format!(r#"{{"name":"{name}","type":"chunk","chunkOffset":{at},{place}{len}}}"#),
        }
    });
    entries.collect::<Vec<_>>().join(",")
}

fn noise(len: u32, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn frames(decoded: &EstargzImage) -> Vec<u32> {
    decoded.image.frames.iter().map(|frame| frame.len).collect()
}

#[test]
fn several_files_in_a_member() {
    let (a, b, c) = (&b"one"[..], &noise(600, 1)[..], &noise(700, 2)[..]);
    let members = [
        header("a", 0o644, 3),
        [
            &padded(a)[..],
            &header("b", 0o644, 600),
            &padded(b),
            &header("c", 0o644, 700),
        ]
        .concat(),
        padded(c),
    ];
    let blob = blob_of(&members, |at| {
        let a = entries("a", a, 4096, &[(at[1], 0)]);
        let b = entries("b", b, 4096, &[(at[1], 1024)]);
        let c = entries("c", c, 4096, &[(at[2], 0)]);
        format!("{a},{b},{c}")
    });
    let decoded = decode(&blob);
    assert_eq!(frames(&decoded), [1024 + 600, 700]);
    for (name, expected) in [("a", a), ("b", b), ("c", c)] {
        assert_eq!(content_at(&decoded, &blob, name), expected, "{name}");
    }
    assert_eq!(found(&blob), []);
}

/// Chunks of one file in the member of another, and in one of their own.
#[test]
fn several_files_in_a_member_and_chunks() {
    let (a, b) = (&noise(25, 3)[..], &noise(2500, 4)[..]);
    let members = [
        header("a", 0o644, 25),
        [&padded(a)[..], &header("b", 0o644, 2500), &b[..2000]].concat(),
        padded(b)[2000..].to_vec(),
    ];
    let blob = blob_of(&members, |at| {
        let inner = |position| (at[1], position);
        let a = entries("a", a, 10, &[inner(0), inner(10), inner(20)]);
        let b = entries("b", b, 1000, &[inner(1024), inner(2024), (at[2], 0)]);
        format!("{a},{b}")
    });
    let decoded = decode(&blob);
    assert_eq!(frames(&decoded), [3024, 500]);
    assert_eq!(decoded.image.chunks.len(), 6);
    for (name, expected) in [("a", a), ("b", b)] {
        assert_eq!(content_at(&decoded, &blob, name), expected, "{name}");
    }
    assert_eq!(found(&blob), []);
}
