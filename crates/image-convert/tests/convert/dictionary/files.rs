//! Dictionaries as files.

use super::*;

/// A dictionary file does what the bootstraps do of which it was made.
#[test]
fn a_file_is_as_good_as_the_bootstraps() {
    let [first, second] = tars();
    for version in VERSIONS {
        let options = plain_options().version(version);
        let lower = Image::of_tar(&first, &options);
        let file = dictionary_file(&[&lower], &["library/first"]);
        let with = |dictionary: ChunkDictionary| {
            let options = options.clone().dictionary(Some(Arc::new(dictionary)));
            Image::of_tar(&second, &options)
        };
        let image = with(from_file(&file));
        let blobs = blobs_of(&[&lower, &image]);
        let opened = opened(&image.bootstrap_path(), blobs.path());
        assert_eq!(digest(&opened), digest_of_tar(&second), "{version:?}");
        let chunks = image.report.chunks;
        assert_eq!((chunks.stored, chunks.reused), (2, 6));
        assert_eq!((chunks.stored_bytes, chunks.reused_bytes), (7000, 24_096));
        assert_eq!((chunks.short, chunks.refused), (0, 0));
        let id = BlobId::new(ids(&lower.done)[0].as_bytes()).unwrap();
        let expected = BlobUse {
            id: id.clone(),
            chunks: 6,
            len: 24_096,
            stored_len: 24_096,
            blob_len: image.done.reuse[0].blob_len,
        };
        assert_eq!(image.done.reuse, [expected]);
        let whole = image.done.reuse[0].blob_len.unwrap();
        assert!((29_000..33_000).contains(&whole), "{whole}");
        // The blob is that of a conversion against the bootstrap.
        let by_bootstrap = Image::of_tar(
            &second,
            &options.clone().dictionary(Some(dictionary(&[&lower]))),
        );
        assert_eq!(ids(&image.done), ids(&by_bootstrap.done));
        let shape = Shape::from_bytes(file.profile()).unwrap();
        assert_eq!(from_file(&file).shape(), Some(&shape));
        let entries: Vec<BlobId> = from_file(&file)
            .entries()
            .map(|entry| entry.id.clone())
            .collect();
        assert_eq!(entries, [id]);
    }
}

/// The pool comes first, the files after it; a file's chunks have numbers after those of the pool.
#[test]
fn files_come_after_bootstraps() {
    let [first, second] = tars();
    let options = plain_options();
    let (lower, upper) = (
        Image::of_tar(&first, &options),
        Image::of_tar(&second, &options),
    );
    let file = dictionary_file(&[&lower, &upper], &["one", "two"]);
    let pool = dictionary(&[&upper]);
    let both = ChunkDictionary::clone(&pool)
        .and_file(file.clone())
        .unwrap();
    assert_eq!((both.len(), both.entries().count()), (8 + 10, 2));
    let tar = Tar::new()
        .file("a", &noise(2, 9000))
        .file("b", &noise(1, 20_000));
    let image = Image::of_tar(
        &tar.finish(),
        &options.clone().dictionary(Some(Arc::new(both.clone()))),
    );
    assert_eq!(image.done.blobs, []);
    // `old` is only in the file, but for its first chunk.
    let of = |image: &Image| ids(&image.done)[0].clone();
    assert_eq!(reused(&image.done), [of(&upper), of(&lower)]);
    let shared: Vec<_> = image.done.reuse.iter().map(|blob| blob.chunks).collect();
    assert_eq!(shared, [6, 2]);
    assert!(both != ChunkDictionary::clone(&pool));
    assert!(both == ChunkDictionary::clone(&pool).and_file(file).unwrap());
}

#[test]
fn files_that_rafs_images_cannot_use_are_refused() {
    let [first, second] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let file = dictionary_file(&[&lower], &["library/first"]);
    let error = |file: DictionaryFile<Bytes>| {
        let opened = ChunkDictionary::default().and_file(file);
        let result = opened.and_then(|dictionary| {
            let options = options.clone().dictionary(Some(Arc::new(dictionary)));
            Image::of(Streaming::new(&second[..]), &options)
        });
        let Err(error) = result else {
            panic!("it was accepted");
        };
        let source = std::error::Error::source(&error).map(ToString::to_string);
        (error.fault(), source.unwrap_or_default())
    };
    let build =
        |profile: &[u8], change: &dyn Fn(&mut chunk_dedup::BlobRecord, &mut chunk_dedup::Entry)| {
            let built = BuildOptions::default().profile(profile);
            let mut builder =
                DictionaryBuilder::new(file.algorithm(), Cursor::new(Vec::new()), built);
            for entry in file.entries() {
                let mut entry = entry.unwrap();
                let mut blob = file.blob_record(entry.placement.frame.blob).unwrap();
                change(&mut blob, &mut entry);
                entry.placement.frame.blob = builder.add_blob(blob).unwrap();
                builder.push(entry).unwrap();
            }
            let mut bytes = Vec::new();
            let _ = builder.finish(&mut bytes, &mut ()).unwrap();
            DictionaryFile::open(Bytes::from(bytes)).unwrap()
        };
    let profile = file.profile();
    for (file, fault, message) in [
        (
            build(b"other", &|_, _| ()),
            Fault::Corrupt,
            "the shape of images at byte 0: size is 0x5, but must be 20",
        ),
        (
            build(profile, &|blob, _| blob.detail = vec![1]),
            Fault::Corrupt,
            "the blob of a dictionary at byte 0: size is 0x1, but must be 256",
        ),
        (
            build(profile, &|blob, _| blob.id = BlobId::new(b"other").unwrap()),
            Fault::Corrupt,
            "blob other is described in two ways",
        ),
        (
            build(profile, &|_, entry| entry.placement.index = 77),
            Fault::Corrupt,
            "the chunk of a dictionary at byte 0: index is 0x4d, but must be less than the blob's number of chunks",
        ),
        (
            build(profile, &|_, entry| entry.placement.frame.offset += 1 << 20),
            Fault::Corrupt,
            "the chunk of a dictionary at byte 1048576: compressed_offset is 0x100000, but must be one that ends inside the blob's data",
        ),
        (
            build(profile, &|_, entry| {
                entry.placement.frame.recipe = image_model::RecipeId(2);
            }),
            Fault::Corrupt,
            "the chunk of a dictionary at byte 0: compressor is 0x0, but must be that of the chunk",
        ),
        (
            build(profile, &|_, entry| {
                entry.placement.frame.recipe = image_model::RecipeId(4);
            }),
            Fault::Corrupt,
            "record RECORD of the dictionary: a chunk that is not a frame of its own",
        ),
    ] {
        let (found, source) = error(file);
        // Which record it is depends on digests.
        let said = match source.strip_prefix("record ") {
            Some(rest) => format!("record RECORD{}", rest.trim_start_matches(char::is_numeric)),
            None => source,
        };
        assert_eq!((found, &*said), (fault, message));
    }
    let other = Image::of_tar(&first, &plain_options().chunk_size(8192));
    let mixed = from_file(&file).and_file(dictionary_file(&[&other], &[""]));
    match mixed {
        Err(ConvertError::Dictionary { what }) => assert_eq!(what, "chunk size"),
        other => panic!("{other:?}"),
    }
}

/// A file that lies about where a chunk is makes an image whose reader notices.
#[test]
fn a_wrong_placement_is_noticed_when_it_is_read() {
    let [first, _] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let file = dictionary_file(&[&lower], &[""]);
    let built = BuildOptions::default().profile(file.profile());
    let mut builder = DictionaryBuilder::new(file.algorithm(), Cursor::new(Vec::new()), built);
    let blob = file.blob_record(image_model::BlobIndex(0)).unwrap();
    let _ = builder.add_blob(blob).unwrap();
    // Every chunk is where the first one is.
    for entry in file.entries() {
        let mut entry = entry.unwrap();
        entry.placement.frame.offset = 0;
        builder.push(entry).unwrap();
    }
    let mut bytes = Vec::new();
    let _ = builder.finish(&mut bytes, &mut ()).unwrap();
    let lie = DictionaryFile::open(Bytes::from(bytes)).unwrap();
    lie.check().unwrap();
    let options = options.dictionary(Some(Arc::new(from_file(&lie))));
    let image = Image::of_tar(&first, &options);
    let opened = opened(&image.bootstrap_path(), &lower.output().join("blobs"));
    let mut wrong = 0;
    let _ = opened.verify(&VerifyOptions::default(), &mut (), &mut |finding| {
        let said = finding.to_string();
        wrong += usize::from(said.contains("is corrupt: the bytes have digest"));
    });
    // `shared` has five chunks, `old` three; the first of them is right.
    assert_eq!(wrong, 7);
}
