//! Whatever it is: opened by its content.

use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::model::{Blame as _, Blob, BlobId, BlobIndex, Limits};
use lazyoci::read::{OpenBlob, OpenOptions, StoreError, open_source};
use lazyoci::verify::{self, AuditFault, Profile, TreeDigestOptions};

use super::memory::Memory;
use super::same::see;

/// Opens every blob as the same bytes.
#[derive(Debug)]
struct Same(Memory);

impl OpenBlob for Same {
    fn open_blob(&self, _: BlobIndex, _: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// Opens the bytes as whatever they are, looks at everything, and reads and verifies all content; what
/// is found sound has a digest.
pub fn open_image(data: &[u8]) {
    for (lenient, as_layer) in [(false, false), (true, true)] {
        let options = OpenOptions {
            lenient,
            as_layer,
            limits: Limits::small(),
            ..OpenOptions::default()
        };
        let source = Memory(data.to_vec());
        let id = BlobId::new(b"fuzz").expect("it is a name");
        let opened = open_source(Arc::new(source.clone()), Some(&id), Same(source), &options);
        let image = match opened {
            Ok(image) => image,
            Err(error) => {
                let _ = (error.fault(), error.to_string());
                continue;
            }
        };
        let _ = image.format().to_string();
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
            &mut image.frames(),
            &options.limits,
            &mut tell,
        )
        .expect("nobody cancels");
        assert_eq!(summary.faults, count);
        for profile in [Profile::Default, Profile::Layer, Profile::Content] {
            let options = TreeDigestOptions {
                profile,
                limits: options.limits.clone(),
            };
            let digest = verify::tree_digest(image.image(), &mut image.frames(), options, &mut ());
            match digest {
                Ok(digest) => assert_eq!(digest.to_string().parse(), Ok(digest)),
                Err(error) => assert!(count > 0, "no fault was found, but: {error}"),
            }
        }
        if let Some(stats) = seen.map(|_| (image.stats(), image.metadata_stats())) {
            assert!(stats.1.bytes > 0 || data.is_empty());
        }
    }
}
