//! Compares two images: what was added, removed, changed, and what is to be fetched.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::{Failure, Outcome};
use lazyoci::model::diff::{
    Change, DiffObserver, DiffSummary, Difference, Transfer, diff, transfer,
};
use lazyoci::model::{Ino, Limits};
use lazyoci::read::{OpenImage, same_bytes};
use serde_json::{Value, json};

/// Compare two images; exit code 1 if they differ
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The one that is there
    old: PathBuf,
    /// The one that is wanted
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
    left: &'a OpenImage,
    right: &'a OpenImage,
    list: Vec<Value>,
}

impl DiffObserver for Differences<'_> {
    type Error = Failure;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), Failure> {
        let (change, reasons) = match difference.change {
            Change::Added(_) => ("added", Vec::new()),
            Change::Removed(_) => ("removed", Vec::new()),
            Change::Changed { reasons, .. } => {
                ("changed", reasons.iter().map(ToString::to_string).collect())
            }
        };
        let path = difference.path.to_string();
        self.list
            .push(json!({ "path": path, "change": change, "reasons": reasons }));
        Ok(())
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, Failure> {
        let same = same_bytes((self.left.reader(), left), (self.right.reader(), right));
        Ok(same?)
    }
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let (left, right) = (args.open.open(&args.old)?, args.open.open(&args.new)?);
    let limits = Limits::default();
    let mut differences = Differences {
        left: &left,
        right: &right,
        list: Vec::new(),
    };
    let summary = diff(left.image(), right.image(), &limits, &mut differences)?;
    let transfer = transfer(left.image(), right.image(), &limits)?;
    let list = differences.list;
    let said = say(args, &summary, &transfer, &list, out);
    if list.is_empty() {
        return said.map(|()| Outcome::Done);
    }
    // They differ, whether or not somebody reads how.
    Ok(Outcome::Bad)
}

fn say(
    args: &Args,
    summary: &DiffSummary,
    transfer: &Transfer,
    list: &[Value],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        let value = json!({
            "added": summary.added,
            "removed": summary.removed,
            "changed": summary.changed,
            "same": summary.same,
            "differences": list,
            "shared_chunks": transfer.shared_chunks,
            "shared_bytes": transfer.shared_len,
            "fetch_chunks": transfer.fetch_chunks,
            "fetch_bytes": transfer.fetch_len,
            "fetch_stored_bytes": transfer.fetch_stored_len,
        });
        return common::json(out, &value);
    }
    for difference in list {
        let sign = match difference["change"].as_str() {
            Some("added") => '+',
            Some("removed") => '-',
            _ => '~',
        };
        let reasons: Vec<&str> = difference["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let path = difference["path"].as_str().unwrap_or_default();
        let line = format!("{sign} {path} {}", reasons.join(", "));
        writeln!(out, "{}", line.trim_end()).map_err(Failure::usage)?;
    }
    writeln!(
            out,
            "{} added, {} removed, {} changed, {} the same; {} chunks shared ({}), {} to fetch ({}, stored {})",
            summary.added,
            summary.removed,
            summary.changed,
            summary.same,
            transfer.shared_chunks,
            common::size(transfer.shared_len),
            transfer.fetch_chunks,
            common::size(transfer.fetch_len),
            common::size(transfer.fetch_stored_len),
        )
        .map_err(Failure::usage)
}
