//! Nothing passes that is not what the bootstrap's digest vouches for.

use std::sync::Arc;
use std::thread::{available_parallelism, scope};

use bytes::Bytes;
use image_model::{BlobId, Fault};
use lazyoci_image_read::{ObjectRange, OpenImage, VerifyOptions};

use crate::built::without_digest;
use crate::support::{Flipping, Golden, golden, lines, worst_of};

/// Whether no bit may be left out.
pub(crate) fn every() -> bool {
    std::env::var_os("LAZYOCI_EVERY_BIT").is_some()
}

/// The bits of `bytes`: all of them. Of the bytes inside a long run of equal ones, which nothing but digests and
/// checks of padding look at, it is one bit each, unless `LAZYOCI_EVERY_BIT` is set.
pub(crate) fn bits(bytes: &[u8]) -> Vec<usize> {
    match every() {
        true => (0..8 * bytes.len()).collect(),
        false => bits_but_of_runs(bytes),
    }
}

/// The bits of `bytes`; of those inside a long run of equal ones one bit each.
pub(crate) fn bits_but_of_runs(bytes: &[u8]) -> Vec<usize> {
    const EDGE: usize = 32;
    let inside = |at: usize| {
        let around = at.checked_sub(EDGE).map(|start| start..=at + EDGE);
        let around = around.and_then(|around| bytes.get(around));
        around.is_some_and(|around| around.iter().all(|&byte| byte == bytes[at]))
    };
    let of_byte = |at| match inside(at) {
        true => 8 * at + at % 8..8 * at + at % 8 + 1,
        false => 8 * at..8 * at + 8,
    };
    (0..bytes.len()).flat_map(of_byte).collect()
}

/// Every `step`th of `bits`, where nothing but noise is expected of the others; with `LAZYOCI_EVERY_BIT` all of them.
pub(crate) fn some(bits: Vec<usize>, step: usize) -> Vec<usize> {
    let step = if every() { 1 } else { step };
    bits.into_iter().step_by(step).collect()
}

/// Calls `passes` with each of `numbers`, on all threads; those for which it says so.
pub(crate) fn those_that_pass(
    numbers: &[usize],
    passes: impl Fn(usize) -> bool + Sync,
) -> Vec<usize> {
    those_that_pass_with(numbers, || (), |(), n| passes(n))
}

/// The same, with something that each thread has for itself.
fn those_that_pass_with<T>(
    numbers: &[usize],
    of_thread: impl Fn() -> T + Sync,
    passes: impl Fn(&T, usize) -> bool + Sync,
) -> Vec<usize> {
    let threads = available_parallelism().map_or(1, usize::from);
    scope(|scope| {
        let (passes, of_thread) = (&passes, &of_thread);
        let part = |thread| {
            move || {
                let own = of_thread();
                let part = numbers.iter().copied().skip(thread).step_by(threads);
                part.filter(|&n| passes(&own, n)).collect()
            }
        };
        let parts: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(part(thread)))
            .collect();
        let found = parts.into_iter().map(|part| part.join().unwrap());
        found.flat_map(|part: Vec<usize>| part).collect()
    })
}

/// There are as many tests as threads.
pub(crate) fn one_thread() -> VerifyOptions {
    VerifyOptions::default().threads(1)
}

pub(crate) fn flipped(bytes: &Bytes, bit: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes.into()
}

/// The flips in the blob that are not found. A bootstrap beside it is opened only once.
fn unfound(golden: &Golden, options: &VerifyOptions) -> Vec<usize> {
    let bits = bits(&golden.blob);
    if golden.bootstrap.is_none() {
        return those_that_pass(&bits, |bit| {
            let flipped = Golden {
                blob: flipped(&golden.blob, bit),
                ..golden.clone()
            };
            let worst = flipped.worst(options);
            // An algorithm that is unknown may be one of a later version.
            assert_ne!(worst, Some(Fault::Io), "bit {bit}");
            worst.is_none()
        });
    }
    those_that_pass_open(&bits, || golden.flipping(), options)
}

/// The bits that can be flipped in a file of an image without being found; each thread opens that only once.
pub(crate) fn those_that_pass_open(
    bits: &[usize],
    open: impl Fn() -> (OpenImage, Arc<Flipping>) + Sync,
    options: &VerifyOptions,
) -> Vec<usize> {
    those_that_pass_with(bits, open, |(image, file), bit| {
        file.flip(bit);
        let worst = worst_of(image, options);
        assert_ne!(worst, Some(Fault::Io), "bit {bit}");
        // Nothing of it is kept.
        if bit % 512 == 0 {
            file.flip(usize::MAX);
            assert_eq!(worst_of(image, options), None, "after bit {bit}");
        }
        worst.is_none()
    })
}

/// The flips in the blob that are not found, and do not lie in bytes that are named as padding.
fn blob_flips(golden: &Golden, options: &VerifyOptions) -> Vec<usize> {
    let padding = golden.verify(options).1.padding;
    let mut passed = unfound(golden, options);
    passed.retain(|&bit| !names(&padding, bit));
    passed
}

/// Whether `bit` is in one of `ranges`.
pub(crate) fn names(ranges: &[ObjectRange], bit: usize) -> bool {
    let byte = bit as u64 / 8;
    ranges.iter().any(|named| named.range.contains(&byte))
}

#[test]
fn no_flip_in_a_blob_passes() {
    for name in [
        "a4-v6-zstd-sha256",
        "a4-v6-lz4_block-blake3",
        "a4-v5-zstd-sha256",
        "a4-v6-zstd-sha256-batch",
    ] {
        let golden = golden(name);
        let options = one_thread().expect(golden.bootstrap_digest());
        assert_eq!(blob_flips(&golden, &options), [0; 0], "{name}");
    }
}

#[test]
fn no_flip_in_a_blob_with_its_bootstrap_passes() {
    for name in ["a4-v6-zstd-sha256-inline-toc", "a4-v5-zstd-sha256-inline"] {
        let golden = golden(name);
        let options = one_thread().expect(golden.bootstrap_digest());
        assert_eq!(blob_flips(&golden, &options), [0; 0], "{name}");
    }
}

/// Neither does one in a blob whose name says nothing: the TOC vouches for all of it.
#[test]
fn no_flip_in_a_blob_without_a_digest_passes() {
    let golden = without_digest(&golden("a4-v6-zstd-sha256-toc"));
    let options = one_thread().expect(golden.bootstrap_digest());
    assert_eq!(lines(&golden.verify(&options).0), [""; 0]);
    assert_eq!(blob_flips(&golden, &options), [0; 0]);
}

/// Where nothing vouches for a blob as a whole, what passes lies in compressed bytes, which are named,
/// and decodes to the same.
#[test]
fn flips_that_pass_in_a_blob_that_nothing_vouches_for_are_named() {
    // How many bits of a frame, or of compressed chunk information, mean nothing.
    let cases = [
        ("a4-v6-none-sha256", 0),
        ("a4-v6-zstd-sha256", 1),
        ("a4-v6-lz4_block-blake3", 4),
        ("a4-v5-none-sha256", 0),
        ("a4-v5-zstd-sha256", 1),
        ("a4-v6-zstd-sha256-batch", 4),
        ("a4-v6-none-blake3-batch-toc", 0),
    ];
    for (name, expected) in cases {
        let golden = without_digest(&golden(name));
        let options = one_thread().expect(golden.bootstrap_digest());
        let (found, summary) = golden.verify(&options);
        assert_eq!(lines(&found), [""; 0], "{name}");
        let named: u64 = summary
            .unvouched
            .iter()
            .map(|r| r.range.end - r.range.start)
            .sum();
        assert_eq!(summary.unvouched_len, named, "{name}");
        let passed = unfound(&golden, &options);
        let len = golden.blob.len();
        println!(
            "{name}: {} of {} bits are free, in {named} of {len} bytes that are named",
            passed.len(),
            8 * len
        );
        assert!(
            passed.iter().all(|&bit| names(&summary.unvouched, bit)),
            "{name}: {passed:?}"
        );
        assert_eq!(passed.len(), expected, "{name}: {passed:?}");
    }
}

/// A blob with its bootstrap may be called anything.
#[test]
fn no_flip_in_a_blob_of_another_name_passes() {
    let golden = Golden {
        id: BlobId::new(b"layer").unwrap(),
        ..golden("a4-v6-none-sha256-inline")
    };
    let options = one_thread().expect(golden.bootstrap_digest());
    assert_eq!(lines(&golden.verify(&options).0), [""; 0]);
    assert_eq!(blob_flips(&golden, &options), [0; 0]);
}

#[test]
fn no_flip_in_a_bootstrap_passes() {
    let golden = golden("a4-v6-zstd-sha256");
    let options = one_thread()
        .content(false)
        .expect(golden.bootstrap_digest());
    let bootstrap = golden.bootstrap.clone().unwrap();
    let passed = those_that_pass(&bits(&bootstrap), |bit| {
        let flipped = Golden {
            bootstrap: Some(flipped(&bootstrap, bit)),
            ..golden.clone()
        };
        flipped.worst(&options).is_none()
    });
    assert_eq!(passed, [0; 0]);
}

/// Without the digest of the bootstrap, what the digests in a bootstrap of version 5 cover is found, and
/// what follows from other fields. What is not is named here: of the blob id the flips that make it none
/// of 64 hexadecimal digits, so that it says nothing; a CRC that no flag announces. Places of chunks that
/// lead elsewhere are found when the chunks are read.
#[test]
fn flips_in_a_v5_bootstrap_that_pass_without_its_digest() {
    let golden = golden("a4-v5-zstd-sha256");
    let options = one_thread();
    let bootstrap = golden.bootstrap.clone().unwrap();
    let passed = those_that_pass(&bits(&bootstrap), |bit| {
        let flipped = Golden {
            bootstrap: Some(flipped(&bootstrap, bit)),
            ..golden.clone()
        };
        flipped.worst(&options).is_none()
    });
    // The inodes as nydus-image 2.2 places them: `/`, `d`, `e`, `f`, `z`, `d/h`, `d/l`.
    let inodes = [8360, 8496, 8632, 8768, 8984, 9200, 9416];
    let field = |bit: &usize| {
        let byte = bit / 8;
        let Some(inode) = inodes.iter().rev().find(|&&inode| inode <= byte) else {
            return match byte {
                16..24 => "flags",
                8224..8232 => "readahead",
                8232..8296 => "blob id",
                8296..8300 => "chunk count",
                8300..8304 => "features",
                8304..8312 => "uncompressed size",
                _ => "other tables",
            };
        };
        match byte - inode {
            48..56 => "owner",
            60..64 => "mode",
            108..120 => "time",
            128..136 => "name",
            80..88 => "inode flags",
            212..216 => "crc32",
            _ => "other fields",
        }
    };
    let mut shares = std::collections::BTreeMap::<&str, usize>::new();
    for bit in &passed {
        *shares.entry(field(bit)).or_default() += 1;
    }
    println!("of {} bits these pass: {shares:?}", 8 * bootstrap.len());
    let expected = [
        "blob id",
        "chunk count",
        "crc32",
        "features",
        "flags",
        "inode flags",
        "mode",
        "name",
        "owner",
        "readahead",
        "time",
        "uncompressed size",
    ];
    assert_eq!(shares.keys().copied().collect::<Vec<_>>(), expected);
    // With it all are found.
    let options = one_thread()
        .content(false)
        .expect(golden.bootstrap_digest());
    for bit in passed {
        let flipped = Golden {
            bootstrap: Some(flipped(&bootstrap, bit)),
            ..golden.clone()
        };
        assert!(!flipped.verify(&options).0.is_empty(), "bit {bit}");
    }
}

#[test]
fn no_flip_in_a_blob_by_itself_passes() {
    let golden = golden("a4-v6-zstd-sha256");
    let options = one_thread();
    let passed = those_that_pass(&bits(&golden.blob), |bit| {
        let flipped = Golden {
            blob: flipped(&golden.blob, bit),
            ..golden.clone()
        };
        flipped.verify_blob(&options).0.is_empty()
    });
    assert_eq!(passed, [0; 0]);
}

#[test]
fn no_blob_that_was_cut_passes() {
    for name in [
        "a4-v6-none-sha256-inline",
        "a4-v6-zstd-sha256-toc",
        "a4-v6-zstd-sha256",
    ] {
        let golden = golden(name);
        let options = one_thread().expect(golden.bootstrap_digest());
        let lens: Vec<_> = (0..golden.blob.len()).collect();
        let passed = those_that_pass(&lens, |len| {
            let cut = Golden {
                blob: golden.blob.slice(..len),
                ..golden.clone()
            };
            cut.verify(&options).0.is_empty() || cut.verify_blob(&options).0.is_empty()
        });
        assert_eq!(passed, [0; 0], "{name}");
    }
}

/// Bytes behind the end are found as well.
#[test]
fn no_blob_that_goes_on_passes() {
    for name in [
        "a4-v6-none-sha256-inline",
        "a4-v6-zstd-sha256-toc",
        "a4-v6-zstd-sha256",
    ] {
        let mut golden = golden(name);
        golden.blob = [&golden.blob[..], b"\0"].concat().into();
        assert!(!golden.verify(&one_thread()).1.is_sound(), "{name}");
        assert!(!golden.verify_blob(&one_thread()).1.is_sound(), "{name}");
    }
}
