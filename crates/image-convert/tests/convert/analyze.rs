//! What images have in common, against a naive count.

use std::collections::HashSet;

use image_model::{Blame as _, Cancelled, Fault};
use lazyoci_image_convert::{
    AnalyzeOptions, Chunking, ConvertError, Duplication, Streaming, analyze,
};

use crate::support::{Tar, noise};

/// Three versions of some files.
fn versions() -> Vec<Vec<Vec<u8>>> {
    let (one, two) = (noise(1, 300_000), noise(2, 50_000));
    let inserted = [&one[..100_000], b"inserted", &one[100_000..]].concat();
    vec![
        vec![one.clone(), two.clone(), one.clone()],
        vec![inserted, two, vec![0; 40_000]],
        vec![noise(3, 10_000), one],
    ]
}

fn tar(files: &[Vec<u8>]) -> Vec<u8> {
    let files = files.iter().enumerate();
    let add = |tar: Tar, (index, bytes): (usize, &Vec<u8>)| tar.file(&format!("{index}"), bytes);
    files.fold(Tar::new(), add).finish()
}

fn options(chunking: &str) -> AnalyzeOptions {
    AnalyzeOptions::default().chunkings([chunking.parse().unwrap()])
}

fn analyzed(tars: &[Vec<u8>], options: &AnalyzeOptions) -> Duplication {
    let open = |index: usize| Ok::<_, ConvertError>(Streaming::new(&tars[index][..]).into());
    let mut found = analyze(tars.len(), open, options, &mut ()).unwrap();
    found.remove(0)
}

/// All, different, shared and added bytes of each image, by comparing the chunks themselves.
fn naive(versions: &[Vec<Vec<u8>>], cut: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<[u64; 4]> {
    let chunks = |files: &Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        files.iter().flat_map(|file| cut(file)).collect()
    };
    let images: Vec<Vec<Vec<u8>>> = versions.iter().map(chunks).collect();
    let sets: Vec<HashSet<&Vec<u8>>> = images
        .iter()
        .map(|chunks| chunks.iter().collect())
        .collect();
    let len =
        |chunks: &mut dyn Iterator<Item = &Vec<u8>>| chunks.map(|chunk| chunk.len() as u64).sum();
    let one = |index: usize| {
        let set = &sets[index];
        let others = |chunk: &&&Vec<u8>| {
            let has =
                |(other, set): (usize, &HashSet<&Vec<u8>>)| other != index && set.contains(*chunk);
            sets.iter().enumerate().any(has)
        };
        let new = |chunk: &&&Vec<u8>| !sets[..index].iter().any(|set| set.contains(**chunk));
        [
            len(&mut images[index].iter()),
            len(&mut set.iter().copied()),
            len(&mut set.iter().filter(others).copied()),
            len(&mut set.iter().filter(new).copied()),
        ]
    };
    (0..images.len()).map(one).collect()
}

fn figures(found: &Duplication) -> Vec<[u64; 4]> {
    let image = |image: &lazyoci_image_convert::ImageDuplication| {
        [
            image.len,
            image.distinct_len,
            image.shared_len,
            image.added_len,
        ]
    };
    found.images.iter().map(image).collect()
}

#[test]
fn figures_are_those_of_a_naive_count() {
    let versions = versions();
    let tars: Vec<Vec<u8>> = versions.iter().map(|files| tar(files)).collect();
    let fixed = |size: usize| move |file: &[u8]| file.chunks(size).map(<[u8]>::to_vec).collect();
    let fastcdc = |file: &[u8]| {
        let chunks = fastcdc::v2020::FastCDC::new(file, 1024, 4096, 16_384);
        let chunk =
            |chunk: fastcdc::v2020::Chunk| file[chunk.offset..chunk.offset + chunk.length].to_vec();
        chunks.map(chunk).collect()
    };
    for (chunking, expected) in [
        ("file", naive(&versions, &fixed(usize::MAX))),
        ("fixed:4KiB", naive(&versions, &fixed(4096))),
        ("fixed:65536", naive(&versions, &fixed(65_536))),
        ("fastcdc:1KiB,4KiB,16KiB", naive(&versions, &fastcdc)),
    ] {
        let found = analyzed(&tars, &options(chunking));
        assert_eq!(figures(&found), expected, "{chunking}");
        let sum = |column: usize| expected.iter().map(|row| row[column]).sum::<u64>();
        assert_eq!((found.len, found.distinct_len), (sum(0), sum(3)));
        let one = analyzed(&tars, &options(chunking).threads(1));
        assert_eq!(one, found);
    }
    // What moved is found by content, and not by offset.
    let shared = |chunking| figures(&analyzed(&tars, &options(chunking)))[1][2];
    assert!(shared("fastcdc:1KiB,4KiB,16KiB") > 320_000);
    assert!(shared("fixed:4KiB") < 160_000);
}

#[test]
fn ways_to_cut_are_text() {
    for (text, shown) in [
        ("file", "file"),
        ("fixed:1MiB", "fixed:1048576"),
        ("fixed:7", "fixed:7"),
        ("fastcdc:64,256,1024", "fastcdc:64,256,1024"),
    ] {
        assert_eq!(text.parse::<Chunking>().unwrap().to_string(), shown);
    }
    for (text, message) in [
        (
            "fixed:0",
            "`fixed:0` is none of `file`, `fixed:SIZE` and `fastcdc:MIN,AVG,MAX`",
        ),
        (
            "fixed:4GiB",
            "`fixed:4GiB` is none of `file`, `fixed:SIZE` and `fastcdc:MIN,AVG,MAX`",
        ),
        (
            "fastcdc:64,256",
            "`fastcdc:64,256` is none of `file`, `fixed:SIZE` and `fastcdc:MIN,AVG,MAX`",
        ),
        (
            "fastcdc:64,256,512",
            "chunks of 64, 256 and 512 bytes: must be even, ascending, and at least 64, 256 and 1024, at most 1 MiB, 4 MiB and 16 MiB",
        ),
    ] {
        let error = text.parse::<Chunking>().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.fault()),
            (message, Fault::Misuse)
        );
    }
}

#[test]
fn an_analysis_can_be_stopped() {
    let tar = tar(&versions()[0]);
    let open = |_| Ok::<_, ConvertError>(Streaming::new(&tar[..]).into());
    let mut stop = |_: u64, _: Option<u64>| Err(Cancelled);
    let error = analyze(1, open, &options("file"), &mut stop).unwrap_err();
    assert_eq!(error.fault(), Fault::Cancelled);
}
