//! Computing digests and comparing bytes with them.

use std::fmt;

use image_model::{Blame, Digest, DigestAlgorithm, Fault};
#[cfg(feature = "sha256")]
use sha2::Digest as _;

/// This build cannot compute the requested digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{algorithm} digests are not built in: enable the feature of the same name")]
pub struct UnsupportedDigest {
    /// The algorithm that is missing.
    pub algorithm: DigestAlgorithm,
}

impl Blame for UnsupportedDigest {
    fn fault(&self) -> Fault {
        Fault::Unsupported
    }
}

/// Computes a digest piece by piece.
///
/// ```
/// use image_model::DigestAlgorithm::Sha256;
/// let mut hasher = lazyoci_verify::Hasher::new(Sha256)?;
/// hasher.update(b"hel");
/// hasher.update(b"lo");
/// assert_eq!(hasher.finish(), lazyoci_verify::digest(Sha256, b"hello")?);
/// # Ok::<(), lazyoci_verify::UnsupportedDigest>(())
/// ```
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    #[cfg(feature = "sha256")]
    Sha256(sha2::Sha256),
    #[cfg(feature = "blake3")]
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Starts a digest of no bytes.
    ///
    /// # Errors
    /// [`UnsupportedDigest`] if the feature for `algorithm` is off.
    pub fn new(algorithm: DigestAlgorithm) -> Result<Self, UnsupportedDigest> {
        match algorithm {
            #[cfg(feature = "sha256")]
            DigestAlgorithm::Sha256 => Ok(Self::sha256()),
            #[cfg(feature = "blake3")]
            DigestAlgorithm::Blake3 => Ok(Self(State::Blake3(Box::default()))),
            _ => Err(UnsupportedDigest { algorithm }),
        }
    }

    /// Starts a SHA-256 digest.
    #[cfg(feature = "sha256")]
    #[must_use]
    pub fn sha256() -> Self {
        Self(State::Sha256(sha2::Sha256::new()))
    }

    /// Appends `bytes`.
    #[cfg_attr(
        not(any(feature = "sha256", feature = "blake3")),
        expect(unused_variables, reason = "there is no hasher in this build")
    )]
    pub fn update(&mut self, bytes: &[u8]) {
        match self.0 {
            #[cfg(feature = "sha256")]
            State::Sha256(ref mut state) => state.update(bytes),
            #[cfg(feature = "blake3")]
            State::Blake3(ref mut state) => {
                state.update(bytes);
            }
        }
    }

    /// The digest of all bytes so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            #[cfg(feature = "sha256")]
            State::Sha256(state) => Digest::new(DigestAlgorithm::Sha256, state.finalize().into()),
            #[cfg(feature = "blake3")]
            State::Blake3(state) => Digest::new(DigestAlgorithm::Blake3, state.finalize().into()),
        }
    }
}

impl fmt::Debug for Hasher {
    #[cfg_attr(
        not(any(feature = "sha256", feature = "blake3")),
        expect(unused_variables, reason = "there is no hasher in this build")
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            #[cfg(feature = "sha256")]
            State::Sha256(_) => f.write_str("Hasher(sha256)"),
            #[cfg(feature = "blake3")]
            State::Blake3(_) => f.write_str("Hasher(blake3)"),
        }
    }
}

/// SHA-256 of `bytes`.
///
/// ```
/// let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// assert_eq!(lazyoci_verify::sha256(b"").to_string(), nothing);
/// ```
#[cfg(feature = "sha256")]
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.finish()
}

/// The digest of `bytes`.
///
/// # Errors
/// [`UnsupportedDigest`] if the feature for `algorithm` is off.
pub fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Result<Digest, UnsupportedDigest> {
    match algorithm {
        #[cfg(feature = "blake3")]
        DigestAlgorithm::Blake3 => Ok(Digest::new(algorithm, blake3::hash(bytes).into())),
        _ => {
            let mut hasher = Hasher::new(algorithm)?;
            hasher.update(bytes);
            Ok(hasher.finish())
        }
    }
}

/// CRC-32C (Castagnoli; reflected polynomial 0x82F63B78, initial value and final XOR all ones) of
/// `bytes`: the checksum of chunks in RAFS, and of the superblock in EROFS.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Bytes do not match their digest or checksum, or cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The digest differs.
    #[error("the bytes have digest {found}, not {expected}")]
    Digest {
        /// The expected digest.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// The digest is right by another algorithm than the declared one. `nydus-image optimize` makes such images: it
    /// declares its default, whatever the source has.
    #[error(
        "the bytes have digest {found}:{}, but the algorithm is declared to be {}",
        expected.hex(), expected.algorithm()
    )]
    Algorithm {
        /// The expected digest.
        expected: Digest,
        /// The algorithm by which the bytes have it.
        found: DigestAlgorithm,
    },
    /// The CRC-32C differs.
    #[error("the bytes have CRC-32C {found:#010x}, not {expected:#010x}")]
    Crc32c {
        /// The expected checksum.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// The digest cannot be computed.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedDigest),
}

impl Blame for CheckError {
    fn fault(&self) -> Fault {
        match self {
            Self::Digest { .. } | Self::Algorithm { .. } | Self::Crc32c { .. } => Fault::Corrupt,
            Self::Unsupported(error) => error.fault(),
        }
    }
}

/// Compares `bytes` with their expected digest.
///
/// # Errors
/// [`CheckError::Digest`] with both digests if they differ; [`CheckError::Algorithm`] if it is right by another
/// algorithm of this build; [`CheckError::Unsupported`] if the feature for the digest's algorithm is off.
pub fn check(expected: &Digest, bytes: &[u8]) -> Result<(), CheckError> {
    let expected = *expected;
    let found = digest(expected.algorithm(), bytes)?;
    if found == expected {
        Ok(())
    } else {
        Err(differing(expected, found, bytes))
    }
}

/// Why `bytes`, whose digest is `found`, do not have the digest `expected`.
#[cold]
fn differing(expected: Digest, found: Digest, bytes: &[u8]) -> CheckError {
    let others = [DigestAlgorithm::Sha256, DigestAlgorithm::Blake3];
    let has = |algorithm: &DigestAlgorithm| {
        let other = digest(*algorithm, bytes);
        *algorithm != expected.algorithm()
            && other.is_ok_and(|other| other.as_bytes() == expected.as_bytes())
    };
    match others.into_iter().find(has) {
        Some(found) => CheckError::Algorithm { expected, found },
        None => CheckError::Digest { expected, found },
    }
}

/// Compares `bytes` with their expected CRC-32C.
///
/// # Errors
/// [`CheckError::Crc32c`] with both checksums if they differ.
pub fn check_crc32c(expected: u32, bytes: &[u8]) -> Result<(), CheckError> {
    let found = crc32c(bytes);
    if found == expected {
        Ok(())
    } else {
        Err(CheckError::Crc32c { expected, found })
    }
}
