//! What compaction reads of the blobs.

use std::path::PathBuf;
use std::sync::Mutex;

use blob_io::{Counted, LocalFile, ReadAt, ReadStats};
use image_model::{Blob, BlobIndex};
use image_read::{OpenBlob, StoreError, open_source};

use super::*;

/// The blobs of a directory, whose reads are counted.
#[derive(Clone)]
struct CountedBlobs {
    directory: PathBuf,
    opened: Arc<Mutex<Vec<Arc<Counted<LocalFile>>>>>,
}

impl OpenBlob for CountedBlobs {
    fn open_blob(&self, _: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let file = LocalFile::open(&self.directory.join(blob.id.as_str())).unwrap();
        let counted = Arc::new(Counted::new(file));
        self.opened.lock().unwrap().push(Arc::clone(&counted));
        Ok(counted)
    }
}

/// Two files share every chunk: reading by file would read more than there is.
#[test]
fn each_chunk_is_read_once() {
    let content = noise(5, 90_000);
    let tar = Tar::new()
        .file("a", &content)
        .file("b", &noise(6, 9000))
        .file("c", &[&content[..], &[1]].concat())
        .finish();
    for version in VERSIONS {
        let image = Image::of_tar(&tar, &plain_options().version(version));
        let blobs = CountedBlobs {
            directory: image.output().join("blobs"),
            opened: Arc::default(),
        };
        let bootstrap = fs::read(image.bootstrap_path()).unwrap();
        let bootstrap: Arc<dyn ReadAt> = Arc::new(Bytes::from(bootstrap));
        let opened = open_source(bootstrap, None, blobs.clone(), &Default::default()).unwrap();
        let output = tempfile::tempdir().unwrap();
        let mut output = DirectoryOutput::create(output.path().join("out")).unwrap();
        let options = CompactOptions::default().min_used(100);
        compact(&opened, &mut output, &options, &mut ()).unwrap();
        let opened = blobs.opened.lock().unwrap();
        let stats: ReadStats = opened.iter().map(|blob| blob.stats()).sum();
        assert_eq!(opened.len(), 1);
        let stored = image.blob().len() as u64;
        let data = 90_000..=stored;
        assert!(
            data.contains(&stats.bytes),
            "{version:?}: {stats:?} of {stored}"
        );
    }
}
