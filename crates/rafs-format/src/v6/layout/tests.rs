//! Blocks of 512 bytes, which only tarfs images have: their metadata is laid out by the same rules.

use bytes::Bytes;
use image_model::image::ChunkRange;
use image_model::walk::Walk;
use image_model::{ChunkedImage, FileKind, Image, InodeId, Limits, Metadata, Name, Node, Tree};

use super::{Layout, LayoutInput, LayoutOptions};
use crate::v6::Bootstrap;
use erofs_format::BlockSize;

fn tree() -> Tree<ChunkRange> {
    let mut tree = Tree::new(Metadata::implied_directory());
    for number in 0..200usize {
        let parent = match tree.resolve(format!("d{}", number / 20).as_bytes()) {
            Some(directory) => directory,
            None => InodeId::ROOT,
        };
        let (label, node) = match number % 4 {
            0 => (format!("d{}", number / 4), Node::empty_directory()),
            1 => {
                let target = vec![b'x'; number * 13 + 1];
                (format!("link-{number}"), Node::Symlink(target.into()))
            }
            2 => (format!("{number:0>200}"), Node::Fifo),
            _ => {
                let content = ChunkRange::default();
                (format!("file-{number}"), Node::File { size: 0, content })
            }
        };
        let id = tree.add(Metadata::default(), node);
        let label = Name::new(label.into_bytes()).unwrap();
        tree.link(parent, label, id).unwrap();
    }
    tree
}

fn encode(image: &ChunkedImage) -> Vec<u8> {
    let options = LayoutOptions::default().tarfs(true);
    let input = LayoutInput {
        image,
        places: &[],
        entries: &[],
    };
    let layout = Layout::plan(input, &options).unwrap();
    let mut bytes = Vec::new();
    layout.write_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn small_blocks_decode_to_what_was_encoded() {
    let image = ChunkedImage::new(tree(), Default::default()).unwrap();
    let bytes = encode(&image);
    let bootstrap = Bootstrap::open(Bytes::from(bytes.clone()), &Limits::default()).unwrap();
    assert_eq!(bootstrap.superblock().block_size, BlockSize::B512);
    assert_eq!(bootstrap.superblock().root_nid, 128);
    bootstrap.check(&mut |finding| panic!("{finding}"));

    let mut expected = Walk::new(&image, &Limits::default());
    let mut found = Walk::new(&bootstrap, &Limits::default());
    while let Some(expected) = expected.next_entry() {
        let expected = expected.unwrap();
        let found = found.next_entry().unwrap().unwrap();
        assert_eq!(found.path, expected.path);
        assert_eq!(found.attributes, expected.attributes);
        if found.attributes.kind == FileKind::Symlink {
            let target = bootstrap.symlink_target(found.ino).unwrap();
            assert_eq!(target, image.symlink_target(expected.ino).unwrap());
        }
    }
    assert!(found.next_entry().is_none());
    assert!(encode(&bootstrap.to_chunked().unwrap().image) == bytes);
}
