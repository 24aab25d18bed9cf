//! Whatever it is: opened by its content.

use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::model::diff::{DiffError, DiffObserver, Difference, diff, transfer};
use lazyoci::model::{Blame as _, Blob, BlobId, BlobIndex, Fault, FileKind, Ino, Limits};
use lazyoci::read::{Follow, OpenBlob, OpenImage, StoreError, open_source};
use lazyoci::verify::{self, AuditFault, AuditSummary, Profile};

use super::memory::Memory;
use super::reading::{open_options, read_options};
use super::same::{Seen, see};

/// Opens every blob as the same bytes.
#[derive(Debug)]
pub(super) struct Same(pub(super) Memory);

impl OpenBlob for Same {
    fn open_blob(&self, _: BlobIndex, _: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// Opens the bytes as whatever they are, looks at everything, and reads and verifies all content; what
/// is found sound has a digest.
pub fn open_image(data: &[u8]) {
    for (lenient, as_layer) in [(false, false), (true, true)] {
        let options = open_options(lenient, as_layer);
        let source = Memory(data.to_vec());
        let id = BlobId::new(b"fuzz").expect("it is a name");
        let opened = open_source(Arc::new(source.clone()), Some(&id), Same(source), &options);
        let mut image = match opened {
            Ok(image) => image,
            Err(error) => {
                let _ = (error.fault(), error.to_string());
                continue;
            }
        };
        let _ = image.format().to_string();
        // Threads take time to start.
        let threads = 1 + usize::from(data.len().is_multiple_of(8));
        image.set_read_options(read_options().threads(threads));
        let seen = see(image.image(), &options.limits);
        let mut count = 0;
        let mut tell = |fault: AuditFault| {
            count += 1;
            let _ = (fault.path().to_string(), fault.to_string());
        };
        // A sparse file may be longer than there is time to read.
        let content = seen.iter().flatten().map(|seen| seen.attributes.size);
        if content.fold(0u64, u64::saturating_add) > options.limits.max_layer_len {
            continue;
        }
        let summary = verify::audit(
            image.image(),
            &mut image.reader().clone(),
            &options.limits,
            &mut tell,
        )
        .expect("nobody cancels");
        assert_eq!(summary.faults, count);
        assert!(
            seen.is_some() || count > 0,
            "no fault was found, but not all answers agree"
        );
        metadata_alone(&image, &options.limits, &summary);
        with_itself(&image, &options.limits, count == 0);
        if let Some(seen) = &seen {
            follow(&image, seen);
        }
        for profile in [Profile::Default, Profile::Layer, Profile::Content] {
            match image.tree_digest(profile, &mut ()) {
                Ok(digest) => assert_eq!(digest.to_string().parse(), Ok(digest)),
                // Nothing is wrong with content that is too much.
                Err(error) => assert!(
                    count > 0 || error.fault() == Fault::Limit,
                    "no fault was found, but: {error}"
                ),
            }
        }
        if let Some(stats) = seen.map(|_| (image.stats(), image.metadata_stats())) {
            assert!(stats.1.bytes > 0 || data.is_empty());
        }
    }
}

/// An audit that reads no content looks at the same things and finds no more.
fn metadata_alone(image: &OpenImage, limits: &Limits, whole: &AuditSummary) {
    let mut tell = |fault: AuditFault| drop(fault.to_string());
    let mut reader = image.reader().clone();
    let found = verify::audit_metadata(image.image(), &mut reader, limits, &mut tell);
    let mut found = found.expect("nobody cancels");
    assert!(found.faults <= whole.faults, "content hides faults");
    found.faults = whole.faults;
    assert_eq!(&found, whole);
}

/// No image differs from itself, and none is to be fetched that is there.
fn with_itself(image: &OpenImage, limits: &Limits, sound: bool) {
    let image = image.image();
    match diff(image, image, limits, &mut Nothing) {
        Ok(summary) => assert_eq!(summary.added + summary.removed + summary.changed, 0),
        Err(error) => assert!(!sound, "nothing was found wrong, but: {error}"),
    }
    match transfer(image, image, limits) {
        Ok(transfer) => assert_eq!(transfer.fetch_chunks + transfer.fetch_len, 0),
        Err(error) => assert!(!sound, "nothing was found wrong, but: {error}"),
    }
}

/// Hears no difference.
struct Nothing;

impl DiffObserver for Nothing {
    type Error = DiffError;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), DiffError> {
        panic!("an image differs from itself: {difference:?}");
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, DiffError> {
        assert_eq!(left, right);
        Ok(true)
    }
}

/// Every path by every way: links on the way change nothing, since the walk went through directories.
fn follow(image: &OpenImage, seen: &[Seen]) {
    for seen in seen.iter().take(256) {
        let path = seen.path.as_bytes();
        let itself = image.resolve(path, Follow::Never);
        let itself = itself.expect("the walk was there");
        let found = image.resolve(path, Follow::Parents);
        assert_eq!(found.expect("the walk was there"), itself, "{}", seen.path);
        match image.resolve(path, Follow::All) {
            Ok(found) => {
                let kind = image.image().attributes(found).map(|found| found.kind);
                assert_ne!(kind.ok(), Some(FileKind::Symlink), "{}", seen.path);
                let is_link = seen.attributes.kind == FileKind::Symlink;
                assert!(is_link || found == itself, "{}", seen.path);
            }
            Err(error) => {
                assert_eq!(seen.attributes.kind, FileKind::Symlink, "{error}");
                let _ = (error.fault(), error.to_string());
            }
        }
    }
}
