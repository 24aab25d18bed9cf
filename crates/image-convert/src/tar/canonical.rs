//! A tar out of an image.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::Write;

use blob_io::Output;
use image_model::layer::Whiteout;
use image_model::metadata::Xattr;
use image_model::order::{Named, needs_entry, walk};
use image_model::{
    FileKind, ImagePath, Ino, Inode, Limits, Metadata, NameRef, Progress, Tree, Xattrs,
};
use tar_stream::pax::is_portable;
use tar_stream::{TarWriter, WriteError};
use verify::ExtentBytes;

use super::stream::{self, TarStream, failure};
use super::{TarOptions, TarReport};
use crate::members::{MemberSink, check_room, write_members};
use crate::report::{Allowed, LossKind, Report};
use crate::source::Input;
use crate::tree::content_len;
use crate::{ConvertError, Source};

/// Writes `source` to `output` as a tar.
///
/// The bytes depend on the image alone: the root comes first, as `./`, then everything else, each
/// directory before what it holds, whiteouts before their siblings, these in the order of their
/// names. A directory that holds something and that no entry of a layer described, such as the root
/// in most layers, gets no entry: its attributes are unknown, and an entry would change those that
/// a lower layer has. The first name of an inode has its content, further ones are hard links to it.
/// Headers are those of [`TarWriter::append`](tar_stream::TarWriter::append); holes are written as
/// zeros. Sockets, which tars do not have, names that layers keep for whiteouts, and extended
/// attributes whose names PAX records cannot hold are refused, or left out if losses are allowed.
/// [`Limits::max_layer_len`] bounds the tar. `progress` counts the bytes of the files, after those of
/// a layer that is spooled.
///
/// # Errors
/// [`ConvertError`].
pub fn to_tar<'a>(
    source: impl Into<Source<'a>>,
    output: &mut dyn Output,
    options: &TarOptions,
    progress: &mut dyn Progress,
) -> Result<TarReport, ConvertError> {
    options.check()?;
    let Input {
        mut tree,
        mut contents,
        limits,
        advisories,
        ..
    } = Input::new(source.into(), progress)?;
    // The length of the tar is unknown until it is written, but that of its content is known.
    let (done, total) = (Cell::new(0), Cell::new(None));
    let mut of_content = |_: u64, _: Option<u64>| progress.advance(done.get(), total.get());
    stream::write(output, options, &mut of_content, |out, report| {
        report.advisories = advisories;
        let allowed = Allowed {
            lossy: options.lossy,
            limits: &limits,
            target: "tar",
        };
        let names = names(&tree, &allowed, report)?;
        drop_xattrs(&mut tree, &names, &allowed, report)?;
        let named: HashSet<_> = names.iter().map(|name| name.inode).collect();
        total.set(Some(content_len(&tree, named)));
        let mut members = Members {
            writer: TarWriter::new(out),
            limits: &limits,
            content_bytes: &done,
        };
        write_members(&tree, &names, &mut contents, &mut members)?;
        report.content_bytes = done.get();
        members.writer.finish().map_err(failure)?;
        Ok(())
    })
}

/// The names that get an entry, in the order of the tar.
fn names(
    tree: &Tree<Ino>,
    allowed: &Allowed<'_>,
    report: &mut Report,
) -> Result<Vec<Named>, ConvertError> {
    let mut found = HashSet::new();
    let mut names = walk(tree, allowed.limits)?;
    let mut lost: Option<ImagePath> = None;
    let mut failed = None;
    names.retain(|name| {
        if lost.as_ref().is_some_and(|lost| lies_in(lost, &name.path)) {
            return false;
        }
        let kind = tree.inode(name.inode).node.kind();
        let needs_entry = needs_entry(tree, name.inode);
        let is_first = found.insert(name.inode);
        let last = name.path.last().map(NameRef::as_bytes).unwrap_or_default();
        let what = match kind {
            _ if needs_entry && Whiteout::forbids(last, kind) => Some(LossKind::Whiteout),
            FileKind::Socket => Some(LossKind::Socket),
            _ => None,
        };
        let Some(what) = what else {
            report.inodes += u64::from(is_first);
            return needs_entry;
        };
        if what == LossKind::Whiteout {
            if is_first {
                // A file may have other names.
                found.remove(&name.inode);
            }
            lost = Some(name.path.clone());
        } else if !is_first {
            return false;
        }
        let refused = report.lose(|| name.path.clone(), what, allowed);
        failed = failed.take().or(refused.err());
        false
    });
    failed.map_or(Ok(names), Err)
}

/// Removes from `tree` the extended attributes that no tar can hold, or refuses the first of them.
fn drop_xattrs(
    tree: &mut Tree<Ino>,
    names: &[Named],
    allowed: &Allowed<'_>,
    report: &mut Report,
) -> Result<(), ConvertError> {
    for Named { path, inode, .. } in names {
        let xattrs = &mut tree.inode_mut(*inode).metadata.xattrs;
        if xattrs.iter().all(|xattr| is_portable(&xattr.name)) {
            continue;
        }
        let (kept, lost): (Vec<_>, Vec<_>) = xattrs
            .iter()
            .cloned()
            .partition(|xattr| is_portable(&xattr.name));
        *xattrs = Xattrs::new(kept).expect("some of a list that is one");
        for Xattr { name, .. } in lost {
            report.lose(|| path.clone(), LossKind::XattrName { name }, allowed)?;
        }
    }
    Ok(())
}

/// Whether `path` is below `directory`.
fn lies_in(directory: &ImagePath, path: &ImagePath) -> bool {
    let rest = path.as_bytes().strip_prefix(directory.as_bytes());
    rest.is_some_and(|rest| rest.starts_with(b"/"))
}

struct Members<'a, W: Write> {
    writer: TarWriter<W>,
    limits: &'a Limits,
    content_bytes: &'a Cell<u64>,
}

impl MemberSink for Members<'_, &mut TarStream<'_, '_, '_, '_>> {
    fn file(&mut self, name: &Named, inode: &Inode<Ino>) -> Result<(), ConvertError> {
        let (len, size) = (self.writer.position(), inode.node.size());
        check_room(len, size, &name.path, self.limits)?;
        let appended = self.writer.append(&name.path, &inode.metadata, &inode.node);
        appended.map_err(failure)
    }

    fn link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), ConvertError> {
        let appended = self.writer.append_link(path, metadata, target);
        appended.map_err(failure)
    }

    fn content(&mut self, bytes: ExtentBytes<'_>) -> Result<(), ConvertError> {
        self.content_bytes
            .set(self.content_bytes.get() + bytes.len());
        let written = bytes
            .slices()
            .try_for_each(|slice| self.writer.write_all(slice));
        written.map_err(|error| failure(WriteError::Io(error)))
    }
}
