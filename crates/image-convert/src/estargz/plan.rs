//! What is written, and in which order.

use std::collections::HashSet;

use estargz_toc::Landmark;
use estargz_toc::carry;
use estargz_toc::order::{Prioritized, prioritize};
use image_model::order::{Named, needs_entry, walk, walk_by_table};
use image_model::{ImagePath, InodeId, Limits, Tree};

use super::EstargzOptions;
use crate::ConvertError;
use crate::report::{Allowed, Report};
use crate::source::DataOrder;

/// The order of a tree's names in the tar.
pub(super) struct Plan {
    pub(super) names: Vec<Named>,
    /// Before which of the names the landmark stands.
    pub(super) landmark: (usize, Landmark),
    /// Paths that were to be fetched first, but are not there.
    pub(super) missed: Vec<ImagePath>,
}

impl Plan {
    /// Removes from `tree` what a TOC cannot carry, and puts the rest in order.
    pub(super) fn new<C>(
        tree: &mut Tree<C>,
        order: DataOrder,
        options: &EstargzOptions,
        limits: &Limits,
        report: &mut Report,
    ) -> Result<Self, ConvertError> {
        let allowed = Allowed {
            lossy: options.lossy,
            limits,
            target: "eStargz",
        };
        let mut refused = None;
        carry::reduce(tree, &mut |path, what| {
            if refused.is_none() {
                refused = (report.lose(|| path.clone(), what.into(), &allowed)).err();
            }
        });
        refused.map_or(Ok(()), Err)?;
        let mut names = match order {
            DataOrder::Directory | DataOrder::Stored => walk(tree, limits)?,
            DataOrder::Tar => walk_by_table(tree, limits)?,
        };
        names.retain(|name| needs_entry(tree, name.inode));
        names.shrink_to_fit();
        report.cut_times = cut_times(tree, &names);
        let wanted = &options.prefetch;
        if wanted.is_empty() {
            return Ok(Self {
                names,
                landmark: (0, Landmark::NoPrefetch),
                missed: Vec::new(),
            });
        }
        let Prioritized {
            names,
            landmark,
            missed,
        } = prioritize(names, wanted);
        let missed = missed.into_iter().map(|at| &wanted[at]);
        // An implied directory has no entry, but it exists.
        let missed = missed.filter(|path| tree.resolve(path.as_bytes()).is_none());
        Ok(Self {
            names,
            landmark: (landmark, Landmark::Prefetch),
            missed: missed.cloned().collect(),
        })
    }
}

/// How many of the inodes that have a name have a time with a fraction of a second.
fn cut_times<C>(tree: &Tree<C>, names: &[Named]) -> u64 {
    let has_fraction = |id| tree.inode(id).metadata.mtime.nanoseconds != 0;
    let inodes = names.iter().map(|name| name.inode);
    let cut: HashSet<InodeId> = inodes.filter(|&id| has_fraction(id)).collect();
    cut.len() as u64
}
