//! Random layers against a naive reading of the rules: maps of whole paths.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::collections::{BTreeMap, BTreeSet};

use lazyoci_image_model::advisory::Advisories;
use lazyoci_image_model::layer::{Entries, LayerBuilder, LayerError, LayerOptions};
use lazyoci_image_model::{ImagePath, InodeId, Metadata, Node, Timestamp, Tree};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Symlink,
}

#[derive(Debug, Clone)]
enum Entry {
    Node(String, Kind),
    Link(String, String),
}

/// What one path holds: kind and label. Labels are unique per inode; 0 marks implied directories.
type Listing = BTreeMap<String, (Kind, i64)>;

/// Why a sequence of entries, or a layer on others, is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Below,
    LinkToDirectory,
    LinkLoop,
    Missing,
    WhiteoutDirectory,
}

#[derive(Debug, Default)]
struct NaiveLayer {
    paths: BTreeMap<String, usize>,
    inodes: Vec<(Kind, i64)>,
    targets: BTreeMap<usize, String>,
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.into()
    } else {
        format!("{directory}/{name}")
    }
}

impl NaiveLayer {
    fn new(entries: &[Entry], first: i64) -> Result<Self, Refused> {
        let mut layer = Self::default();
        for (label, entry) in (first..).zip(entries) {
            match entry {
                Entry::Node(path, kind) => layer.add(path, *kind, label)?,
                Entry::Link(path, target) => layer.link(path, target)?,
            }
        }
        layer.bind()?;
        Ok(layer)
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        let inode = self.paths.get(path)?;
        Some(self.inodes[*inode].0)
    }

    fn inode(&mut self, kind: Kind, label: i64) -> usize {
        self.inodes.push((kind, label));
        self.inodes.len() - 1
    }

    fn make_parents(&mut self, path: &str) -> Result<(), Refused> {
        for parent in parents(path) {
            match self.kind(parent) {
                None => {
                    let inode = self.inode(Kind::Directory, 0);
                    self.paths.insert(parent.into(), inode);
                }
                Some(Kind::Directory) => {}
                Some(_) => return Err(Refused::Below),
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, inode: usize) {
        self.paths.retain(|other, _| !within(other, path));
        self.paths.insert(path.into(), inode);
    }

    fn add(&mut self, path: &str, kind: Kind, label: i64) -> Result<(), Refused> {
        let name = split(path).1;
        if kind == Kind::Directory && name.starts_with(".wh.") {
            return Err(Refused::WhiteoutDirectory);
        }
        self.make_parents(path)?;
        if kind == Kind::Directory && self.kind(path) == Some(Kind::Directory) {
            self.inodes[self.paths[path]].1 = label;
        } else {
            let inode = self.inode(kind, label);
            self.put(path, inode);
        }
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), Refused> {
        if path == target || within(target, path) {
            return Err(Refused::LinkLoop);
        }
        if self.kind(target) == Some(Kind::Directory) {
            return Err(Refused::LinkToDirectory);
        }
        let known = self.paths.get(target).copied();
        self.make_parents(path)?;
        let inode = known.unwrap_or_else(|| {
            let inode = self.inode(Kind::File, -1);
            self.targets.insert(inode, target.into());
            inode
        });
        self.put(path, inode);
        Ok(())
    }

    fn bind(&mut self) -> Result<(), Refused> {
        let (mut refused, mut bound) = (None, self.paths.clone());
        // In order of the entries, as errors are told.
        let mut inodes: Vec<_> = bound.values_mut().collect();
        inodes.sort();
        for inode in inodes {
            let mut steps = 0;
            while let Some(target) = self.targets.get(inode) {
                let Some(&next) = self.paths.get(target) else {
                    break;
                };
                if self.inodes[next].0 == Kind::Directory {
                    refused = refused.or(Some(Refused::LinkToDirectory));
                }
                steps += 1;
                if steps > self.paths.len() {
                    refused = refused.or(Some(Refused::LinkLoop));
                    break;
                }
                *inode = next;
            }
        }
        self.paths = bound;
        refused.map_or(Ok(()), Err)
    }

    /// In order of the entries, as errors are told.
    fn unbound(&self) -> impl Iterator<Item = &String> {
        let inodes: BTreeSet<_> = self.paths.values().collect();
        inodes
            .into_iter()
            .filter_map(|inode| self.targets.get(inode))
    }

    fn listing(&self) -> Listing {
        (self.paths.iter())
            .map(|(path, &inode)| (path.clone(), self.inodes[inode]))
            .collect()
    }
}

/// Whether the upper layer hides `path` of the lower one, by definition.
fn hidden(upper: &NaiveLayer, path: &str) -> bool {
    parents(path).chain([path]).any(|at| {
        let (directory, name) = split(at);
        let is_file = |path: &str| upper.kind(path).is_some_and(|k| k != Kind::Directory);
        is_file(&join(directory, &format!(".wh.{name}")))
            || is_file(&join(directory, ".wh..wh..opq"))
            || is_file(at)
    })
}

fn has_whiteout_name(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with(".wh."))
}

fn naive_overlay(lower: &Listing, upper: &NaiveLayer) -> Result<Listing, Refused> {
    for target in upper.unbound() {
        match lower.get(target) {
            None => return Err(Refused::Missing),
            Some((Kind::Directory, _)) => return Err(Refused::LinkToDirectory),
            Some(_) => {}
        }
    }
    let mut result = Listing::new();
    for (path, &found) in lower {
        // A described directory over another kind hides that as well, but has nothing below.
        if !hidden(upper, path) {
            result.insert(path.clone(), found);
        }
    }
    for (path, &inode) in &upper.paths {
        if has_whiteout_name(path) {
            continue;
        }
        let own = match upper.targets.get(&inode) {
            Some(target) => lower[target],
            None => upper.inodes[inode],
        };
        match (own, result.get(path)) {
            ((Kind::Directory, 0), Some((Kind::Directory, _))) => {}
            ((Kind::Directory, 0), Some(_)) => return Err(Refused::Below),
            _ => {
                result.insert(path.clone(), own);
            }
        }
    }
    Ok(result)
}

fn build(
    entries: &[Entry],
    first: i64,
) -> Result<lazyoci_image_model::layer::Layer<()>, LayerError> {
    let clean = |text: &str| ImagePath::clean(text.as_bytes()).unwrap();
    let mut builder = LayerBuilder::new(LayerOptions::default().entries(Entries::Listed));
    for (label, entry) in (first..).zip(entries) {
        match entry {
            Entry::Node(path, kind) => {
                let node = match kind {
                    Kind::Directory => Node::empty_directory(),
                    Kind::File => Node::File {
                        size: 0,
                        content: (),
                    },
                    Kind::Symlink => Node::Symlink((*b"a").into()),
                };
                let metadata = Metadata {
                    mtime: Timestamp::from_seconds(label),
                    ..Metadata::default()
                };
                builder.add(&clean(path), metadata, node)?;
            }
            Entry::Link(path, target) => builder.link(&clean(path), &clean(target))?,
        }
    }
    builder.finish()
}

/// The tree as the naive side says it. Equal labels of files are checked to be equal inodes.
fn listing(tree: &Tree<()>) -> Listing {
    let mut listing = Listing::new();
    let mut labels = BTreeMap::new();
    let mut pending = vec![(String::new(), InodeId::ROOT)];
    let mut inodes = 1;
    while let Some((at, inode)) = pending.pop() {
        for (name, &child) in tree.directory(inode).unwrap() {
            let path = join(&at, str::from_utf8(name.as_bytes()).unwrap());
            let inode = tree.inode(child);
            let label = inode.metadata.mtime.seconds;
            let kind = match &inode.node {
                Node::Directory(_) => Kind::Directory,
                Node::File { .. } => Kind::File,
                Node::Symlink(_) => Kind::Symlink,
                other => panic!("{other:?}"),
            };
            if kind == Kind::Directory {
                assert_eq!(inode.metadata.mode == 0o755, label == 0);
                pending.push((path.clone(), child));
                inodes += 1;
            } else if let Some(known) = labels.insert(label, child) {
                assert_eq!(known, child);
            } else {
                inodes += 1;
            }
            listing.insert(path, (kind, label));
        }
    }
    assert_eq!(tree.len(), inodes, "no inode is unreachable");
    listing
}

fn refused(error: &LayerError) -> Refused {
    match error {
        LayerError::BelowNonDirectory { .. } => Refused::Below,
        LayerError::LinkToDirectory { .. } => Refused::LinkToDirectory,
        LayerError::LinkLoop { .. } => Refused::LinkLoop,
        LayerError::MissingTarget { .. } => Refused::Missing,
        LayerError::WhiteoutDirectory { .. } => Refused::WhiteoutDirectory,
        other => panic!("{other}"),
    }
}

fn paths() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "a",
        "b",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
    ]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = prop::sample::select(vec![
        Kind::Directory,
        Kind::Directory,
        Kind::File,
        Kind::File,
        Kind::Symlink,
    ]);
    let entry = prop_oneof![
        4 => (paths(), kind).prop_map(|(path, kind)| Entry::Node(path, kind)),
        1 => (paths(), paths()).prop_map(|(path, target)| Entry::Link(path, target)),
    ];
    prop::collection::vec(entry, 0..8)
}

/// The entries that both sides accept, each on those before it: random lists are mostly refused.
fn accepted(entries: Vec<Entry>, first: i64) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        kept.push(entry);
        if NaiveLayer::new(&kept, first).is_err() {
            kept.pop();
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn builders_follow_the_rules(entries in entries()) {
        let found = build(&entries, 1);
        match NaiveLayer::new(&entries, 1) {
            Err(expected) => prop_assert_eq!(refused(&found.unwrap_err()), expected),
            Ok(expected) if expected.unbound().next().is_some() => {
                let error = found.unwrap().into_tree().unwrap_err();
                let is_outside = matches!(error, LayerError::TargetOutsideLayer { .. });
                prop_assert!(is_outside, "{}", error);
            }
            Ok(expected) => {
                prop_assert_eq!(listing(&found.unwrap().into_tree().unwrap()), expected.listing());
            }
        }
    }

    #[test]
    fn overlays_follow_the_rules(lower in entries(), middle in entries(), upper in entries()) {
        let mut tree = Tree::new(Metadata::implied_directory());
        let mut naive = Listing::new();
        for (first, entries) in [(1, lower), (101, middle), (201, upper)] {
            let entries = accepted(entries, first);
            let expected = naive_overlay(&naive, &NaiveLayer::new(&entries, first).unwrap());
            let found = build(&entries, first).unwrap().apply_to(tree.clone(), &mut Advisories::default());
            match expected {
                Err(expected) => prop_assert_eq!(refused(&found.unwrap_err()), expected),
                Ok(expected) => {
                    tree = found.unwrap();
                    prop_assert_eq!(listing(&tree), expected.clone());
                    naive = expected;
                }
            }
        }
    }
}
