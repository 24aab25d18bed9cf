//! Flips in layers that are read by an index, and in the index: ours, and a zTOC.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use gzip_index::IndexOptions;
use image_model::{Blame as _, Digest, DigestAlgorithm, Fault, ImagePath, Limits, Metadata, Node};
use lazyoci_image_read::{
    Finding, LayerIndex, NoBlobs, OpenOptions, VerifySourceOptions, VerifySummary, ZtocOptions,
    gzip_index, open_source, verify_source,
};
use tar_stream::TarWriter;
use verify::sha256;

use crate::flips::{bits, bits_but_of_runs, flipped, names, one_thread, some, those_that_pass};
use crate::support::worst;

/// A layer, and its index.
#[derive(Clone)]
struct Indexed {
    layer: Bytes,
    index: Bytes,
}

/// Of one file.
fn tar() -> Vec<u8> {
    let content = b"what a file holds";
    let mut tar = TarWriter::new(Vec::new());
    let file = Node::File {
        size: content.len() as u64,
        content: (),
    };
    let path = ImagePath::clean(b"etc/motd").unwrap();
    tar.append(&path, &Metadata::default(), &file).unwrap();
    tar.write_all(content).unwrap();
    tar.finish().unwrap()
}

/// The layer as one gzip member.
fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut layer = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    encoder.encode_frame(tar, &mut layer).unwrap();
    layer
}

impl Indexed {
    fn own() -> Self {
        let layer = gzip(&tar());
        let built = LayerIndex::build(
            &layer[..],
            &IndexOptions::default(),
            &Default::default(),
            &mut (),
        );
        Self::of(layer, &built.unwrap())
    }

    fn ztoc(layer: Vec<u8>) -> Self {
        let options = ZtocOptions::default();
        let built = LayerIndex::build_ztoc(&layer[..], &options, &Default::default(), &mut ());
        Self::of(layer, &built.unwrap())
    }

    fn of(layer: Vec<u8>, index: &LayerIndex) -> Self {
        Self {
            layer: layer.into(),
            index: index.bytes().clone(),
        }
    }

    fn options(&self, expected: Digest) -> Result<VerifySourceOptions, Fault> {
        let index = LayerIndex::from_bytes(self.index.clone(), &Limits::default());
        let index = index.map_err(|error| error.fault())?;
        let open = OpenOptions::default().index(index);
        let verify = one_thread().expect(expected);
        Ok(VerifySourceOptions::default().open(open).verify(verify))
    }

    fn summary(&self, expected: Digest) -> VerifySummary {
        let source = Arc::new(self.layer.clone());
        let options = self.options(expected).unwrap();
        let tell = &mut |found: Finding| panic!("{found}");
        verify_source(source, NoBlobs, &options, &mut (), tell).unwrap()
    }

    /// Whether nothing is found if something has to have this digest.
    fn passes(&self, expected: Digest) -> bool {
        let Ok(options) = self.options(expected) else {
            return false;
        };
        let source = Arc::new(self.layer.clone());
        worst(|progress, tell| verify_source(source, NoBlobs, &options, progress, tell)).is_none()
    }

    /// The flips in the layer that are not found.
    fn passing_in_layer(&self, expected: Digest) -> Vec<usize> {
        assert!(self.passes(expected));
        those_that_pass(&some(bits(&self.layer), 3), |bit| {
            let layer = flipped(&self.layer, bit);
            Self {
                layer,
                ..self.clone()
            }
            .passes(expected)
        })
    }

    /// Bits of the index; of the window of a zTOC, 32 KiB of zeros, one of each byte at most.
    fn index_bits(&self) -> Vec<usize> {
        some(bits_but_of_runs(&self.index), 11)
    }

    /// The flips in the index that are not found.
    fn passing_in_index(&self, expected: Digest) -> Vec<usize> {
        assert!(self.passes(expected));
        // Of a long one some are enough: each is found when the layer is opened, which is another test.
        let bits = self.index_bits();
        let step = bits.len().div_ceil(10_000);
        let bits: Vec<_> = bits.into_iter().step_by(step).collect();
        those_that_pass(&bits, |bit| {
            let index = flipped(&self.index, bit);
            Self {
                index,
                ..self.clone()
            }
            .passes(expected)
        })
    }
}

fn all() -> [Indexed; 3] {
    [
        Indexed::own(),
        Indexed::ztoc(gzip(&tar())),
        Indexed::ztoc(tar()),
    ]
}

#[test]
fn no_flip_in_an_index_passes() {
    for indexed in all() {
        let expected = sha256(&indexed.index);
        assert_eq!(indexed.passing_in_index(expected), [0; 0]);
    }
}

/// It is compared when the layer is opened, too, before anything is made of it.
#[test]
fn no_layer_is_opened_by_a_flipped_index() {
    for indexed in all() {
        let expected = verify::digest(DigestAlgorithm::Blake3, &indexed.index).unwrap();
        let passed = those_that_pass(&indexed.index_bits(), |bit| {
            let index = flipped(&indexed.index, bit);
            let Ok(index) = LayerIndex::from_bytes(index, &Limits::default()) else {
                return false;
            };
            let open = OpenOptions::default().index(index);
            let source = Arc::new(indexed.layer.clone());
            open_source(source, None, NoBlobs, &open.metadata_digest(expected)).is_ok()
        });
        assert_eq!(passed, [0; 0]);
    }
}

#[test]
fn no_flip_in_a_layer_passes() {
    for indexed in all() {
        let expected = sha256(&indexed.layer);
        assert_eq!(indexed.summary(expected).unvouched, []);
        assert_eq!(indexed.passing_in_layer(expected), [0; 0]);
    }
}

/// By the digest of its index alone: ours has that of the layer, a zTOC those of spans, which begin behind the header of
/// the first member.
#[test]
fn flips_in_a_layer_that_only_its_index_vouches_for_are_named() {
    let [own, ztoc, plain] = all();
    for indexed in [own, plain] {
        let expected = sha256(&indexed.index);
        assert_eq!(indexed.summary(expected).unvouched, []);
        assert_eq!(indexed.passing_in_layer(expected), [0; 0]);
    }
    let expected = sha256(&ztoc.index);
    let summary = ztoc.summary(expected);
    assert_eq!(summary.unvouched.len(), 1);
    assert_eq!(summary.unvouched[0].range, 0..10);
    assert_eq!(summary.unvouched_len, 10);
    let passed = ztoc.passing_in_layer(expected);
    assert!(!passed.is_empty());
    assert!(
        passed.iter().all(|&bit| names(&summary.unvouched, bit)),
        "{passed:?}"
    );
    // Whether it is text, the time, the compressor's flags, and the system.
    let free: Vec<_> = [3 * 8].into_iter().chain(4 * 8..10 * 8).collect();
    assert!(passed.iter().all(|bit| free.contains(bit)), "{passed:?}");
}
