//! Directories that a converter wrote, and sources that do not do what they are asked for.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use blob_io::{Counted, ReadAt, ReadError};
use bytes::Bytes;
use image_model::{Blame, Digest, Fault};
use lazyoci_image_read::{
    Finding, Flaw, Format, NoBlobs, OpenError, OpenImage, OpenOptions, VerifyOptions,
    VerifySourceOptions, VerifySummary, format_at, open, open_source, verify_path, verify_source,
};

use crate::support::{InMemory, golden, goldens, lines, verify};

fn verify_at(path: &Path, options: &VerifyOptions) -> (Vec<Finding>, VerifySummary) {
    let mut found = Vec::new();
    let open = OpenOptions::default();
    let summary = verify_path(path, &open, options, &mut (), &mut |finding| {
        found.push(finding);
    });
    (found, summary.unwrap())
}

fn verify_opened(image: &OpenImage) -> VerifySummary {
    let options = VerifyOptions::default();
    image.verify(&options, &mut (), &mut |_| ()).unwrap()
}

/// A directory like that of the golden `name`, the blob of which `change` has changed.
fn changed(name: &str, change: impl Fn(&mut Vec<u8>)) -> tempfile::TempDir {
    let golden = golden(name);
    let top = tempfile::tempdir().unwrap();
    let blobs = top.path().join("blobs");
    fs::create_dir(&blobs).unwrap();
    if let Some(bootstrap) = &golden.bootstrap {
        fs::write(top.path().join("image.boot"), bootstrap).unwrap();
    }
    let mut blob = golden.blob.to_vec();
    change(&mut blob);
    fs::write(blobs.join(golden.id.as_str()), blob).unwrap();
    top
}

#[test]
fn a_directory_with_a_rafs_image_is_that_image() {
    for name in ["a4-v6-none-sha256", "a4-v6-none-sha256-inline"] {
        let format = match name.ends_with("inline") {
            true => Format::RafsBlob,
            false => Format::RafsV6,
        };
        let sound = changed(name, |_| ());
        let image = open(sound.path(), &OpenOptions::default()).unwrap();
        assert_eq!(image.format(), format);
        assert_eq!(format_at(sound.path()).unwrap(), format);
        assert!(verify_opened(&image).is_sound());

        let damaged = changed(name, |blob| blob[10] ^= 1);
        let image = open(damaged.path(), &OpenOptions::default()).unwrap();
        let summary = verify_opened(&image);
        assert_eq!(summary.worst(), Some(Fault::Corrupt), "{name}");
        let (_, by_path) = verify_at(damaged.path(), &VerifyOptions::default());
        assert_eq!(summary, by_path);

        let as_it_is = OpenOptions::default().format(Format::Directory);
        let image = open(damaged.path(), &as_it_is).unwrap();
        assert_eq!(image.format(), Format::Directory);
        assert!(verify_opened(&image).is_sound());
    }
}

/// A blob that does not look like one any more is not taken for a file of a directory.
#[test]
fn a_blob_alone_without_its_end_is_no_directory() {
    let cut = changed("a4-v6-none-sha256-inline", |blob| blob.truncate(5000));
    let error = open(cut.path(), &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Unknown { .. }), "{error:?}");
    let (found, _) = verify_at(cut.path(), &VerifyOptions::default());
    assert!(matches!(&found[..], [only] if matches!(only.what, Flaw::Open(_))));
}

#[test]
fn none_of_several_blobs_is_the_file_with_the_digest() {
    let top = tempfile::tempdir().unwrap();
    let blobs = top.path().join("blobs");
    fs::create_dir(&blobs).unwrap();
    let names = ["a4-v6-none-sha256-inline", "a4-v6-zstd-sha256-inline-toc"];
    for name in names {
        let golden = golden(name);
        fs::write(blobs.join(golden.id.as_str()), &golden.blob).unwrap();
    }
    let (found, summary) = verify_at(top.path(), &VerifyOptions::default());
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(summary.blobs, 2);
    let error = open(top.path(), &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::SeveralBlobs { .. }), "{error:?}");

    let expected = golden(names[0]).bootstrap_digest();
    let options = VerifyOptions::default().expect(expected);
    let (found, _) = verify_at(top.path(), &options);
    assert!(
        matches!(&found[..], [only] if matches!(only.what, Flaw::NoFile { expected: e } if e == expected)),
        "{:?}",
        lines(&found)
    );
    // One alone is the file.
    let (found, _) = verify_at(&goldens().join(names[0]), &options);
    assert_eq!(lines(&found), [""; 0]);
    let wrong: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let options = VerifyOptions::default().expect(wrong);
    let (found, _) = verify_at(&goldens().join(names[0]), &options);
    assert!(matches!(&found[..], [only] if matches!(only.what, Flaw::Unexpected { .. })));
}

/// What is not in memory.
struct File(Bytes);

impl ReadAt for File {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.read_at(offset, buf)
    }
}

/// The ends of a blob are read once, whether or not it holds a bootstrap.
#[test]
fn no_byte_of_a_blob_by_itself_is_read_twice_to_find_out_what_it_is() {
    let golden = golden("a4-v6-none-sha256");
    let source = Arc::new(Counted::new(File(golden.blob.clone())));
    let options = VerifySourceOptions::default()
        .id(golden.id.clone())
        .verify(VerifyOptions::default().content(false));
    let blob: Arc<dyn ReadAt> = source.clone();
    let summary = verify_source(blob, NoBlobs, &options, &mut (), &mut |_| ()).unwrap();
    assert_eq!((summary.blobs, summary.format), (1, Some(Format::RafsData)));
    // Its start, and the rest, which is shorter than what is read of an end.
    let stats = source.stats();
    assert_eq!(stats.bytes, golden.blob.len() as u64);
    assert_eq!(stats.requests, 2);
}

/// Answers with fewer bytes than it is asked for, from some length on.
struct Short {
    bytes: Bytes,
    from: usize,
}

impl ReadAt for Short {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.read_at(offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let given = len.saturating_sub(usize::from(len >= self.from));
        self.bytes.read_bytes(offset, given)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        self.read_bytes(offset, len).map(Some)
    }
}

#[test]
fn a_source_that_gives_too_little_is_told() {
    let separate = golden("a4-v6-none-sha256");
    let bootstrap = separate.bootstrap.clone().unwrap();
    let inlined = golden("a4-v6-none-sha256-inline");
    #[cfg(feature = "gzip")]
    let estargz = Bytes::from(fs::read(goldens().join("estargz/odd-prefetch.esgz")).unwrap());
    let options = VerifyOptions::default();
    for from in [1, 4, 51, 512, 1000, 4096, 8192, 1 << 14] {
        let short = |bytes: &Bytes| Short {
            bytes: bytes.clone(),
            from,
        };
        let told = [
            verify(short(&separate.blob), Some(&separate.id), NoBlobs, &options),
            verify(short(&inlined.blob), Some(&inlined.id), NoBlobs, &options),
            verify(short(&bootstrap), None, NoBlobs, &options),
            verify(
                bootstrap.clone(),
                None,
                InMemory(Arc::new(short(&separate.blob))),
                &options,
            ),
            #[cfg(feature = "gzip")]
            verify(short(&estargz), None, NoBlobs, &options),
        ];
        if from <= 4096 {
            for (position, (found, summary)) in told.iter().enumerate() {
                let said = lines(found);
                assert_eq!(
                    summary.worst(),
                    Some(Fault::Io),
                    "{from} {position}: {said:?}"
                );
            }
        }
    }
    let opened = open_source(
        Arc::new(Short {
            bytes: bootstrap,
            from: 1,
        }),
        None,
        NoBlobs,
        &OpenOptions::default(),
    );
    assert_eq!(opened.unwrap_err().fault(), Fault::Misuse);
}
