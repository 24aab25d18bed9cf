//! Sound images have no findings.

use lazyoci_image_read::{Format, OpenOptions, VerifyOptions, verify_path};

use crate::support::{golden, goldens, lines};

const GOLDENS: [&str; 7] = [
    "a4-v6-lz4_block-blake3",
    "a4-v6-none-sha256",
    "a4-v6-none-sha256-inline",
    "a4-v6-zstd-sha256",
    "a4-v6-zstd-sha256-inline-toc",
    "a4-v6-zstd-sha256-toc",
    "odd-v6-zstd-sha256-4k",
];

#[test]
fn goldens_are_sound() {
    for name in GOLDENS {
        let golden = golden(name);
        let options = VerifyOptions::default().expect(golden.bootstrap_digest());
        let (found, summary) = golden.verify(&options);
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!((summary.blobs, summary.padding_len), (1, 0), "{name}");
        assert!(summary.audit.chunks > 0);
    }
}

#[test]
fn blobs_are_sound_by_themselves() {
    for name in GOLDENS {
        let golden = golden(name);
        let (found, summary) = golden.verify_blob(&VerifyOptions::default());
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!(summary.blobs, 1);
        let format = match name {
            _ if golden.bootstrap.is_none() => Format::RafsBlob,
            _ if name.ends_with("-toc") => Format::RafsBlob,
            _ => Format::RafsData,
        };
        assert_eq!(summary.format, Some(format), "{name}");
        let (_, whole) = golden.verify(&VerifyOptions::default());
        assert_eq!(summary.audit.chunks, whole.audit.chunks, "{name}");
        // Without a section of digests, and without a bootstrap, nothing vouches for a chunk alone.
        let unverifiable = match summary.format {
            Some(Format::RafsData) => summary.audit.chunks,
            _ => 0,
        };
        assert_eq!(summary.audit.unverifiable_chunks, unverifiable, "{name}");
    }
}

#[test]
fn directories_of_goldens_are_sound() {
    for name in GOLDENS {
        let mut found = Vec::new();
        let summary = verify_path(
            goldens().join(name),
            &OpenOptions::default(),
            &VerifyOptions::default(),
            &mut (),
            &mut |finding| found.push(finding),
        );
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!(summary.unwrap().blobs, 1);
    }
}
