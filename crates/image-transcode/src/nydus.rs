//! nydus images: the content of layers in blobs, one bootstrap for all of them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use frame_codec::Compression;
use image_convert::{
    ChunkDictionary, ConvertError, DescribedObject, FileContent, RafsBlob, RafsOptions, RafsReport,
    ReusePlan, Source, TarOptions, TarReport, plan_reuse, to_rafs, to_tar,
};
use image_model::{InodeId, Metadata, Name, Node, Progress, Tree};
use image_store::{ImageStoreError, ImageTarget};
use oci_image::config::History;
use oci_image::nydus::BootstrapFile;
use oci_image::{Descriptor, ImageConfig};

use crate::ahead::{Ahead, Fetcher, ahead};
use crate::conversion::Conversion;
use crate::error::TranscodeError;
use crate::output::{LayerOutput, StackOutput};
use crate::progress::Reporter;
use crate::report::{LayerWork, TranscodedLayer};
use crate::transcode::Made;

/// Compression level of the bootstrap layer.
const LEVEL: u32 = 6;

/// Writes a blob for each layer, lowest first, and the bootstrap layer. `dictionary` has the chunks of known images.
pub(crate) fn convert(
    conversion: &Conversion<'_>,
    rafs: &RafsOptions,
    dictionary: Option<&Arc<ChunkDictionary>>,
    reporter: &mut Reporter<'_>,
) -> Result<Made, TranscodeError> {
    let rafs = rafs.clone().dictionary(dictionary.cloned());
    let rafs = match &conversion.options.known {
        Some(known) if known.policy.needs_uses() => {
            let plan = predict(conversion, &rafs, reporter)?;
            let chosen = known.policy.choose(&plan.uses);
            let chosen = dictionary.map(|all| Arc::new(ChunkDictionary::clone(all).only(&chosen)));
            rafs.dictionary(chosen)
        }
        _ => rafs,
    };
    let Written {
        rafs,
        packed,
        pack_time,
        times,
    } = write(conversion, &rafs, reporter)?;
    let (target, sources) = (conversion.target, &conversion.sources);
    let mut made = Made::default();
    for (position, source) in sources.iter().enumerate() {
        conversion.tallies[position].done();
        let chunks = rafs.layer_chunks.get(position).copied();
        let chunks = chunks.unwrap_or_default();
        let mut work = LayerWork {
            source: source.map(|layer| layer.digest.clone()),
            read: conversion.tallies[position].read(),
            deduplicated: chunks.deduplicated_bytes,
            reused: chunks.reused_bytes,
            time: times.get(position).copied().unwrap_or_default(),
            ..LayerWork::default()
        };
        if let Some(blob) = rafs.blobs.iter().find(|blob| blob.layer == position) {
            let descriptor = descriptor(&blob.object);
            let source = work.source.clone();
            work = work.became(&descriptor, target);
            made.layers.push(TranscodedLayer {
                diff_id: descriptor.digest.clone(),
                descriptor,
                toc: None,
                source,
                repeated: false,
            });
        }
        made.work.push(work);
    }
    if let Some(known) = &conversion.options.known {
        for id in &rafs.reused_blobs {
            let begun = Instant::now();
            if let Some(layer) = known.put(id, target, reporter)? {
                made.added.push("Nydus Blob of Another Image");
                let diff_id = layer.digest.clone();
                made.add(layer, diff_id, begun.elapsed(), target);
            }
        }
    }
    let mut bootstrap = descriptor(&packed.blob);
    bootstrap.annotations = rafs.bootstrap.annotations.clone();
    let diff_id = packed.diff_id.to_string();
    made.add(bootstrap, diff_id, pack_time, target);
    made.report = rafs.report;
    made.report.bytes_out = made.report.bytes_out - rafs.bootstrap.len + packed.blob.len;
    Ok(made)
}

/// What the image would share with the blobs of its dictionary.
fn predict(
    conversion: &Conversion<'_>,
    rafs: &RafsOptions,
    reporter: &mut Reporter<'_>,
) -> Result<ReusePlan, TranscodeError> {
    // The conversion itself reads, and tells so, once more.
    let conversion = &conversion.again()?;
    let (fetcher, ahead) = ahead();
    let (stack, streamed) = stack(conversion, &ahead)?;
    drop(ahead);
    let unopened = Mutex::new(None);
    let plan = thread::scope(|scope| {
        let stack = stack;
        start(scope, || fetch(conversion, fetcher, streamed, &unopened))?;
        plan_reuse(stack, rafs, reporter).map_err(TranscodeError::Layers)
    });
    plan.map_err(|error| why_unopened(&unopened, error))
}

/// What was written to the target.
struct Written {
    rafs: RafsReport,
    /// The layer of the bootstrap, and how long it took.
    packed: TarReport,
    pack_time: Duration,
    /// How long each layer took.
    times: Vec<Duration>,
}

/// Writes the blobs and the bootstrap layer. The layers are fetched by one thread and the blobs finished by another
/// one, while this one and those of the format convert.
fn write(
    conversion: &Conversion<'_>,
    rafs: &RafsOptions,
    reporter: &mut Reporter<'_>,
) -> Result<Written, TranscodeError> {
    let (fetcher, ahead) = ahead();
    let (stack, streamed) = stack(conversion, &ahead)?;
    // The readers are what ends the fetcher.
    drop(ahead);
    let spool_directory = conversion.options.spool_directory.as_deref();
    let (output, finisher) = StackOutput::new(conversion.target, spool_directory);
    let unopened = Mutex::new(None);
    let finished = Mutex::new(Vec::new());
    let (written, failed) = thread::scope(|scope| {
        let mut output = output;
        let stack = stack;
        let finishing = start(scope, || {
            finisher.run(|layer, time| {
                conversion.tallies[layer].done();
                lock(&finished).push((layer, time));
            })
        })?;
        start(scope, || fetch(conversion, fetcher, streamed, &unopened))?;
        let done = to_rafs(stack, &mut output, rafs, reporter).map_err(TranscodeError::Layers);
        let written = done.and_then(|rafs| {
            let (bootstrap, times) = output.into_bootstrap().map_err(TranscodeError::Spool)?;
            let begun = Instant::now();
            let bootstrap = (FileContent::reader(bootstrap), rafs.bootstrap.len);
            let packed = pack(bootstrap, &rafs.blobs, conversion.target, reporter);
            let packed = packed.map_err(TranscodeError::Layers)?;
            Ok(Written {
                rafs,
                packed,
                pack_time: begun.elapsed(),
                times,
            })
        });
        let failed = finishing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, TranscodeError>((written, failed.err()))
    })?;
    // A layer below that at which the conversion ended.
    if let Some(failed) = failed {
        return Err(TranscodeError::in_layer(failed.layer)(failed.error.into()));
    }
    let mut written = written.map_err(|error| why_unopened(&unopened, error))?;
    for &(layer, time) in &*lock(&finished) {
        if let Some(shown) = written.times.get_mut(layer) {
            *shown = time;
        }
    }
    Ok(written)
}

/// The error with which a layer could not be opened, if that is why another one came.
fn why_unopened(
    unopened: &Mutex<Option<(usize, ImageStoreError)>>,
    error: TranscodeError,
) -> TranscodeError {
    match (lock(unopened).take(), &error) {
        (
            Some((position, unopened)),
            TranscodeError::Layers(ConvertError::InLayer { layer, .. }),
        ) if position == *layer => TranscodeError::Store(unopened),
        _ => error,
    }
}

/// The layers, and the positions of those that are fetched ahead.
fn stack(
    conversion: &Conversion<'_>,
    ahead: &Ahead,
) -> Result<(Source<'static>, Vec<usize>), TranscodeError> {
    let mut streamed = Vec::new();
    let mut stack = Vec::new();
    for position in 0..conversion.sources.len() {
        let source = match conversion.open_image(position)? {
            Some(image) => image.into(),
            None => {
                streamed.push(position);
                conversion.streaming(ahead.layer(position)).into()
            }
        };
        stack.push(source);
    }
    Ok((Source::stack(stack), streamed))
}

/// Fetches layers; the first that cannot be opened becomes `unopened`.
fn fetch(
    conversion: &Conversion<'_>,
    fetcher: Fetcher,
    positions: Vec<usize>,
    unopened: &Mutex<Option<(usize, ImageStoreError)>>,
) {
    fetcher.fetch(positions, |position| {
        let opened = conversion.stream(position);
        opened.map_err(|error| {
            lock(unopened).get_or_insert((position, error));
            io::Error::other("the layer cannot be opened")
        })
    });
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, TranscodeError> {
    let started = thread::Builder::new().spawn_scoped(scope, work);
    started.map_err(TranscodeError::Threads)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bootstrap layer: a tar of `image/image.boot`, the chunk information of `blobs`, and their directory.
pub(crate) fn pack<'b>(
    (bootstrap, size): (FileContent<'b>, u64),
    blobs: &'b [RafsBlob],
    target: &dyn ImageTarget,
    progress: &mut dyn Progress,
) -> Result<TarReport, ConvertError> {
    let mut tree = Tree::implied();
    let mut files = vec![(BootstrapFile::Bootstrap, size, bootstrap)];
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
    let mut output = LayerOutput(target);
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

pub(crate) fn descriptor(object: &DescribedObject) -> Descriptor {
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
    for (entry, work) in layers.zip(&made.work) {
        entry.empty_layer = work.layer.is_none();
    }
    let entry = |comment: &str| History {
        created_by: Some("Nydus Converter".into()),
        comment: Some(comment.into()),
        ..History::default()
    };
    let added = made.added.iter().copied();
    for comment in added.chain(["Nydus Bootstrap Layer"]) {
        config.history.push(entry(comment));
    }
}
