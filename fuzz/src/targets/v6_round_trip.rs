//! Trees to RAFS v6 and back.

use std::sync::Arc;

use lazyoci::model::{ChunkedImage, ImagePath, Limits};
use lazyoci::rafs_format::v6::{
    Bootstrap, LayoutOptions, Loss, drop_losses, losses, prefetch_inodes,
};
use lazyoci::read::SharedImage;
use lazyoci::verify;

use super::input::Input;
use super::memory::Memory;
use super::reading::reader;
use super::same::see;
use super::tree::take_tree;
use super::v6::{Choices, encode, store};

/// Stores an arbitrary tree as RAFS v6: what cannot be carried is refused, the rest comes back.
pub fn v6_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = Choices::take(input);
    let tree = take_tree(input);
    let mut stored = store(tree, &choices);
    let mut options = choices.layout();

    let mut lost = Vec::new();
    losses(&stored.bootstrap.image.tree, &mut |path, what| {
        let path = path.clone();
        lost.push(Loss { path, what });
    });
    if let Some(first) = lost.first() {
        let refused = encode(&stored.bootstrap, &stored.entries, &options);
        assert_eq!(refused, Err(first.clone().into()));
        let mut dropped = Vec::new();
        drop_losses(&mut stored.bootstrap.image.tree, &mut |path, what| {
            let path = path.clone();
            dropped.push(Loss { path, what });
        });
        assert_eq!(dropped, lost);
        losses(&stored.bootstrap.image.tree, &mut |path, what| {
            panic!("still there: {path}: {what}")
        });
        let image = &mut stored.bootstrap.image;
        image.links = image.tree.link_counts();
    }

    options.prefetch = prefetch_inodes(&stored.bootstrap.image.tree, &[ImagePath::root()]);
    let bytes = encode(&stored.bootstrap, &stored.entries, &options).expect("all can be carried");
    let limits = Limits::default();
    let bootstrap = Bootstrap::open(bytes.clone().into(), &limits).expect("it was written by us");
    bootstrap.check(&mut |finding| panic!("wrong: {finding}"));
    let expected =
        see(&stored.bootstrap.image, &limits).expect("an owned image answers everything");
    let view = see(&bootstrap, &limits).expect("a sound bootstrap answers everything");
    assert!(expected == view, "the bootstrap is another image");
    let copy = bootstrap
        .to_chunked()
        .expect("a sound bootstrap can be copied");
    let copied = see(&copy.image, &limits).expect("an owned image answers everything");
    assert!(expected == copied, "the copy is another image");
    let again = encode(
        &copy,
        bootstrap.blob_entries(),
        &options_for(&options, &copy.image),
    );
    assert!(again == Ok(bytes), "encoded again it is other bytes");

    let image: SharedImage = Arc::new(bootstrap);
    let mut reader = reader(&image, Memory(stored.blob));
    let mut tell = |fault: verify::AuditFault| panic!("{}: {fault}", fault.path());
    verify::audit(&*image, &mut reader, &limits, &mut tell).expect("nobody cancels");
}

/// The same options for the copy, whose inodes have other numbers.
fn options_for(options: &LayoutOptions, copy: &ChunkedImage) -> LayoutOptions {
    LayoutOptions {
        prefetch: prefetch_inodes(&copy.tree, &[ImagePath::root()]),
        ..options.clone()
    }
}
