//! Compares two images: what was added, removed or changed, and what would have to be fetched.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::list::List;
use common::open::OpenArgs;
use common::progress::{Bar, Part};
use common::{Failure, Outcome};
use lazyoci::model::diff::{
    Change, DiffObserver, DiffSummary, Difference, Reason, Transfer, diff, transfer_by_blob,
};
use lazyoci::model::walk::Walk;
use lazyoci::model::{
    Attributes, BlobIndex, FileKind, Image, ImageError, Ino, Limits, Progress, Xattrs,
};
use lazyoci::read::{OpenImage, same_bytes};
use serde_json::{Value, json};

/// Compare two images; exit code 1 if they differ
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The existing image
    old: PathBuf,
    /// The wanted image
    new: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

struct Differences<'a> {
    old: &'a OpenImage,
    new: &'a OpenImage,
    /// JSON objects, or lines.
    list: List,
    json: bool,
    bar: Bar,
    /// Bytes of the new image's files: compared so far, and in all.
    done: u64,
    total: u64,
}

impl DiffObserver for Differences<'_> {
    type Error = Failure;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), Failure> {
        let len = difference.path.as_bytes().len();
        let images = (self.old, self.new);
        match self.json {
            true => self.list.push(len, || object(images, &difference)),
            false => (self.list).line(len, || Ok(line(&object(images, &difference)?))),
        }
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, Failure> {
        let mut part = Part::new(&mut self.bar, self.done, self.total);
        let (left, right) = ((self.old.reader(), left), (self.new.reader(), right));
        Ok(same_bytes(left, right, &mut part)?)
    }

    fn compared(
        &mut self,
        _old: Option<&Attributes>,
        new: Option<&Attributes>,
    ) -> Result<(), Failure> {
        let files = new.filter(|attributes| attributes.kind == FileKind::File);
        self.done += files.map_or(0, |attributes| attributes.size);
        Ok(self.bar.advance(self.done, Some(self.total))?)
    }
}

/// A difference as a JSON object.
fn object(
    (old_image, new_image): (&OpenImage, &OpenImage),
    difference: &Difference<'_>,
) -> Result<Value, Failure> {
    let mut attributes = Vec::new();
    let change = match difference.change {
        Change::Added(_) => "added",
        Change::Removed(_) => "removed",
        Change::Changed {
            left,
            right,
            reasons,
        } => {
            let old = (old_image.image() as &dyn Image, left);
            let new = (new_image.image() as &dyn Image, right);
            for &reason in reasons {
                // Both values, if they can be shown.
                attributes.push(json!({
                    "attribute": reason.to_string(),
                    "old": value(reason, old, new)?,
                    "new": value(reason, new, old)?,
                }));
            }
            "changed"
        }
    };
    let path = difference.path.to_string();
    Ok(json!({ "path": path, "change": change, "attributes": attributes }))
}

/// The inode's value of the attribute that differs from `other`; null for content.
fn value(
    reason: Reason,
    (image, ino): (&dyn Image, Ino),
    (other, other_ino): (&dyn Image, Ino),
) -> Result<Value, ImageError> {
    let attributes = image.attributes(ino)?;
    Ok(match reason {
        Reason::Kind => attributes.kind.to_string().into(),
        Reason::Mode => common::mode(attributes.mode).into(),
        Reason::Uid => attributes.uid.into(),
        Reason::Gid => attributes.gid.into(),
        Reason::Mtime => common::time(attributes.mtime).into(),
        Reason::Size => attributes.size.into(),
        Reason::Device => {
            let device = attributes.device;
            format!("{}:{}", device.major, device.minor).into()
        }
        Reason::Target => text(&image.symlink_target(ino)?),
        Reason::Xattrs => only_here(&image.xattrs(ino)?, &other.xattrs(other_ino)?),
        Reason::Links => attributes.links.into(),
        _ => Value::Null,
    })
}

fn text(bytes: &[u8]) -> Value {
    bytes.escape_ascii().to_string().into()
}

/// The attributes that `others` lacks or has with another value.
fn only_here(xattrs: &Xattrs, others: &Xattrs) -> Value {
    let differ = xattrs
        .iter()
        .filter(|xattr| others.value(&xattr.name) != Some(&xattr.value));
    let fields = differ.map(|xattr| (xattr.name.escape_ascii().to_string(), text(&xattr.value)));
    Value::Object(fields.collect())
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let (old, new) = (args.open.open(&args.old)?, args.open.open(&args.new)?);
    let limits = Limits::default();
    let mut differences = Differences {
        old: &old,
        new: &new,
        list: List::new()?,
        json: args.json,
        bar: Bar::new("comparing"),
        done: 0,
        total: content_bytes(&new, &limits)?,
    };
    let summary = diff(old.image(), new.image(), &limits, &mut differences)?;
    let parts = transfer_by_blob(old.image(), new.image(), &limits)?;
    let whole: Transfer = parts.iter().map(|(_, part)| *part).sum();
    let blobs = new.image().blobs();
    let id = |blob: BlobIndex| Some(blobs.get(usize::try_from(blob.0).ok()?)?.id.to_string());
    let parts = parts.into_iter();
    let parts = parts.map(|(blob, part)| (id(blob).unwrap_or_default(), part));
    let parts: Vec<(String, Transfer)> = parts.filter(|(_, part)| part.fetch_chunks > 0).collect();
    let Differences { list, bar, .. } = differences;
    drop(bar);
    let same = list.is_empty();
    let said = say(args, &summary, (&whole, &parts), list, out);
    if same {
        return said.map(|()| Outcome::Done);
    }
    // They differ, whether or not somebody reads how.
    Ok(Outcome::Bad)
}

/// Bytes of all regular files, counted once per name.
fn content_bytes(opened: &OpenImage, limits: &Limits) -> Result<u64, Failure> {
    let mut total = 0u64;
    for visited in Walk::new(opened.image(), limits) {
        let attributes = visited?.attributes;
        if attributes.kind == FileKind::File {
            total = total.saturating_add(attributes.size);
        }
    }
    Ok(total)
}

fn say(
    args: &Args,
    summary: &DiffSummary,
    (transfer, parts): (&Transfer, &[(String, Transfer)]),
    list: List,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        let blob = |(id, part): &(String, Transfer)| {
            json!({
                "id": id,
                "fetch_chunks": part.fetch_chunks,
                "fetch_bytes": part.fetch_len,
                "fetch_stored_bytes": part.fetch_stored_len,
            })
        };
        let blobs: Vec<Value> = parts.iter().map(blob).collect();
        let value = json!({
            "old_image": args.old.display().to_string(),
            "new_image": args.new.display().to_string(),
            "added": summary.added,
            "removed": summary.removed,
            "changed": summary.changed,
            "same": summary.same,
            "differences_untold": list.untold(),
            "shared_chunks": transfer.shared_chunks,
            "shared_bytes": transfer.shared_len,
            "fetch_chunks": transfer.fetch_chunks,
            "fetch_bytes": transfer.fetch_len,
            "fetch_stored_bytes": transfer.fetch_stored_len,
            "fetch_from": blobs,
        });
        return list.write(out, "differences", &value);
    }
    let untold = list.untold();
    list.write_lines(out)?;
    if untold > 0 {
        writeln!(out, "and {untold} more").map_err(Failure::usage)?;
    }
    writeln!(
        out,
        "{} added, {} removed, {} changed, {} the same",
        summary.added, summary.removed, summary.changed, summary.same,
    )
    .and_then(|()| {
        writeln!(
            out,
            "{} shared ({}), {} to fetch ({}, stored {})",
            common::count(transfer.shared_chunks, "chunk"),
            common::size(transfer.shared_len),
            transfer.fetch_chunks,
            common::size(transfer.fetch_len),
            common::size(transfer.fetch_stored_len),
        )
    })
    .and_then(|()| {
        parts.iter().try_for_each(|(id, part)| {
            writeln!(
                out,
                "  {} from {id} ({}, stored {})",
                part.fetch_chunks,
                common::size(part.fetch_len),
                common::size(part.fetch_stored_len),
            )
        })
    })
    .map_err(Failure::usage)
}

/// `~ /etc/motd: size 6 -> 7, content`
fn line(difference: &Value) -> String {
    let sign = match difference["change"].as_str() {
        Some("added") => '+',
        Some("removed") => '-',
        _ => '~',
    };
    let path = difference["path"].as_str().unwrap_or_default();
    let mut line = format!("{sign} {path}");
    let attributes = difference["attributes"].as_array();
    for (position, attribute) in attributes.into_iter().flatten().enumerate() {
        line.push_str(if position == 0 { ": " } else { ", " });
        line.push_str(attribute["attribute"].as_str().unwrap_or_default());
        if !attribute["old"].is_null() {
            let (old, new) = (plain(&attribute["old"]), plain(&attribute["new"]));
            line.push_str(&format!(" {old} -> {new}"));
        }
    }
    line
}

/// A value without quotes; of an object, its fields.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.is_empty() => "none".into(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", plain(value)));
            fields.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
