//! The walk that computes a tree digest.

use std::collections::HashMap;

use image_model::layer::Whiteout;
use image_model::walk::{HardLinks, Walk, WalkEntry};
use image_model::{
    Attributes, FileKind, Image, ImageError, ImagePath, Ino, NameRef, Progress, Timestamp,
};
use sha2::{Digest as _, Sha256};

use super::files::Files;
use super::{Profile, TreeDigestError, TreeDigestOptions};
use crate::content::Content;

const MAGIC: &[u8] = b"lazyoci.tree.v1\0";

pub(super) type Hash = [u8; 32];

pub(super) fn compute(
    image: &dyn Image,
    content: &mut dyn Content,
    TreeDigestOptions { profile, limits }: &TreeDigestOptions,
    progress: &mut dyn Progress,
) -> Result<Hash, TreeDigestError> {
    let hidden = |name: NameRef<'_>| Whiteout::of(name.as_bytes()).is_some();
    let links = HardLinks::collect(image, limits, &hidden)?;
    let files = Files::collect(image, limits, &hidden)?;
    let mut state = State {
        image,
        profile: *profile,
        links,
        known: HashMap::new(),
        contents: files.digest(image, content, limits, progress)?.into_iter(),
    };
    let mut walk = Walk::new(image, limits);
    let mut levels: Vec<Level> = Vec::new();
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        close_levels(&mut levels, entry.depth);
        let name = entry.name();
        if name.is_some_and(hidden) {
            walk.skip_children();
            continue;
        }
        if entry.attributes.kind == FileKind::Directory {
            let level = state.open(&entry, levels.last())?;
            levels.push(level);
        } else {
            let (Some(level), Some(name)) = (levels.last_mut(), name) else {
                let kind = entry.attributes.kind;
                return Err(TreeDigestError::Root { kind });
            };
            level.child(name.as_bytes(), state.leaf(&entry)?);
        }
    }
    close_levels(&mut levels, 1);
    let root = levels
        .pop()
        .expect("a walk begins with the root, here a directory");
    Ok(root.close())
}

/// Closes directories until `depth` are open; each becomes a child of the one above.
fn close_levels(levels: &mut Vec<Level>, depth: usize) {
    while levels.len() > depth.max(1) {
        let Some(level) = levels.pop() else { return };
        let name = level.name.clone();
        let node = level.close();
        if let Some(parent) = levels.last_mut() {
            parent.child(&name, node);
        }
    }
}

/// A directory whose children are being visited.
struct Level {
    name: Box<[u8]>,
    hasher: Sha256,
    /// Names that the directory's whiteouts hide, in order.
    whiteouts: Vec<Box<[u8]>>,
    /// How many of them have been passed.
    whiteouts_done: usize,
}

impl Level {
    fn hides(&self, name: &[u8]) -> bool {
        self.whiteouts.binary_search_by(|w| (**w).cmp(name)).is_ok()
    }

    fn child(&mut self, name: &[u8], node: Hash) {
        while let Some(whiteout) = self.whiteouts.get(self.whiteouts_done)
            && **whiteout <= *name
        {
            if **whiteout < *name {
                put_child(&mut self.hasher, whiteout, whiteout_node());
            }
            self.whiteouts_done += 1;
        }
        put_child(&mut self.hasher, name, node);
    }

    fn close(mut self) -> Hash {
        for whiteout in &self.whiteouts[self.whiteouts_done..] {
            put_child(&mut self.hasher, whiteout, whiteout_node());
        }
        self.hasher.finalize().into()
    }
}

struct State<'a> {
    image: &'a dyn Image,
    profile: Profile,
    links: HardLinks,
    /// Nodes of hard-linked inodes.
    known: HashMap<Ino, Hash>,
    /// Digests of the contents of files, in the order of their first names.
    contents: std::vec::IntoIter<Hash>,
}

impl State<'_> {
    /// The node of a directory, without its children.
    fn open(
        &self,
        entry: &WalkEntry<'_>,
        parent: Option<&Level>,
    ) -> Result<Level, TreeDigestError> {
        let name = entry.name().map_or(&[][..], NameRef::as_bytes);
        let (mut count, mut opaque, mut whiteouts) = (0u64, false, Vec::new());
        for child in entry.children() {
            match Whiteout::of(child.name.as_bytes()) {
                None => count += 1,
                Some(_) if child.kind == FileKind::Directory => {}
                Some(Whiteout::Opaque) => opaque = true,
                Some(Whiteout::Name(hidden)) => whiteouts.push(hidden.into()),
                Some(Whiteout::Leftover) => {}
            }
        }
        if self.profile == Profile::Layer {
            opaque |= parent.is_some_and(|level| level.hides(name));
        } else {
            (opaque, whiteouts) = (false, Vec::new());
        }
        let mut level = Level {
            name: name.into(),
            hasher: self.header(entry, if opaque { b'o' } else { b'd' })?,
            whiteouts,
            whiteouts_done: 0,
        };
        let filled = entry.children().filter(|c| level.hides(c.name.as_bytes()));
        let unfilled = level.whiteouts.len() - filled.count();
        put_u64(&mut level.hasher, count + unfilled as u64);
        Ok(level)
    }

    /// The node of a non-directory.
    fn leaf(&mut self, entry: &WalkEntry<'_>) -> Result<Hash, TreeDigestError> {
        if let Some(node) = self.known.get(&entry.ino) {
            return Ok(*node);
        }
        let kind = entry.attributes.kind;
        let mut hasher = self.header(entry, kind.letter() as u8)?;
        match kind {
            FileKind::File => {
                put_u64(&mut hasher, entry.attributes.size);
                let content = self.contents.next();
                hasher.update(content.expect("the walk before met the same files"));
            }
            FileKind::Symlink => {
                let target = self.image.symlink_target(entry.ino);
                put_bytes(&mut hasher, &target.map_err(image_error(entry.path))?);
            }
            _ => {}
        }
        let node = hasher.finalize().into();
        if self.links.group(entry.ino).is_some() {
            self.known.insert(entry.ino, node);
        }
        Ok(node)
    }

    /// Starts a node: everything up to the content.
    fn header(&self, entry: &WalkEntry<'_>, letter: u8) -> Result<Sha256, TreeDigestError> {
        let mut hasher = Sha256::new();
        hasher.update(MAGIC);
        hasher.update([letter]);
        if self.profile == Profile::Content {
            for _ in 0..8 {
                put_u64(&mut hasher, 0);
            }
            return Ok(hasher);
        }
        let Attributes {
            kind,
            mode,
            uid,
            gid,
            mtime: Timestamp { seconds, .. },
            device,
            ..
        } = entry.attributes;
        let is_symlink = kind == FileKind::Symlink;
        let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        let device = if is_device {
            device
        } else {
            Default::default()
        };
        for number in [
            if is_symlink { 0o777 } else { mode.into() },
            uid.into(),
            gid.into(),
            if entry.depth == 0 { 0 } else { seconds as u64 },
            device.major.into(),
            device.minor.into(),
        ] {
            put_u64(&mut hasher, number);
        }
        let link = self.links.group(entry.ino);
        put_bytes(&mut hasher, link.map_or(&[][..], ImagePath::as_bytes));
        let xattrs = self.image.xattrs(entry.ino);
        let xattrs = xattrs.map_err(image_error(entry.path))?;
        put_u64(&mut hasher, xattrs.len() as u64);
        for xattr in &xattrs {
            put_bytes(&mut hasher, &xattr.name);
            put_bytes(&mut hasher, &xattr.value);
        }
        Ok(hasher)
    }
}

fn image_error(path: &ImagePath) -> impl FnOnce(ImageError) -> TreeDigestError + '_ {
    move |source| TreeDigestError::Image {
        path: path.clone(),
        source,
    }
}

/// Under the name that a whiteout hides: a node of type `w` with all fields 0.
fn whiteout_node() -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(MAGIC);
    hasher.update(b"w");
    for _ in 0..8 {
        put_u64(&mut hasher, 0);
    }
    hasher.finalize().into()
}

fn put_child(hasher: &mut Sha256, name: &[u8], node: Hash) {
    put_bytes(hasher, name);
    hasher.update(node);
}

fn put_u64(hasher: &mut Sha256, value: u64) {
    hasher.update(value.to_le_bytes());
}

fn put_bytes(hasher: &mut Sha256, bytes: &[u8]) {
    put_u64(hasher, bytes.len() as u64);
    hasher.update(bytes);
}
