//! Digests and checksums against published values.

use image_model::{Blame, Digest, DigestAlgorithm, Fault};
use lazyoci_verify::{CheckError, Hasher, UnsupportedDigest, check, check_crc32c, crc32c, digest};

#[cfg(feature = "sha256")]
const SHA256_OF_ABC: &str =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[cfg(feature = "sha256")]
#[test]
fn published_sha256_value() {
    let abc = digest(DigestAlgorithm::Sha256, b"abc").unwrap();
    assert_eq!(abc.to_string(), SHA256_OF_ABC);
}

/// RFC 3720, B.4.
#[test]
fn published_checksums() {
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(b""), 0);
}

#[cfg(feature = "blake3")]
#[test]
fn published_blake3_value() {
    let empty = digest(DigestAlgorithm::Blake3, b"").unwrap();
    assert_eq!(
        empty.to_string(),
        "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
}

#[test]
fn a_missing_algorithm_is_named() {
    for (algorithm, built_in) in [
        (DigestAlgorithm::Sha256, cfg!(feature = "sha256")),
        (DigestAlgorithm::Blake3, cfg!(feature = "blake3")),
    ] {
        let missing = UnsupportedDigest { algorithm };
        assert_eq!(missing.fault(), Fault::Unsupported);
        let found = digest(algorithm, b"");
        assert_eq!(found.is_ok(), built_in);
        assert_eq!(Hasher::new(algorithm).is_ok(), built_in);
        if !built_in {
            assert_eq!(found, Err(missing));
            let error = check(&Digest::new(algorithm, [0; 32]), b"").unwrap_err();
            assert_eq!(error, CheckError::Unsupported(missing));
            assert_eq!(error.fault(), Fault::Unsupported);
        }
    }
}

#[test]
fn pieces_make_the_whole() {
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Blake3] {
        let Ok(mut hasher) = Hasher::new(algorithm) else {
            continue;
        };
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        for piece in bytes.chunks(77) {
            hasher.update(piece);
        }
        assert_eq!(hasher.finish(), digest(algorithm, &bytes).unwrap());
    }
}

#[cfg(feature = "sha256")]
#[test]
fn mismatches_name_both_values() {
    let expected: Digest = SHA256_OF_ABC.parse().unwrap();
    assert_eq!(check(&expected, b"abc"), Ok(()));
    let found = digest(DigestAlgorithm::Sha256, b"abd").unwrap();
    let error = check(&expected, b"abd").unwrap_err();
    assert_eq!(error, CheckError::Digest { expected, found });
    assert_eq!(error.fault(), Fault::Corrupt);
}

/// As in images of `nydus-image optimize`.
#[cfg(all(feature = "sha256", feature = "blake3"))]
#[test]
fn a_digest_by_another_algorithm_names_that() {
    for (declared, found) in [
        (DigestAlgorithm::Blake3, DigestAlgorithm::Sha256),
        (DigestAlgorithm::Sha256, DigestAlgorithm::Blake3),
    ] {
        let right = digest(found, b"abc").unwrap();
        let expected = Digest::new(declared, *right.as_bytes());
        let error = check(&expected, b"abc").unwrap_err();
        assert_eq!(error, CheckError::Algorithm { expected, found });
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(
            error.to_string(),
            format!(
                "the bytes have digest {right}, but the algorithm is declared to be {declared}"
            )
        );
        let found = digest(declared, b"abd").unwrap();
        let error = check(&expected, b"abd").unwrap_err();
        assert_eq!(error, CheckError::Digest { expected, found });
    }
}

#[test]
fn wrong_checksums_name_both_values() {
    assert_eq!(
        check_crc32c(1, b""),
        Err(CheckError::Crc32c {
            expected: 1,
            found: 0
        })
    );
}
