//! A layer by itself, in the form that overlayfs stacks on others.

use super::{Layer, LayerError, OPAQUE_MARKER, Whiteout};
use crate::metadata::{Device, Metadata, Xattr, Xattrs};
use crate::name::{Name, NameRef};
use crate::tree::{InodeId, Node, Tree};

/// The extended attribute, of value `y`, that makes a directory opaque.
const OPAQUE_XATTR: &[u8] = b"trusted.overlay.opaque";

impl<C> Layer<C> {
    /// The layer by itself with whiteouts in overlayfs form, for use as one of several lower directories: a hidden name
    /// is a character device 0:0 of that name, and a directory that hides all names has the extended attribute
    /// `trusted.overlay.opaque` with value `y`. A whiteout next to an entry that replaces what it hides is dropped: a
    /// file hides by itself, and a directory becomes opaque. All other names that exist only in layers are dropped too.
    /// A device gets the owner and time of the whiteout.
    ///
    /// ```
    /// use lazyoci_image_model::layer::{LayerBuilder, LayerOptions};
    /// use lazyoci_image_model::{FileKind, ImagePath, Metadata, Node};
    ///
    /// let mut layer = LayerBuilder::new(LayerOptions::default());
    /// let whiteout = ImagePath::clean(b"etc/.wh.passwd")?;
    /// layer.add(&whiteout, Metadata::default(), Node::File { size: 0, content: () })?;
    /// let tree = layer.finish()?.into_overlay_tree()?;
    /// let device = tree.resolve(b"/etc/passwd").expect("it hides this name");
    /// assert_eq!(tree.inode(device).node.kind(), FileKind::CharDevice);
    /// assert_eq!(tree.resolve(b"/etc/.wh.passwd"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LayerError::TargetOutsideLayer`] if a hard link leads into a lower layer.
    pub fn into_overlay_tree(self) -> Result<Tree<C>, LayerError> {
        let mut tree = self.into_tree()?;
        let directories: Vec<InodeId> = (0..)
            .take(tree.len())
            .map(InodeId::new)
            .filter(|&id| tree.directory(id).is_some())
            .collect();
        for directory in directories {
            hide(&mut tree, directory);
        }
        tree.drop_unreachable();
        Ok(tree)
    }
}

/// Replaces the whiteouts in `directory` by their overlayfs form.
fn hide<C>(tree: &mut Tree<C>, directory: InodeId) {
    let mut entries = tree.take_entries(directory);
    let mut whiteouts: Vec<(Name, InodeId)> = Vec::new();
    entries.retain(|name, &mut inode| {
        let is_file = Whiteout::of(name.as_bytes()).is_none();
        if !is_file {
            whiteouts.push((name.clone(), inode));
        }
        is_file
    });
    for (name, inode) in whiteouts {
        // A directory of such a name is not a whiteout.
        if tree.directory(inode).is_some() {
            continue;
        }
        if name.as_bytes() == OPAQUE_MARKER {
            make_opaque(&mut tree.inode_mut(directory).metadata);
        }
        let Some(Whiteout::Name(hidden)) = Whiteout::of(name.as_bytes()) else {
            continue;
        };
        match entries.get(hidden) {
            Some(&replaced) if tree.directory(replaced).is_some() => {
                make_opaque(&mut tree.inode_mut(replaced).metadata);
            }
            Some(_) => {}
            None => {
                let hidden = NameRef::new(hidden).expect("whiteouts hide names");
                let Metadata {
                    uid, gid, mtime, ..
                } = tree.inode(inode).metadata;
                let metadata = Metadata {
                    mode: 0,
                    uid,
                    gid,
                    mtime,
                    ..Metadata::default()
                };
                let device = tree.add(metadata, Node::CharDevice(Device::default()));
                entries.insert(hidden.to_name(), device);
            }
        }
    }
    tree.inode_mut(directory).node = Node::Directory(entries);
}

fn make_opaque(metadata: &mut Metadata) {
    let others = metadata.xattrs.iter().filter(|x| *x.name != *OPAQUE_XATTR);
    let opaque = Xattr {
        name: OPAQUE_XATTR.into(),
        value: b"y"[..].into(),
    };
    let all = others.cloned().chain([opaque]);
    metadata.xattrs = Xattrs::new(all).expect("they were distinct, and this one is new");
}
