//! An image as a directory tree, and nothing anywhere else.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::ops::{ControlFlow, Range};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lazyoci::blob_io::{self, ReadError};
use lazyoci::convert::{Ownership, Report, Source, UnpackOptions, unpack as unpack_image};
use lazyoci::model::{
    Attributes, Blame as _, Blob, BlobId, BlobIndex, Cancelled, DirEntry, Extent, FileKind, Frame,
    FrameId, Image, ImageError, Ino, NameRef, Recipe, RecipeId, Xattrs,
};
use lazyoci::read::{
    BlobStore, OpenBlob, OpenImage, OpenOptions, Reader, SharedImage, StoreError, open, open_source,
};
use lazyoci::verify::{self, Profile, TreeDigest, TreeDigestOptions};

use super::input::Input;
use super::memory::Memory;
use super::open_image::Same;
use super::reading::{open_options, read_options};
use super::same::{Seen, see};

/// Most names and bytes of an image that is unpacked: each takes system calls.
const MAX_NAMES: usize = 256;
const MAX_CONTENT: u64 = 4 << 20;

/// Takes a choice and an image, opened by its content, and unpacks it beside a directory that links of
/// the image may lead to: nothing there changes, nothing is left of what fails, and what is complete
/// is the image.
pub fn unpack(data: &[u8]) {
    let input = &mut Input::new(data);
    let flags = input.byte();
    let options = open_options(flags & 2 != 0, flags & 1 != 0);
    let mut bytes = input.rest().to_vec();
    super::tar::repair_checksums(&mut bytes);
    let source = Memory(bytes);
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let opened = open_source(Arc::new(source.clone()), Some(&id), Same(source), &options);
    let Ok(image) = opened else { return };
    let seen = see(image.image(), &options.limits);
    let mut sizes = seen.iter().flatten().map(|seen| seen.attributes.size);
    let content = sizes.try_fold(0, u64::checked_add);
    // What cannot be seen to its end is unpacked as far as it goes, with even smaller limits.
    let small = seen.as_ref().is_none_or(|seen| seen.len() <= MAX_NAMES);
    if !small || content.is_none_or(|len| len > MAX_CONTENT) {
        return;
    }
    let ownership = match flags & 4 {
        0 => Ownership::Caller,
        _ => Ownership::Image,
    };
    let limits = options.limits.max_inodes(MAX_NAMES as u32);
    let options = UnpackOptions::default()
        .ownership(ownership)
        .lossy(flags & 8 != 0);
    let place = Place::new();
    let aimed: SharedImage = Arc::new(Aimed {
        image: Arc::clone(image.reader().image()),
        guard: place.guard.clone(),
    });
    let blobs = BlobStore::new(aimed.blobs(), Through(image.clone()));
    let read_options = read_options().threads(usize::from(1 + (flags >> 4 & 1)));
    let reader = Reader::new(aimed, blobs, read_options);
    let output = place.outer.path().join("output");
    let mut stop = |done, _| match done <= MAX_CONTENT {
        true => Ok(()),
        false => Err(Cancelled),
    };
    let source = Source::from(&reader).with_limits(limits);
    let unpacked = unpack_image(source, &output, &options, &mut stop);
    let names = match unpacked {
        Ok(_) => &["guard", "output"][..],
        Err(_) => &["guard"],
    };
    place.check(names);
    match unpacked {
        Ok(report) => {
            if let Some(seen) = &seen {
                compare(&reader, seen, &output, &options, &report);
            }
            make_removable(&output);
        }
        Err(error) => {
            let _ = (error.fault(), error.to_string());
        }
    }
}

/// A directory with another one in it that nobody should touch.
struct Place {
    outer: tempfile::TempDir,
    guard: PathBuf,
    before: Vec<(PathBuf, Vec<String>)>,
}

impl Place {
    fn new() -> Self {
        // In memory where that is possible.
        let memory = Path::new("/dev/shm");
        let outer = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let outer = outer.expect("there is room for temporary files");
        let guard = outer.path().join("guard");
        fs::create_dir(&guard).expect("it is new");
        fs::create_dir(guard.join("d")).expect("it is new");
        fs::write(guard.join("f"), "guarded").expect("it is new");
        fs::set_permissions(guard.join("f"), Permissions::from_mode(0o604)).expect("it is ours");
        let before = state(&guard);
        Self {
            outer,
            guard,
            before,
        }
    }

    /// Nothing in the guarded directory changed, and beside it is what has these names.
    fn check(&self, names: &[&str]) {
        assert!(state(&self.guard) == self.before, "something else changed");
        let entries = fs::read_dir(self.outer.path()).expect("it is ours");
        let mut found: Vec<_> = entries
            .map(|entry| entry.expect("it is ours").file_name())
            .collect();
        found.sort();
        assert_eq!(found, names, "something else is there");
    }
}

/// Everything that there is to know of a directory, but when it was read.
fn state(directory: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let about = fs::symlink_metadata(&path).expect("it is there");
        if about.is_dir() {
            let entries = fs::read_dir(&path).expect("it is ours");
            pending.extend(entries.map(|entry| entry.expect("it is ours").path()));
        }
        let content = if about.is_file() {
            fs::read(&path).expect("it is ours")
        } else {
            Vec::new()
        };
        let facts = vec![
            format!("{:o} {} {}", about.mode(), about.uid(), about.gid()),
            format!("{} {}", about.nlink(), about.ino()),
            format!("{}.{}", about.mtime(), about.mtime_nsec()),
            format!("{}.{}", about.ctime(), about.ctime_nsec()),
            String::from_utf8_lossy(&content).into_owned(),
        ];
        found.insert(path, facts);
    }
    found.into_iter().collect()
}

/// What was unpacked is the image, as far as nothing was lost.
fn compare(aimed: &Reader, seen: &[Seen], output: &Path, options: &UnpackOptions, report: &Report) {
    assert!(report.losses.is_empty() || options.lossy);
    let inodes = (0..)
        .zip(seen)
        .filter(|(number, seen)| seen.first == *number);
    assert_eq!(report.inodes, inodes.count() as u64);
    if !report.losses.is_empty() || seen.iter().any(changes) {
        return;
    }
    let Ok(unpacked) = open(output, &OpenOptions::default()) else {
        panic!("the directory cannot be opened");
    };
    let profile = match options.ownership {
        Ownership::Image => Profile::Default,
        _ => Profile::Content,
    };
    let digests = [aimed, unpacked.reader()].map(|reader| digest(reader, profile));
    assert_eq!(digests[0], digests[1], "it is another tree: {profile}");
}

/// Whether others than root cannot read it, or the file system may make something else of it: of times
/// beyond 32 bits, of access control lists, which are part of the mode, of capabilities.
fn changes(seen: &Seen) -> bool {
    let kernels = |name: &[u8]| name.starts_with(b"system.") || name.starts_with(b"security.");
    let least = match seen.attributes.kind {
        FileKind::Directory => 0o500,
        FileKind::File => 0o400,
        _ => 0,
    };
    seen.attributes.mode & least != least
        || !(0..1 << 31).contains(&seen.attributes.mtime.seconds)
        || seen.xattrs.iter().any(|xattr| kernels(&xattr.name))
}

fn digest(reader: &Reader, profile: Profile) -> TreeDigest {
    let options = TreeDigestOptions::from(profile);
    let digest = verify::tree_digest(&**reader.image(), &mut reader.clone(), options, &mut ());
    digest.expect("all of it was read before")
}

/// Gives us the right to remove a tree whatever its modes are.
fn make_removable(directory: &Path) {
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("it is ours");
        for entry in fs::read_dir(&path).expect("it is ours") {
            let entry = entry.expect("it is ours");
            if entry.file_type().expect("it is there").is_dir() {
                pending.push(entry.path());
            }
        }
    }
}

/// An image whose links to `/guard` lead to the guarded directory.
struct Aimed {
    image: SharedImage,
    guard: PathBuf,
}

impl Aimed {
    fn aim(&self, target: Box<[u8]>) -> Box<[u8]> {
        match target.strip_prefix(b"/guard") {
            Some(rest) => [self.guard.as_os_str().as_bytes(), rest].concat().into(),
            None => target,
        }
    }
}

impl Image for Aimed {
    fn root(&self) -> Ino {
        self.image.root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        let mut attributes = self.image.attributes(ino)?;
        if attributes.kind == FileKind::Symlink
            && let Ok(target) = self.image.symlink_target(ino)
            && target.len() as u64 == attributes.size
        {
            attributes.size = self.aim(target).len() as u64;
        }
        Ok(attributes)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        self.image.xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.image.lookup(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.image.read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.image
            .symlink_target(ino)
            .map(|target| self.aim(target))
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.image.extents(ino, range, visit)
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        self.image.frame(frame)
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        self.image.shared_frame(frame)
    }

    fn frame_bound(&self) -> u32 {
        self.image.frame_bound()
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.image.recipe(recipe)
    }

    fn blobs(&self) -> &[Blob] {
        self.image.blobs()
    }
}

/// The blobs of an image that is open.
#[derive(Debug, Clone)]
struct Through(OpenImage);

impl OpenBlob for Through {
    fn open_blob(
        &self,
        index: BlobIndex,
        _: &Blob,
    ) -> Result<Arc<dyn blob_io::ReadAt>, StoreError> {
        self.0.blobs().blob(index)?;
        Ok(Arc::new(ThroughBlob(self.clone(), index)))
    }
}

#[derive(Debug)]
struct ThroughBlob(Through, BlobIndex);

impl ThroughBlob {
    fn blob(&self) -> &dyn blob_io::ReadAt {
        let Self(Through(image), index) = self;
        image.blobs().blob(*index).expect("it was opened before")
    }
}

impl blob_io::ReadAt for ThroughBlob {
    fn len(&self) -> Result<u64, ReadError> {
        self.blob().len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.blob().read_at(offset, buf)
    }
}
