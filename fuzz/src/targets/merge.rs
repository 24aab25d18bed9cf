//! Bootstraps of layers laid over one another.

use lazyoci::model::advisory::Advisories;
use lazyoci::model::image::ChunkRange;
use lazyoci::model::layer::{Entries, Layer, LayerOptions, OPAQUE_MARKER, Whiteouts};
use lazyoci::model::metadata::Xattr;
use lazyoci::model::{
    Blame as _, BlobId, ChunkedImage, Decode, Device, Digest, Image as _, ImagePath, InodeId,
    Limits, Metadata, Name, NameRef, Node, Tree, Xattrs,
};
use lazyoci::rafs_format::merge::{Merge, MergeError, MergeOptions, Merged};
use lazyoci::rafs_format::v6::BlobEntry;
use lazyoci::rafs_format::{Bootstrap, OwnedBootstrap, Version};

use super::input::Input;
use super::rafs_round_trip::{encode, settle_losses};
use super::same::{Seen, see};
use super::tree::{Pattern, take_tree};
use super::v6::{Choices, store};

/// Merges bootstraps: of arbitrary layers, whose merged image is known, or whatever the bytes are.
pub fn merge(data: &[u8]) {
    let input = &mut Input::new(data);
    match input.flag() {
        true => merge_any(input),
        false => merge_layers(input),
    }
}

fn take_options(input: &mut Input<'_>) -> MergeOptions {
    let whiteouts = [Whiteouts::Oci, Whiteouts::Overlayfs, Whiteouts::Nothing];
    let prefetch = [&b""[..], b"not there", b"file 1"].map(ImagePath::clean);
    let paths = prefetch.into_iter().map(|path| path.expect("it is a path"));
    MergeOptions::default()
        .whiteouts(input.one_of(&whiteouts))
        .prefetch(paths.take(input.below(4)).collect())
        .limits(Limits::small())
}

/// A layer as a bootstrap, and as what it means.
struct OneLayer {
    bootstrap: Bootstrap,
    /// What its blob is called if the bootstrap does not say it.
    own_blob: Option<BlobId>,
    tree: Tree<Content>,
}

/// What a file holds: where each chunk begins in it, its digest and length.
type Content = Vec<(u64, Option<(Option<Digest>, u32)>)>;

fn merge_layers(input: &mut Input<'_>) {
    let options = take_options(input);
    let mut choices = Choices::take(input);
    let version = input.one_of(&[Version::V5, Version::V6]);
    if version == Version::V5 {
        choices = choices.of_v5();
    }
    let mut hints = Input::new(input.bytes());
    let rest = input.rest();
    let (first, rest) = rest.split_at(rest.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let mut lower = Tree::implied();
    let layers = [first, second, third].map(|bytes| {
        let mut tree = take_tree(&mut Input::new(bytes));
        hide_some(&mut hints, &lower, &mut tree, options.whiteouts);
        lower = tree.clone();
        store_layer(tree, &choices, version, hints.flag())
    });

    let expected = applied(&layers, &options);
    let merged = merged(&options, None, &layers).expect("layers of small trees fit each other");
    let bootstrap = written(&merged, version);
    assert!(expected == listed(&contents(&copy_of(&bootstrap))));

    let (lower, top) = layers.split_at(2);
    let parent = self::merged(&options, None, lower).expect("they are some of the same layers");
    let parent = written(&parent, version);
    let again = self::merged(&options, Some(&parent), top);
    let again = again.expect("what was merged is a layer");
    assert!(expected == listed(&contents(&copy_of(&written(&again, version)))));
    let blobs = |merged: &Merged| {
        let mut ids: Vec<_> = merged
            .entries()
            .iter()
            .map(|entry| entry.id.clone())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(blobs(&merged), blobs(&again));
}

/// Has some names of `upper` hide what `lower` has.
fn hide_some(
    hints: &mut Input<'_>,
    lower: &Tree<Pattern>,
    upper: &mut Tree<Pattern>,
    whiteouts: Whiteouts,
) {
    let (mut below, mut at) = (InodeId::ROOT, InodeId::ROOT);
    for _ in 0..hints.below(8) {
        let entries = lower.directory(below).expect("it is a directory");
        let Some((name, &hidden)) = entries.iter().nth(hints.below(entries.len())) else {
            return;
        };
        let same = upper.lookup(at, name.as_ref());
        let same = same.filter(|&same| upper.directory(same).is_some());
        match (hints.below(4), same) {
            (0 | 1, Some(same)) if lower.directory(hidden).is_some() => {
                (below, at) = (hidden, same);
            }
            (2, _) => make_opaque(upper, at, whiteouts),
            _ => add_whiteout(upper, at, name.as_ref(), whiteouts),
        }
    }
}

fn make_opaque(tree: &mut Tree<Pattern>, directory: InodeId, whiteouts: Whiteouts) {
    if whiteouts == Whiteouts::Overlayfs {
        let xattrs = &mut tree.inode_mut(directory).metadata.xattrs;
        let opaque = Xattr {
            name: (*b"trusted.overlay.opaque").into(),
            value: (*b"y").into(),
        };
        let others = xattrs.iter().filter(|known| known.name != opaque.name);
        *xattrs = Xattrs::new(others.cloned().chain([opaque.clone()])).expect("names differ");
    } else {
        add_file(tree, directory, OPAQUE_MARKER, Node::Fifo);
    }
}

fn add_whiteout(
    tree: &mut Tree<Pattern>,
    directory: InodeId,
    name: NameRef<'_>,
    whiteouts: Whiteouts,
) {
    match whiteouts {
        Whiteouts::Overlayfs => {
            let node = Node::CharDevice(Device::default());
            add_file(tree, directory, name.as_bytes(), node);
        }
        _ => add_file(
            tree,
            directory,
            &[b".wh.", name.as_bytes()].concat(),
            Node::Fifo,
        ),
    }
}

/// Adds a file, unless there is one or no file can be called so.
fn add_file(tree: &mut Tree<Pattern>, directory: InodeId, name: &[u8], node: Node<Pattern>) {
    let Ok(name) = Name::new(name) else { return };
    if tree.lookup(directory, name.as_ref()).is_none() {
        let inode = tree.add(Metadata::default(), node);
        let linked = tree.link(directory, name, inode);
        linked.expect("it is a directory");
    }
}

/// A layer of which everything can be carried; its bootstrap may be thought to lie in its blob.
fn store_layer(
    tree: Tree<Pattern>,
    choices: &Choices,
    version: Version,
    in_blob: bool,
) -> OneLayer {
    let mut stored = store(tree, choices);
    let options = choices.layout();
    settle_losses(&mut stored, &options, version);
    let mut own_blob = None;
    if let Some(entry) = stored.entries.first_mut().filter(|_| in_blob) {
        own_blob = Some(entry.id.clone());
        entry.id = BlobId::new(BlobEntry::SELF_ID.as_bytes()).expect("it is an id");
    }
    let bytes = encode(&stored.bootstrap, &stored.entries, &options, version);
    let bytes = bytes.expect("all can be carried");
    let bootstrap = Bootstrap::open(bytes.into(), &Limits::default());
    OneLayer {
        bootstrap: bootstrap.expect("it was written by us"),
        own_blob,
        tree: contents(&stored.bootstrap.image),
    }
}

fn merged(
    options: &MergeOptions,
    parent: Option<&Bootstrap>,
    layers: &[OneLayer],
) -> Result<Merged, MergeError> {
    let mut merge = Merge::new(options.clone());
    if let Some(parent) = parent {
        merge.push_parent(parent)?;
    }
    for layer in layers {
        merge.push(&layer.bootstrap, layer.own_blob.as_ref())?;
    }
    Ok(merge.finish())
}

/// The trees laid over one another.
fn applied(layers: &[OneLayer], options: &MergeOptions) -> Vec<Listed> {
    let options = LayerOptions::default()
        .entries(Entries::Listed)
        .whiteouts(options.whiteouts)
        .limits(options.limits.clone());
    let applied = layers.iter().try_fold(Tree::implied(), |lower, layer| {
        Layer::from_tree(layer.tree.clone(), options.clone())
            .apply_to(lower, &mut Advisories::default())
    });
    listed(&applied.expect("nothing lies below what is no directory"))
}

/// The bootstrap of a merged image, with which nothing is wrong.
fn written(merged: &Merged, version: Version) -> Bootstrap {
    let bytes = merged.to_bytes().expect("all layers could be carried");
    let bootstrap = Bootstrap::open(bytes.into(), &Limits::default());
    let bootstrap = bootstrap.expect("it was written by us");
    assert_eq!(bootstrap.version(), version);
    bootstrap.check(&mut |finding| panic!("wrong: {finding}"));
    bootstrap
}

fn copy_of(bootstrap: &Bootstrap) -> ChunkedImage {
    let OwnedBootstrap { image, .. } = bootstrap.to_chunked().expect("nothing is wrong with it");
    image
}

fn contents(image: &ChunkedImage) -> Tree<Content> {
    let content = |range: ChunkRange| {
        let extents = image.file_extents(range).expect("they are its own");
        let chunk = |id: lazyoci::model::ChunkId| {
            let chunk = &image.chunks[id.index()];
            (chunk.digest, chunk.len)
        };
        let extents = extents.iter();
        extents
            .map(|extent| (extent.file_offset, extent.chunk.map(chunk)))
            .collect()
    };
    image.tree.clone().map(|_, _, range| content(range))
}

/// A name of an image.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    path: ImagePath,
    metadata: Metadata,
    /// Directories are empty.
    node: Node<Content>,
    /// Position of the inode's first name.
    first: usize,
}

/// All names in order.
fn listed(tree: &Tree<Content>) -> Vec<Listed> {
    let mut found: Vec<Listed> = Vec::new();
    let mut first = vec![None; tree.len()];
    let mut pending = vec![(ImagePath::root(), InodeId::ROOT)];
    while let Some((path, id)) = pending.pop() {
        let inode = tree.inode(id);
        let node = match &inode.node {
            Node::Directory(entries) => {
                pending.extend(entries.iter().rev().map(|(name, &child)| {
                    let mut path = path.clone();
                    path.push(name.as_ref());
                    (path, child)
                }));
                Node::empty_directory()
            }
            node => node.clone(),
        };
        let number = found.len();
        found.push(Listed {
            path,
            metadata: inode.metadata.clone(),
            node,
            first: *first[id.index()].get_or_insert(number),
        });
    }
    found
}

/// Merges two pieces of the input, whatever they are.
fn merge_any(input: &mut Input<'_>) {
    let options = take_options(input);
    let (as_parent, dictionary, named) = (input.flag(), input.flag(), input.flag());
    let len = input.u32() as usize;
    let rest = input.rest();
    let (lower, upper) = rest.split_at(len.min(rest.len()));
    let opened = [lower, upper].map(open);
    let own_blob = BlobId::new(b"own").expect("it is an id");
    let own_blob = named.then_some(&own_blob);
    let mut merge = Merge::new(options.clone());
    for (number, bootstrap) in (0u8..).zip(opened.iter().flatten()) {
        let pushed = match number {
            0 if as_parent => merge.push_parent(bootstrap),
            1 if dictionary => merge.check_dictionary(bootstrap, None),
            _ => merge.push(bootstrap, own_blob),
        };
        if let Err(error) = pushed {
            let _ = (error.fault(), error.to_string());
            return;
        }
    }
    let merged = merge.finish();
    let bytes = match merged.to_bytes() {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let again = Bootstrap::open(bytes.into(), &Limits::default()).expect("it was written by us");
    let (image, frames) = (merged.image(), &merged.image().frames);
    let mut recipes = frames.iter().filter_map(|frame| image.recipe(frame.recipe));
    if recipes.any(|recipe| matches!(recipe.decode, Decode::Unlocated(_))) {
        // Only their blobs say where such chunks are, but it can be merged again.
        return merge_again(&merged, &again, options, rest.len());
    }
    // Each chunk of a file takes 8 bytes, whether other files have it or not.
    let limits = Limits::small().max_chunks((rest.len() / 8) as u32);
    let expected = see(merged.image(), &limits);
    let mut expected = expected.expect("an owned image answers everything");
    let mut found = see(again.image(), &limits).expect("so does what was written of it");
    without_owners(&again, [&mut expected, &mut found]);
    assert!(expected == found, "opened again it is another image");
}

/// Owners are not stored without an option.
fn without_owners(again: &Bootstrap, images: [&mut Vec<Seen>; 2]) {
    if !again.layout_options().explicit_ids {
        for seen in images.into_iter().flatten() {
            (seen.attributes.uid, seen.attributes.gid) = (0, 0);
        }
    }
}

/// Merges an image with chunks that only their blobs locate over nothing, which changes nothing.
fn merge_again(merged: &Merged, again: &Bootstrap, options: MergeOptions, len: usize) {
    let mut merge = Merge::new(options);
    let pushed = merge.push_parent(again);
    pushed.expect("it has been merged before");
    let found = merge.finish();
    let limits = Limits::small().max_chunks((len / 8) as u32);
    let [expected, found] = [merged, &found].map(|merged| see(merged.image(), &limits));
    let mut expected = expected.expect("an owned image answers everything");
    let mut found = found.expect("so does what was written of it");
    without_owners(again, [&mut expected, &mut found]);
    assert!(expected == found, "merged again it is another image");
}

/// Opens what may be a bootstrap; they have whole blocks, to which fuzzers do not keep.
fn open(bytes: &[u8]) -> Option<Bootstrap> {
    let block = match Bootstrap::version_of(bytes) {
        Some(Version::V5) => 8,
        _ => 4096,
    };
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(block), 0);
    Bootstrap::open(bytes.into(), &Limits::small()).ok()
}
