//! A tar out of an image.

use std::collections::HashMap;
use std::io::Write;

use image_model::layer::Whiteout;
use image_model::walk::{InoSet, Walk, WalkEntry};
use image_model::{FileKind, Image, ImagePath, Ino, NameRef, Node, Progress};
use image_read::Reader;
use tar_stream::TarWriter;
use verify::ExtentBytes;

use super::TarOptions;
use super::compress::compress;
use crate::ConvertError;
use crate::content::read_file;
use crate::report::{Loss, LossKind, Report};
use crate::tree::{inode, several_names};

/// Zeros to write for holes.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Writes the image that `reader` reads to `out` as a tar.
///
/// The bytes depend on the image alone: the root comes first, as `./`, then everything else, each
/// directory before what it holds, whiteouts before their siblings, these in the order of their
/// names. A directory that holds something and that no entry of a layer described, such as the root
/// in most layers, gets no entry: its attributes are unknown, and an entry would change those that
/// a lower layer has. The first name of an inode has its content, further ones are hard links to it.
/// Headers are those of [`TarWriter::append`](tar_stream::TarWriter::append); holes are written as
/// zeros. Sockets, which tars do not have, and names that layers keep for whiteouts are refused, or
/// left out if losses are allowed.
///
/// # Errors
/// [`ConvertError`]; `out` has got a part of the tar then.
pub fn to_tar(
    reader: &Reader,
    out: &mut dyn Write,
    options: &TarOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    options.check()?;
    let image = &**reader.image();
    let several = several_names(image, &options.limits)?;
    let mut report = Report::default();
    report.bytes_out = compress(out, options.compression, options.threads, |out| {
        let mut members = Members {
            image,
            reader,
            options,
            progress,
            several,
            first_names: HashMap::new(),
            writer: TarWriter::new(out),
            report: &mut report,
        };
        let mut walk = Walk::new(image, &options.limits).whiteouts_first();
        while let Some(entry) = walk.next_entry() {
            if !members.append(&entry?)? {
                walk.skip_children();
            }
        }
        members.writer.finish()?;
        Ok(())
    })?;
    Ok(report)
}

struct Members<'a> {
    image: &'a dyn Image,
    reader: &'a Reader,
    options: &'a TarOptions,
    progress: &'a mut dyn Progress,
    several: InoSet,
    /// The first name of inodes with several.
    first_names: HashMap<Ino, ImagePath>,
    writer: TarWriter<&'a mut dyn Write>,
    report: &'a mut Report,
}

impl Members<'_> {
    /// Appends an entry; whether those below it may follow.
    fn append(&mut self, entry: &WalkEntry<'_>) -> Result<bool, ConvertError> {
        let (path, ino) = (entry.path, entry.ino);
        self.progress.advance(self.report.content_bytes, None)?;
        let first_name = self.first_names.get(&ino);
        let name = path.last().map(NameRef::as_bytes).unwrap_or_default();
        let needed = entry.depth > 0 && entry.children().next().is_none();
        let implied = self.image.is_implied(ino) && !needed;
        if !implied && Whiteout::forbids(name, entry.attributes.kind) {
            let (path, what) = (path.clone(), LossKind::Whiteout);
            let lossy = self.options.lossy;
            self.report.lose(Loss { path, what }, lossy, "tar")?;
            return Ok(false);
        }
        if entry.attributes.kind == FileKind::Socket {
            if first_name.is_none() {
                let (path, what) = (path.clone(), LossKind::Socket);
                let loss = Loss { path, what };
                self.report.lose(loss, self.options.lossy, "tar")?;
            }
        } else {
            if implied {
                self.report.inodes += 1;
                return Ok(true);
            }
            let (metadata, node) = inode(self.image, path, ino)?;
            if let Some(first_name) = first_name {
                self.writer.append_link(path, &metadata, first_name)?;
                return Ok(true);
            }
            self.report.inodes += 1;
            self.check_len(path, node.size())?;
            self.writer.append(path, &metadata, &node)?;
            if let Node::File { size, .. } = node {
                self.append_content(path, ino, size)?;
            }
        }
        if self.several.contains(ino) {
            self.first_names.entry(ino).or_insert_with(|| path.clone());
        }
        Ok(true)
    }

    fn check_len(&self, path: &ImagePath, size: u64) -> Result<(), ConvertError> {
        let limit = self.options.limits.max_layer_len;
        if self.writer.position().saturating_add(size) > limit {
            let path = path.clone();
            return Err(ConvertError::TarTooLong { path, limit });
        }
        Ok(())
    }

    fn append_content(
        &mut self,
        path: &ImagePath,
        ino: Ino,
        size: u64,
    ) -> Result<(), ConvertError> {
        let Self {
            writer,
            progress,
            report,
            ..
        } = self;
        read_file(self.reader, (path, ino), &mut |offset, bytes| {
            let mut done = report.content_bytes + offset;
            progress.advance(done, None)?;
            let mut left = match bytes {
                ExtentBytes::Data(data) => return Ok(writer.write_all(data)?),
                ExtentBytes::Zeros(left) => left,
            };
            while left > 0 {
                let now = left.min(ZEROS.len() as u64);
                writer.write_all(&ZEROS[..now as usize])?;
                left -= now;
                done += now;
                progress.advance(done, None)?;
            }
            Ok(())
        })?;
        report.content_bytes += size;
        Ok(())
    }
}
