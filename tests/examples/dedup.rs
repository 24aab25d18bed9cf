//! What images have in common.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Fixture, complaint, example, run};

fn json(command: &mut Command) -> Value {
    let stdout = run(command.arg("--json"), 0).stdout;
    serde_json::from_slice(&stdout).unwrap()
}

/// Two directories with a common file.
fn two(fixture: &Fixture) -> [std::path::PathBuf; 2] {
    let [one, two] = ["one", "two"].map(|name| fixture.path(name));
    for (directory, own) in [(&one, &b"1"[..]), (&two, b"22")] {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("own"), own).unwrap();
        fs::write(directory.join("shared"), [7; 5000]).unwrap();
        fs::write(directory.join("twice"), [7; 5000]).unwrap();
    }
    [one, two]
}

#[test]
fn figures_and_a_picture() {
    let fixture = Fixture::new();
    let [one, two] = two(&fixture);
    let plot = fixture.path("plot.svg");
    let mut dedup = example("dedup");
    dedup.args(["--chunking", "file", "--chunking", "fixed:4KiB", "--plot"]);
    let said = json(dedup.arg(&plot).args([&one, &two]));
    let figures = |way: usize, key: &str| said["chunkings"][way][key].as_u64().unwrap();
    assert_eq!(said["chunkings"][0]["chunking"], "file");
    assert_eq!(
        (figures(0, "all_bytes"), figures(0, "distinct_bytes")),
        (20_003, 5003)
    );
    assert_eq!(
        (figures(0, "all_chunks"), figures(0, "distinct_chunks")),
        (6, 3)
    );
    // Of 5,000 bytes one chunk of 4,096 and one of 904.
    assert_eq!(
        (figures(1, "all_chunks"), figures(1, "distinct_chunks")),
        (10, 4)
    );
    let image = |index: usize, key: &str| said["chunkings"][0]["images"][index][key].as_u64();
    assert_eq!(image(0, "shared_bytes"), Some(5000));
    assert_eq!(
        (image(0, "added_bytes"), image(1, "added_bytes")),
        (Some(5001), Some(2))
    );
    let picture = fs::read_to_string(&plot).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<rect ").count(), 3 + 8);

    // Once more: it is there already.
    let mut dedup = example("dedup");
    dedup.arg("--plot").arg(&plot).arg(&one);
    run(&mut dedup, 2);
    let text = run(
        example("dedup")
            .args(["--chunking", "file"])
            .args([&one, &two]),
        0,
    )
    .stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(
            "file: 19.53 KiB in 6 chunks, of which 4.89 KiB in 3 are distinct (25 %)\n"
        ),
        "{text}"
    );
    let mut refused = example("dedup");
    run(refused.args(["--chunking", "fastcdc:1,2,3"]).arg(&one), 2);
    run(example("dedup").args(["--write-dict", "-"]).arg(&one), 2);
}

/// The files of a version: each changes in some versions, in its middle.
fn version(number: u32) -> Vec<Vec<u8>> {
    let noise = |seed: u32, len: u32| -> Vec<u8> {
        let mut state = u64::from(seed) << 20 | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..len).map(|_| next()).collect()
    };
    let file = |index: u32| {
        let mut bytes = noise(1 + index, 500_000 + 77_777 * index);
        let own = noise(100 + 100 * index + number / (1 + index % 4), 200_000);
        bytes[150_000..350_000].copy_from_slice(&own);
        bytes
    };
    (0..8).map(file).collect()
}

/// Different pieces of `size` bytes, and how many they are in all.
fn pieces(files: &[Vec<u8>], size: usize) -> (HashSet<&[u8]>, usize) {
    let all = || files.iter().flat_map(|file| file.chunks(size));
    (all().collect(), all().count())
}

fn len_of<'p>(pieces: impl IntoIterator<Item = &'p &'p [u8]>) -> u64 {
    pieces.into_iter().map(|piece| piece.len() as u64).sum()
}

/// Figures of five versions are those of a naive count; a sixth is stored against the dictionary of the five.
#[test]
fn a_sixth_version_against_five() {
    const SIZE: usize = 64 << 10;
    let fixture = Fixture::new();
    let versions: Vec<Vec<Vec<u8>>> = (0..6).map(version).collect();
    let directories: Vec<_> = (0..6)
        .map(|n| fixture.path(&format!("version-{n}")))
        .collect();
    for (directory, files) in directories.iter().zip(&versions) {
        fs::create_dir(directory).unwrap();
        for (index, file) in files.iter().enumerate() {
            fs::write(directory.join(index.to_string()), file).unwrap();
        }
    }
    let mut dedup = example("dedup");
    dedup.args(["--chunking", "file", "--chunking", "fixed:64KiB"]);
    let said = json(dedup.args(&directories[..5]));
    for (way, size) in [(0, usize::MAX), (1, SIZE)] {
        let said = &said["chunkings"][way];
        let mut before: HashSet<&[u8]> = HashSet::new();
        let mut chunks = 0;
        for (index, files) in versions[..5].iter().enumerate() {
            let (own, count) = pieces(files, size);
            chunks += count;
            let others: HashSet<&[u8]> = (versions[..5].iter().enumerate())
                .filter(|(other, _)| *other != index)
                .flat_map(|(_, files)| pieces(files, size).0)
                .collect();
            let image = &said["images"][index];
            assert_eq!(image["distinct_bytes"], len_of(&own));
            assert_eq!(image["shared_bytes"], len_of(own.intersection(&others)));
            assert_eq!(image["added_bytes"], len_of(own.difference(&before)));
            before.extend(own);
        }
        assert_eq!(said["all_chunks"], chunks);
        assert_eq!(said["distinct_chunks"], before.len());
        assert_eq!(said["distinct_bytes"], len_of(&before));
    }

    let convert = |options: &[&str], image: &Path, output: &std::path::Path| {
        let mut convert = example("convert");
        convert.args([
            "--to",
            "rafs-v6",
            "--compressor",
            "none",
            "--chunk-size",
            "65536",
        ]);
        json(convert.args(options).arg(image).arg(output))
    };
    let dictionary = fixture.path("five.dict");
    let mut dedup = example("dedup");
    dedup
        .args(["--chunking", "file", "--write-dict"])
        .arg(&dictionary);
    for (index, directory) in directories[..5].iter().enumerate() {
        let output = fixture.path(&format!("image-{index}"));
        convert(&[], directory, &output);
        dedup.arg(output.join("image.boot"));
    }
    let said = json(&mut dedup);
    let known: HashSet<&[u8]> = (versions[..5].iter())
        .flat_map(|files| pieces(files, SIZE).0)
        .collect();
    assert_eq!(said["dictionary"]["chunks"], known.len());

    let sixth = fixture.path("image-5");
    let dict = dictionary.to_str().unwrap();
    let made = convert(&["--chunk-dict", dict], &directories[5], &sixth);
    let (own, _) = pieces(&versions[5], SIZE);
    let unseen: Vec<_> = own.difference(&known).collect();
    assert_eq!(made["stored_chunks"], unseen.len());
    let unseen = len_of(unseen);
    // Two files change, in four chunks each.
    assert_eq!(unseen, 8 << 16);
    let blobs = fs::read_dir(sixth.join("blobs")).unwrap();
    let stored: u64 = blobs
        .map(|blob| blob.unwrap().metadata().unwrap().len())
        .sum();
    assert!(
        stored >= unseen && stored * 100 <= unseen * 102,
        "{stored} bytes for {unseen} of unseen chunks"
    );
}

#[test]
fn a_dictionary_is_used_by_convert_and_merge() {
    let fixture = Fixture::new();
    let [one, two] = two(&fixture);
    let convert = |options: &[&str], image: &Path, output: &str| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6"]).args(options);
        json(convert.arg(image).arg(fixture.path(output)))
    };
    convert(&[], &one, "first");
    let dictionary = fixture.path("chunks.dict");
    let mut dedup = example("dedup");
    dedup.args([
        "--chunking",
        "file",
        "--repository",
        "library/one",
        "--write-dict",
    ]);
    let first = fixture.path("first/image.boot");
    let said = json(dedup.arg(&dictionary).arg(&first));
    let len = fs::metadata(&dictionary).unwrap().len();
    assert_eq!(said["dictionary"]["bytes"], len);
    assert_eq!(said["dictionary"]["chunks"], 2);

    let dict = dictionary.to_str().unwrap();
    let made = convert(&["--chunk-dict", dict], &two, "second");
    assert_eq!(
        (&made["stored_chunks"], &made["reused_chunks"]),
        (&1.into(), &1.into())
    );
    assert_eq!(made["reuse"][0]["shared_bytes"], 5000);
    for (option, value, key) in [
        ("--min-shared", "8192", "short_chunks"),
        ("--only-repository", "library/other", "refused_chunks"),
        ("--max-shared-blobs", "0", "refused_chunks"),
        ("--min-used", "100", "refused_chunks"),
    ] {
        let made = convert(&["--chunk-dict", dict, option, value], &two, option);
        assert_eq!(
            (&made["stored_chunks"], &made[key]),
            (&2.into(), &1.into()),
            "{option}"
        );
        // It needs a dictionary.
        let mut alone = example("convert");
        alone.args(["--to", "rafs-v6", option, value]).arg(&two);
        run(alone.arg(fixture.path("nothing")), 2);
    }
    let mut merge = example("merge");
    merge
        .args(["--chunk-dict", dict])
        .arg(fixture.path("second/image.boot"));
    run(merge.arg(fixture.path("merged")), 0);
    // The bootstrap itself is a dictionary, too; one of other chunks does not fit.
    let made = convert(&["--chunk-dict", first.to_str().unwrap()], &two, "third");
    assert_eq!(
        (&made["stored_chunks"], &made["reused_chunks"]),
        (&1.into(), &1.into())
    );
    convert(&["--chunk-size", "8KiB"], &one, "others");
    let merge = |dictionary: &Path, output: &str| {
        let mut merge = example("merge");
        merge.arg("--chunk-dict").arg(dictionary);
        merge.args([fixture.path("third/image.boot"), fixture.path(output)]);
        merge
    };
    let merged = json(&mut merge(&first, "with"));
    assert_eq!(merged["blobs"].as_array().map(Vec::len), Some(2));
    let others = fixture.path("others/image.boot");
    let said = complaint(&mut merge(&others, "without"), 2);
    assert!(said.contains("chunk size"), "{said}");
    assert!(!fixture.path("without").exists());

    let mut bytes = fs::read(&dictionary).unwrap();
    bytes[20] ^= 1;
    fs::write(&dictionary, bytes).unwrap();
    let mut damaged = example("convert");
    damaged
        .args(["--to", "rafs-v6", "--chunk-dict", dict])
        .arg(&two);
    run(damaged.arg(fixture.path("nothing")), 1);
    assert!(!fixture.path("nothing").exists());
}

#[test]
fn chunks_of_tocs_are_written_too() {
    let fixture = Fixture::new();
    let [one, _] = two(&fixture);
    let layer = fixture.path("layer");
    let mut convert = example("convert");
    run(convert.args(["--to", "estargz"]).arg(&one).arg(&layer), 0);
    let dictionary = fixture.path("chunks.dict");
    let mut dedup = example("dedup");
    dedup
        .args(["--chunking", "file", "--write-dict"])
        .arg(&dictionary);
    // The landmark is a chunk as well.
    assert_eq!(json(dedup.arg(&layer))["dictionary"]["chunks"], 3);
    let mut refused = example("dedup");
    refused.args(["--force", "--write-dict"]).arg(&dictionary);
    run(refused.arg(&one), 2);
    // Images cannot refer to members of eStargz layers.
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "--chunk-dict"])
        .arg(&dictionary);
    run(convert.arg(&one).arg(fixture.path("nothing")), 1);
}

#[test]
fn files_are_cut_as_the_format_allows() {
    let fixture = Fixture::new();
    let source = fixture.path("noisy");
    fs::create_dir(&source).unwrap();
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise: Vec<u8> = (0..100_000).map(|_| byte()).collect();
    fs::write(source.join("noise"), &noise).unwrap();
    let digest = |path: &std::path::Path| {
        let stdout = run(example("digest").arg(path), 0).stdout;
        String::from_utf8(stdout).unwrap()
    };
    let expected = digest(&source);
    for to in [
        &["estargz"][..],
        &["estargz-external-toc"],
        &["zstd-chunked", "--dialect", "a"],
    ] {
        let chunks = |rule: &str| {
            let layer = fixture.path("layer");
            let mut convert = example("convert");
            convert
                .args(["--force", "--chunking", rule, "--to"])
                .args(to);
            let said = json(convert.arg(&source).arg(&layer));
            let (mut digest, mut verify) = (example("digest"), example("verify"));
            for command in [&mut digest, &mut verify] {
                if to[0] == "estargz-external-toc" {
                    let toc = fixture.path("layer.toc");
                    command.arg("--external-toc").arg(toc);
                }
                if to[0] == "zstd-chunked" {
                    let annotations = fixture.path("annotations");
                    let object = said["blob"]["annotations"].to_string();
                    fs::write(&annotations, object).unwrap();
                    command.arg("--annotations").arg(annotations);
                }
                command.arg(&layer);
            }
            let found = run(&mut digest, 0).stdout;
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{to:?} {rule}");
            json(&mut verify)["chunks"].as_u64().unwrap()
        };
        let whole = chunks("file");
        assert_eq!(chunks("fixed:10KiB"), whole + 9, "{to:?}");
        let by_content = chunks("fastcdc:1KiB,4KiB,16KiB");
        assert!(
            (whole + 6..whole + 97).contains(&by_content),
            "{to:?}: {by_content}"
        );
    }
    for (to, rule, code) in [
        ("rafs-v6", "fixed:64KiB", 0),
        ("rafs-v6", "fixed:1000", 2),
        ("rafs-v6", "file", 2),
        ("rafs-v5", "fastcdc:1KiB,4KiB,16KiB", 2),
        ("zstd-chunked", "fastcdc:1KiB,4KiB,16KiB", 2),
        ("erofs", "file", 2),
        ("tar", "fixed:4KiB", 2),
        ("estargz", "fastcdc:1KiB,4KiB,2KiB", 2),
    ] {
        let mut convert = example("convert");
        convert.args(["--to", to, "--chunking", rule]).arg(&source);
        run(convert.arg(fixture.path(&format!("{to}-{code}"))), code);
    }
}
