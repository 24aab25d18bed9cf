//! What is found, how it is said, and where.

use bytes::Bytes;
use image_model::{Digest, Fault};
use lazyoci_image_read::{
    Flaw, ImageObject, MAX_FINDINGS, NoBlobs, OpenOptions, VerifyOptions, verify_path,
};
use rafs_format::blob::{BlobError, BlobMismatch};

use crate::built::{image, without_digest};
use crate::support::{Golden, golden, goldens, lines, verify};

#[test]
fn a_missing_blob_is_one_finding() {
    let golden = golden("odd-v6-zstd-sha256-4k");
    let bootstrap = golden.bootstrap.unwrap();
    let (found, summary) = verify(bootstrap.clone(), None, NoBlobs, &VerifyOptions::default());
    assert_eq!(
        lines(&found),
        [format!("i/o: blob `{}` is missing", golden.id)]
    );
    assert_eq!(found[0].object, ImageObject::Blob(golden.id));
    assert_eq!((summary.unread, summary.corrupt), (1, 0));
    assert_eq!(summary.worst(), Some(Fault::Io));
    let options = VerifyOptions::default().content(false);
    assert_eq!(verify(bootstrap, None, NoBlobs, &options).1.findings, 0);
}

#[test]
fn a_chunk_that_the_blob_has_elsewhere_is_named() {
    let mut golden = without_digest(&golden("a4-v6-none-sha256"));
    let ci = golden.blob.len() - 4096 - 32;
    let mut blob = golden.blob.to_vec();
    // The stored offset of the second chunk.
    blob[ci + 24] ^= 1;
    golden.blob = blob.into();
    let (found, _) = golden.verify(&VerifyOptions::default());
    let [finding] = &found[..] else {
        panic!("{:?}", lines(&found))
    };
    let Flaw::Mismatch { source, .. } = &finding.what else {
        panic!("{finding}")
    };
    let BlobMismatch::Chunk {
        index: 1,
        field: "compressed_offset",
        expected,
        found,
    } = source
    else {
        panic!("{finding}")
    };
    assert_eq!(expected ^ 1, *found);
    assert_eq!(
        finding.to_string(),
        format!(
            "corrupt: blob `{}`: chunk 1: compressed_offset is {expected} in the bootstrap, but {found} in \
             the chunk information",
            golden.id
        )
    );
}

#[test]
fn a_blob_that_was_cut_says_how_long_it_should_be() {
    let built = image(&[1000, 2000, 3000], false, |_| true);
    let len = built.blob.len() as u64;
    let cut = Golden {
        blob: built.blob.slice(..3500),
        ..built.clone()
    };
    let (found, _) = cut.verify(&VerifyOptions::default());
    let id = &built.id;
    let said = lines(&found);
    assert_eq!(
        said[0],
        format!(
            "corrupt: blob `{id}`: compressed_size is {len} in the blob table, but 3500 in the blob"
        )
    );
    // The two chunks that are there are right.
    assert!(said[1].contains(&format!(
        "blob {id} byte 3000 ends at byte 6000, past the blob's 3500 bytes"
    )));
    assert_eq!(found[1].offset, Some(3000));
    let digest = verify::sha256(&cut.blob);
    assert_eq!(
        said[2],
        format!("corrupt: blob `{id}` has digest {digest}, which is not its name")
    );
    assert_eq!(said.len(), 3);
}

/// Zeros behind chunks that begin at multiples of 4096 are padding, which the digest vouches for.
#[test]
fn padding_is_named() {
    let built = image(&[1000, 4096, 5000], true, |_| true);
    let (found, summary) = built.verify(&VerifyOptions::default());
    assert_eq!(lines(&found), [""; 0]);
    let ranges: Vec<_> = summary.padding.iter().map(|p| p.range.clone()).collect();
    assert_eq!(ranges, [1000..4096, 13_192..16_384]);
    assert_eq!(summary.padding_len, 3096 + 3192);
    assert_eq!(
        summary.padding[0].object,
        ImageObject::Blob(built.id.clone())
    );

    let flip = |golden: &Golden| {
        let mut blob = golden.blob.to_vec();
        blob[1000] ^= 1;
        Golden {
            blob: blob.into(),
            ..golden.clone()
        }
    };
    let options = VerifyOptions::default();
    assert!(flip(&without_digest(&built)).verify(&options).1.is_sound());
    let (found, _) = flip(&built).verify(&options);
    assert!(matches!(&found[..], [only] if matches!(only.what, Flaw::Name { .. })));
}

#[test]
fn reserved_bytes_of_the_header_are_zero() {
    let golden = without_digest(&golden("a4-v6-zstd-sha256"));
    let mut blob = golden.blob.to_vec();
    let at = blob.len() - 100;
    blob[at] = 1;
    let (found, _) = Golden {
        blob: blob.into(),
        ..golden
    }
    .verify(&VerifyOptions::default());
    let [finding] = &found[..] else {
        panic!("{:?}", lines(&found))
    };
    let structure = "header of the chunk information";
    assert!(
        matches!(&finding.what, Flaw::Blob { source, .. } if *source == BlobError::Reserved { structure })
    );
}

/// An id that is not the blob's own any more makes another blob of it, which is nowhere: that is not
/// the fault of who has the file.
#[test]
fn a_bootstrap_that_does_not_list_the_blob_that_it_is_in_is_told() {
    let golden = golden("a4-v6-none-sha256-inline");
    let mut blob = golden.blob.to_vec();
    let own = [b'x'; 64];
    for at in (0..blob.len() - own.len()).filter(|&at| golden.blob[at..].starts_with(&own)) {
        blob[at] = b'y';
    }
    let changed = verify(Bytes::from(blob), None, NoBlobs, &VerifyOptions::default());
    let (found, summary) = changed;
    let said = lines(&found);
    assert!(
        found
            .iter()
            .any(|finding| matches!(finding.what, Flaw::Orphan)),
        "{said:?}"
    );
    assert_eq!((summary.worst(), summary.unread), (Some(Fault::Corrupt), 1));
}

#[test]
fn findings_are_bounded() {
    let count = MAX_FINDINGS as usize + 100;
    let lens = vec![16; count];
    let mut built = image(&lens, false, |_| true);
    let mut blob = built.blob.to_vec();
    blob[..16 * lens.len()].fill(0);
    built.blob = blob.into();
    let (found, summary) = built.verify(&VerifyOptions::default());
    assert_eq!(found.len() as u64 + summary.untold, summary.findings);
    // Each chunk, and the digest.
    assert_eq!(summary.findings, lens.len() as u64 + 1);
}

#[test]
fn one_of_the_digests_is_expected() {
    let golden = golden("a4-v6-zstd-sha256-inline-toc");
    let expect = |digest| golden.verify(&VerifyOptions::default().expect(digest));
    let file = verify::sha256(&golden.blob);
    let wrong: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let (found, _) = expect(wrong);
    let [finding] = &found[..] else {
        panic!("{:?}", lines(&found))
    };
    let Flaw::Unexpected { expected, found } = &finding.what else {
        panic!("{finding}")
    };
    assert_eq!(*expected, wrong);
    let names: Vec<_> = found.iter().map(|(what, _)| *what).collect();
    assert_eq!(names, ["the file", "its bootstrap", "its TOC"]);
    assert_eq!(found[0].1, file);
    assert_eq!(found[1].1, golden.bootstrap_digest());
    for (what, digest) in found {
        assert!(expect(*digest).1.is_sound(), "{what}");
    }
    #[cfg(feature = "blake3")]
    {
        let algorithm = image_model::DigestAlgorithm::Blake3;
        let digest = verify::digest(algorithm, &golden.blob).unwrap();
        assert!(expect(digest).1.is_sound());
    }
}

#[cfg(feature = "gzip")]
#[test]
fn estargz_is_compared_with_the_tar_inside() {
    let layer = std::fs::read(goldens().join("estargz/vector2.esgz")).unwrap();
    let sound = |bytes: Vec<u8>| {
        let source = bytes::Bytes::from(bytes);
        verify(source, None, NoBlobs, &VerifyOptions::default())
    };
    assert_eq!(lines(&sound(layer.clone()).0), [""; 0]);
    // The header of the first gzip member: only those who read the layer as a tar see it.
    let mut damaged = layer;
    damaged[0] ^= 1;
    let (found, summary) = sound(damaged);
    assert!(matches!(&found[..], [only] if matches!(only.what, Flaw::Compare(_))));
    assert_eq!(summary.worst(), Some(Fault::Corrupt));
}

#[test]
fn what_cannot_be_opened_is_a_finding() {
    let mut found = Vec::new();
    let (open, options) = (OpenOptions::default(), VerifyOptions::default());
    let mut verify = |path: &str| {
        found.clear();
        let path = goldens().join(path);
        let tell = &mut |finding: lazyoci_image_read::Finding| found.push(finding.fault);
        let summary = verify_path(path, &open, &options, &mut (), tell).unwrap();
        (
            found.clone(),
            summary.format.map(|format| format.to_string()),
        )
    };
    assert_eq!(verify("nothing"), (vec![Fault::Io], None));
    assert_eq!(verify("README.md"), (vec![Fault::Unsupported], None));
    // Its data is the gzip layer, which is not there.
    let zran = "a4-v6-zran-inline-toc/blobs/\
                b5c977a090736fd1e1fa412bd9817c78583da006b876f3280f6ce0c8cf07d1fe";
    let (faults, format) = verify(zran);
    assert_eq!(
        (faults, format),
        (vec![Fault::Io], Some("rafs-blob".into()))
    );
}

#[test]
fn work_can_be_cancelled() {
    let layer = goldens().join("a4-v6-zstd-sha256");
    let mut progress = |_: u64, _: Option<u64>| Err(image_model::Cancelled);
    let options = VerifyOptions::default();
    let verified = verify_path(
        layer,
        &OpenOptions::default(),
        &options,
        &mut progress,
        &mut |_| (),
    );
    assert_eq!(verified, Err(image_model::Cancelled));
}
