//! Which inodes have several names.

use image_model::walk::{InoSet, Walk, WalkError};
use image_model::{FileKind, Image, Limits};

/// The inodes of `image`, directories aside, that have more than one name. Names are counted:
/// what the image says of its link counts is not trusted.
pub(crate) fn several_names(image: &dyn Image, limits: &Limits) -> Result<InoSet, WalkError> {
    let mut seen = InoSet::default();
    let mut several = InoSet::default();
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        if entry.attributes.kind != FileKind::Directory && !seen.insert(entry.ino) {
            several.insert(entry.ino);
        }
    }
    Ok(several)
}
