//! Images that are put together in memory, and what sources bring with them.

use std::cell::Cell;
use std::io::{self, Read};

use blob_io::{DirectoryOutput, FileOutput, MemoryOutput, ObjectRole, WriteError, WriterOutput};
use bytes::Bytes;
use image_model::{Blame, Cancelled, Fault, Limits, Metadata, Name, Node, Progress, Tree};
use image_read::{Format, LayerImageError, NoBlobs, OpenImage, OpenOptions, open, open_source};
use lazyoci_image_convert::{
    ConvertError, DescribedObject, EstargzOptions, FileContent, FileContentError, RafsOptions,
    Source, Streaming, TarOptions, to_estargz, to_rafs,
};
use oci_image::nydus::{FsVersion, NydusLayer};
use rafs_format::Version;

use crate::support::{
    Image, Tar, digest_of_tar, files, golden_tar, metadata, noise, path, plain_options, sha256,
    tar_of,
};

/// A tree of files, and of the tar that has the same.
fn files_and_tar<'a>(
    contents: Vec<(&'a [u8], FileContent<'a>)>,
) -> (Tree<FileContent<'a>>, Vec<u8>) {
    let mut tree = Tree::new(Metadata::implied_directory());
    let mut tar = Tar::new();
    for (number, (bytes, content)) in contents.into_iter().enumerate() {
        let size = bytes.len() as u64;
        let file = tree.add(metadata(0o644), Node::File { size, content });
        for name in [format!("{number}"), format!("link{number}")] {
            let name = Name::new(name.as_bytes()).unwrap();
            tree.link(Tree::<FileContent<'_>>::ROOT, name, file)
                .unwrap();
        }
        tar = tar.file(&format!("{number}"), bytes);
        tar = tar.link(&format!("link{number}"), &format!("{number}"));
    }
    (tree, tar.finish())
}

#[test]
fn a_tree_with_readers_converts_to_every_format() {
    let long = noise(1, 700_000);
    let opened = Cell::new(0);
    let open = || {
        opened.set(opened.get() + 1);
        Ok::<_, io::Error>(&long[..])
    };
    let tree = || {
        files_and_tar(vec![
            (b"hello", FileContent::from("hello")),
            (b"", FileContent::default()),
            (&long, FileContent::open(open)),
            (&long[..5000], FileContent::reader(&long[..5000])),
            (b"bytes", FileContent::from(b"bytes".to_vec())),
        ])
    };
    let (source, tar) = tree();
    let expected = digest_of_tar(&tar);
    assert_eq!(
        Image::of(source, &plain_options()).unwrap().digest(),
        expected
    );
    assert_eq!(opened.get(), 1);

    let (_, back) = tar_of(tree().0, &TarOptions::default()).unwrap();
    assert_eq!(digest_of_tar(&back), expected);

    #[cfg(feature = "gzip")]
    {
        let mut layer = MemoryOutput::default();
        to_estargz(tree().0, &mut layer, &EstargzOptions::default(), &mut ()).unwrap();
        let layer = layer.object(ObjectRole::Layer).unwrap().bytes.clone();
        let image = crate::support::layer(layer.to_vec());
        let digest = image
            .tree_digest(verify::Profile::Default, &mut ())
            .unwrap();
        assert_eq!(digest.to_string(), expected);
    }
}

#[test]
fn content_has_to_be_as_long_as_the_tree_says() {
    for (said, found, expected) in [(5, "four", 4), (3, "four", 4)] {
        let mut tree = Tree::new(Metadata::implied_directory());
        let node = Node::File {
            size: said,
            content: FileContent::from(found),
        };
        let file = tree.add(metadata(0o644), node);
        let name = Name::new(*b"f").unwrap();
        tree.link(Tree::<()>::ROOT, name, file).unwrap();
        match Image::of(tree, &plain_options()).err() {
            Some(ConvertError::FileContent {
                path: at,
                source: FileContentError::Size { size, found },
            }) => assert_eq!((at, size, found), (path("f"), said, expected)),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_stream_is_spooled_where_it_shall_be_and_as_long_as_it_is_wanted() {
    let (_, tar) = files_and_tar(vec![(b"hello", FileContent::default())]);
    let directory = tempfile::tempdir().unwrap();
    let to = |spool: &std::path::Path, progress: &mut dyn Progress| {
        let layer = Streaming::new(&tar[..]).spool_directory(spool);
        let mut output = MemoryOutput::default();
        to_estargz(layer, &mut output, &EstargzOptions::default(), progress)
    };
    let mut seen = Vec::new();
    let mut progress = |done, total: Option<u64>| {
        seen.push((done, total));
        Ok(())
    };
    to(directory.path(), &mut progress).unwrap();
    // All of the layer, before any of its content.
    let spooled = seen.iter().position(|&(done, _)| done == tar.len() as u64);
    assert!(
        seen[..spooled.unwrap()]
            .iter()
            .all(|(_, total)| total.is_none())
    );
    assert!(seen.iter().any(|&(_, total)| total.is_some()));

    let cancelled = to(directory.path(), &mut |_, _| Err(Cancelled)).unwrap_err();
    assert_eq!(cancelled.fault(), Fault::Cancelled);
    assert!(
        matches!(cancelled, ConvertError::LayerImage(_)),
        "{cancelled:?}"
    );

    let gone = directory.path().join("gone");
    let error = to(&gone, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
    match error {
        ConvertError::LayerImage(LayerImageError::Spool { directory, .. }) => {
            assert_eq!(directory, gone);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

#[test]
fn a_reader_that_fails_is_named() {
    let (tree, _) = files_and_tar(vec![(b"hello", FileContent::reader(Broken))]);
    let error = Image::of(tree, &plain_options()).err().unwrap();
    assert_eq!(error.fault(), Fault::Io);
    match error {
        ConvertError::FileContent {
            path: at,
            source: FileContentError::Io { source },
        } => assert_eq!((at, source.to_string()), (path("0"), "broken".into())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_opened_image_brings_its_limits() {
    let limits = Limits::default().max_chunks(2);
    let options = OpenOptions::default().limits(limits);
    let tar = std::sync::Arc::new(bytes::Bytes::from(golden_tar()));
    let opened = open_source(tar, None, image_read::NoBlobs, &options).unwrap();
    let error = Image::of(&opened, &plain_options()).err().unwrap();
    assert!(matches!(
        error,
        ConvertError::TooManyChunks { limit: 2, .. }
    ));
    let source = Source::from(&opened).with_limits(Limits::default());
    assert!(Image::of(source, &plain_options()).is_ok());
}

#[test]
fn rafs_in_memory_is_what_a_directory_holds() {
    let tar = golden_tar();
    let image = Image::of_tar(&tar, &plain_options());
    let mut memory = MemoryOutput::default();
    let source = Streaming::new(&tar[..]);
    let done = to_rafs(source, &mut memory, &plain_options(), &mut ()).unwrap();
    assert_eq!(done, image.done);
    let mut expected: Vec<_> = memory
        .objects()
        .iter()
        .map(|object| match object.role {
            ObjectRole::Bootstrap => ("image.boot".to_owned(), object.bytes.to_vec()),
            _ => (
                format!("blobs/{}", object.digest.hex()),
                object.bytes.to_vec(),
            ),
        })
        .collect();
    expected.sort();
    assert_eq!(files(&image.output()), expected);
    let bootstrap = memory.object(ObjectRole::Bootstrap).unwrap();
    assert_eq!(done.bootstrap.digest.hex(), sha256(&bootstrap.bytes));
    assert_eq!(done.bootstrap.len, bootstrap.bytes.len() as u64);
    let blob = memory.object(ObjectRole::Blob).unwrap();
    let [found] = &done.blobs[..] else {
        panic!("{:?}", done.blobs);
    };
    assert_eq!(found.object.digest.hex(), sha256(&blob.bytes));
    assert_eq!(found.nydus_id.as_str(), found.object.digest.hex());
    let layer = |object: &DescribedObject| NydusLayer::read(&object.annotations).unwrap();
    let (reference, encrypted) = (None, false);
    let expected = NydusLayer::Blob {
        reference,
        encrypted,
    };
    assert_eq!(layer(&found.object), Some(expected));
    let descriptor = found.object.descriptor().unwrap();
    assert_eq!(
        descriptor.media_type,
        "application/vnd.oci.image.layer.nydus.blob.v1"
    );
    let fs_version = FsVersion::V6;
    assert_eq!(
        layer(&done.bootstrap),
        Some(NydusLayer::Bootstrap { fs_version })
    );
    assert_eq!(done.bootstrap.descriptor(), None);
    let written = found.object.len + done.bootstrap.len;
    assert_eq!(done.report.bytes_out, written);
}

#[test]
fn rafs_needs_an_output_for_several_objects() {
    let tar = golden_tar();
    let directory = tempfile::tempdir().unwrap();
    let mut file = FileOutput::create(directory.path().join("image")).unwrap();
    let mut bytes = Vec::new();
    let mut writer = WriterOutput::new(&mut bytes);
    let outputs: [&mut dyn blob_io::Output; 2] = [&mut file, &mut writer];
    for output in outputs {
        let source = Streaming::new(&tar[..]);
        let error = to_rafs(source, output, &RafsOptions::default(), &mut ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Misuse);
        let single = ConvertError::Output(WriteError::SingleObject);
        assert_eq!(format!("{error:?}"), format!("{single:?}"));
    }
    assert!(bytes.is_empty());
}

#[test]
fn a_blob_with_its_bootstrap_is_one_object() {
    let tar = golden_tar();
    let empty = [0; 1024];
    // What holds nothing but a bootstrap begins like one.
    let said = Some(Format::RafsBlob);
    for (layer, version, format) in [
        (&tar[..], Version::V6, None),
        (&tar[..], Version::V5, None),
        (&empty[..], Version::V6, said),
        (&empty[..], Version::V5, said),
    ] {
        let options = plain_options().version(version).inline_meta(true);
        let write = |output: &mut dyn blob_io::Output| {
            to_rafs(Streaming::new(layer), output, &options, &mut ()).unwrap()
        };
        let mut several = MemoryOutput::default();
        let beside = write(&mut several);
        let blob = several.object(ObjectRole::Blob).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let done = write(&mut FileOutput::create(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), blob.bytes);
        let mut bytes = Vec::new();
        assert_eq!(write(&mut WriterOutput::new(&mut bytes)), done);
        assert_eq!(bytes, blob.bytes);
        assert_eq!(done.blobs, beside.blobs);
        assert_eq!(done.report.bytes_out, blob.bytes.len() as u64);
        assert_eq!(
            beside.report.bytes_out,
            done.report.bytes_out + beside.bootstrap.len
        );
        // The bootstrap that is reported is the one in the blob.
        let mut options = OpenOptions::default().metadata_digest(done.bootstrap.digest);
        options.format = format;
        let image = open(&path, &options).unwrap();
        let digest = image.tree_digest(verify::Profile::Default, &mut ());
        assert_eq!(digest.unwrap().to_string(), digest_of_tar(layer));
        let read = image.bootstrap().unwrap().bytes();
        assert_eq!(read.len() as u64, done.bootstrap.len);
    }
}

#[test]
fn a_reader_brings_the_limits_that_its_image_was_opened_with() {
    let tar = golden_tar();
    let opened = |max_chunks| {
        let options = OpenOptions::default().limits(Limits::default().max_chunks(max_chunks));
        let tar = std::sync::Arc::new(Bytes::from(tar.clone()));
        open_source(tar, None, NoBlobs, &options).unwrap()
    };
    let sources: [&dyn Fn(&OpenImage) -> Source<'static>; 4] = [
        &|image| image.into(),
        &|image| image.reader().into(),
        &|image| image.reader().clone().into(),
        &|image| Source::stack([image.reader().into()]),
    ];
    let convert = |source| {
        to_rafs(
            source,
            &mut MemoryOutput::default(),
            &plain_options(),
            &mut (),
        )
    };
    for source in sources {
        assert_eq!(convert(source(&opened(4))).unwrap().report.chunks.stored, 3);
        let error = convert(source(&opened(1))).unwrap_err();
        assert_eq!(error.fault(), Fault::Limit, "{error}");
    }
    let raised = Source::from(opened(1).reader()).with_limits(Limits::default());
    assert!(convert(raised).is_ok());
}

#[test]
fn a_layer_in_a_directory_is_called_by_its_digest() {
    let tar = golden_tar();
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("layers");
    let mut directory = DirectoryOutput::create(&target).unwrap();
    let options = TarOptions::default();
    let source = Streaming::new(&tar[..]);
    let done = lazyoci_image_convert::to_tar(source, &mut directory, &options, &mut ()).unwrap();
    let name = format!("blobs/{}", done.blob.digest.hex());
    let (_, expected) = tar_of(Streaming::new(&tar[..]), &options).unwrap();
    assert_eq!(files(&target), [(name, expected)]);
}

#[test]
#[cfg(feature = "serde")]
fn reports_are_values() {
    let tar = golden_tar();
    let image = Image::of_tar(&tar, &plain_options());
    let value = serde_json::to_value(&image.done).unwrap();
    assert_eq!(value["inodes"], 6);
    assert_eq!(value["stored_chunks"], 3);
    let digest = image.done.bootstrap.digest.to_string();
    assert_eq!(value["bootstrap"]["digest"], digest);
    let blob = &value["blobs"][0];
    assert_eq!(blob["digest"], format!("sha256:{}", sha256(&image.blob())));
    assert_eq!(blob["bytes"], image.blob().len());
    assert_eq!(value["losses"], serde_json::json!([]));
    assert_eq!(value["missed"], serde_json::json!([]));
}

#[test]
fn an_image_in_memory_opens_out_of_what_was_written() {
    let tar = golden_tar();
    let mut memory = MemoryOutput::default();
    let source = Streaming::new(&tar[..]);
    to_rafs(source, &mut memory, &plain_options(), &mut ()).unwrap();
    let bootstrap = memory.object(ObjectRole::Bootstrap).unwrap().bytes.clone();
    let open = |blobs: MemoryOutput| {
        let bootstrap = std::sync::Arc::new(bootstrap.clone());
        open_source(bootstrap, None, blobs, &OpenOptions::default()).unwrap()
    };
    let digest = |image: &image_read::OpenImage| {
        let digest = image.tree_digest(verify::Profile::Default, &mut ());
        digest.map(|digest| digest.to_string())
    };
    assert_eq!(digest(&open(memory)).unwrap(), digest_of_tar(&tar));
    assert!(digest(&open(MemoryOutput::default())).is_err());
}
