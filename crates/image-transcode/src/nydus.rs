//! nydus images: the content of layers in blobs, one bootstrap for all of them.

use std::fs::File;
use std::sync::Arc;

use frame_codec::Compression;
use image_convert::{
    ConvertError, DescribedObject, FileContent, RafsBlob, RafsOptions, Source, TarOptions,
    TarReport, to_rafs, to_tar,
};
use image_model::{InodeId, Metadata, Name, Node, Progress, Tree};
use image_store::ImageTarget;
use oci_image::config::History;
use oci_image::nydus::BootstrapFile;
use oci_image::{Descriptor, ImageConfig};

use crate::error::TranscodeError;
use crate::options::TranscodeOptions;
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
    (rafs, options): (&RafsOptions, &TranscodeOptions),
    progress: &mut dyn Progress,
) -> Result<Made, TranscodeError> {
    let mut output = TargetOutput::new(target, options.spool_directory.as_deref());
    let stack = Source::stack(layers);
    let known = options.known.as_ref();
    let dictionary = known.map(|known| Arc::new(known.dictionary()));
    let rafs = rafs.clone().dictionary(dictionary);
    let done = to_rafs(stack, &mut output, &rafs, progress).map_err(TranscodeError::Layers)?;
    let bootstrap = output.into_bootstrap().map_err(TranscodeError::Spool)?;
    let packed = pack(bootstrap, done.bootstrap.len, &done.blobs, target, progress);
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
    if let Some(known) = known {
        for layer in known.put(&done.reused_blobs, target, progress)? {
            made.known_blobs += 1;
            made.layers.push(TranscodedLayer {
                diff_id: layer.digest.clone(),
                descriptor: layer,
                source: None,
                repeated: false,
            });
        }
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

/// The bootstrap layer: a tar of `image/image.boot`, the chunk information of `blobs`, and their directory.
fn pack(
    bootstrap: File,
    size: u64,
    blobs: &[RafsBlob],
    target: &dyn ImageTarget,
    progress: &mut dyn Progress,
) -> Result<TarReport, ConvertError> {
    let mut tree = Tree::implied();
    let mut files = vec![(
        BootstrapFile::Bootstrap,
        size,
        FileContent::reader(bootstrap),
    )];
    for blob in blobs.iter().filter(|blob| !blob.meta_file.is_empty()) {
        let name = BootstrapFile::BlobMeta(blob.object.digest);
        let content = FileContent::reader(&blob.meta_file[..]);
        files.push((name, blob.meta_file.len() as u64, content));
    }
    for (name, size, content) in files {
        let readable = Metadata {
            mode: 0o444,
            ..Metadata::default()
        };
        let file = tree.add(readable, Node::File { size, content });
        put(&mut tree, &name.path(), file);
    }
    let options = TarOptions::default().compression(Compression::Gzip { level: LEVEL });
    let mut output = TargetOutput::new(target, None);
    to_tar(tree, &mut output, &options, progress)
}

/// Gives the file `id` its `path`, and makes the directories above it.
fn put(tree: &mut Tree<FileContent<'_>>, path: &str, id: InodeId) {
    let mut parent = InodeId::ROOT;
    let mut components = path.split('/').peekable();
    while let Some(component) = components.next() {
        let name = Name::new(component.as_bytes()).expect("paths of these files have names");
        let there = tree
            .directory(parent)
            .and_then(|directory| directory.get(&name));
        let child = match (components.peek(), there) {
            (Some(_), Some(&there)) => {
                parent = there;
                continue;
            }
            (Some(_), None) => tree.add(Metadata::implied_directory(), Node::empty_directory()),
            (None, _) => id,
        };
        tree.link(parent, name, child).expect("a new name");
        parent = child;
    }
}

fn descriptor(object: &DescribedObject) -> Descriptor {
    object.descriptor().expect("blobs and layers have types")
}

/// Adapts the history to the new layers: marks source layers without a blob, which are dropped, as empty, and adds
/// entries for the blobs of known images and for the bootstrap, as nydus' own tools do. An image without a history
/// remains without one.
pub(crate) fn add_history(config: &mut ImageConfig, made: &Made) {
    if config.history.is_empty() {
        return;
    }
    let layers = config.history.iter_mut().filter(|entry| !entry.empty_layer);
    for (entry, has_blob) in layers.zip(&made.has_blob) {
        entry.empty_layer = !has_blob;
    }
    let entry = |comment: &str| History {
        created_by: Some("Nydus Converter".into()),
        comment: Some(comment.into()),
        ..History::default()
    };
    let known = std::iter::repeat_n("Nydus Blob of Another Image", made.known_blobs);
    for comment in known.chain(["Nydus Bootstrap Layer"]) {
        config.history.push(entry(comment));
    }
}
