//! No flip in a blob of RAFS v7 passes.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use image_model::BlobId;
use lazyoci_image_read::{
    NoBlobs, OpenOptions, VerifyOptions, VerifySourceOptions, open_source, verify_source,
};
use rafs_format::v7::Footer;

use crate::flips::{
    bits_but_of_runs, every, flipped, names, one_thread, those_that_pass, those_that_pass_open,
};
use crate::support::{Flipping, InMemory, goldens, lines, verify, worst, worst_of};

const NAMES: [&str; 4] = ["none", "zstd", "lz4", "raw"];

fn blob(name: &str) -> Bytes {
    let path = goldens().join("v7").join(format!("{name}.blob"));
    fs::read(path).unwrap().into()
}

fn footer(blob: &Bytes) -> Footer {
    Footer::read(blob.last_chunk().unwrap(), blob.len() as u64).unwrap()
}

/// One bit of every 16 bytes, another one each time.
fn some_bits(bytes: &Bytes) -> Vec<usize> {
    let bits = 0..8 * bytes.len();
    bits.filter(|bit| bit % 128 == bit / 128 % 128).collect()
}

/// Some bits, and of `zstd` those of the [flips](crate::flips::bits) of other blobs behind its data; with
/// `LAZYOCI_EVERY_BIT` all of its bits.
fn bits(name: &str, blob: &Bytes) -> Vec<usize> {
    let mut bits = some_bits(blob);
    if name == "zstd" {
        let (every, data) = (every(), footer(blob).data);
        let behind = |bit: &usize| every || *bit as u64 / 8 >= data.end - 8;
        bits.extend(crate::flips::bits(blob).into_iter().filter(behind));
        bits.sort_unstable();
        bits.dedup();
    }
    bits
}

/// The bits of the blob that can be flipped without being found. Of those of its data none is looked at before content
/// is read, so that the image is opened only once for them.
fn passing(blob: &Bytes, bits: &[usize], id: &BlobId, options: &VerifyOptions) -> Vec<usize> {
    let data = footer(blob).data;
    let (inside, others): (Vec<_>, Vec<_>) = bits
        .iter()
        .partition(|&&bit| data.contains(&(bit as u64 / 8)));
    let open = || {
        let file = Arc::new(Flipping::new(blob));
        let image = open_source(file.clone(), Some(id), NoBlobs, &OpenOptions::default());
        (image.unwrap(), file)
    };
    let mut passed = those_that_pass_open(&inside, open, options);
    passed.extend(those_that_pass(&others, |bit| {
        let source = Arc::new(flipped(blob, bit));
        let options = VerifySourceOptions::default()
            .id(Some(id.clone()))
            .verify(options.clone());
        worst(|progress, tell| verify_source(source, NoBlobs, &options, progress, tell)).is_none()
    }));
    passed
}

/// It is called by its digest, or its digest is expected.
#[test]
fn no_flip_in_a_blob_passes() {
    for name in NAMES {
        let blob = blob(name);
        let digest = ::verify::sha256(&blob);
        let id = BlobId::new(digest.hex().as_bytes()).unwrap();
        let passed = passing(&blob, &bits(name, &blob), &id, &one_thread());
        assert_eq!(passed, [0; 0], "{name}");
    }
    let blob = blob("lz4");
    let options = one_thread().expect(::verify::sha256(&blob));
    let id = BlobId::new(b"layer").unwrap();
    assert_eq!(passing(&blob, &some_bits(&blob), &id, &options), [0; 0]);
}

/// Where only the digest of the bootstrap is known, that vouches for the data; checksums for the rest but padding,
/// which is named.
#[test]
fn flips_in_a_blob_that_is_called_otherwise_lie_in_padding() {
    for name in NAMES {
        let blob = blob(name);
        let id = BlobId::new(b"layer").unwrap();
        let source = Arc::new(blob.clone());
        let image = open_source(source, Some(&id), NoBlobs, &OpenOptions::default()).unwrap();
        let bootstrap = image.v7().unwrap().bootstrap().unwrap();
        let options = one_thread().expect(::verify::sha256(bootstrap));
        let (found, summary) = verify(blob.clone(), Some(&id), NoBlobs, &options);
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!(summary.unvouched_len, 0, "{name}");
        let passed = passing(&blob, &bits(name, &blob), &id, &options);
        assert_eq!(passed.is_empty(), summary.padding.is_empty(), "{name}");
        assert!(
            passed.iter().all(|&bit| names(&summary.padding, bit)),
            "{name}: {passed:?}"
        );
    }
}

/// The bootstrap beside its blob, whose digest it has.
#[test]
fn no_flip_beside_a_bootstrap_passes() {
    let blob = blob("zstd");
    let bootstrap = Bytes::from(fs::read(goldens().join("v7/zstd.boot")).unwrap());
    let options = one_thread().expect(::verify::sha256(&bootstrap));
    let opened = |bootstrap: Bytes, blob: Bytes| {
        let blobs = InMemory(Arc::new(blob));
        open_source(Arc::new(bootstrap), None, blobs, &OpenOptions::default())
    };
    let image = opened(bootstrap.clone(), blob.clone()).unwrap();
    assert_eq!(worst_of(&image, &options), None);
    let passes = |bootstrap: Bytes, blob: Bytes| match opened(bootstrap, blob) {
        Ok(image) => worst_of(&image, &options).is_none(),
        Err(_) => false,
    };
    let passed = those_that_pass(&some_bits(&blob), |bit| {
        passes(bootstrap.clone(), flipped(&blob, bit))
    });
    assert_eq!(passed, [0; 0]);
    let bits = match every() {
        true => bits_but_of_runs(&bootstrap)
            .into_iter()
            .step_by(5)
            .collect(),
        false => some_bits(&bootstrap),
    };
    // The digest is that of all of it, whatever is read of the blob.
    let options = options.content(false);
    let passed = those_that_pass(&bits, |bit| {
        let image = opened(flipped(&bootstrap, bit), blob.clone());
        image.is_ok_and(|image| worst_of(&image, &options).is_none())
    });
    assert_eq!(passed, [0; 0]);
}

#[test]
fn no_blob_that_was_cut_or_goes_on_passes() {
    let sound = blob("zstd");
    let digest = ::verify::sha256(&sound);
    let id = BlobId::new(digest.hex().as_bytes()).unwrap();
    let options = one_thread().expect(digest);
    let passes = |blob: Bytes| verify(blob, Some(&id), NoBlobs, &options).1.is_sound();
    assert!(passes(sound.clone()));
    // Each length near one at which something begins or ends, and some of the others.
    let lens = (0..sound.len()).filter(|len| len % 7 == 0 || (len + 8) % 4096 < 16);
    let lens: Vec<_> = lens.collect();
    assert_eq!(
        those_that_pass(&lens, |len| passes(sound.slice(..len))),
        [0; 0]
    );
    assert!(!passes([&sound[..], &[0]].concat().into()));
    assert!(!passes([&sound[..], &[0; 4096]].concat().into()));
}
