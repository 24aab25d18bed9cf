//! What builders take, and what they make.

use super::*;

/// One digest with several lengths, more of them than are compared one after the other.
#[test]
fn lengths_tell_chunks_of_one_digest_apart() {
    let entries: Vec<Entry> = (0..40)
        .map(|n| Entry {
            digest: digest(1),
            ..entry(n, 0, n)
        })
        .collect();
    let (bytes, _) = build(&entries, &blobs(1), 1 << 20);
    let file = DictionaryFile::open(bytes).unwrap();
    file.check().unwrap();
    for entry in &entries {
        let found = file.lookup(&entry.digest, entry.len).unwrap();
        assert_eq!(found, Some(entry.placement));
    }
}

#[test]
fn bytes_depend_on_the_set_alone() {
    let entries = many(2000);
    let (bytes, _) = build(&entries, &blobs(3), 1 << 20);
    // In another order, by another numbering of blobs, in runs of a few entries, and all twice.
    let mut others: Vec<Entry> = entries.iter().rev().copied().collect();
    for entry in &mut others {
        let blob = &mut entry.placement.frame.blob;
        *blob = BlobIndex(2 - blob.0);
    }
    others.extend(others.clone());
    let reversed: Vec<BlobRecord> = blobs(3).into_iter().rev().collect();
    for memory in [0, 3000, 1 << 20] {
        let (again, summary) = build(&others, &reversed, memory);
        assert_eq!((summary.chunks, summary.duplicates), (2000, 2000));
        assert_eq!(again, bytes, "{memory} bytes of memory");
    }
}

#[test]
fn of_several_places_the_first_is_kept() {
    let place = |blob, index| Entry {
        len: 5,
        ..entry(4, blob, index)
    };
    let all = [place(1, 0), place(0, 9), place(0, 8), place(2, 1)];
    for rotation in 0..all.len() {
        let mut entries = all;
        entries.rotate_left(rotation);
        for memory in [0, 1 << 20] {
            let (bytes, summary) = build(&entries, &blobs(3), memory);
            assert_eq!((summary.chunks, summary.duplicates), (1, 3));
            let file = DictionaryFile::open(bytes).unwrap();
            let found = file.lookup(&digest(4), 5).unwrap();
            assert_eq!(found, Some(place(0, 8).placement));
        }
    }
}

#[test]
fn merging_is_building_of_all() {
    let entries = many(3000);
    let (all, _) = build(&entries, &blobs(3), 1 << 20);
    let part = |range: std::ops::Range<usize>| {
        let (bytes, _) = build(&entries[range], &blobs(3), 1 << 20);
        DictionaryFile::open(bytes).unwrap()
    };
    let parts = [part(0..1000), part(900..2500), part(0..0), part(2500..3000)];
    let mut bytes = Vec::new();
    let summary = merge(&parts, &mut bytes, &mut ()).unwrap();
    assert_eq!(
        (summary.chunks, summary.duplicates, summary.blobs),
        (3000, 100, 3)
    );
    assert_eq!(bytes, all);

    // Blobs that only one of them knows.
    let (one, _) = build(&[entry(1, 0, 0)], &[blob(5)], 1 << 20);
    let (other, _) = build(&[entry(2, 1, 0)], &[blob(7), blob(3)], 1 << 20);
    let files = [one, other].map(|bytes| DictionaryFile::open(bytes).unwrap());
    let mut bytes = Vec::new();
    let _ = merge(&files, &mut bytes, &mut ()).unwrap();
    let file = DictionaryFile::open(bytes).unwrap();
    file.check().unwrap();
    let names: Vec<_> = (0..3).map(|n| file.blob(BlobIndex(n)).unwrap()).collect();
    assert_eq!(names, [blob(3), blob(5), blob(7)]);
    let found = |n: u32| file.lookup(&digest(n), 1 + n).unwrap().unwrap().frame.blob;
    assert_eq!([found(1), found(2)], [BlobIndex(1), BlobIndex(0)]);
}

#[test]
fn what_does_not_fit_is_not_merged() {
    let open = |bytes| DictionaryFile::open(bytes).unwrap();
    let (first, _) = build(&[entry(1, 0, 0)], &[blob(5)], 0);
    let (said, _) = build(&[entry(1, 0, 0)], &[blob(5).detail([9])], 0);
    let other = |algorithm, profile: &[u8]| {
        let options = BuildOptions::default().profile(profile);
        let builder = DictionaryBuilder::new(algorithm, Cursor::new(Vec::new()), options);
        let mut bytes = Vec::new();
        let _ = builder.finish(&mut bytes, &mut ()).unwrap();
        bytes
    };
    for (second, message) in [
        (said, "blob blob-0005 is described in two ways"),
        (
            other(ALGORITHM, b"other"),
            "dictionary 1, counted from 0, has another profile than the first",
        ),
        (
            other(DigestAlgorithm::Sha256, b"profile"),
            "dictionary 1, counted from 0, has another digest algorithm than the first",
        ),
    ] {
        let files = [open(first.clone()), open(second)];
        let error = merge(&files, &mut Vec::new(), &mut ()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let none: [DictionaryFile<Vec<u8>>; 0] = [];
    let error = merge(&none, &mut Vec::new(), &mut ()).unwrap_err();
    assert!(matches!(error, DictionaryError::Entry { .. }));
}

#[test]
fn impossible_entries_are_refused() {
    let options = BuildOptions::default();
    let mut builder = DictionaryBuilder::new(ALGORITHM, Cursor::new(Vec::new()), options);
    let _ = builder.add_blob(blob(0)).unwrap();
    let sound = entry(9, 0, 0);
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = sound;
        change(&mut entry);
        entry
    };
    for entry in [
        with(&|entry| entry.digest = Digest::new(DigestAlgorithm::Sha256, [0; 32])),
        with(&|entry| entry.placement.frame.blob = BlobIndex(1)),
        with(&|entry| entry.placement.frame.recipe = RecipeId(8)),
        with(&|entry| entry.placement.frame.offset = u64::MAX),
        with(&|entry| entry.placement.offset_in_frame = 1),
        with(&|entry| entry.len += 1),
    ] {
        let error = builder.push(entry).unwrap_err();
        assert!(matches!(error, DictionaryError::Entry { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Misuse);
    }
    let error = builder.add_blob(blob(0).detail([])).unwrap_err();
    assert_eq!(error.to_string(), "blob blob-0000 is described in two ways");
}

#[test]
fn building_can_be_stopped() {
    let options = BuildOptions::default();
    let mut builder = DictionaryBuilder::new(ALGORITHM, Cursor::new(Vec::new()), options);
    let _ = builder.add_blob(blob(0)).unwrap();
    for n in 0..20_000 {
        builder.push(entry(n, 0, n)).unwrap();
    }
    let mut stop = |_: u64, _: Option<u64>| Err(Cancelled);
    let error = builder.finish(&mut Vec::new(), &mut stop).unwrap_err();
    assert_eq!(error.fault(), Fault::Cancelled);
}

/// As many chunks as a registry has, of the sizes that there are: 48 bytes for each, all in all.
#[test]
fn an_entry_takes_at_most_48_bytes() {
    for count in [1000, 100_000, 300_000] {
        let spread = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9) % (1 << 20);
        let entries: Vec<Entry> = (0..count)
            .map(|n| {
                let mut entry = entry(n, n % 100, n / 100);
                entry.len = 1 + spread(n) as u32;
                entry.placement.frame.len = entry.len;
                entry.placement.frame.stored_len = entry.len / 2 + 1;
                entry.placement.frame.offset = 500_000 * u64::from(n / 100);
                entry.placement.address = (1 << 20) * u64::from(n / 100);
                entry
            })
            .collect();
        let (bytes, _) = build(&entries, &blobs(100), 64 << 20);
        let file = DictionaryFile::open(bytes).unwrap();
        let without_blobs = file.bytes().len() as u64 - 100 * 40;
        let each = without_blobs as f64 / f64::from(count);
        assert!(each <= 48.0, "{count} entries: {each} bytes each");
    }
}
