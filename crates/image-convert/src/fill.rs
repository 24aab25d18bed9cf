//! From each kind of source to a tree whose content is stored.

mod spans;

use image_model::advisory::Oddity;
use image_model::image::ChunkRange;
use image_model::layer::{ContentCost, Layer, LayerBuilder, LayerOptions};
use image_model::tree::Span;
use image_model::{ImagePath, Ino, InodeId, Limits, Node, Timestamp, Tree};
use image_read::FileOrder;
use rafs_format::layout::CannotCarry;
use rafs_format::prefetch_inodes;
use tar_stream::{Member, MemberError, MemberFault, TarError, TarReadOptions, TarReader};

use crate::report::{Allowed, LossKind, Report};
use crate::source::{Contents, DataOrder, FilePlaces, Input, KeptFrames, Kind, Origin, Streaming};
use crate::stage::{Stage, Target};
use crate::tree::{StoreOrder, content_len};
use crate::{ConvertError, Source};
use spans::{fetch_spans, store_spans};

/// A format of inodes and chunks, and how it is to be written.
pub(crate) trait Format {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Whether what it cannot carry may be left out.
    fn lossy(&self) -> bool;

    /// What is stored first, where the order is ours.
    fn first(&self) -> &[ImagePath];

    /// Whether a member of a layer is no file of the image.
    fn leaves_out(&self, _path: &ImagePath) -> bool {
        false
    }

    /// Finds what it cannot carry, or takes that out of `tree` if it may.
    fn find_losses<C: Clone>(
        &self,
        tree: &mut Tree<C>,
        report: &mut dyn FnMut(&ImagePath, CannotCarry),
    );
}

/// A layer, with the chunks of its files.
pub(crate) struct Filled {
    pub(crate) layer: Layer<ChunkRange>,
    /// Whether the source is a tar, in its own order.
    pub(crate) from_tar: bool,
    /// Where its content is in the origin, if it has one.
    pub(crate) places: FilePlaces,
}

/// Stores all content of `source`, of which `origin` and the frames to keep were made. If it is `alone`, no layer of a
/// stack, what is lost is not stored.
pub(crate) fn fill<T: Target>(
    source: Source<'_>,
    (origin, kept): (Option<&Origin>, Option<&KeptFrames>),
    alone: bool,
    stage: &mut Stage<'_, '_, T>,
    options: &impl Format,
    report: &mut Report,
) -> Result<Filled, ConvertError> {
    let source = match source {
        Source {
            kind: Kind::Streaming(layer),
            limits,
            ..
        } => {
            let mut places = FilePlaces::default();
            let from = origin.map(|origin| (origin, &mut places));
            let layer = stream(layer, from, &limits, stage, options, report)?;
            return Ok(Filled {
                layer,
                from_tar: true,
                places,
            });
        }
        source => source,
    };
    let Input {
        mut tree,
        mut contents,
        order,
        advisories,
        limits,
    } = Input::new(source, &mut ())?;
    report.advisories.append(advisories);
    if order == DataOrder::Directory {
        tree.inode_mut(InodeId::ROOT).metadata.mtime = Timestamp::EPOCH;
    }
    if alone {
        settle_losses(&mut tree, options, &limits, report)?;
    }
    let from_tar = order == DataOrder::Tar;
    let mut files = StoreOrder::new(&tree, &prefetch_inodes(&tree, options.first()));
    if from_tar {
        files = files.by_table();
    }
    let (first, others) = files.parts();
    let all = first.iter().chain(others).copied();
    stage.expect(content_len(&tree, all));
    if let Some(origin) = origin {
        origin.check_volume(&tree, &[first, others].concat(), &limits)?;
    }
    let mut ranges = vec![ChunkRange::default(); tree.len()];
    let mut places = FilePlaces::default();
    let file_order = match order {
        DataOrder::Stored => FileOrder::Stored,
        DataOrder::Directory | DataOrder::Tar => FileOrder::Given,
    };
    for (files, file_order) in [(first, FileOrder::Given), (others, file_order)] {
        match origin {
            Some(origin) => {
                fetch(&tree, files, (origin, stage), &mut ranges)?;
                for &id in files {
                    if let Node::File { content, .. } = tree.inode(id).node {
                        places.push(ranges[id.index()], origin.spans(content));
                    }
                }
            }
            None => store(
                &tree,
                files,
                (file_order, kept),
                (&mut contents, stage),
                &mut ranges,
            )?,
        }
    }
    let tree = tree.map(|id, _, _| ranges[id.index()]);
    Ok(Filled {
        places,
        layer: order.layer(tree, limits),
        from_tar,
    })
}

/// Has `files` of `tree`, which lie in `origin`, stored, and says where.
fn fetch<T: Target>(
    tree: &Tree<Ino>,
    files: &[InodeId],
    (origin, stage): (&Origin, &mut Stage<'_, '_, T>),
    ranges: &mut [ChunkRange],
) -> Result<(), ConvertError> {
    for &id in files {
        let Node::File { size, content } = tree.inode(id).node else {
            continue;
        };
        stage.tick()?;
        stage.begin_file(size, || tree.path_of(id))?;
        let start = stage.chunks();
        fetch_spans(origin.spans(content), size, stage)?;
        ranges[id.index()] = ChunkRange {
            start,
            end: stage.chunks(),
        };
    }
    Ok(())
}

/// Has `files` of `tree` stored, and says where.
fn store<T: Target>(
    tree: &Tree<Ino>,
    files: &[InodeId],
    (order, kept): (FileOrder, Option<&KeptFrames>),
    (contents, stage): (&mut Contents<'_>, &mut Stage<'_, '_, T>),
    ranges: &mut [ChunkRange],
) -> Result<(), ConvertError> {
    let content = |id: &InodeId| match tree.inode(*id).node {
        Node::File { size, content } => Some((content, size)),
        _ => None,
    };
    let inodes: Vec<_> = files.iter().filter_map(content).collect();
    let path = |position: usize| tree.path_of(files[position]);
    let mut current = None;
    contents.read(&inodes, order, &path, &mut |position, bytes| {
        let range = &mut ranges[files[position].index()];
        if current != Some(position) {
            current = Some(position);
            stage.tick()?;
            let (ino, size) = inodes[position];
            stage.begin_file(size, || path(position))?;
            if let Some(kept) = kept {
                stage.keep(&kept.file(ino, size, u32::MAX).chunks, false);
            }
            range.start = stage.chunks();
        }
        stage.push(bytes)?;
        range.end = stage.chunks();
        Ok(())
    })
}

/// Stores the content of `layer`, which workers read in the origin `from`, if there is that; says where it is there.
fn stream<T: Target>(
    layer: Streaming<'_>,
    from: Option<(&Origin, &mut FilePlaces)>,
    limits: &Limits,
    stage: &mut Stage<'_, '_, T>,
    options: &impl Format,
    report: &mut Report,
) -> Result<Layer<ChunkRange>, ConvertError> {
    let Streaming { layer, lenient, .. } = layer;
    let tar_options = tar_options(lenient, limits);
    let rules = (lenient, limits);
    let Some((origin, places)) = from else {
        let reader = (TarReader::open_layer(layer, tar_options)?, Content::Read);
        return members(reader, rules, stage, options, report, &mut |_| Ok(()));
    };
    let stream = origin.stream().map_err(std::io::Error::from);
    let reader = stream.and_then(|stream| TarReader::seekable(stream, tar_options));
    let reader = reader.map_err(|source| TarError::Io { offset: 0, source })?;
    let reader = (reader, Content::Fetched);
    members(reader, rules, stage, options, report, &mut |member| {
        places.push(member.chunks, member.spans);
        Ok(())
    })
}

/// How the tar of a layer is read.
pub(crate) fn tar_options(lenient: bool, limits: &Limits) -> TarReadOptions {
    TarReadOptions::default()
        .lenient(lenient)
        .limits(limits.clone())
}

/// How the stage gets the content of the members of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// It is read with the headers.
    Read,
    /// Workers fetch it from the origin, which holds the same tar.
    Fetched,
}

/// A file of a tar whose content was handed to the stage.
pub(crate) struct StoredMember<'a> {
    pub(crate) path: &'a ImagePath,
    pub(crate) size: u64,
    /// Where its content is in the tar.
    pub(crate) spans: &'a [Span],
    /// Its chunks.
    pub(crate) chunks: ChunkRange,
}

/// Stores the content of the members that `reader` reads, and tells `stored` of each file.
pub(crate) fn members<R: std::io::Read, T: Target>(
    (mut reader, content): (TarReader<R>, Content),
    (lenient, limits): (bool, &Limits),
    stage: &mut Stage<'_, '_, T>,
    options: &impl Format,
    report: &mut Report,
    stored: &mut dyn FnMut(&StoredMember<'_>) -> Result<(), ConvertError>,
) -> Result<Layer<ChunkRange>, ConvertError> {
    let mut builder = LayerBuilder::new(
        LayerOptions::default()
            .lenient(lenient)
            .limits(limits.clone()),
    );
    while let Some(mut entry) = reader.next_entry()? {
        stage.tick()?;
        let oddities = std::mem::take(&mut entry.oddities);
        let member = match entry.into_member(limits) {
            Err(error) if options.lossy() => {
                let (path, what) = no_file(error)?;
                report.lose(|| path, what, &allowed(options, limits))?;
                continue;
            }
            member => member?,
        };
        report.advisories.add_all(Some(member.path()), oddities);
        if options.leaves_out(member.path()) {
            continue;
        }
        match member {
            Member::HardLink { path, target } => builder.link(&path, &target)?,
            Member::Node {
                path,
                metadata,
                node,
            } => {
                let node = node.try_map(|size, spans| {
                    let cost = ContentCost {
                        // The list is dropped when the content is stored.
                        memory: 0,
                        ..ContentCost::of_spans(size, spans.as_slice())
                    };
                    builder.charge_content(&path, cost)?;
                    stage.begin_file(size, || path.clone())?;
                    let start = stage.chunks();
                    match content {
                        // Small files come with the headers around them.
                        Content::Fetched if !reader.has_payload() => {
                            // Whoever fetches it need not find out that the tar ends before.
                            reader.skip_payload()?;
                            fetch_spans(spans.as_slice(), size, stage)?;
                        }
                        _ => store_spans(spans.as_slice(), size, &mut reader, stage)?,
                    }
                    let end = stage.chunks();
                    let chunks = ChunkRange { start, end };
                    stored(&StoredMember {
                        path: &path,
                        size,
                        spans: spans.as_slice(),
                        chunks,
                    })?;
                    Ok::<_, ConvertError>(chunks)
                })?;
                builder.add(&path, metadata, node)?;
            }
        }
    }
    let oddities = reader.oddities().iter().cloned();
    report.advisories.add_all(None, oddities);
    reader.finish()?;
    let layer = builder.finish()?;
    report.advisories.append(layer.advisories().clone());
    Ok(layer)
}

/// A member of a kind that is not a file, as a loss; every other error as it is.
fn no_file(error: MemberError) -> Result<(ImagePath, LossKind), MemberError> {
    match error.reason {
        MemberFault::Kind { typeflag } => Ok((
            ImagePath::clean(&error.path).unwrap_or_default(),
            LossKind::Member { typeflag },
        )),
        _ => Err(error),
    }
}

/// Takes note of the directories that no entry of a layer described, but the root: the target describes them.
pub(crate) fn advise_undescribed<C>(tree: &Tree<C>, report: &mut Report) {
    let entries = |id| tree.directory(id).into_iter().flatten();
    let mut path = ImagePath::root();
    let mut levels = vec![entries(InodeId::ROOT)];
    while let Some(level) = levels.last_mut() {
        let Some((name, &id)) = level.next() else {
            levels.pop();
            path.pop();
            continue;
        };
        if tree.directory(id).is_some() {
            path.push(name.as_ref());
            if tree.inode(id).is_implied() {
                report.advisories.add(Some(&path), Oddity::Undescribed);
            }
            levels.push(entries(id));
        }
    }
}

fn allowed<'a>(options: &impl Format, limits: &'a Limits) -> Allowed<'a> {
    Allowed {
        lossy: options.lossy(),
        limits,
        target: options.name(),
    }
}

/// Removes from `tree` what the format cannot carry, or refuses the first of it.
pub(crate) fn settle_losses<C: Clone>(
    tree: &mut Tree<C>,
    options: &impl Format,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), ConvertError> {
    let allowed = allowed(options, limits);
    let mut refused = None;
    options.find_losses(tree, &mut |path, what| {
        if refused.is_none() {
            refused = (report.lose(|| path.clone(), what.into(), &allowed)).err();
        }
    });
    if options.lossy() {
        tree.drop_unreachable();
    }
    refused.map_or(Ok(()), Err)
}
