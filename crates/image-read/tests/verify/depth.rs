//! Directories are nested as deep for one as for the other.

use std::fs;
use std::io::Cursor;

use bytes::Bytes;
use image_model::layer::{LayerBuilder, LayerOptions};
use image_model::walk::Walk;
use image_model::{Blame, ChunkedImage, Fault, ImagePath, Limits, Metadata, Name, Node, Tree};
use lazyoci_image_read::DirectoryImage;
use rafs_format::v6::{Bootstrap, Layout, LayoutInput, LayoutOptions};

/// The fault of everything that looks at `nested` directories, with this bound.
fn faults(nested: usize, max_depth: u32) -> Vec<(&'static str, Option<Fault>)> {
    let limits = Limits::default().max_depth(max_depth);
    let path = vec!["d"; nested].join("/");
    let image = image(nested);
    vec![
        ("layer", layer(&path, true, &limits)),
        (
            "layer that implies them",
            layer(&format!("{path}/f"), false, &limits),
        ),
        ("walk", walk(&image, &limits)),
        ("directory", directory(&path, &limits)),
        ("check of RAFS", check(&image, &limits)),
        ("copy of RAFS", copy(&image, &limits)),
    ]
}

fn image(nested: usize) -> ChunkedImage {
    let mut tree = Tree::new(Metadata::implied_directory());
    let mut parent = Tree::<image_model::image::ChunkRange>::ROOT;
    for _ in 0..nested {
        let child = tree.add(Metadata::implied_directory(), Node::empty_directory());
        tree.link(parent, Name::new(*b"d").unwrap(), child).unwrap();
        parent = child;
    }
    let file = tree.add(Metadata::default(), Node::Fifo);
    tree.link(parent, Name::new(*b"f").unwrap(), file).unwrap();
    ChunkedImage::new(tree, Default::default()).unwrap()
}

fn layer(path: &str, is_directory: bool, limits: &Limits) -> Option<Fault> {
    let options = LayerOptions::default().limits(limits.clone());
    let mut builder = LayerBuilder::<()>::new(options);
    let path = ImagePath::clean(path.as_bytes()).unwrap();
    let node = match is_directory {
        true => Node::empty_directory(),
        false => Node::Fifo,
    };
    let added = builder.add(&path, Metadata::default(), node);
    added.err().map(|error| error.fault())
}

fn walk(image: &ChunkedImage, limits: &Limits) -> Option<Fault> {
    let mut walk = Walk::new(image, limits);
    let mut fault = None;
    while let Some(entry) = walk.next_entry() {
        fault = fault.or(entry.err().map(|error| error.fault()));
    }
    fault
}

fn directory(path: &str, limits: &Limits) -> Option<Fault> {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join(path)).unwrap();
    let opened = DirectoryImage::open(top.path(), limits);
    opened.err().map(|error| error.fault())
}

fn bootstrap(image: &ChunkedImage, limits: &Limits) -> Bootstrap {
    let input = LayoutInput {
        image,
        places: &[],
        entries: &[],
    };
    let mut bytes = Cursor::new(Vec::new());
    let layout = Layout::plan(input, &LayoutOptions::default()).unwrap();
    layout.write_to(&mut bytes).unwrap();
    Bootstrap::open(Bytes::from(bytes.into_inner()), limits).unwrap()
}

fn check(image: &ChunkedImage, limits: &Limits) -> Option<Fault> {
    let mut fault = None;
    bootstrap(image, limits).check(&mut |found| fault = fault.or(Some(found.what.fault())));
    fault
}

fn copy(image: &ChunkedImage, limits: &Limits) -> Option<Fault> {
    let copied = bootstrap(image, limits).to_chunked();
    copied.err().map(|error| error.fault())
}

#[test]
fn the_bound_is_the_same() {
    for max_depth in 1..4 {
        let nested = max_depth as usize;
        for (who, fault) in faults(nested, max_depth) {
            assert_eq!(fault, None, "{who}: {nested} directories of {max_depth}");
        }
        for (who, fault) in faults(nested + 1, max_depth) {
            let expected = Some(Fault::Limit);
            assert_eq!(
                fault,
                expected,
                "{who}: {} directories of {max_depth}",
                nested + 1
            );
        }
    }
}
