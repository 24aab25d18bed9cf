//! From each kind of source to a tree whose content is stored.

use std::io::Write;

use image_model::image::ChunkRange;
use image_model::layer::{LayerBuilder, LayerOptions};
use image_model::{ImagePath, InodeId, Node, Timestamp, Tree};
use rafs_format::v6::{drop_losses, losses, prefetch_inodes};
use tar_stream::{LayerStream, Member, MemberError, MemberFault, TarReader};

use super::RafsOptions;
use super::chunker::Chunker;
use super::store::Store;
use crate::content::{ImageContent, SpanContent};
use crate::report::{Loss, LossKind, Report};
use crate::source::{DataOrder, SeekableTree};
use crate::tree::{StoreOrder, copy_tree, map_content, path_of};
use crate::{ConvertError, Source, Streaming};

/// The tree of a source, and the chunks of its files.
pub(super) type Filled<'k, W> = (Tree<ChunkRange>, Store<'k, W>);

/// Has all content of `source` stored.
pub(super) fn fill<'k, W: Write>(
    source: Source<'_>,
    mut chunker: Chunker<'k, '_, W>,
    options: &RafsOptions,
    report: &mut Report,
) -> Result<Filled<'k, W>, ConvertError> {
    let seekable = match source {
        Source::Streaming(source) => return stream(source, chunker, options, report),
        Source::Seekable(seekable) => seekable,
    };
    let tree = match seekable.tree {
        SeekableTree::Plain {
            mut tree,
            source,
            order,
        } => {
            if order == DataOrder::Directories {
                tree.inode_mut(InodeId::ROOT).metadata.mtime = Timestamp::EPOCH;
            }
            settle_losses(&mut tree, options.lossy, report)?;
            let mut files = StoreOrder::new(&tree, &prefetch_inodes(&tree, &options.prefetch));
            if order == DataOrder::InodeTable {
                files = files.by_table();
            }
            store(tree, &files, &mut chunker, |chunker, size, spans, path| {
                let spans = spans.as_slice();
                let mut content = SpanContent::new(spans, size, |offset, buf: &mut [u8]| {
                    let read = source.read_at(offset, buf);
                    read.map_err(|source| ConvertError::Source {
                        path: path(),
                        source,
                    })
                });
                chunker.file(size, &mut content, path)
            })?
        }
        SeekableTree::Image(reader) => {
            let mut tree = copy_tree(&**reader.image(), &seekable.limits)?;
            settle_losses(&mut tree, options.lossy, report)?;
            let files = StoreOrder::new(&tree, &prefetch_inodes(&tree, &options.prefetch));
            store(tree, &files, &mut chunker, |chunker, size, &ino, path| {
                let mut content = ImageContent::new(&reader, ino, path);
                chunker.file(size, &mut content, path)
            })?
        }
    };
    Ok((tree, chunker.finish()?))
}

fn stream<'k, W: Write>(
    source: Streaming<'_>,
    mut chunker: Chunker<'k, '_, W>,
    options: &RafsOptions,
    report: &mut Report,
) -> Result<Filled<'k, W>, ConvertError> {
    let Streaming {
        layer,
        lenient,
        limits,
    } = source;
    let mut reader = TarReader::new(
        LayerStream::open(layer, &limits)?,
        tar_stream::Options {
            lenient,
            limits: limits.clone(),
        },
    );
    let mut builder = LayerBuilder::new(LayerOptions {
        lenient,
        limits: limits.clone(),
    });
    while let Some(entry) = reader.next_entry()? {
        chunker.tick()?;
        let member = match entry.into_member(&limits) {
            Err(error) if options.lossy => {
                report.losses.push(no_file(error)?);
                continue;
            }
            member => member?,
        };
        match member {
            Member::HardLink { path, target } => builder.link(&path, &target)?,
            Member::Node {
                path,
                metadata,
                node,
            } => {
                let node = map_content(node, |size, spans| {
                    let spans = spans.as_slice();
                    let mut content = SpanContent::new(spans, size, |_, buf: &mut [u8]| {
                        Ok(reader.read_payload_exact(buf)?)
                    });
                    chunker.file(size, &mut content, &|| path.clone())
                })?;
                builder.add(&path, metadata, node)?;
            }
        }
    }
    reader.finish()?;
    let store = chunker.finish()?;
    let mut tree = builder.finish()?.into_tree()?;
    settle_losses(&mut tree, options.lossy, report)?;
    Ok((tree, store))
}

/// A member of a kind that is no file, as a loss; every other error as it is.
fn no_file(error: MemberError) -> Result<Loss, MemberError> {
    match error.reason {
        MemberFault::Kind { typeflag } => Ok(Loss {
            path: ImagePath::clean(&error.path).unwrap_or_default(),
            what: LossKind::Member { typeflag },
        }),
        _ => Err(error),
    }
}

/// Has the files of `tree` stored by `file`, in the order `files`.
fn store<'k, 'c, C, W: Write>(
    tree: Tree<C>,
    files: &StoreOrder,
    chunker: &mut Chunker<'k, 'c, W>,
    mut file: impl FnMut(
        &mut Chunker<'k, 'c, W>,
        u64,
        &C,
        &dyn Fn() -> ImagePath,
    ) -> Result<ChunkRange, ConvertError>,
) -> Result<Tree<ChunkRange>, ConvertError> {
    let size = |id: &InodeId| tree.inode(*id).node.size();
    let total = files.files.iter().map(size);
    chunker.expect(total.fold(0, u64::saturating_add));
    let mut ranges = vec![ChunkRange::default(); tree.len()];
    for &id in &files.files {
        chunker.tick()?;
        if let Node::File { size, content } = &tree.inode(id).node {
            let path = || path_of(&tree, id);
            ranges[id.index()] = file(chunker, *size, content, &path)?;
        }
    }
    tree.try_map(|id, _, _| Ok(ranges[id.index()]))
}

/// Takes out of `tree` what the format cannot carry, or refuses the first of it.
fn settle_losses<C>(
    tree: &mut Tree<C>,
    lossy: bool,
    report: &mut Report,
) -> Result<(), ConvertError> {
    let loss = |loss: rafs_format::v6::Loss| Loss {
        path: loss.path,
        what: loss.what.into(),
    };
    if lossy {
        drop_losses(tree, &mut |found| report.losses.push(loss(found)));
        tree.drop_unreachable();
        return Ok(());
    }
    let mut first = None;
    losses(tree, &mut |found| {
        first.get_or_insert(found);
    });
    match first {
        Some(found) => report.lose(loss(found), false, "RAFS v6"),
        None => Ok(()),
    }
}
