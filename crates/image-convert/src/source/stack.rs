//! A stack of layers, ready to be read as one image.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use blob_io::LocalFile;
use image_model::advisory::Advisories;
use image_model::layer::{Entries, Layer, LayerOptions};
use image_model::tree::Spans;
use image_model::{BlobId, Ino, InodeId, Limits, Node, Progress, Tree};
use image_read::{
    BlobStore, FileOrder, LayerImageError, ReadOptions, Reader, Stack, StackError, TarLayer,
    TreeImage,
};

use super::input::{Contents, DataOrder, Input, TAR_GAP};
use super::{Kind, Source};
use crate::ConvertError;
use crate::object::BUFFER_LEN;

/// One layer of a stack.
struct Opened {
    layer: Layer<Ino>,
    reader: Reader,
    advisories: Advisories,
}

/// Lays `layers` over one another, the lowest first; `limits` are those of what comes of them.
pub(super) fn open(
    layers: Vec<Source<'_>>,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<(Tree<Ino>, Reader, Advisories), ConvertError> {
    let mut stack = Stack::default();
    let mut advisories = Advisories::default();
    for (position, source) in layers.into_iter().enumerate() {
        let in_layer = |error| ConvertError::in_layer(position, error);
        let opened = open_layer(source, progress).map_err(in_layer)?;
        let pushed = stack.push(opened.layer, &opened.reader);
        pushed.map_err(|error| {
            in_layer(match error {
                StackError::Layer(error) => error.into(),
                error => ConvertError::Stack(error),
            })
        })?;
        advisories.append(opened.advisories);
    }
    advisories.append(stack.advisories().clone());
    let tree = stack.tree();
    let reader = stack.into_reader(ReadOptions::new(limits).gap(TAR_GAP));
    Ok((tree, reader, advisories))
}

/// A layer that is streamed is decoded into a temporary file first, and so is the content of files that
/// nothing holds yet.
fn open_layer(source: Source<'_>, progress: &mut dyn Progress) -> Result<Opened, ConvertError> {
    let Source { kind, limits, .. } = source;
    let kind = match kind {
        Kind::Streaming(layer) => {
            let (spooling, stream) = layer.spooling(&limits);
            let mut spooled = TarLayer::from_stream(stream, &spooling, progress)?;
            let advisories = std::mem::take(&mut spooled.advisories);
            let (layer, reader) = spooled.into_parts()?;
            return Ok(Opened {
                layer,
                reader,
                advisories,
            });
        }
        kind => kind,
    };
    let Input {
        tree,
        contents,
        order,
        limits,
        advisories,
    } = Input::new(Source::new(kind).with_limits(limits), progress)?;
    let (tree, reader) = match contents {
        Contents::Image(reader) => (tree, reader),
        contents => spool(tree, contents)?,
    };
    Ok(Opened {
        layer: order.layer(tree, limits),
        reader,
        advisories,
    })
}

/// Puts the content of all files into a temporary file.
fn spool(tree: Tree<Ino>, mut contents: Contents<'_>) -> Result<(Tree<Ino>, Reader), ConvertError> {
    let no_room = |source| LayerImageError::Spool {
        directory: tempfile::env::temp_dir(),
        source,
    };
    let file = tempfile::tempfile().map_err(no_room)?;
    let mut out = BufWriter::with_capacity(BUFFER_LEN, file);
    let mut len = 0;
    let mut spans = vec![Spans::default(); tree.len()];
    for (position, spans) in spans.iter_mut().enumerate() {
        // A tree has no more inodes than inode numbers.
        let id = InodeId::new(position as u32);
        let Node::File { size, content } = tree.inode(id).node else {
            continue;
        };
        let path = |_| tree.path_of(id);
        contents.read(
            &[(content, size)],
            FileOrder::Given,
            &path,
            &mut |_, bytes| {
                for slice in bytes.slices() {
                    out.write_all(slice).map_err(no_room)?;
                }
                Ok(())
            },
        )?;
        *spans = Spans::contiguous(len, size);
        len += size;
    }
    let file = out
        .into_inner()
        .map_err(|error| no_room(error.into_error()))?;
    let id = BlobId::new(b"spooled").expect("a valid id");
    let image = (tree.clone()).map(|id, _, _| std::mem::take(&mut spans[id.index()]));
    let reader = Reader::new(
        Arc::new(TreeImage::new(image, id, len)),
        BlobStore::single(Arc::new(LocalFile::from(file))),
        ReadOptions::default(),
    );
    Ok((tree.map(|id, _, _| Ino(id.index() as u64)), reader))
}

impl DataOrder {
    /// The tree of a source as a layer.
    pub(crate) fn layer<C>(self, tree: Tree<C>, limits: Limits) -> Layer<C> {
        let entries = match self {
            Self::Tar => Entries::Unpacked,
            Self::Directory | Self::Stored => Entries::Listed,
        };
        let options = LayerOptions::default().entries(entries).limits(limits);
        Layer::from_tree(tree, options)
    }
}
