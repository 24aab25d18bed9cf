//! nydus images: the content of layers in blobs, one bootstrap for all of them.

use std::fs::File;
use std::path::Path;

use frame_codec::Compression;
use image_convert::{
    ConvertError, DescribedObject, FileContent, RafsOptions, Source, TarOptions, TarReport,
    to_rafs, to_tar,
};
use image_model::{Metadata, Name, Node, Progress, Tree};
use image_store::ImageTarget;
use oci_image::config::History;
use oci_image::{Descriptor, ImageConfig, nydus};

use crate::error::TranscodeError;
use crate::output::TargetOutput;
use crate::report::TranscodedLayer;
use crate::transcode::Made;

/// Compression level of the bootstrap layer.
const LEVEL: u32 = 6;

/// Writes a blob for each of `layers`, lowest first, and the bootstrap layer. `sources` are the descriptors
/// of the layers.
pub(crate) fn convert(
    layers: Vec<Source<'static>>,
    sources: &[Option<Descriptor>],
    target: &dyn ImageTarget,
    (options, spool_directory): (&RafsOptions, Option<&Path>),
    progress: &mut dyn Progress,
) -> Result<Made, TranscodeError> {
    let mut output = TargetOutput::new(target, spool_directory);
    let stack = Source::stack(layers);
    let done = to_rafs(stack, &mut output, options, progress).map_err(TranscodeError::Layers)?;
    let bootstrap = output.into_bootstrap().map_err(TranscodeError::Spool)?;
    let packed = pack(bootstrap, done.bootstrap.len, target, progress);
    let packed = packed.map_err(TranscodeError::Layers)?;
    let mut made = Made::default();
    for blob in &done.blobs {
        made.layers.push(TranscodedLayer {
            descriptor: descriptor(&blob.object),
            diff_id: blob.object.digest.to_string(),
            source: (sources[blob.layer].as_ref()).map(|layer| layer.digest.clone()),
            repeated: false,
        });
    }
    let mut bootstrap = descriptor(&packed.blob);
    bootstrap.annotations = done.bootstrap.annotations.clone();
    made.layers.push(TranscodedLayer {
        descriptor: bootstrap,
        diff_id: packed.diff_id.to_string(),
        source: None,
        repeated: false,
    });
    made.has_blob = vec![false; sources.len()];
    for blob in &done.blobs {
        made.has_blob[blob.layer] = true;
    }
    let bytes_out = done.report.bytes_out - done.bootstrap.len + packed.blob.len;
    made.report = done.report;
    made.report.bytes_out = bytes_out;
    Ok(made)
}

/// The bootstrap layer: a tar of `image/image.boot` and its directory.
fn pack(
    bootstrap: File,
    size: u64,
    target: &dyn ImageTarget,
    progress: &mut dyn Progress,
) -> Result<TarReport, ConvertError> {
    let mut tree = Tree::implied();
    let mut parent = Tree::<FileContent<'_>>::ROOT;
    let mut content = Some(FileContent::reader(bootstrap));
    let mut components = nydus::BOOTSTRAP_PATH.split('/').peekable();
    while let Some(component) = components.next() {
        let name = Name::new(component.as_bytes()).expect("a path of this crate has names");
        let id = match components.peek() {
            Some(_) => tree.add(Metadata::implied_directory(), Node::empty_directory()),
            None => {
                let content = content.take().unwrap_or_default();
                let file = Node::File { size, content };
                let readable = Metadata {
                    mode: 0o444,
                    ..Metadata::default()
                };
                tree.add(readable, file)
            }
        };
        tree.link(parent, name, id).expect("a new name");
        parent = id;
    }
    let options = TarOptions::default().compression(Compression::Gzip { level: LEVEL });
    let mut output = TargetOutput::new(target, None);
    to_tar(tree, &mut output, &options, progress)
}

fn descriptor(object: &DescribedObject) -> Descriptor {
    object.descriptor().expect("blobs and layers have types")
}

/// Adds the bootstrap to the history, as nydus' own tools do, and marks layers without a blob, which are dropped, as
/// empty. An image without a history remains without one.
pub(crate) fn add_history(config: &mut ImageConfig, has_blob: &[bool]) {
    if config.history.is_empty() {
        return;
    }
    let layers = config.history.iter_mut().filter(|entry| !entry.empty_layer);
    for (entry, has_blob) in layers.zip(has_blob) {
        entry.empty_layer = !has_blob;
    }
    config.history.push(History {
        created_by: Some("Nydus Converter".into()),
        comment: Some("Nydus Bootstrap Layer".into()),
        ..History::default()
    });
}
