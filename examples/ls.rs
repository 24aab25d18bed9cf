//! Lists the files in an image.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::list::List;
use common::open::{OpenArgs, path_bytes};
use common::{Failure, Outcome};
use lazyoci::model::walk::{Walk, WalkEntry};
use lazyoci::model::{FileKind, Image, ImagePath, Ino, Limits};
use lazyoci::read::{Follow, OpenImage};
use serde_json::json;

/// List the files in an image
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`
    image: PathBuf,
    /// The path in the image
    #[arg(default_value = "/")]
    path: PathBuf,
    /// Show modes, link counts, owners, sizes and times
    #[arg(short)]
    long: bool,
    /// Also list everything below
    #[arg(short = 'R')]
    recursive: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let opened = args.open.open(&args.image)?;
    let image = opened.image();
    let (top, top_ino) = real_path(&opened, &args.path)?;
    let what = Shown {
        depth: top.depth(),
        is_directory: image.attributes(top_ino)?.kind == FileKind::Directory,
        top,
        recursive: args.recursive,
    };
    let limits = Limits::default();
    check_paths(image, &what, &limits)?;
    let mut listed = args.json.then(List::new).transpose()?;
    what.visit(image, &limits, &mut |entry| match &mut listed {
        Some(listed) => listed.push(entry.path.as_bytes().len(), || object(image, entry)),
        None => line(out, image, entry, args.long, args.recursive),
    })?;
    if let Some(listed) = listed {
        let value = json!({
            "image": args.image.display().to_string(),
            "format": opened.format().to_string(),
        });
        listed.write(out, "entries", &value)?;
    }
    Ok(Outcome::Done)
}

/// What is listed.
struct Shown {
    top: ImagePath,
    depth: usize,
    /// If so, the entries of `top` are shown, otherwise `top` itself.
    is_directory: bool,
    recursive: bool,
}

impl Shown {
    fn visit(
        &self,
        image: &dyn Image,
        limits: &Limits,
        show: &mut dyn FnMut(&WalkEntry<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut walk = Walk::new(image, limits);
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            let below = is_below(entry.path, &self.top);
            if below && (entry.depth > self.depth || !self.is_directory) {
                show(&entry)?;
            }
            let leave = !below && !is_below(&self.top, entry.path);
            let too_deep = !self.recursive && entry.depth > self.depth;
            if leave || too_deep {
                walk.skip_children();
            }
        }
        Ok(())
    }
}

/// Refuses lists whose paths are too long together: in deeply nested directories, a small image can have many paths of
/// megabytes each.
fn check_paths(image: &dyn Image, what: &Shown, limits: &Limits) -> Result<(), Failure> {
    let limit = limits.max_metadata_len;
    let mut len = 0u64;
    what.visit(image, limits, &mut |entry| {
        len = len.saturating_add(entry.path.as_bytes().len() as u64);
        match len > limit {
            true => Err(Failure::refused(format!(
                "the paths to list take more than {limit} bytes"
            ))),
            false => Ok(()),
        }
    })
}

/// The inode at `path`, following symbolic links, and its path without them.
fn real_path(opened: &OpenImage, path: &Path) -> Result<(ImagePath, Ino), Failure> {
    let ino = common::open::resolve(opened, path)?;
    let cleaned = ImagePath::clean(path_bytes(path)).map_err(Failure::usage)?;
    let without_links = opened.resolve(cleaned.as_bytes(), Follow::Never);
    if without_links.is_ok_and(|found| found == ino) {
        return Ok((cleaned, ino));
    }
    let mut walk = Walk::new(opened.image(), &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        if entry.ino == ino {
            return Ok((entry.path.clone(), ino));
        }
    }
    Err(Failure::bad(format!("{cleaned}: found, but not listed")))
}

/// Whether `path` is `top` or lies below it.
fn is_below(path: &ImagePath, top: &ImagePath) -> bool {
    let rest = path.as_bytes().strip_prefix(top.as_bytes());
    rest.is_some_and(|rest| top.is_root() || matches!(rest.first(), None | Some(b'/')))
}

fn line(
    out: &mut dyn Write,
    image: &dyn Image,
    entry: &WalkEntry<'_>,
    long: bool,
    recursive: bool,
) -> Result<(), Failure> {
    let name = match entry.name() {
        Some(name) if !recursive => name.to_string(),
        _ => entry.path.to_string(),
    };
    if !long {
        return writeln!(out, "{name}").map_err(Failure::usage);
    }
    let a = entry.attributes;
    let size = match a.kind {
        FileKind::CharDevice | FileKind::BlockDevice => {
            format!("{}, {}", a.device.major, a.device.minor)
        }
        _ => a.size.to_string(),
    };
    let arrow = match a.kind {
        FileKind::Symlink => format!(" -> {}", image.symlink_target(entry.ino)?.escape_ascii()),
        _ => String::new(),
    };
    writeln!(
        out,
        "{}{} {:>3} {:>5} {:>5} {size:>12} {:>20} {name}{arrow}",
        if a.kind == FileKind::File {
            '-'
        } else {
            a.kind.letter()
        },
        permissions(a.mode),
        a.links,
        a.uid,
        a.gid,
        common::time(a.mtime),
    )
    .map_err(Failure::usage)
}

/// `rwxr-xr-x`, with set-id and sticky bits as `ls` shows them.
fn permissions(mode: u16) -> String {
    let mut text: Vec<u8> = (0..9)
        .map(|bit| {
            if mode & (0o400 >> bit) == 0 {
                b'-'
            } else {
                b"rwx"[bit % 3]
            }
        })
        .collect();
    for (bit, place, letter) in [(0o4000, 2, b's'), (0o2000, 5, b's'), (0o1000, 8, b't')] {
        if mode & bit != 0 {
            let executable = text[place] == b'x';
            text[place] = if executable {
                letter
            } else {
                letter.to_ascii_uppercase()
            };
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn object(image: &dyn Image, entry: &WalkEntry<'_>) -> Result<serde_json::Value, Failure> {
    let a = entry.attributes;
    let mut object = json!({
        "path": entry.path.to_string(),
        "kind": a.kind.to_string(),
        "mode": common::mode(a.mode),
        "uid": a.uid,
        "gid": a.gid,
        "mtime": a.mtime.seconds,
        "mtime_nanoseconds": a.mtime.nanoseconds,
        "bytes": a.size,
        "links": a.links,
    });
    match a.kind {
        FileKind::Symlink => {
            object["target"] = image
                .symlink_target(entry.ino)?
                .escape_ascii()
                .to_string()
                .into();
        }
        FileKind::CharDevice | FileKind::BlockDevice => {
            object["device"] = json!([a.device.major, a.device.minor]);
        }
        _ => {}
    }
    Ok(object)
}
