//! What the examples share: exit codes, errors for people, progress, sizes, opening an image.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each example uses its own part of this"
)]

pub mod bootstrap;
pub mod bytes;
pub mod chunked_dump;
pub mod describe;
pub mod dictionary;
pub mod estargz_dump;
pub mod failure;
pub mod incoming;
#[cfg(feature = "gzip-index")]
pub mod index_dump;
pub mod interrupt;
pub mod list;
pub mod open;
pub mod output;
pub mod prefetch;
pub mod progress;
pub mod rafs_dump;
pub mod registry;
pub mod stdout;
pub mod whole;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

pub use failure::{Failure, Outcome, chain};
use stdout::Stdout;

/// Parses the arguments, runs, and turns the result into an exit code. `json` says whether stdout gets one JSON object,
/// also for failures and for arguments that cannot be parsed. When nobody reads the output any more, as in `ls IMAGE |
/// head`, the run ends early and silently, with exit code 2 because its work is incomplete. If stdout is closed, it is
/// exit code 2 with a message.
pub fn main<A: Parser>(
    json: impl FnOnce(&A) -> bool,
    run: impl FnOnce(&A, &mut dyn Write) -> Result<Outcome, Failure>,
) -> ExitCode {
    let mut out = Stdout::default();
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error, &mut out),
    };
    let result = run(&args, &mut out);
    let ended_early = out.reader_gone;
    if let Err(failure) = &result
        && json(&args)
    {
        // The exit code is that of this failure, whether or not it can be written.
        let _ = writeln!(out, "{}", failure.object());
    }
    let flushed = out.flush();
    ExitCode::from(match (result, flushed) {
        (Err(failure), _) if ended_early => failure.code(),
        (Ok(outcome), Err(_)) if out.reader_gone => outcome.code(),
        (Ok(outcome), Ok(())) => outcome.code(),
        (Err(failure), _) => tell(&failure),
        (Ok(_), Err(error)) => tell(&Failure::usage(error)),
    })
}

/// Prints help, the version, or what is wrong with the arguments.
fn refuse(error: &clap::Error, out: &mut dyn Write) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(u8::MAX);
    if code != 0 && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(first));
        let _ = writeln!(out, "{}", failure.object()).and_then(|()| out.flush());
    }
    let printed = match code {
        0 => stdout::check_open().and_then(|()| error.print()),
        // If this fails, there is nobody left to tell.
        _ => error.print().or(Ok(())),
    };
    ExitCode::from(printed.map_or_else(|error| tell(&Failure::usage(error)), |()| code))
}

/// Says on stderr what happened; returns the exit code.
fn tell(failure: &Failure) -> u8 {
    note(format_args!("error: {failure}"));
    failure.code()
}

/// Writes a line to stderr. If that is closed or full, there is nobody left to tell.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Has `say` tell what was done: on stdout, or on stderr if `output` is `-`, so that stdout holds the
/// output and nothing else.
pub fn say(
    output: &Path,
    out: &mut dyn Write,
    say: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if !open::is_stream(output) {
        return say(out);
    }
    let mut text = Vec::new();
    say(&mut text)?;
    // As with `note`.
    let _ = io::stderr().write_all(&text);
    Ok(())
}

/// Writes `value` as one JSON object and a newline. `examples/README.md` says what its keys mean.
pub fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::usage)?;
    writeln!(out, "{text}").map_err(Failure::usage)
}

/// A report of the library as a JSON object, to which the example adds what it alone knows.
pub fn object(report: &impl serde::Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(report).map_err(Failure::usage)
}

/// Reports oddities of an image on stderr that did not prevent reading it.
pub fn note_advisories(advisories: &lazyoci::model::advisory::Advisories) {
    const SHOWN: usize = 10;
    for advisory in advisories.kept().iter().take(SHOWN) {
        note(format_args!("advisory: {advisory}"));
    }
    match advisories.count().saturating_sub(SHOWN as u64) {
        0 => {}
        1 => note("and 1 more advisory"),
        rest => note(format_args!("and {rest} more advisories")),
    }
}

/// Reports on stderr the oddities of the source, what was left out, and paths to fetch first that do not exist.
#[cfg(feature = "convert")]
pub fn note_losses(report: &lazyoci::convert::Report) {
    note_advisories(&report.advisories);
    for path in &report.missed {
        note(format_args!("not prioritized, not found: {path}"));
    }
    for loss in &report.losses {
        note(format_args!("lost: {loss}"));
    }
    if report.cut_times > 0 {
        note(format_args!(
            "lost: fractions of a second in {}",
            count(report.cut_times, "time")
        ));
    }
    if report.losses_untold > 0 {
        note(format_args!("lost: {} more", report.losses_untold));
    }
}

/// `1 fault`, `2 faults`: a count of what `noun` calls one of.
pub fn count(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A human-readable byte count: `12.30 MiB`.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// A time in UTC, without fractions; in seconds since 1970 if it is beyond the range of calendar dates.
pub fn time(time: lazyoci::model::Timestamp) -> String {
    match jiff::Timestamp::from_second(time.seconds) {
        Ok(time) => time.to_string(),
        Err(_) => time.seconds.to_string(),
    }
}

/// Permission bits as `chmod` takes them.
pub fn mode(mode: u16) -> String {
    format!("{mode:04o}")
}
