//! Gzip layers as blobs of RAFS images, as they are.

use std::num::NonZeroU32;
use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, WriteError, WriterOutput};
use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use gzip_index::BuildError;
use image_model::{Blame as _, BlobIndex, Fault};
use image_read::{OpenImage, OpenOptions, VerifyOptions, open_source, verify_image};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, Streaming, ZranOptions, ZranReport, to_estargz, to_zran,
};
use rafs_format::flags::Compat;
use verify::Profile;

use crate::bounds::sparse_tar;
use crate::support::{GOLDEN_DIGEST, Tar, golden_tar, noise, sha256};

/// Text that deflate makes four times shorter or so, a function of `seed`.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let letters = noise(seed, len).into_iter().map(|byte| b'a' + byte % 4);
    letters.collect()
}

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut member = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level }).unwrap();
    encoder.encode_frame(plain, &mut member).unwrap();
    member
}

/// Files of all lengths, one of them twice.
fn tar() -> Vec<u8> {
    let long = text(1, 1_500_000);
    let mut tar = Tar::new()
        .directory("d")
        .file("d/long", &long)
        .file("d/noise", &noise(2, 300_000))
        .file("empty", b"");
    for number in 0..40 {
        let content = text(number, 1_000 + 700 * number as usize);
        tar = tar.file(&format!("d/{number:02}"), &content);
    }
    tar.file("again", &long).link("link", "d/07").finish()
}

struct Made {
    report: ZranReport,
    output: MemoryOutput,
}

fn make(layer: &[u8], options: &ZranOptions) -> Result<Made, ConvertError> {
    let mut output = MemoryOutput::default();
    let report = to_zran(Streaming::new(layer), &mut output, options, &mut ())?;
    Ok(Made { report, output })
}

impl Made {
    fn bootstrap(&self) -> Bytes {
        self.output
            .object(ObjectRole::Bootstrap)
            .unwrap()
            .bytes
            .clone()
    }

    fn open(&self) -> OpenImage {
        let source = Arc::new(self.bootstrap());
        open_source(source, None, self.output.clone(), &OpenOptions::default()).unwrap()
    }

    /// The digest of the tree, when all else was found to be right.
    fn tree(&self) -> String {
        let opened = self.open();
        let mut found = Vec::new();
        let options = VerifyOptions::default().threads(1);
        let tell = &mut |finding: image_read::Finding| found.push(finding.to_string());
        verify_image(&opened, &options, &mut (), tell).unwrap();
        assert_eq!(found, [""; 0]);
        let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
        digest.to_string()
    }

    /// What each context gives: the first byte of the tar, and how many.
    fn contexts(&self) -> Vec<(u64, u32)> {
        let opened = self.open();
        let meta = opened.blob_meta(BlobIndex(0)).unwrap().unwrap();
        let context = |number| meta.context(number).unwrap().unwrap();
        let contexts = (0..meta.context_count()).map(context);
        contexts
            .map(|found| (found.out_offset, found.out_len))
            .collect()
    }
}

fn span(len: u32) -> ZranOptions {
    ZranOptions::default().span(NonZeroU32::new(len))
}

fn tree_of(tar: &[u8]) -> String {
    let source = Arc::new(Bytes::copy_from_slice(tar));
    let opened = open_source(source, None, image_read::NoBlobs, &OpenOptions::default()).unwrap();
    let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

#[test]
fn the_layer_stays_as_it_is() {
    let tar = tar();
    let expected = tree_of(&tar);
    for level in [0, 1, 6, 9] {
        let layer = gzip(&tar, level);
        let made = make(&layer, &span(100_000)).unwrap();
        let digest = made.report.layer.as_ref().unwrap().digest;
        assert_eq!(digest.hex(), sha256(&layer), "{level}");
        let blob = made.output.object(ObjectRole::Blob).unwrap();
        assert_eq!(blob.bytes, layer);
        assert_eq!(made.tree(), expected, "{level}");
        let counts = made.report.report.chunks;
        assert_eq!(
            (counts.stored, counts.deduplicated, counts.stored_bytes),
            (43, 2, 0)
        );
    }
}

#[test]
fn members_begin_contexts() {
    let tar = tar();
    let expected = tree_of(&tar);
    for member in [1_000, 70_000, 400_000] {
        let parts = tar.chunks(member).map(|part| gzip(part, 6));
        let layer = parts.collect::<Vec<_>>().concat();
        // Chunks cross members.
        let made = make(&layer, &ZranOptions::default()).unwrap();
        assert_eq!(made.tree(), expected, "{member}");
        for (start, _) in made.contexts() {
            assert_eq!(start % member as u64, 0, "{member}");
        }
    }
}

#[test]
fn a_member_for_each_file_is_a_context() {
    let (a, b) = (text(1, 70_000), text(2, 80_000));
    let tar = Tar::new().file("a", &a).file("b", &b).finish();
    // Header of `a` and its content, header of `b`, its content, the end.
    let cuts = [0, 512, 70_512, 71_168, 151_168, tar.len()];
    let parts = cuts.windows(2).map(|cut| gzip(&tar[cut[0]..cut[1]], 6));
    let layer = parts.collect::<Vec<_>>().concat();
    let made = make(&layer, &ZranOptions::default()).unwrap();
    assert_eq!(made.contexts(), [(512, 70_000), (71_168, 80_000)]);
    assert_eq!(made.tree(), tree_of(&tar));
}

#[test]
fn spans_are_as_long_as_wanted() {
    let tar = tar();
    let layer = gzip(&tar, 6);
    let mut lens = Vec::new();
    for len in [64 << 10, 256 << 10, 1 << 20] {
        let options = span(len).chunk_size(64 << 10);
        let made = make(&layer, &options).unwrap();
        assert_eq!(made.tree(), tree_of(&tar), "{len}");
        // The rest of a chunk, and what is decoded at once.
        let most = made.contexts().iter().map(|&(_, len)| len).max().unwrap();
        assert!(most <= len + (64 << 10) + (256 << 10), "{most} of {len}");
        assert_eq!(made.report.contexts as usize, made.contexts().len());
        lens.push(made.report.meta.as_ref().unwrap().len);
    }
    assert!(lens[0] > lens[1] && lens[1] > lens[2], "{lens:?}");
    // Of 32 KiB before each context, only what is referred to.
    let spans = tar.len() / (64 << 10);
    assert!(lens[0] < spans as u64 * 12_000, "{lens:?} for {spans}");
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let layer = gzip(&tar(), 6);
    let options = span(128 << 10).chunk_size(16 << 10);
    let one = make(&layer, &options.clone().threads(1)).unwrap();
    for threads in [2, 5] {
        let other = make(&layer, &options.clone().threads(threads)).unwrap();
        assert_eq!(other.report, one.report);
        assert_eq!(other.output.objects(), one.output.objects());
    }
}

/// Readers of nydus have room for 16 MiB of a context.
#[test]
fn contexts_have_at_most_16_mib() {
    let mut long = Vec::new();
    for number in 0..40u32 {
        long.extend(number.to_le_bytes());
        long.resize(long.len() + (1 << 20) - 4, b'x');
    }
    let tar = Tar::new().file("long", &long).finish();
    let made = make(&gzip(&tar, 6), &span(16 << 20)).unwrap();
    let contexts = made.contexts();
    assert!(
        contexts.iter().all(|&(_, len)| len <= 16 << 20),
        "{contexts:?}"
    );
    assert_eq!(contexts.len(), 4);
    assert_eq!(made.tree(), tree_of(&tar));
}

/// `plain` as one gzip member of one block: with the codes that deflate has for all, each run by references to the byte
/// before.
fn one_block(plain: &[u8]) -> Vec<u8> {
    let (mut bytes, mut held, mut len) = (Vec::new(), 0_u32, 0);
    let mut put = |value: u32, bits: u32| {
        held |= value << len;
        len += bits;
        while len >= 8 {
            bytes.push(held as u8);
            (held, len) = (held >> 8, len - 8);
        }
    };
    // The last block.
    put(0b011, 3);
    // Codes begin with their high bits.
    let mut code = |code: u32, bits: u32| put(code.reverse_bits() >> (32 - bits), bits);
    for run in plain.chunk_by(|a, b| a == b) {
        let matches = (run.len() - 1) / 258;
        for &byte in &run[258 * matches..] {
            match u32::from(byte) {
                byte @ 0..=143 => code(0x30 + byte, 8),
                byte => code(0x190 + byte - 144, 9),
            }
        }
        for _ in 0..matches {
            // 258 bytes, from one back.
            code(0xc5, 8);
            code(0, 5);
        }
    }
    // The end of the block, and its last bits.
    code(0, 7);
    put(0, 7);
    // The header and the trailer are those of any other member.
    let other = gzip(plain, 1);
    let (header, trailer) = (&other[..10], &other[other.len() - 8..]);
    [header, &bytes, trailer].concat()
}

/// A block without a boundary cannot be cut, and nydusd has no room for more than 16 MiB.
#[test]
fn a_block_of_more_than_16_mib_is_refused() {
    let layer_of = |len: usize| {
        let tar = Tar::new().file("long", &vec![b'x'; len]).finish();
        (one_block(&tar), tar)
    };
    let (layer, tar) = layer_of(9 << 20);
    let made = make(&layer, &ZranOptions::default()).unwrap();
    assert_eq!(made.tree(), tree_of(&tar));
    assert_eq!(made.report.contexts, 1);
    let (layer, _) = layer_of(17 << 20);
    let error = make(&layer, &ZranOptions::default()).err().unwrap();
    assert!(
        matches!(
            error,
            ConvertError::GzipLayer(BuildError::SpanTooLong {
                stored: 10,
                limit: 0x100_0000,
            })
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
}

#[test]
fn the_golden_tree() {
    let layer = gzip(&golden_tar(), 6);
    for compat in [Compat::V2_2, Compat::V2_4] {
        let options = ZranOptions::default().compat(compat);
        let made = make(&layer, &options).unwrap();
        assert_eq!(made.tree(), GOLDEN_DIGEST);
        assert_eq!(made.report.contexts, 1);
    }
}

#[test]
fn a_layer_without_content_is_no_blob() {
    let tar = Tar::new().directory("d").file("d/empty", b"").finish();
    let made = make(&gzip(&tar, 6), &ZranOptions::default()).unwrap();
    assert_eq!((&made.report.layer, &made.report.meta), (&None, &None));
    assert_eq!(made.output.objects().len(), 1);
    assert_eq!(made.tree(), tree_of(&tar));
}

#[test]
fn what_cannot_be_described_is_refused() {
    let layer = gzip(&golden_tar(), 6);
    let error = make(&layer, &span((16 << 20) + 1)).err().unwrap();
    assert!(matches!(error, ConvertError::Options(_)), "{error}");
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0];
    let error = make(&zstd, &ZranOptions::default()).err().unwrap();
    assert!(matches!(error, ConvertError::GzipLayer(_)), "{error}");
    assert_eq!(error.fault(), Fault::Unsupported);
    for cut in [5, 100, layer.len() - 1] {
        let error = make(&layer[..cut], &ZranOptions::default()).err().unwrap();
        assert_eq!(error.fault(), Fault::Corrupt, "{cut}: {error}");
    }
    let mut file = Vec::new();
    let mut output = WriterOutput::new(&mut file);
    let streaming = Streaming::new(&layer[..]);
    let refused = to_zran(streaming, &mut output, &ZranOptions::default(), &mut ());
    let error = refused.err().unwrap();
    assert!(matches!(
        error,
        ConvertError::Output(WriteError::SingleObject)
    ));
}

/// What a damaged byte makes of a layer is refused, or described as it is.
#[test]
fn damaged_layers_do_no_harm() {
    let tar = Tar::new().file("a", &text(1, 9_000)).finish();
    let layer = gzip(&tar, 6);
    for at in (0..layer.len()).step_by(7) {
        let mut damaged = layer.clone();
        damaged[at] ^= 0x10;
        if let Ok(made) = make(&damaged, &ZranOptions::default()) {
            assert_eq!(made.tree(), tree_of(&tar), "{at}");
        }
    }
}

#[test]
fn sparse_files_are_refused() {
    let archive = sparse_tar(10_000, &[(0, &[7; 512]), (10_000, b"")]);
    let error = make(&gzip(&archive, 6), &ZranOptions::default());
    let error = error.err().unwrap();
    assert!(matches!(error, ConvertError::Sparse { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Unsupported);
}

/// A plain tar has no contexts: its chunks are frames.
#[test]
fn plain_tars_are_described_without_contexts() {
    let tar = tar();
    for (compat, chunk_size) in [(Compat::V2_2, 1 << 20), (Compat::V2_4, 4096)] {
        let options = ZranOptions::default().compat(compat).chunk_size(chunk_size);
        let made = make(&tar, &options).unwrap();
        assert_eq!(made.report.contexts, 0);
        assert_eq!(
            made.report.layer.as_ref().unwrap().digest.hex(),
            sha256(&tar)
        );
        assert_eq!(made.output.object(ObjectRole::Blob).unwrap().bytes, tar);
        assert_eq!(made.tree(), tree_of(&tar));
    }
    let empty = Tar::new().directory("d").file("d/empty", b"").finish();
    let made = make(&empty, &ZranOptions::default()).unwrap();
    assert_eq!((&made.report.layer, &made.report.meta), (&None, &None));
    assert_eq!(made.tree(), tree_of(&empty));
}

/// What is not of the image in an eStargz is left out if it is said to be one.
#[test]
fn estargz_layers_without_their_own_files() {
    let tar = tar();
    let options = EstargzOptions::default().chunk_size(1 << 20);
    let mut layer = Vec::new();
    let mut output = WriterOutput::new(&mut layer);
    to_estargz(Streaming::new(&tar[..]), &mut output, &options, &mut ()).unwrap();
    let options = ZranOptions::default().estargz(true);
    let made = make(&layer, &options).unwrap();
    assert_eq!(made.tree(), tree_of(&tar));
    let plain = make(&layer, &ZranOptions::default()).unwrap();
    let added = plain.report.report.inodes - made.report.report.inodes;
    // The TOC, and a landmark.
    assert_eq!(added, 2);
}
