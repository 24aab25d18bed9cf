//! Layers that are converted as one image.

use blob_io::MemoryOutput;
use image_model::layer::LayerError;
use image_model::{Blame, Fault, Limits, Name, Node, Tree};
use lazyoci_image_convert::{
    ConvertError, FileContent, RafsOptions, Source, Streaming, TarOptions, UnpackOptions, to_rafs,
    unpack,
};
use rafs_format::merge::{Merge, MergeError, MergeOptions};
use rafs_format::{Bootstrap, Version};

use crate::support::{
    Image, Tar, digest, digest_of_tar, files, layer, metadata, noise, plain_options, tar_of,
};

/// Three layers, and the one layer that has what they are together.
fn layers() -> ([Vec<u8>; 3], Vec<u8>) {
    let (long, other) = (noise(3, 20_000), noise(4, 9_000));
    let sticky = metadata(0o1777);
    let lower = Tar::new()
        .node("", &metadata(0o750), &Node::empty_directory())
        .node("tmp", &sticky, &Node::empty_directory())
        .directory("etc")
        .file("etc/passwd", b"root")
        .file("etc/motd", b"hello")
        .file("tmp/long", &long)
        .directory("opaque")
        .file("opaque/below", b"hidden")
        .directory("turns")
        .file("turns/into", b"a link")
        .symlink("link", "etc")
        .file(".wh.nothing", b"")
        .finish();
    let middle = Tar::new()
        .file("etc/.wh.passwd", b"")
        .link("etc/again", "etc/motd")
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/above", &other)
        .symlink("turns", "etc")
        .file("tmp/new", b"the layer implies /tmp")
        .finish();
    let upper = Tar::new()
        .directory("turns")
        .file("turns/back", &long)
        .link("hidden", "opaque/above")
        .file("opaque/.wh.above", b"")
        .file(".wh.link", b"")
        .finish();
    let flat = Tar::new()
        .node("", &metadata(0o750), &Node::empty_directory())
        .node("tmp", &sticky, &Node::empty_directory())
        .file("tmp/long", &long)
        .file("tmp/new", b"the layer implies /tmp")
        .directory("etc")
        .file("etc/motd", b"hello")
        .link("etc/again", "etc/motd")
        .directory("opaque")
        .file("hidden", &other)
        .directory("turns")
        .file("turns/back", &long)
        .finish();
    ([lower, middle, upper], flat)
}

fn stack(layers: &[Vec<u8>]) -> Source<'_> {
    Source::stack(layers.iter().map(|layer| Streaming::new(&layer[..]).into()))
}

#[test]
fn a_stack_is_the_image_that_its_layers_are_together() {
    let (layers, flat) = layers();
    let expected = digest_of_tar(&flat);
    for version in [Version::V5, Version::V6] {
        for threads in [1, 3] {
            let options = plain_options().version(version).threads(threads);
            let image = Image::of(stack(&layers), &options).unwrap();
            assert_eq!(image.digest(), expected, "{version:?}");
            // What the top layer holds is in the lowest one's blob.
            let of_layers: Vec<_> = image.done.blobs.iter().map(|blob| blob.layer).collect();
            assert_eq!(of_layers, [0, 1]);
            assert_eq!(image.report.chunks.deduplicated, 5);
            // `root`, `hidden`, and `a link`.
            assert_eq!(image.report.chunks.dead, 3);
        }
    }

    let (_, tar) = tar_of(stack(&layers), &TarOptions::default()).unwrap();
    assert_eq!(digest_of_tar(&tar), expected);

    let directory = tempfile::tempdir().unwrap();
    let unpacked = directory.path().join("unpacked");
    let options = UnpackOptions::default();
    let unpacking = unpack(stack(&layers), &unpacked, &options, &mut ());
    unpacking.unwrap();
    assert_eq!(digest(&unpacked), expected_of_caller(&flat));
}

/// The digest of `flat` as the caller unpacks it.
fn expected_of_caller(flat: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let unpacked = directory.path().join("flat");
    let source = Streaming::new(flat);
    unpack(source, &unpacked, &UnpackOptions::default(), &mut ()).unwrap();
    digest(&unpacked)
}

#[cfg(feature = "gzip")]
#[test]
fn a_stack_becomes_one_estargz_layer() {
    use lazyoci_image_convert::{EstargzOptions, to_estargz};

    let (layers, flat) = layers();
    let mut output = MemoryOutput::default();
    let options = EstargzOptions::default();
    to_estargz(stack(&layers), &mut output, &options, &mut ()).unwrap();
    let bytes = output.objects()[0].bytes.to_vec();
    let image = layer(bytes);
    let found = image
        .tree_digest(verify::Profile::Default, &mut ())
        .unwrap();
    assert_eq!(found.to_string(), digest_of_tar(&flat));
}

#[test]
fn layers_of_every_kind_are_stacked() {
    let (layers, flat) = layers();
    let expected = digest_of_tar(&flat);
    let [lower, middle, upper] = &layers;
    let rafs = Image::of_tar(lower, &plain_options());
    let opened = image_read::open(rafs.bootstrap_path(), &Default::default()).unwrap();
    let sources = || {
        [
            Source::from(&opened),
            Streaming::new(&middle[..]).into(),
            Streaming::new(&upper[..]).into(),
        ]
    };
    let image = Image::of(Source::stack(sources()), &plain_options()).unwrap();
    assert_eq!(image.digest(), expected);
    let (_, tar) = tar_of(Source::stack(sources()), &TarOptions::default()).unwrap();
    assert_eq!(digest_of_tar(&tar), expected);
}

#[test]
fn a_tree_in_memory_is_a_layer_too() {
    let lower = Tar::new().file("f", b"below").file("g", b"stays").finish();
    let tree = || {
        let mut tree = Tree::implied();
        for (name, content) in [("e", ""), ("f", "above"), ("h", "new")] {
            let size = content.len() as u64;
            let content = FileContent::from(content);
            let file = tree.add(metadata(0o644), Node::File { size, content });
            let name = Name::new(name.as_bytes()).unwrap();
            tree.link(Tree::<FileContent<'_>>::ROOT, name, file)
                .unwrap();
        }
        Source::from(tree)
    };
    let sources = || Source::stack([Streaming::new(&lower[..]).into(), tree()]);
    let flat = Tar::new()
        .file("e", b"")
        .file("f", b"above")
        .file("g", b"stays")
        .file("h", b"new");
    let expected = digest_of_tar(&flat.finish());
    let image = Image::of(sources(), &plain_options()).unwrap();
    assert_eq!(image.digest(), expected);
    let (_, tar) = tar_of(sources(), &TarOptions::default()).unwrap();
    assert_eq!(digest_of_tar(&tar), expected);
}

#[test]
fn the_blob_of_a_layer_does_not_depend_on_those_above_it() {
    let (layers, _) = layers();
    let image = Image::of(stack(&layers), &plain_options()).unwrap();
    let alone = Image::of_tar(&layers[0], &plain_options());
    assert_eq!(image.done.blobs[0], alone.done.blobs[0]);
    // Whiteouts of one layer are files, those of a stack are none.
    let single = Image::of(stack(&layers[..1]), &plain_options()).unwrap();
    assert_eq!(single.done.blobs, alone.done.blobs);
    assert_eq!(single.report.inodes + 1, alone.report.inodes);
    let nothing = Image::of(Source::stack([]), &plain_options()).unwrap();
    assert_eq!((nothing.report.inodes, nothing.done.blobs.len()), (1, 0));
}

#[test]
fn what_is_wrong_with_a_layer_names_it() {
    let lower = Tar::new().file("file", b"content").finish();
    let upper = Tar::new().link("link", "gone").finish();
    let layers = [lower, upper];
    for error in [
        Image::of(stack(&layers), &plain_options()).err().unwrap(),
        tar_of(stack(&layers), &TarOptions::default())
            .err()
            .unwrap(),
    ] {
        assert_eq!(error.fault(), Fault::Corrupt);
        let text = error.to_string();
        assert_eq!(
            text,
            "cannot convert layer 1 of the stack, counted from 0, the lowest"
        );
        let ConvertError::InLayer { source, .. } = error else {
            panic!("{error}");
        };
        let missing = matches!(
            *source,
            ConvertError::Entry(LayerError::MissingTarget { .. })
        );
        assert!(missing, "{source}");
    }
}

/// The files of either layer stand between those of the other.
#[test]
fn what_a_stack_holds_in_all_is_limited() {
    let content = [7; 1000];
    let lower = Tar::new().file("a", &content).file("c", &content).finish();
    let upper = Tar::new().file("b", &content).file("d", &content).finish();
    let layers = [lower, upper];
    let within = |max_content_len| {
        let limits = Limits::default().max_content_len(max_content_len);
        stack(&layers).with_limits(limits)
    };
    tar_of(within(4000), &TarOptions::default()).unwrap();
    let error = tar_of(within(3999), &TarOptions::default()).err().unwrap();
    assert!(matches!(error, ConvertError::TooMuchContent(_)), "{error}");
    assert_eq!(error.fault(), Fault::Limit);
}

/// The bootstraps of `layers`, each converted alone.
fn bootstraps(layers: &[Vec<u8>], options: &RafsOptions) -> Vec<Bootstrap> {
    let open = |layer: &Vec<u8>| {
        let image = Image::of_tar(layer, options);
        let bytes = std::fs::read(image.bootstrap_path()).unwrap();
        Bootstrap::open(bytes.into(), &Limits::default()).unwrap()
    };
    layers.iter().map(open).collect()
}

#[test]
fn merged_bootstraps_are_the_stack() {
    let lower = Tar::new()
        .directory("d")
        .file("d/a", &noise(1, 9000))
        .file("d/b", b"b")
        .file("e", b"goes");
    let middle = Tar::new()
        .directory("d")
        .file("d/.wh.b", b"")
        .file("d/c", &noise(1, 9000))
        .file("d/n", &noise(2, 100));
    let upper = Tar::new()
        .file(".wh.e", b"")
        .symlink("l", "d")
        .file("z", b"z");
    let layers = [lower.finish(), middle.finish(), upper.finish()];
    for version in [Version::V5, Version::V6] {
        let options = plain_options().version(version);
        let stacked = Image::of(stack(&layers), &options).unwrap();
        let mut merge = Merge::new(MergeOptions::default());
        for bootstrap in bootstraps(&layers, &options) {
            merge.push(&bootstrap, None).unwrap();
        }
        let merged = merge.finish();
        // Of the lowest layer `d/a` is left, of the middle one `d/c` and `d/n`.
        assert_eq!((merged.version(), merged.entries().len()), (version, 3));
        assert_eq!(merged.image().chunks.len(), 3 + 4 + 1);
        let bytes = merged.to_bytes().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let bootstrap = directory.path().join("image.boot");
        std::fs::write(&bootstrap, bytes).unwrap();
        let blobs = directory.path().join("blobs");
        std::fs::create_dir(&blobs).unwrap();
        for layer in &layers {
            let image = Image::of_tar(layer, &options);
            for (name, bytes) in files(&image.output().join("blobs")) {
                std::fs::write(blobs.join(name), bytes).unwrap();
            }
        }
        assert_eq!(digest(&bootstrap), stacked.digest());
        let verified = image_read::verify_path(
            &bootstrap,
            &Default::default(),
            &Default::default(),
            &mut (),
            &mut |finding| panic!("{finding}"),
        );
        assert_eq!(verified.unwrap().findings, 0);
    }
}

#[test]
fn bootstraps_that_do_not_fit_are_not_merged() {
    let tar = [Tar::new().file("f", b"content").finish()];
    let of = |options: RafsOptions| bootstraps(&tar, &options).remove(0);
    let first = of(plain_options());
    let refused = |bootstrap: &Bootstrap| {
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&first, None).unwrap();
        merge.push(bootstrap, None).unwrap_err()
    };
    let mismatch = |what| MergeError::Mismatch { layer: 1, what };
    for (options, what) in [
        (plain_options().version(Version::V5), "version"),
        (plain_options().chunk_size(8192), "chunk size"),
        #[cfg(feature = "blake3")]
        (
            plain_options().digest(image_model::DigestAlgorithm::Blake3),
            "digest algorithm",
        ),
    ] {
        let error = refused(&of(options));
        assert_eq!(error, mismatch(what));
        assert_eq!(error.fault(), Fault::Misuse);
    }
    // Version 6 says of each blob how it is compressed, version 5 of all of them.
    #[cfg(feature = "lz4")]
    for (version, fits) in [(Version::V5, false), (Version::V6, true)] {
        let plain = of(plain_options().version(version));
        let options = plain_options().compression(frame_codec::Compression::Lz4Block);
        let other = [Tar::new().file("g", &[7; 9000]).finish()];
        let other = bootstraps(&other, &options.version(version)).remove(0);
        let mut merge = Merge::new(MergeOptions::default());
        merge.push(&plain, None).unwrap();
        let expected = match fits {
            true => Ok(()),
            false => Err(mismatch("compressor")),
        };
        assert_eq!(merge.push(&other, None), expected, "{version:?}");
    }

    let options = plain_options().inline_meta(true);
    let blob_of = |content: &[u8]| {
        let image = Image::of_tar(&Tar::new().file("f", content).finish(), &options);
        layer(image.blob())
    };
    let (one, other) = (blob_of(b"content"), blob_of(b"other content"));
    let [one, other] = [&one, &other].map(|image| image.bootstrap().unwrap());
    let merge = || Merge::new(MergeOptions::default());
    let nameless = MergeError::NamelessBlob { layer: 0 };
    assert_eq!(merge().push(one, None), Err(nameless));
    let name = image_model::BlobId::new(b"name").unwrap();
    let mut named = merge();
    named.push(one, Some(&name)).unwrap();
    // Two blobs of one name.
    let error = named.push(other, Some(&name));
    let id = name.clone();
    assert_eq!(error, Err(MergeError::Contradiction { layer: 1, id }));
    let mut named = merge();
    named.push(one, Some(&name)).unwrap();
    assert_eq!(named.finish().entries()[0].id, name);

    let limits = Limits::default().max_inodes(3);
    let mut merge = Merge::new(MergeOptions::default().limits(limits));
    assert_eq!(merge.push(&first, None), Ok(()));
    let error = merge.push(&first, None).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
}

#[test]
fn the_bootstrap_of_a_stack_is_in_no_blob() {
    let (layers, _) = layers();
    let options = RafsOptions::default().inline_meta(true);
    let mut output = MemoryOutput::default();
    let error = to_rafs(stack(&layers), &mut output, &options, &mut ()).unwrap_err();
    assert!(matches!(error, ConvertError::InlinedStack), "{error}");
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(output.objects(), []);
}
