//! Layers laid over one another, ready to be read as one.

use std::sync::Arc;

use image_model::advisory::Advisories;
use image_model::layer::{Entries, Layer, LayerOptions};
use image_model::{ImagePath, Ino, Limits, Progress, Tree};
use image_read::{BlobStore, FileOrder, ReadOptions, Reader, TarLayer};
use verify::ExtentBytes;

use super::input::{Contents, DataOrder, Input, TAR_GAP};
use super::{Kind, Source, Streaming};
use crate::ConvertError;

/// A file of a stack: which layer it came from, and its number there.
type LayerFile = (usize, Ino);

/// What the files of a stack hold.
pub(crate) struct StackContents<'a> {
    layers: Vec<Contents<'a>>,
    /// Of each inode of the tree, if it is a file.
    files: Vec<LayerFile>,
}

/// One layer of a stack.
struct Opened<'a> {
    layer: Layer<Ino>,
    contents: Contents<'a>,
    advisories: Advisories,
}

/// Lays `layers` over one another, the lowest first; `limits` are those of what comes of them.
pub(super) fn input<'a>(
    layers: Vec<Source<'a>>,
    limits: Limits,
    progress: &mut dyn Progress,
) -> Result<Input<'a>, ConvertError> {
    let mut tree: Tree<LayerFile> = Tree::implied();
    let mut advisories = Advisories::default();
    let mut contents = Vec::with_capacity(layers.len());
    for (position, source) in layers.into_iter().enumerate() {
        let in_layer = |error| ConvertError::in_layer(position, error);
        let opened = open(source, progress).map_err(in_layer)?;
        let layer = opened.layer.map(|_, _, ino| (position, ino));
        let lower = std::mem::replace(&mut tree, Tree::implied());
        tree = (layer.apply_to(lower)).map_err(|error| in_layer(error.into()))?;
        advisories.append(opened.advisories);
        contents.push(opened.contents);
    }
    let mut files = vec![(0, Ino(0)); tree.len()];
    let tree = tree.map(|id, _, file| {
        files[id.index()] = file;
        Ino(id.index() as u64)
    });
    Ok(Input {
        tree,
        contents: Contents::Stack(StackContents {
            layers: contents,
            files,
        }),
        order: DataOrder::Stored,
        limits,
        advisories,
    })
}

/// A layer that is streamed is decoded into a temporary file first.
fn open<'a>(source: Source<'a>, progress: &mut dyn Progress) -> Result<Opened<'a>, ConvertError> {
    let Source { kind, limits } = source;
    match kind {
        Kind::Streaming(layer) => spool(layer, &limits, progress),
        kind => {
            let input = Input::new(Source { kind, limits }, progress)?;
            Ok(Opened {
                layer: input.order.layer(input.tree, input.limits),
                contents: input.contents,
                advisories: input.advisories,
            })
        }
    }
}

fn spool<'a>(
    layer: Streaming<'_>,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<Opened<'a>, ConvertError> {
    let (spooling, stream) = layer.spooling(limits);
    let spooled = TarLayer::from_stream(stream, &spooling, progress)?;
    let files = Arc::new(spooled.files()?);
    let blobs = BlobStore::single(spooled.source);
    let options = ReadOptions::new(limits).gap(TAR_GAP);
    Ok(Opened {
        layer: spooled.layer.map(|id, _, _| Ino(id.index() as u64)),
        contents: Contents::Image(Reader::new(files, blobs, options)),
        advisories: spooled.advisories,
    })
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

impl StackContents<'_> {
    /// As [`Contents::check_volume`], for each layer.
    pub(super) fn check_volume(&self, files: &[(Ino, u64)]) -> Result<(), ConvertError> {
        let mut of_layers = vec![Vec::new(); self.layers.len()];
        for &(ino, size) in files {
            let (layer, ino) = self.files[ino.0 as usize];
            of_layers[layer].push((ino, size));
        }
        for (position, (layer, files)) in self.layers.iter().zip(&of_layers).enumerate() {
            let checked = layer.check_volume(files);
            checked.map_err(|error| ConvertError::in_layer(position, error))?;
        }
        Ok(())
    }

    /// As [`Contents::read`]; with [`FileOrder::Stored`] one layer after the other.
    pub(super) fn read(
        &mut self,
        files: &[(Ino, u64)],
        order: FileOrder,
        path: &dyn Fn(usize) -> ImagePath,
        take: &mut dyn FnMut(usize, ExtentBytes<'_>) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        // In another order a layer is read piecemeal, and no reader sees all of it.
        if order == FileOrder::Given {
            self.check_volume(files)?;
        }
        let Self { layers, files: of } = self;
        let layer_of = |position: &usize| of[files[*position].0.0 as usize].0;
        let mut positions: Vec<usize> = (0..files.len()).collect();
        if order == FileOrder::Stored {
            positions.sort_by_key(layer_of);
        }
        for run in positions.chunk_by(|a, b| layer_of(a) == layer_of(b)) {
            let of_run = run.iter().map(|&position| {
                let (ino, size) = files[position];
                (of[ino.0 as usize].1, size)
            });
            let of_run: Vec<_> = of_run.collect();
            let layer = &mut layers[layer_of(&run[0])];
            let path = |nth: usize| path(run[nth]);
            layer.read(&of_run, order, &path, &mut |nth, bytes| {
                take(run[nth], bytes)
            })?;
        }
        Ok(())
    }
}
