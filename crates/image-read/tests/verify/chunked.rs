//! zstd:chunked of both kinds by the annotations of its layer: sound as it is, and every flipped bit that matters found.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::image::TocKind;
use estargz_toc::open::Described;
use image_model::{Digest, StoredPiece};
use lazyoci_image_read::{
    Flaw, Format, NoBlobs, OpenError, OpenImage, OpenOptions, RebuildError, VerifyOptions,
    VerifySourceOptions, VerifySummary, open_source, verify_source,
};
use tar_stream::{LayerStream, StreamOptions};
use verify::sha256;

/// A layer with a TOC, and all that is known of it.
pub(crate) struct Layer {
    pub(crate) blob: Vec<u8>,
    pub(crate) described: Option<Described>,
    /// The blob with its TOC.
    pub(crate) external: Option<Vec<u8>>,
    pub(crate) toc_digest: Option<Digest>,
    pub(crate) diff_id: Option<Digest>,
    /// Its parts, by name.
    pub(crate) regions: Vec<(&'static str, Range<usize>)>,
}

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/estargz");
    std::fs::read(goldens.join(name)).unwrap()
}

pub(crate) fn digest(text: &str) -> Digest {
    format!("sha256:{text}").parse().unwrap()
}

/// By the annotations that stargz-snapshotter gave it.
pub(crate) fn stargz() -> Layer {
    Layer {
        blob: golden("vector-a.tar.zst"),
        described: Some(Described::new(
            TocKind::ZstdChunked,
            StoredPiece::new(336, 410, 1063),
            digest("0332b867de1be1c39784bb0c2abdc9af9a080c761dd2317c01e49875bac9975e"),
        )),
        external: None,
        toc_digest: Some(digest(
            "fd913dbce41fea99002df991d0665cac206839ae131a313e0f035f72e1a53901",
        )),
        diff_id: Some(digest(
            "16534e4bd07b3b73e814827de68b030b55056ea1b2846edd98cc4bb7c5af4621",
        )),
        regions: vec![
            ("frames", 0..328),
            ("headers", 328..336),
            ("TOC", 336..746),
            ("headers", 746..754),
            ("footer", 754..794),
        ],
    }
}

/// By the annotations that skopeo gave it.
pub(crate) fn containers() -> Layer {
    Layer {
        blob: golden("vector-b.tar.zst"),
        described: Some(
            Described::new(
                TocKind::Containers,
                StoredPiece::new(364, 539, 1298),
                digest("0686ec0eb331387870bba68b79594dbb60f2a2f3a44f2431dc3d84b6f5b75738"),
            )
            .tar_split(StoredPiece::new(911, 483, 11_564)),
        ),
        external: None,
        toc_digest: None,
        diff_id: Some(digest(
            "fcbd846df686b7317fe5f4ab5b7b47f4db80cb4e2f61446cfe3d8638138e2ded",
        )),
        regions: vec![
            ("frames", 0..216),
            ("hole", 216..232),
            ("frames", 232..356),
            ("headers", 356..364),
            ("TOC", 364..903),
            ("headers", 903..911),
            ("tar-split", 911..1394),
            ("headers", 1394..1402),
            ("footer", 1402..1466),
        ],
    }
}

impl Layer {
    pub(crate) fn open_options(&self) -> OpenOptions {
        let mut options = OpenOptions::default().described(self.described);
        options.metadata_digest = self.toc_digest;
        options.external_toc = self.external.clone().map(Bytes::from);
        options
    }

    /// Opens it lazily.
    pub(crate) fn open(&self) -> Result<OpenImage, OpenError> {
        let source = Arc::new(Bytes::copy_from_slice(&self.blob));
        open_source(source, None, NoBlobs, &self.open_options())
    }

    pub(crate) fn verify(&self, blob: &[u8]) -> (VerifySummary, Vec<Flaw>) {
        let options = VerifySourceOptions::default()
            .open(self.open_options())
            .verify(VerifyOptions::default().threads(1).diff_id(self.diff_id));
        let source = Arc::new(Bytes::copy_from_slice(blob));
        let mut flaws = Vec::new();
        let summary = verify_source(source, NoBlobs, &options, &mut (), &mut |finding| {
            flaws.push(finding.what);
        });
        (summary.unwrap(), flaws)
    }

    fn region(&self, byte: usize) -> &'static str {
        let regions = &mut self.regions.iter();
        regions.find(|(_, range)| range.contains(&byte)).unwrap().0
    }

    /// Flips every bit. By region: how many flips were found, of how many.
    pub(crate) fn flips(&self) -> BTreeMap<&'static str, (usize, usize)> {
        let tar = tar_of(&self.blob);
        let mut shares = BTreeMap::<_, (usize, usize)>::new();
        for byte in 0..self.blob.len() {
            for bit in 0..8 {
                let mut flipped = self.blob.clone();
                flipped[byte] ^= 1 << bit;
                let (_, flaws) = self.verify(&flipped);
                let share = shares.entry(self.region(byte)).or_default();
                share.1 += 1;
                share.0 += usize::from(!flaws.is_empty());
                // What is not found changes nothing: neither the tar nor, as the metadata is found, any file.
                let same = || tar_of(&flipped) == tar && tar.is_some();
                assert!(!flaws.is_empty() || same(), "byte {byte} bit {bit}");
            }
        }
        println!("flips found: {shares:?}");
        shares
    }
}

pub(crate) fn tar_of(blob: &[u8]) -> Option<Vec<u8>> {
    let mut tar = Vec::new();
    let stream = LayerStream::open(blob, &StreamOptions::default());
    stream.ok()?.read_to_end(&mut tar).ok()?;
    Some(tar)
}

#[test]
fn layers_of_the_reference_tools_are_sound() {
    for layer in [stargz(), containers()] {
        let (summary, flaws) = layer.verify(&layer.blob);
        assert!(flaws.is_empty(), "{flaws:?}");
        assert_eq!(summary.format, Some(Format::ZstdChunked));
        assert_eq!(tar_of(&layer.blob).as_deref().map(sha256), layer.diff_id);
        // And by the footer alone.
        let source = Arc::new(Bytes::from(layer.blob.clone()));
        let image = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
        let found = image.verify(&VerifyOptions::default(), &mut (), &mut |f| panic!("{f}"));
        assert!(found.unwrap().is_sound());
        let diff_id = VerifyOptions::default().diff_id(sha256(b""));
        let mut flaws = Vec::new();
        let found = image.verify(&diff_id, &mut (), &mut |f| flaws.push(f.what));
        assert_eq!(found.unwrap().findings, 1);
        assert!(matches!(flaws[..], [Flaw::DiffId { found, .. }] if Some(found) == layer.diff_id));
    }
}

#[test]
fn the_tar_is_put_together_again() {
    let layer = containers();
    let image = layer.open().unwrap();
    let mut tar = Vec::new();
    let digest = image.rebuild_tar(&mut tar).unwrap();
    assert_eq!(Some(digest), layer.diff_id);
    assert!(Some(tar) == tar_of(&layer.blob));

    let layer = stargz();
    let image = layer.open().unwrap();
    let none = image.rebuild_tar(&mut std::io::sink());
    assert!(matches!(none, Err(RebuildError::NoLayer)));
}

#[test]
fn a_tar_split_that_nothing_tells_the_place_of() {
    let mut layer = containers();
    layer.described = layer.described.map(|told| told.tar_split(None));
    let (_, flaws) = layer.verify(&layer.blob);
    assert!(
        matches!(
            &flaws[..],
            [Flaw::Pieces { .. }, Flaw::Rebuild(RebuildError::Missing)]
        ),
        "{flaws:?}"
    );
}

#[test]
fn another_checksum() {
    let mut layer = containers();
    layer.described = layer.described.map(|told| told.checksum(sha256(b"")));
    let (_, flaws) = layer.verify(&layer.blob);
    let refused = |error: &estargz_toc::open::OpenError| {
        matches!(error, estargz_toc::open::OpenError::Checksum { .. })
    };
    assert!(
        matches!(&flaws[..], [Flaw::Open(OpenError::Estargz(error))] if refused(error)),
        "{flaws:?}"
    );
}

/// Every flip in a TOC, a tar-split or a footer, and every one that changes the tar, is found.
#[test]
fn every_bit_of_stargz_snapshotters_zstd() {
    let shares = stargz().flips();
    assert_eq!(shares["TOC"], (410 * 8, 410 * 8));
    assert_eq!(shares["footer"], (40 * 8, 40 * 8));
}

#[test]
fn every_bit_of_containers_storages_zstd() {
    let shares = containers().flips();
    assert_eq!(shares["TOC"], (539 * 8, 539 * 8));
    assert_eq!(shares["tar-split"], (483 * 8, 483 * 8));
    assert_eq!(shares["footer"], (64 * 8, 64 * 8));
}
