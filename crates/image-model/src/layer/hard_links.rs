//! Hard links whose targets came after them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::route::{Allowance, find};
use super::{Layer, LayerError};
use crate::advisory::Oddity;
use crate::tree::InodeId;

/// Binds each placeholder to the inode that its target refers to now; placeholders without one
/// remain. Returns whether placeholders were replaced, which are then in the table without a name.
pub(super) fn bind<C>(layer: &mut Layer<C>, allowance: &mut Allowance) -> Result<bool, LayerError> {
    let Layer {
        options,
        tree,
        links,
        advisories,
    } = layer;
    let names = tree.link_counts();
    links.retain(|link, _| names[link.index()] > 0);
    let mut bound = BTreeMap::new();
    let mut through_symlinks = BTreeSet::new();
    for &link in links.keys() {
        let mut chain = BTreeSet::new();
        let mut at = link;
        while let Some(target) = links.get(&at) {
            if let Some(&end) = bound.get(&at) {
                at = end;
                continue;
            }
            if !chain.insert(at) {
                return Err(LayerError::LinkLoop {
                    path: tree.path_of(at),
                    target: target.clone(),
                });
            }
            let found = find(tree, target, options.entries, allowance);
            let found = found.map_err(|obstacle| {
                let kind = |inode: InodeId| tree.inode(inode).node.kind();
                obstacle.for_entry(&tree.path_of(at), options, kind)
            })?;
            match found {
                None => break,
                Some(found) if tree.directory(found.inode).is_some() => {
                    return Err(LayerError::LinkToDirectory {
                        path: tree.path_of(at),
                        target: target.clone(),
                    });
                }
                Some(found) => {
                    if found.by_symlink {
                        through_symlinks.insert(at);
                    }
                    at = found.inode;
                }
            }
        }
        chain.remove(&at);
        bound.extend(chain.into_iter().map(|link| (link, at)));
    }
    if !through_symlinks.is_empty() {
        // One walk for all of them.
        let _ = tree.each_path(&mut |path, inode| {
            if through_symlinks.remove(&inode) {
                advisories.add(Some(path), Oddity::TargetBelowSymlink);
            }
            match through_symlinks.is_empty() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
    }
    links.retain(|link, _| !bound.contains_key(link));
    tree.substitute(&bound);
    Ok(!bound.is_empty())
}
