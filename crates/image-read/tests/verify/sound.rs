//! Sound images have no findings.

use lazyoci_image_read::{Finding, Format, OpenOptions, VerifyOptions, verify_path};

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

/// How often the file at `path` is opened while `work` runs.
#[cfg(target_os = "linux")]
fn opened(path: &std::path::Path, work: impl FnOnce()) -> usize {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
    use rustix::io::Errno;
    let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    // Equal events in a row count once: what is opened to be looked at is read in between.
    let flags = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::CLOSE;
    add_watch(&watch, path, flags).unwrap();
    work();
    let mut buf = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buf);
    let mut count = 0;
    loop {
        match events.next() {
            Ok(event) => count += usize::from(event.events().contains(ReadFlags::OPEN)),
            Err(Errno::WOULDBLOCK) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What is at the path may be another file at any moment: the one whose digest was checked is the one
/// that is verified.
#[cfg(target_os = "linux")]
#[test]
fn a_file_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "estargz/vector1.esgz",
        "a4-v6-none-sha256/image.boot",
        "a4-v6-zstd-sha256/image.boot",
        "README.md",
    ] {
        let path = directory.path().join("file");
        let original = goldens().join(name);
        std::fs::copy(&original, &path).unwrap();
        let mut open = OpenOptions::default();
        open.blobs = original.parent().map(|parent| parent.join("blobs"));
        let digest = verify::sha256(&std::fs::read(&path).unwrap());
        let options = VerifyOptions::default().expect(digest);
        let count = opened(&path, || {
            let mut found = Vec::new();
            let tell = &mut |finding: Finding| found.push(finding);
            verify_path(&path, &open, &options, &mut (), tell).unwrap();
            assert_eq!(found.is_empty(), name != "README.md", "{name}: {found:?}");
        });
        assert_eq!(count, 1, "{name}");
    }
}
