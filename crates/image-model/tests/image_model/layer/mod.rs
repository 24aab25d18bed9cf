//! Layers out of entries, and layers over layers: tables of cases.
#![allow(clippy::unwrap_used, reason = "test support")]

mod alone;
mod bounds;
mod overlayfs;
mod stack;
mod symlinks;

use std::collections::BTreeMap;

use crate::common::path;
use lazyoci_image_model::advisory::{Advisories, Oddity};
use lazyoci_image_model::layer::{
    Entries, Layer, LayerBuilder, LayerError, LayerOptions, Whiteouts,
};
use lazyoci_image_model::metadata::Xattr;
use lazyoci_image_model::{
    Blame, Device, Fault, FileKind, ImagePath, InodeId, Limits, Metadata, Node, Timestamp, Tree,
    Xattrs,
};

/// Entries, one per line or comma: `d PATH`, `f PATH`, `p PATH`, `l PATH -> TARGET` (symlink),
/// `h PATH -> TARGET` (hard link), `c PATH` (device 0:0), `o PATH` (opaque directory). Entry `n`, counted from `first`, has mtime `n`.
fn build(entries: &str, first: i64, options: LayerOptions) -> Result<Layer<i64>, LayerError> {
    let mut builder = LayerBuilder::new(options);
    let entries = entries.split([',', '\n']).map(str::trim);
    for (time, entry) in (first..).zip(entries.filter(|e| !e.is_empty())) {
        let (kind, rest) = entry.split_at(1);
        let (at, target) = rest.split_once("->").unwrap_or((rest, ""));
        let (at, target) = (path(at.trim()), target.trim());
        let opaque = Xattr {
            name: (*b"trusted.overlay.opaque").into(),
            value: (*b"y").into(),
        };
        let xattrs = Xattrs::new((kind == "o").then_some(opaque)).unwrap();
        let metadata = Metadata {
            xattrs,
            mode: 0o644,
            mtime: Timestamp::from_seconds(time),
            ..Metadata::default()
        };
        let node = match kind {
            "d" | "o" => Node::empty_directory(),
            "c" => Node::CharDevice(Device::default()),
            "f" => Node::File {
                size: 1,
                content: time,
            },
            "l" => Node::Symlink(target.as_bytes().into()),
            "p" => Node::Fifo,
            "h" => {
                builder.link(&at, &path(target))?;
                continue;
            }
            other => panic!("{other}"),
        };
        builder.add(&at, metadata, node)?;
    }
    builder.finish()
}

fn strict() -> LayerOptions {
    LayerOptions::default()
}

fn lenient() -> LayerOptions {
    strict().lenient(true)
}

/// As the index of a layer.
fn listed() -> LayerOptions {
    strict().entries(Entries::Listed)
}

fn dangling(at: &str) -> LayerError {
    LayerError::BelowDanglingSymlink { path: path(at) }
}

/// `PATH KIND MTIME`, and ` =PATH` for the later names of a hard-linked inode, in order of the
/// bytes of the paths. The root only if it is not implied.
fn list(tree: &Tree<i64>) -> String {
    let mut paths = BTreeMap::from([(ImagePath::root(), InodeId::ROOT)]);
    let mut pending = vec![(ImagePath::root(), InodeId::ROOT)];
    while let Some((at, inode)) = pending.pop() {
        for (name, &child) in tree.directory(inode).into_iter().flatten() {
            paths.insert(at.join(name.as_ref()), child);
            if tree.directory(child).is_some() {
                pending.push((at.join(name.as_ref()), child));
            }
        }
    }
    assert_eq!(tree.link_counts().iter().filter(|&&n| n == 0).count(), 0);
    let mut first: BTreeMap<InodeId, ImagePath> = BTreeMap::new();
    let mut lines = Vec::new();
    for (at, inode) in paths {
        let (metadata, node) = (&tree.inode(inode).metadata, &tree.inode(inode).node);
        let implied = *metadata == Metadata::implied_directory();
        if at.is_root() && implied {
            continue;
        }
        // What no entry described is marked, through any overlay.
        assert_eq!(tree.inode(inode).is_implied(), implied, "{at}");
        let time = if implied {
            "-".into()
        } else {
            metadata.mtime.seconds.to_string()
        };
        let known = first.entry(inode).or_insert_with(|| at.clone());
        let link = if *known == at {
            String::new()
        } else {
            format!(" ={known}")
        };
        let kind = node.kind().letter();
        lines.push(format!(
            "{} {kind} {time}{link}",
            at.to_string().trim_start_matches('/')
        ));
    }
    lines.join(", ")
}

fn alone(entries: &str) -> String {
    list(&build(entries, 1, strict()).unwrap().into_tree().unwrap())
}

/// The upper layer's mtimes count from 11.
fn over(lower: &str, upper: &str, options: LayerOptions) -> Result<String, LayerError> {
    let empty = Tree::new(Metadata::implied_directory());
    let below = build(lower, 1, strict())
        .unwrap()
        .apply_to(empty, &mut Advisories::default())
        .unwrap();
    Ok(list(
        &build(upper, 11, options)?.apply_to(below, &mut Advisories::default())?,
    ))
}
