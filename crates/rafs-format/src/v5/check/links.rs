//! Names of inodes, counted.

use image_model::{ImagePath, Ino, NameRef};

use super::{Checker, Links};
use crate::v5::inode::{Inode, ROOT};

impl Checker<'_> {
    /// Compares the links of inodes that are not directories with their names, all of which were seen.
    pub(super) fn links(&mut self) {
        let mut links = std::mem::take(&mut self.seen.links);
        links.sort_unstable();
        for names in links.chunk_by(|a, b| a.number == b.number) {
            self.seen.inodes = self.seen.inodes.saturating_add(1);
            let Some(&Links { number, name }) = names.first() else {
                continue;
            };
            let Ok(inode) = self.bootstrap.inode(Ino(number.into())) else {
                continue;
            };
            let expected = u64::try_from(names.len()).unwrap_or(u64::MAX);
            let path = match u64::from(inode.links) == expected {
                true => continue,
                false => self.path_of(name),
            };
            self.expect_at(&path, &inode, "i_nlink", inode.links.into(), expected);
        }
    }

    /// The path of inode `number`, as its parents have it.
    fn path_of(&self, number: u32) -> ImagePath {
        let bootstrap = self.bootstrap;
        let mut names = Vec::new();
        let mut next = number;
        while next != ROOT {
            let Ok(inode @ Inode { parent, .. }) = bootstrap.numbered(next) else {
                break;
            };
            names.extend(inode.name(&bootstrap.bytes).ok().map(NameRef::to_name));
            // Lower at each step.
            next = u32::try_from(parent).unwrap_or(ROOT);
        }
        let mut path = ImagePath::root();
        for name in names.iter().rev() {
            path.push(name.as_ref());
        }
        path
    }
}
