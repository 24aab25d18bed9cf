//! Blobs of which little is used.

use super::*;

/// An image over a blob of which it uses one file, and a blob of its own.
struct Loose {
    lower: Image,
    image: Image,
}

fn loose(version: Version) -> Loose {
    let [first, _] = tars();
    let options = plain_options().version(version);
    let lower = Image::of_tar(&first, &options);
    let tar = Tar::new()
        .file("old", &noise(2, 9000))
        .file("new", &noise(3, 90_000))
        .finish();
    let options = options.dictionary(Some(dictionary(&[&lower])));
    let image = Image::of_tar(&tar, &options);
    Loose { lower, image }
}

fn compacted(
    loose: &Loose,
    options: &CompactOptions,
) -> (tempfile::TempDir, RafsReport, OpenImage) {
    let blobs = blobs_of(&[&loose.lower, &loose.image]);
    let output = blobs.path().join("compact");
    let source = opened(&loose.image.bootstrap_path(), blobs.path());
    let mut directory = DirectoryOutput::create(&output).unwrap();
    let report = compact(&source, &mut directory, options, &mut ()).unwrap();
    if !report.blobs.is_empty() {
        for (name, bytes) in files(&output.join("blobs")) {
            fs::write(blobs.path().join(name), bytes).unwrap();
        }
    }
    let image = opened(&output.join("image.boot"), blobs.path());
    assert_eq!(digest(&image), digest(&source));
    (blobs, report, image)
}

#[test]
fn blobs_of_which_little_is_used_are_replaced() {
    for version in VERSIONS {
        let loose = loose(version);
        let [own] = &ids(&loose.image.done)[..] else {
            panic!("one blob is new")
        };
        let long = CompactOptions::default().min_len(10_000);
        // 9,000 of 29,000 bytes are used.
        for (options, kept, stored) in [
            (long.clone(), vec![&own[..]], 3),
            (
                long.clone().min_used(20),
                [&ids(&loose.lower.done)[0], &own[..]].into(),
                0,
            ),
            (long.min_used(100), vec![&own[..]], 3),
            // Both are short.
            (CompactOptions::default(), vec![], 3 + 22),
        ] {
            let (_blobs, report, image) = compacted(&loose, &options);
            let mut found = reused(&report);
            let mut kept: Vec<&str> = kept.into_iter().collect();
            found.sort_unstable();
            kept.sort_unstable();
            assert_eq!(found, kept, "{version:?}, {options:?}");
            assert_eq!(report.report.chunks.stored, stored);
            assert_eq!(report.blobs.len(), usize::from(stored > 0));
            assert_eq!(image.bootstrap().unwrap().version(), version);
        }
    }
}

#[test]
fn a_single_short_blob_stays() {
    let [first, _] = tars();
    let lower = Image::of_tar(&first, &plain_options());
    let source = opened(&lower.bootstrap_path(), &lower.output().join("blobs"));
    let directory = tempfile::tempdir().unwrap();
    let mut output = DirectoryOutput::create(directory.path().join("out")).unwrap();
    let report = compact(&source, &mut output, &CompactOptions::default(), &mut ()).unwrap();
    assert_eq!(
        (report.blobs.len(), reused(&report)),
        (0, vec![&ids(&lower.done)[0][..]])
    );
}

#[test]
fn only_rafs_is_compacted() {
    let [first, _] = tars();
    let directory = tempfile::tempdir().unwrap();
    let mut output = DirectoryOutput::create(directory.path().join("out")).unwrap();
    let refused = compact(
        &layer(first),
        &mut output,
        &CompactOptions::default(),
        &mut (),
    );
    let Err(ConvertError::KeepBlobs(KeepBlobsError::NotRafs)) = refused else {
        panic!("{refused:?}")
    };
}
