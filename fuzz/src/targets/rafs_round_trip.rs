//! Trees to RAFS, of either version, and back.

use std::sync::Arc;

use lazyoci::model::image::ChunkRange;
use lazyoci::model::{ImagePath, Limits, Tree};
use lazyoci::rafs_format::layout::{CannotCarry, EncodeError, LayoutOptions, Loss};
use lazyoci::rafs_format::v6::BlobEntry;
use lazyoci::rafs_format::{
    Bootstrap, OwnedBootstrap, RafsImage, Version, prefetch_inodes, v5, v6,
};
use lazyoci::read::SharedImage;
use lazyoci::verify;

use super::input::Input;
use super::memory::Memory;
use super::reading::reader;
use super::same::see;
use super::tree::take_tree;
use super::v6::{Choices, Stored, store};

/// Stores an arbitrary tree as RAFS v5: what cannot be carried is refused, the rest comes back.
pub fn v5_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = Choices::take(input).of_v5();
    round_trip(input, &choices, Version::V5);
}

/// The same as RAFS v6.
pub fn v6_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = Choices::take(input);
    round_trip(input, &choices, Version::V6);
}

fn round_trip(input: &mut Input<'_>, choices: &Choices, version: Version) {
    let tree = take_tree(input);
    let mut stored = store(tree, choices);
    let options = choices.layout();
    settle_losses(&mut stored, &options, version);

    // Inodes of the copy have other numbers.
    let options_for = |tree: &Tree<ChunkRange>| {
        let prefetch = prefetch_inodes(tree, &[ImagePath::root()]);
        options.clone().prefetch(prefetch)
    };
    let own = options_for(&stored.bootstrap.image.tree);
    let bytes = encode(&stored.bootstrap, &stored.entries, &own, version);
    let bytes = bytes.expect("all can be carried");
    let limits = Limits::default();
    let bootstrap = Bootstrap::open(bytes.clone().into(), &limits).expect("it was written by us");
    assert_eq!(bootstrap.version(), version);
    bootstrap.check(&mut |finding| panic!("wrong: {finding}"));
    let expected =
        see(&stored.bootstrap.image, &limits).expect("an owned image answers everything");
    let view = see(bootstrap.image(), &limits).expect("a sound bootstrap answers everything");
    assert!(expected == view, "the bootstrap is another image");
    let copy = bootstrap
        .to_chunked()
        .expect("a sound bootstrap can be copied");
    let copied = see(&copy.image, &limits).expect("an owned image answers everything");
    assert!(expected == copied, "the copy is another image");
    let options = options_for(&copy.image.tree);
    let again = encode(&copy, bootstrap.blob_entries(), &options, version);
    assert!(again == Ok(bytes), "encoded again it is other bytes");

    let image: SharedImage = Arc::new(RafsImage::new(bootstrap));
    let mut reader = reader(&image, Memory(stored.blob));
    let mut tell = |fault: verify::AuditFault| panic!("{}: {fault}", fault.path());
    verify::audit(&*image, &mut reader, &limits, &mut tell).expect("nobody cancels");
}

/// Takes out what cannot be carried: it is refused before, and all of it is told.
pub(super) fn settle_losses(stored: &mut Stored, options: &LayoutOptions, version: Version) {
    let mut lost = Vec::new();
    losses(&stored.bootstrap.image.tree, version, &mut |path, what| {
        let path = path.clone();
        lost.push(Loss { path, what });
    });
    let Some(first) = lost.first() else {
        return;
    };
    let refused = encode(&stored.bootstrap, &stored.entries, options, version);
    assert_eq!(refused, Err(first.clone().into()));
    let mut dropped = Vec::new();
    let mut drop = |path: &ImagePath, what| {
        let path = path.clone();
        dropped.push(Loss { path, what });
    };
    let image = &mut stored.bootstrap.image;
    match version {
        Version::V5 => v5::drop_losses(&mut image.tree, &mut drop),
        _ => v6::drop_losses(&mut image.tree, &mut drop),
    }
    assert_eq!(dropped, lost);
    losses(&image.tree, version, &mut |path, what| {
        panic!("still there: {path}: {what}")
    });
    image.links = image.tree.link_counts();
}

fn losses(
    tree: &Tree<ChunkRange>,
    version: Version,
    report: &mut dyn FnMut(&ImagePath, CannotCarry),
) {
    match version {
        Version::V5 => v5::losses(tree, report),
        _ => v6::losses(tree, report),
    }
}

/// The bytes of a bootstrap of that version.
pub(super) fn encode(
    bootstrap: &OwnedBootstrap,
    entries: &[BlobEntry],
    options: &LayoutOptions,
    version: Version,
) -> Result<Vec<u8>, EncodeError> {
    match version {
        Version::V5 => super::v5::encode(bootstrap, entries, options),
        _ => super::v6::encode(bootstrap, entries, options),
    }
}
