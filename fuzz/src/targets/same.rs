//! Whether two images are the same file system.

use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;

use lazyoci::model::walk::{Walk, WalkEntry};
use lazyoci::model::{
    Attributes, Codec, Extent, ExtentSource, FileKind, Frame, FrameId, Image, ImagePath, Ino,
    Limits, Name, Recipe, RecipeId, Xattrs,
};

/// A path of an image, with everything that can be asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) path: ImagePath,
    pub(super) attributes: Attributes,
    pub(super) xattrs: Xattrs,
    pub(super) target: Option<Box<[u8]>>,
    /// At the inode's first path; none at further ones.
    pub(super) extents: Vec<Resolved>,
    /// Position of the inode's first path.
    pub(super) first: usize,
}

/// An extent with the frame that it names, whatever numbers frame and recipe have in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    extent: Extent,
    frame: Option<(Frame, Recipe)>,
}

/// The extent with its frame, if there is one.
pub(super) fn resolved(image: &dyn Image, mut extent: Extent) -> Option<Resolved> {
    let frame = match &mut extent.source {
        ExtentSource::Chunk { frame: id, .. } => {
            let mut frame = image.frame(mem::replace(id, FrameId(0))).ok()?;
            let recipe = image.recipe(mem::replace(&mut frame.recipe, RecipeId(0)))?;
            match plain_source(&extent, &frame, &recipe) {
                Some(source) => {
                    extent.source = source;
                    None
                }
                None => Some((frame, recipe)),
            }
        }
        ExtentSource::Zeros | ExtentSource::Plain { .. } => None,
    };
    Some(Resolved { extent, frame })
}

/// Where a chunk is whose bytes anybody can read without a frame: in a tar as it was, whose copy has it as a chunk.
fn plain_source(extent: &Extent, frame: &Frame, recipe: &Recipe) -> Option<ExtentSource> {
    match extent.source {
        ExtentSource::Chunk {
            offset_in_frame,
            digest: None,
            crc32c: None,
            ..
        } if *recipe == Recipe::exact(Codec::None) => Some(ExtentSource::Plain {
            blob: frame.blob,
            offset: frame.offset.checked_add(offset_in_frame.into())?,
        }),
        _ => None,
    }
}

/// Everything in `image`, in the order of a walk, as long as it answers.
///
/// Checks on the way that its answers agree: lookups with directories, also of names that are not there,
/// parts of files with the whole.
pub(super) fn see(image: &dyn Image, limits: &Limits) -> Option<Vec<Seen>> {
    let mut walk = Walk::new(image, limits);
    let mut seen = Vec::new();
    let mut first = HashMap::new();
    let mut extents_left = limits.max_chunks as usize;
    while let Some(entry) = walk.next_entry() {
        let entry = entry.ok()?;
        for child in entry.children() {
            if image.lookup(entry.ino, child.name).ok()? != Some(child.ino) {
                return None;
            }
        }
        if absent(&entry).any(|name| finds(image, entry.ino, &name)) {
            return None;
        }
        let number = seen.len();
        let first = *first.entry(entry.ino).or_insert(number);
        // Limits count the chunks of an inode once, whatever names it has.
        let extents = match first == number {
            true => extents(image, entry.ino, entry.attributes, extents_left)?,
            false => Vec::new(),
        };
        extents_left -= extents.len();
        seen.push(Seen {
            path: entry.path.clone(),
            attributes: entry.attributes,
            xattrs: image.xattrs(entry.ino).ok()?,
            target: match entry.attributes.kind {
                FileKind::Symlink => Some(image.symlink_target(entry.ino).ok()?),
                _ => None,
            },
            extents,
            first,
        });
    }
    Some(seen)
}

/// Names close to those of the first, the middle and the last child, which no child has.
fn absent<'a>(directory: &'a WalkEntry<'_>) -> impl Iterator<Item = Name> + 'a {
    let count = directory.children().count();
    let picked = [0, count / 2, count.saturating_sub(1)];
    let near = picked.into_iter().filter_map(move |number| {
        let name = directory.children().nth(number)?.name.as_bytes();
        let (last, rest) = name.split_last()?;
        Some([
            [name, b"\x01"].concat(),
            [rest, &[last.wrapping_sub(1)]].concat(),
            [rest, &[last.wrapping_add(1)]].concat(),
        ])
    });
    let there = move |name: &Name| {
        let mut children = directory.children();
        children.any(|child| child.name.as_bytes() == name.as_bytes())
    };
    let names = near.flatten().filter_map(|name| Name::new(name).ok());
    names.filter(move |name| !there(name))
}

/// Whether a name leads anywhere, or cannot be answered.
fn finds(image: &dyn Image, directory: Ino, name: &Name) -> bool {
    !matches!(image.lookup(directory, name.as_ref()), Ok(None))
}

fn extents(
    image: &dyn Image,
    ino: Ino,
    attributes: Attributes,
    most: usize,
) -> Option<Vec<Resolved>> {
    let mut found: Vec<Extent> = Vec::new();
    let size = attributes.size;
    if attributes.kind != FileKind::File {
        let mut none = |_| -> ControlFlow<()> { panic!("only files have extents") };
        assert!(image.extents(ino, 0..1, &mut none).is_err());
        return Some(Vec::new());
    }
    let mut collect = |extent| {
        found.push(extent);
        match found.len() <= most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    image.extents(ino, 0..u64::MAX, &mut collect).ok()?;
    if found.len() > most {
        return None;
    }
    let mut end = 0;
    for extent in &found {
        assert_eq!(extent.file_offset, end, "extents leave no gap");
        assert!(extent.len > 0);
        end += extent.len;
    }
    assert_eq!(end, size, "extents cover the file");
    check_parts(image, ino, &found);
    let found = found.into_iter();
    found.map(|extent| resolved(image, extent)).collect()
}

/// Asks for parts of a file, which must be parts of the whole.
fn check_parts(image: &dyn Image, ino: Ino, whole: &[Extent]) {
    let ends = |extent: &Extent| [extent.file_offset, extent.file_offset + extent.len - 1];
    for at in whole.iter().take(4).chain(whole.last()).flat_map(ends) {
        let mut found = Vec::new();
        let mut collect = |extent| {
            found.push(extent);
            ControlFlow::Continue(())
        };
        let answer = image.extents(ino, at..at + 1, &mut collect);
        answer.expect("the whole file could be asked for");
        let expected = whole.partition_point(|extent| extent.file_offset <= at) - 1;
        assert_eq!(found, [whole[expected]], "byte {at}");
    }
}
