//! What annotations and footers of zstd:chunked say, number by number; and what holes mean to a reader that skips them.

use bytes::Bytes;
use estargz_toc::footer::containers::{Pieces, TOC_TYPE};
use estargz_toc::footer::{FooterError, FooterKind, containers as footer, skippable};
use estargz_toc::open::{Described, OpenError as TocOpenError};
use frame_codec::{Compression, Encoder};
use image_model::StoredPiece;
use lazyoci_image_read::{Flaw, OpenError, RebuildError};
use verify::sha256;

use crate::chunked::{Layer, containers, stargz, tar_of};

const TOC: StoredPiece = StoredPiece::new(364, 539, 1298);
const SPLIT: StoredPiece = StoredPiece::new(911, 483, 11_564);

/// What is found if the bytes `at` of the layer, counted from its end, are `bytes`.
fn with_end(layer: &Layer, at: usize, bytes: &[u8]) -> Vec<Flaw> {
    let mut blob = layer.blob.clone();
    let start = blob.len() - at;
    blob[start..start + bytes.len()].copy_from_slice(bytes);
    layer.verify(&blob).1
}

/// The only finding: the footer has other pieces than the annotations.
#[track_caller]
fn other_pieces(flaws: &[Flaw]) -> (Pieces, Pieces) {
    let [Flaw::Pieces { expected, found }] = flaws else {
        panic!("{flaws:?}");
    };
    (**expected, **found)
}

/// The only finding: the footer cannot be used.
#[track_caller]
fn no_footer(flaws: &[Flaw]) -> FooterError {
    let [Flaw::Footer(error)] = flaws else {
        panic!("{flaws:?}");
    };
    error.clone()
}

/// Skopeo, podman and buildah write the same footer (`interop/estargz/goldens.sh`), and none of them reads it.
#[test]
fn each_field_of_containers_storages_footer_is_compared_with_the_annotations() {
    let layer = containers();
    let set = |field: usize, value: u64| with_end(&layer, 64 - 8 * field, &value.to_le_bytes());
    let expected = Pieces::new(TOC).tar_split(SPLIT);
    let other_toc = |toc| (expected, Pieces::new(toc).tar_split(SPLIT));
    let other_split = |split| (expected, Pieces::new(TOC).tar_split(split));
    assert_eq!(
        other_pieces(&set(0, 363)),
        other_toc(StoredPiece::new(363, 539, 1298))
    );
    assert_eq!(
        other_pieces(&set(1, 538)),
        other_toc(StoredPiece::new(364, 538, 1298))
    );
    assert_eq!(
        other_pieces(&set(2, 1299)),
        other_toc(StoredPiece::new(364, 539, 1299))
    );
    let kind = FooterKind::Containers;
    let toc_type = |found| FooterError::TocType { kind, found };
    assert_eq!(no_footer(&set(3, 2)), toc_type(2));
    assert_eq!(no_footer(&set(3, 0)), toc_type(0));
    // Between the TOC and the footer there is one place for it.
    for offset in [910, 912] {
        let piece = StoredPiece::new(offset, 483, 11_564);
        let error = FooterError::Piece {
            kind,
            what: "the tar-split",
            piece,
            after: 911,
            before: 1394,
        };
        assert_eq!(no_footer(&set(4, offset)), error);
    }
    assert_eq!(
        other_pieces(&set(5, 482)),
        other_split(StoredPiece::new(911, 482, 11_564))
    );
    assert_eq!(
        other_pieces(&set(6, 11_565)),
        other_split(StoredPiece::new(911, 483, 11_565))
    );
    // The magic of the other kind.
    let magic = with_end(&layer, 8, b"GnUlInUx");
    assert_eq!(no_footer(&magic), FooterError::Unknown);
    // Then something follows the last frame of the layer, too.
    let header = with_end(&layer, 72, &skippable::header(63));
    let unknown = |flaw: &Flaw| matches!(flaw, Flaw::Footer(FooterError::Unknown));
    assert!(header.iter().any(unknown), "{header:?}");
    let without = footer::encode(&Pieces::new(TOC));
    let without = with_end(&layer, 72, &without);
    assert_eq!(other_pieces(&without), (expected, Pieces::new(TOC)));
    assert_eq!(TOC_TYPE, 1);
}

#[test]
fn each_field_of_stargz_snapshotters_footer_is_compared_with_the_annotations() {
    let layer = stargz();
    let set = |field: usize, value: u64| with_end(&layer, 40 - 8 * field, &value.to_le_bytes());
    let expected = Pieces::new(StoredPiece::new(336, 410, 1063));
    for (field, value, toc) in [
        (0, 335, StoredPiece::new(335, 410, 1063)),
        (1, 409, StoredPiece::new(336, 409, 1063)),
        (2, 1064, StoredPiece::new(336, 410, 1064)),
    ] {
        let found = other_pieces(&set(field, value));
        assert_eq!(found, (expected, Pieces::new(toc)));
    }
    let kind = FooterKind::ZstdChunked;
    let found = no_footer(&set(3, 2));
    assert_eq!(found, FooterError::TocType { kind, found: 2 });
    let magic = with_end(&layer, 8, b"GNUlInUx");
    assert_eq!(no_footer(&magic), FooterError::Unknown);
}

/// The layer of skopeo, described in another way.
fn told(change: impl FnOnce(Described) -> Described) -> Vec<Flaw> {
    let mut layer = containers();
    layer.described = layer.described.map(change);
    layer.verify(&layer.blob).1
}

/// Why the TOC cannot be had, which is all that is found then.
#[track_caller]
fn no_toc(flaws: &[Flaw]) -> &TocOpenError {
    let [Flaw::Open(OpenError::Estargz(error))] = flaws else {
        panic!("{flaws:?}");
    };
    error
}

/// Why the tar-split cannot be had, beside what the footer says.
#[track_caller]
fn no_tar_split(flaws: &[Flaw]) -> &TocOpenError {
    let [Flaw::Pieces { .. }, Flaw::Open(OpenError::Estargz(error))] = flaws else {
        panic!("{flaws:?}");
    };
    error
}

#[test]
fn each_number_of_the_annotations_counts() {
    for toc in [
        StoredPiece::new(363, 539, 1298),
        StoredPiece::new(365, 539, 1298),
        StoredPiece::new(364, 538, 1298),
        StoredPiece::new(364, 540, 1298),
    ] {
        let flaws = told(|layer| layer.toc(toc));
        let error = no_toc(&flaws);
        assert!(
            matches!(
                error,
                TocOpenError::Checksum {
                    what: "the TOC",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    for len in [1297, 1299] {
        let toc = StoredPiece::new(364, 539, len);
        let flaws = told(|layer| layer.toc(toc));
        let error = no_toc(&flaws);
        assert!(
            matches!(error, TocOpenError::Length { what: "the TOC", piece, found: 1298 } if *piece == toc),
            "{error:?}"
        );
    }
    for split in [
        StoredPiece::new(910, 483, 11_564),
        StoredPiece::new(912, 483, 11_564),
        StoredPiece::new(911, 482, 11_564),
        StoredPiece::new(911, 484, 11_564),
    ] {
        let flaws = told(|layer| layer.tar_split(split));
        let error = no_tar_split(&flaws);
        assert!(
            matches!(
                error,
                TocOpenError::Checksum {
                    what: "the tar-split",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    for (len, bytes) in [(11_563, 11_564), (11_565, 11_564)] {
        let split = StoredPiece::new(911, 483, len);
        let flaws = told(|layer| layer.tar_split(split));
        let error = no_tar_split(&flaws);
        assert!(
            matches!(error, TocOpenError::Length { what: "the tar-split", piece, found }
                if *piece == split && *found == bytes),
            "{error:?}"
        );
    }
}

/// A layer whose TOC vouches for no tar-split, and that announces one all the same, with these bytes.
fn without_tar_split_digest(tar_split: &[u8]) -> Layer {
    let mut layer = containers();
    let opened = lazyoci_image_read::read_toc(
        &Bytes::from(layer.blob.clone()),
        &image_model::Limits::default(),
    );
    let json = String::from_utf8(opened.unwrap().json).unwrap();
    let start = json.find(r#","tarSplitDigest""#).unwrap();
    let json = format!("{}}}", &json[..start]);
    let mut toc = Vec::new();
    let mut encoder = Encoder::new(Compression::Zstd { level: 3 }).unwrap();
    encoder.encode_frame(json.as_bytes(), &mut toc).unwrap();
    layer.blob.truncate(356);
    let mut place = |stored: &[u8], len: usize| {
        let header = skippable::header(u32::try_from(stored.len()).unwrap());
        layer.blob.extend(header);
        let offset = layer.blob.len() as u64;
        layer.blob.extend(stored);
        StoredPiece::new(offset, stored.len() as u64, len as u64)
    };
    let pieces = Pieces::new(place(&toc, json.len())).tar_split(place(tar_split, 11_564));
    layer.blob.extend(footer::encode(&pieces));
    layer.described = layer.described.map(|told| {
        told.toc(pieces.toc)
            .checksum(sha256(&toc))
            .tar_split(pieces.tar_split)
    });
    layer
}

/// Nobody may use it: the annotations have no digest of it.
#[test]
fn a_tar_split_that_the_toc_does_not_vouch_for_is_ignored() {
    let sound = containers().blob[911..911 + 483].to_vec();
    for tar_split in [sound, vec![7; 483]] {
        let layer = without_tar_split_digest(&tar_split);
        let (_, flaws) = layer.verify(&layer.blob);
        assert!(flaws.is_empty(), "{flaws:?}");
        let image = layer.open().unwrap();
        assert_eq!(image.read("d/a", 10).unwrap(), b"hello");
        let rebuilt = image.rebuild_tar(&mut std::io::sink());
        assert!(
            matches!(rebuilt, Err(RebuildError::NoTarSplit)),
            "{rebuilt:?}"
        );
    }
}

/// Whoever reads by the TOC has zeros there, whatever the frame holds. Only who decodes all of the tar learns of it.
#[test]
fn frames_of_holes_are_nobodys_content() {
    let mut layer = containers();
    let sound = layer.open().unwrap().read("z", 4096).unwrap();
    assert_eq!(sound.len(), 2052);
    // A frame of the same length that decodes to nothing.
    layer.blob[216..224].copy_from_slice(&skippable::header(8));
    layer.blob[224..232].fill(7);
    let image = layer.open().unwrap();
    assert_eq!(image.read("z", 4096).unwrap(), sound);
    // So the tar that is put together is the right one, and the one in the layer is not.
    let rebuilt = image.rebuild_tar(&mut std::io::sink()).unwrap();
    assert_eq!(Some(rebuilt), layer.diff_id);
    let tar = tar_of(&layer.blob).unwrap();
    assert_eq!(tar.len(), 10_240 - 1024);
    let (_, flaws) = layer.verify(&layer.blob);
    let of_the_tar = |flaw: &Flaw| {
        matches!(flaw, Flaw::DiffId { expected, found }
            if Some(*expected) == layer.diff_id && *found == sha256(&tar))
    };
    assert!(flaws.iter().any(of_the_tar), "{flaws:?}");
}
