//! Tars of layers as blobs of RAFS images, as they are.

use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, WriteError, WriterOutput};
use bytes::Bytes;
use image_model::{Blame as _, Fault, Limits};
use image_read::{NoBlobs, OpenImage, OpenOptions, VerifyOptions, open_source, verify_image};
use lazyoci_image_convert::{
    CompactOptions, ConvertError, KeepBlobsError, KeepBlobsOptions, Streaming, TarfsOptions,
    TarfsReport, compact, keep_blobs, to_tarfs,
};
use rafs_format::Version;
use rafs_format::blob::BuildError;
use rafs_format::flags::Compat;
use rafs_format::merge::{Merge, MergeOptions};
use verify::Profile;

use crate::bounds::sparse_tar;
use crate::support::{GOLDEN_DIGEST, Tar, golden_tar, noise, sha256};

struct Made {
    report: TarfsReport,
    output: MemoryOutput,
}

fn make(layer: &[u8], options: &TarfsOptions) -> Result<Made, ConvertError> {
    let mut output = MemoryOutput::default();
    let report = to_tarfs(Streaming::new(layer), &mut output, options, &mut ())?;
    Ok(Made { report, output })
}

fn open(bootstrap: Bytes, blobs: MemoryOutput) -> OpenImage {
    open_source(Arc::new(bootstrap), None, blobs, &OpenOptions::default()).unwrap()
}

/// The digest of the tree, when all else was found to be right.
fn tree(opened: &OpenImage) -> String {
    let mut found = Vec::new();
    let options = VerifyOptions::default().threads(1);
    let tell = &mut |finding: image_read::Finding| found.push(finding.to_string());
    let summary = verify_image(opened, &options, &mut (), tell).unwrap();
    assert_eq!(found, [""; 0]);
    // The name of the tar vouches for all of it.
    assert_eq!(summary.unvouched_len, 0);
    let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

impl Made {
    fn bootstrap(&self) -> Bytes {
        let bootstrap = self.output.object(ObjectRole::Bootstrap).unwrap();
        bootstrap.bytes.clone()
    }

    fn open(&self) -> OpenImage {
        open(self.bootstrap(), self.output.clone())
    }
}

fn tree_of(tar: &[u8]) -> String {
    let source = Arc::new(Bytes::copy_from_slice(tar));
    let opened = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

/// Files that end at the end of a chunk, of a sector, and elsewhere, one of them twice; long links.
fn tar() -> Vec<u8> {
    let mut tar = Tar::new().directory("d");
    for len in [0, 1, 512, 513, 4095, 4096, 4097, 8192, 40_000] {
        tar = tar.file(&format!("d/{len}"), &noise(len as u64, len));
    }
    for len in [255, 448, 449, 512, 513, 700, 1024, 3000] {
        let target = "x/".repeat(len)[..len - 1].to_owned() + "x";
        tar = tar.symlink(&format!("link-{len}"), &target);
    }
    tar.file("again", &noise(8192, 8192))
        .link("hard", "d/4097")
        .finish()
}

#[test]
fn the_tar_stays_as_it_is() {
    let tar = tar();
    for (chunk_size, chunks) in [(4096, 1 + 1 + 1 + 1 + 1 + 2 + 2 + 10 + 2), (1 << 20, 9)] {
        for compat in [Compat::V2_2, Compat::V2_4] {
            let options = TarfsOptions::default()
                .chunk_size(chunk_size)
                .compat(compat);
            let made = make(&tar, &options).unwrap();
            let described = made.report.tar.as_ref().unwrap();
            assert_eq!(described.digest.hex(), sha256(&tar));
            assert_eq!(made.output.object(ObjectRole::Blob).unwrap().bytes, tar);
            assert_eq!(made.output.objects().len(), 2);
            let counts = made.report.report.chunks;
            let stored = (counts.stored, counts.deduplicated, counts.stored_bytes);
            assert_eq!(stored, (chunks, 0, 0));
            let content = 1 + 512 + 513 + 4095 + 4096 + 4097 + 2 * 8192 + 40_000;
            assert_eq!(made.report.report.content_bytes, content);
            let opened = made.open();
            assert_eq!(tree(&opened), tree_of(&tar));
            assert_eq!(opened.image().frame_bound(), 0);
        }
    }
}

#[test]
fn the_golden_tree() {
    let made = make(&golden_tar(), &TarfsOptions::default()).unwrap();
    assert_eq!(tree(&made.open()), GOLDEN_DIGEST);
}

/// The blob of a compressed layer is its tar.
#[cfg(feature = "gzip")]
#[test]
fn compressed_layers_are_decoded() {
    let tar = tar();
    let mut layer = Vec::new();
    let gzip = frame_codec::Compression::Gzip { level: 6 };
    let mut encoder = frame_codec::Encoder::new(gzip).unwrap();
    encoder.encode_frame(&tar, &mut layer).unwrap();
    let plain = make(&tar, &TarfsOptions::default()).unwrap();
    let made = make(&layer, &TarfsOptions::default()).unwrap();
    assert_eq!(made.report, plain.report);
    assert_eq!(made.output.objects(), plain.output.objects());
}

#[test]
fn a_layer_without_content_is_no_blob() {
    let tar = Tar::new().directory("d").file("d/empty", b"").finish();
    let made = make(&tar, &TarfsOptions::default()).unwrap();
    assert_eq!(made.report.tar, None);
    assert_eq!(made.output.objects().len(), 1);
    assert_eq!(tree(&made.open()), tree_of(&tar));
}

/// Layers over one another, each with its tar.
#[test]
fn several_are_merged() {
    let lower = Tar::new()
        .file("a", &noise(1, 9000))
        .file("kept", &noise(2, 512));
    let upper = Tar::new()
        .file("a", &noise(3, 4096))
        .file("b", &noise(4, 10));
    let layers = [lower.finish(), upper.finish()];
    let options = TarfsOptions::default().chunk_size(4096);
    let layers = layers.map(|layer| make(&layer, &options).unwrap());
    let mut merge = Merge::new(MergeOptions::default());
    let mut blobs = MemoryOutput::default();
    for layer in &layers {
        let bootstrap = rafs_format::Bootstrap::open(layer.bootstrap(), &Limits::default());
        merge.push(&bootstrap.unwrap(), None).unwrap();
        let tar = &layer.output.object(ObjectRole::Blob).unwrap().bytes;
        put(&mut blobs, tar);
    }
    let merged = merge.finish();
    assert_eq!(merged.entries().len(), 2);
    let opened = open(merged.to_bytes().unwrap().into(), blobs);
    let expected = Tar::new()
        .file("a", &noise(3, 4096))
        .file("b", &noise(4, 10))
        .file("kept", &noise(2, 512))
        .finish();
    assert_eq!(tree(&opened), tree_of(&expected));
    // Not with an image that has digests.
    let mut merge = Merge::new(MergeOptions::default());
    let bootstrap = rafs_format::Bootstrap::open(layers[0].bootstrap(), &Limits::default());
    merge.push(&bootstrap.unwrap(), None).unwrap();
    let native = crate::support::Image::of_tar(&golden_tar(), &crate::support::plain_options());
    let native = std::fs::read(native.bootstrap_path()).unwrap();
    let native = rafs_format::Bootstrap::open(native.into(), &Limits::default()).unwrap();
    let error = merge.push(&native, None).unwrap_err();
    let what = "bootstrap 1, counted from 0, has a different mode than the lowest";
    assert_eq!(error.to_string(), what);
}

fn put(output: &mut MemoryOutput, bytes: &[u8]) {
    use blob_io::{Output as _, Written};
    use std::io::Write as _;
    let mut object = output.begin(ObjectRole::Blob).unwrap();
    object.write_all(bytes).unwrap();
    let written = Written::new(verify::sha256(bytes), bytes.len() as u64);
    object.finish(&written).unwrap();
    output.commit().unwrap();
}

#[test]
fn what_cannot_be_described_is_refused() {
    let options = TarfsOptions::default();
    let sparse = sparse_tar(10_000, &[(0, &[7; 512]), (10_000, b"")]);
    let error = make(&sparse, &options).err().unwrap();
    assert!(matches!(error, ConvertError::Sparse { .. }), "{error}");
    let error = make(&golden_tar(), &options.clone().chunk_size(5000));
    let error = error.err().unwrap();
    let expected = BuildError::ChunkSize { chunk_size: 5000 };
    assert!(matches!(error, ConvertError::Blob(found) if found == expected));
    let mut file = Vec::new();
    let mut output = WriterOutput::new(&mut file);
    let tar = golden_tar();
    let refused = to_tarfs(Streaming::new(&tar[..]), &mut output, &options, &mut ());
    assert!(matches!(
        refused.err().unwrap(),
        ConvertError::Output(WriteError::SingleObject)
    ));
}

/// The kernel reads whole sectors.
#[test]
fn a_tar_that_ends_in_a_sector_is_refused() {
    let tar = Tar::new().file("a", &[7; 600]).finish();
    let cut = &tar[..512 + 600];
    let lenient = Streaming::new(cut).lenient(true);
    let mut output = MemoryOutput::default();
    let refused = to_tarfs(lenient, &mut output, &TarfsOptions::default(), &mut ());
    let error = refused.err().unwrap();
    let (end, len) = (1536, 1112);
    let expected = BuildError::Sector { end, len };
    assert_eq!(error.fault(), Fault::Unsupported);
    assert!(matches!(error, ConvertError::Blob(found) if found == expected));
}

/// Without digests of chunks there is no other version, and nothing to compact.
#[test]
fn what_needs_digests_is_refused() {
    let opened = make(&golden_tar(), &TarfsOptions::default())
        .unwrap()
        .open();
    let options = KeepBlobsOptions::default().version(Version::V5);
    let kept = keep_blobs(&opened, &mut MemoryOutput::default(), &options);
    let output = &mut MemoryOutput::default();
    let compacted = compact(&opened, output, &CompactOptions::default(), &mut ());
    for refused in [kept, compacted] {
        let error = refused.err().unwrap();
        assert_eq!(error.fault(), Fault::Unsupported);
        assert!(matches!(
            error,
            ConvertError::KeepBlobs(KeepBlobsError::Tarfs)
        ));
    }
}
