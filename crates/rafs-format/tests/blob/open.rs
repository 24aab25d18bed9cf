//! Finding the bootstrap of an image.

use bytes::Bytes;
use image_model::{Blame, BlobId, BlobIndex, Fault, Image, Limits};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::blob::{BlobError, Need, Section, Step, StepMachine};
use lazyoci_rafs_format::open::{OpenedBootstrap, Opener};
use verify::CheckError;

use crate::support::{drive, golden, patched, sha256};

fn open_blob(blob: &Bytes) -> Result<(OpenedBootstrap, Vec<Need>), BlobError> {
    drive(Opener::blob(blob.len() as u64, &Limits::default()), blob)
}

#[test]
fn a_bootstrap_is_all_of_its_file() {
    let boot = golden("a4-v6-none-sha256.boot");
    let len = boot.len() as u64;
    let opener = Opener::bootstrap(len, &Limits::default());
    let (opened, asked) = drive(opener, &boot).unwrap();
    assert_eq!(asked, [Need::opened(0..len)]);
    assert_eq!((&opened.bytes, opened.inlined), (&boot, false));
    assert_eq!(opened.toc, None);
    // No byte was copied.
    assert_eq!(opened.bytes.as_ptr(), boot.as_ptr());
    let image = opened.image(None, &Limits::default()).unwrap();
    assert_eq!((image.toc(), image.opened_blob()), (None, None));
}

#[test]
fn a_bootstrap_at_the_end_of_its_blob() {
    let blob = golden("a4-v6-none-sha256-inline.blob");
    let len = blob.len() as u64;
    let (opened, asked) = open_blob(&blob).unwrap();
    let ranges = [len - 4096..len, 15157..35637];
    assert_eq!(asked, ranges.map(Need::opened));
    assert_eq!(opened.bytes, blob.slice(15157..35637));
    assert!(opened.inlined && opened.toc.is_none());

    // Its name is that of the file.
    let id = BlobId::new(b"called-so").unwrap();
    let image = opened.image(Some(&id), &Limits::default()).unwrap();
    assert_eq!(image.blobs()[0].id, id);
    assert_eq!(image.opened_blob(), Some(BlobIndex(0)));
}

#[test]
fn a_bootstrap_that_a_toc_lists() {
    for name in [
        "a4-v6-none-sha256-inline-toc",
        "a4-v6-zstd-sha256-inline-toc",
    ] {
        let blob = golden(&format!("{name}.blob"));
        let len = blob.len() as u64;
        let (opened, asked) = open_blob(&blob).unwrap();
        let toc = opened.toc.clone().unwrap();
        let entry = *toc.entry(Section::Bootstrap).unwrap();
        let ranges = [len - 4096..len, entry.range()];
        assert_eq!(asked, ranges.map(Need::opened), "{name}");
        assert_eq!(opened.check(&entry.digest), Ok(()));
        let image = opened.image(None, &Limits::default()).unwrap();
        assert_eq!(image.toc(), Some(&toc));
        assert_eq!(image.opened_blob(), Some(BlobIndex(0)));

        let damaged = patched(&blob, entry.offset as usize + 30, b"\xff\xff");
        let error = open_blob(&damaged).unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt, "{error:?}");
    }
}

#[test]
fn blobs_without_a_bootstrap() {
    let separate = golden("a4-v6-none-sha256.blob");
    assert_eq!(open_blob(&separate), Err(BlobError::NoBootstrap));
    assert_eq!(BlobError::NoBootstrap.fault(), Fault::Misuse);
    assert_eq!(open_blob(&Bytes::new()), Err(BlobError::NoBootstrap));
    let section = Section::Bootstrap;
    let with_toc = golden("a4-v6-none-sha256-toc.blob");
    assert_eq!(open_blob(&with_toc), Err(BlobError::NoSection { section }));
}

#[test]
fn another_bootstrap_than_expected() {
    let boot = golden("a4-v6-none-sha256.boot");
    let limits = Limits::default();
    let opener = Opener::bootstrap(boot.len() as u64, &limits);
    let (opened, _) = drive(opener, &boot).unwrap();
    let (expected, found) = (sha256(b"another"), sha256(&boot));
    assert_eq!(opened.check(&found), Ok(()));
    assert_eq!(
        opened.check(&expected),
        Err(CheckError::Digest { expected, found })
    );
    let small = limits.max_metadata_len(4096);
    assert!(matches!(
        opened.image(None, &small),
        Err(DecodeError::Limit { max: 4096, .. })
    ));
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let given = |expected, found| BlobError::Given {
        piece: "bootstrap",
        expected,
        found,
    };
    let mut whole = Opener::bootstrap(8192, &Limits::default());
    let start = Step::Need(Need::opened(0..8192));
    assert_eq!(whole.start(), Ok(start.clone()));
    assert_eq!(whole.supply(Bytes::new()), Err(given(8192, 0)));
    assert_eq!(whole.start(), Ok(start));

    let blob = golden("a4-v6-none-sha256-inline.blob");
    let len = blob.len();
    let mut inlined = Opener::blob(len as u64, &Limits::default());
    let start = Step::Need(Need::opened(len as u64 - 4096..len as u64));
    assert_eq!(inlined.start(), Ok(start.clone()));
    inlined.supply(blob.slice(len - 4096..)).unwrap();
    assert_eq!(inlined.supply(Bytes::new()), Err(given(20480, 0)));
    assert_eq!(inlined.start(), Ok(start));
}
