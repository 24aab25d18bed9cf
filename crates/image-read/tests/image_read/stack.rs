//! Layers as one image: whose frames, blobs and recipes its numbers mean, and what that costs.

use std::sync::Arc;

use bytes::Bytes;
use image_model::layer::{Layer, LayerOptions};
use image_model::{
    Blame, Blob, BlobId, BlobIndex, Codec, Extent, ExtentSource, Fault, Frame, FrameId, ImagePath,
    Ino, Metadata, Name, Node, Recipe, RecipeId, Tree,
};
use lazyoci_image_read::{
    BlobStore, FileOrder, FrameError, ReadError, ReadOptions, Reader, Stack, StackError, TarLayer,
};

use crate::support::made::Made;

/// Files of one byte each, called `PREFIX` and their number, in one frame that is the whole blob.
fn layer(prefix: &str, blob: &'static [u8]) -> (Layer<Ino>, Reader) {
    let len = blob.len() as u32;
    let mut made = Made {
        recipes: vec![Recipe::exact(Codec::None)],
        blobs: vec![Blob::new(BlobId::new(b"blob").unwrap())],
        frames: vec![Frame {
            blob: BlobIndex(0),
            offset: 0,
            stored_len: len,
            len,
            recipe: RecipeId(0),
        }],
        ..Made::default()
    };
    let mut tree = Tree::implied();
    for number in 0..len {
        let source = ExtentSource::Chunk {
            frame: FrameId(0),
            offset_in_frame: number,
            digest: None,
            crc32c: Some(verify::crc32c(&blob[number as usize..][..1])),
        };
        let extent = Extent {
            file_offset: 0,
            len: 1,
            source,
        };
        made.files.push((1, vec![extent]));
        let content = Ino(u64::from(number));
        let file = tree.add(Metadata::default(), Node::File { size: 1, content });
        let name = format!("{prefix}{number}");
        let name = Name::new(name.as_bytes()).unwrap();
        tree.link(Tree::<Ino>::ROOT, name, file).unwrap();
    }
    let blobs = BlobStore::single(Arc::new(Bytes::from_static(blob)));
    let reader = Reader::new(Arc::new(made), blobs, ReadOptions::default());
    (Layer::from_tree(tree, LayerOptions::default()), reader)
}

fn stack(layers: &[(Layer<Ino>, Reader)]) -> Stack {
    let mut stack = Stack::default();
    for (layer, reader) in layers {
        stack.push(layer.clone(), reader).unwrap();
    }
    stack
}

/// The content of the files called so.
fn read(reader: &Reader, names: &[&str]) -> Vec<u8> {
    let ino = |name: &&str| {
        let path = ImagePath::clean(name.as_bytes()).unwrap();
        let name = path.components().next().unwrap();
        let image = reader.image();
        image.lookup(image.root(), name).unwrap().unwrap()
    };
    let files: Vec<_> = names.iter().map(ino).collect();
    let mut content = Vec::new();
    let read = reader.read_all(&files, FileOrder::Given, &mut |_, bytes| {
        for slice in bytes.slices() {
            content.extend_from_slice(slice);
        }
        Ok::<_, ReadError>(())
    });
    read.unwrap();
    content
}

#[test]
fn files_of_layers_that_take_turns_cost_each_frame_once() {
    let layers = [layer("a", b"abcdefgh"), layer("b", b"ABCDEFGH")];
    let reader = stack(&layers).into_reader(ReadOptions::default());
    let names: Vec<_> = (0..8)
        .flat_map(|n| [format!("a{n}"), format!("b{n}")])
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(read(&reader, &names), b"aAbBcCdDeEfFgGhH");
    assert_eq!(reader.frames().decoded(), 2);
    assert_eq!(reader.blobs().stats().requests, 2);
}

#[test]
fn numbers_mean_what_their_layer_has() {
    // The middle one has neither frames nor recipes, but a blob.
    let tar = TarLayer::open(
        Arc::new(Bytes::from_static(&[0; 1024])),
        &Default::default(),
    );
    let layers = [
        layer("a", b"abc"),
        tar.unwrap().into_parts().unwrap(),
        layer("a", b"A"),
        layer("c", b"xy"),
    ];
    let reader = stack(&layers).into_reader(ReadOptions::default());
    assert_eq!(read(&reader, &["a0", "a1", "a2", "c0", "c1"]), b"Abcxy");
    let image = reader.image();
    assert_eq!((image.frame_bound(), image.blobs().len()), (3, 4));
    for (frame, blob) in [(0, 0), (1, 2), (2, 3)] {
        let found = image.frame(FrameId(frame)).unwrap();
        assert_eq!(found.blob, BlobIndex(blob));
        assert!(image.recipe(found.recipe).is_some());
    }
    assert_eq!(image.frame(FrameId(3)).unwrap_err().fault(), Fault::Misuse);
    assert_eq!(image.recipe(RecipeId(3)), None);
}

/// Each layer says which of its frames are one; none can name a frame of another.
#[test]
fn layers_share_their_own_frames() {
    let frames = |shared: &[u32]| {
        let frame = Frame {
            blob: BlobIndex(0),
            offset: 0,
            stored_len: 1,
            len: 1,
            recipe: RecipeId(0),
        };
        let made = Made {
            frames: vec![frame; shared.len()],
            shared: shared.iter().map(|&id| FrameId(id)).collect(),
            ..Made::one(0, Vec::new())
        };
        let blobs = BlobStore::single(Arc::new(Bytes::new()));
        let reader = Reader::new(Arc::new(made), blobs, ReadOptions::default());
        let layer = Layer::from_tree(Tree::implied(), LayerOptions::default());
        (layer, reader)
    };
    // The last frame of the first layer would be the first of the second one.
    let layers = [frames(&[0, 0, 2, 4]), frames(&[0, 1, 1])];
    let reader = stack(&layers).into_reader(ReadOptions::default());
    let shared = (0..9).map(|id| reader.image().shared_frame(FrameId(id)).0);
    assert_eq!(shared.collect::<Vec<_>>(), [0, 0, 2, 3, 4, 5, 5, 7, 8]);
}

#[test]
fn a_frame_that_a_layer_does_not_have_is_none_of_another() {
    let (lower, reader) = layer("a", b"a");
    let extent = Extent {
        file_offset: 0,
        len: 1,
        source: ExtentSource::Chunk {
            frame: FrameId(1),
            offset_in_frame: 0,
            digest: None,
            crc32c: None,
        },
    };
    let lying = Made {
        frames: Vec::new(),
        ..Made::one(1, vec![extent])
    };
    let blobs = BlobStore::single(Arc::new(Bytes::from_static(b"b")));
    let lying = Reader::new(Arc::new(lying), blobs, ReadOptions::default());
    let mut stack = Stack::default();
    stack.push(lower, &lying).unwrap();
    let (above, _) = layer("b", b"b");
    stack.push(above, &reader).unwrap();
    let reader = stack.into_reader(ReadOptions::default());
    let error = reader
        .read_range(Ino(1), 0..1, &mut Vec::new())
        .unwrap_err();
    let ReadError::Frame { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*source, FrameError::Image(_)), "{source:?}");
}

#[test]
fn a_stack_holds_no_more_than_can_be_numbered() {
    let many = |frames| {
        let blobs = BlobStore::single(Arc::new(Bytes::from_static(b"")));
        let image = Made {
            claimed: Some(frames),
            ..Made::default()
        };
        Reader::new(Arc::new(image), blobs, ReadOptions::default())
    };
    let nothing = || Layer::from_tree(Tree::implied(), LayerOptions::default());
    let mut stack = Stack::default();
    stack.push(nothing(), &many(u32::MAX)).unwrap();
    stack.push(nothing(), &many(0)).unwrap();
    let error = stack.push(nothing(), &many(1)).unwrap_err();
    assert!(matches!(error, StackError::TooMany { what: "frames" }));
    assert_eq!(error.fault(), Fault::Limit);
}
