//! What the examples share: exit codes, errors for people, progress, sizes, opening an image.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each example uses its own part of this"
)]

pub mod estargz_dump;
pub mod interrupt;
pub mod open;
pub mod prefetch;
pub mod progress;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use lazyoci::model::{Blame, Fault};

/// How a run that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1: the image is bad or differs. What and where has been said.
    Bad,
    /// Exit code 2: parts of the image could not be read. Which has been said.
    Unreadable,
    /// Exit code 3: the image may be sound, but strict reading refuses it, or this version does not
    /// know it. What has been said.
    Refused,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bad => 1,
            Self::Unreadable => 2,
            Self::Refused => 3,
        }
    }
}

/// Why a run could not do its work.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    source: Box<dyn Error>,
}

impl Failure {
    /// The arguments or the environment are bad.
    pub fn usage(source: impl Into<Box<dyn Error>>) -> Self {
        Self {
            code: 2,
            source: source.into(),
        }
    }

    /// The image is not what it has to be.
    pub fn bad(source: impl Into<Box<dyn Error>>) -> Self {
        Self {
            code: 1,
            source: source.into(),
        }
    }
}

/// Whether `fault` is the image's, rather than that of arguments or environment.
pub fn is_bad(fault: Fault) -> bool {
    match fault {
        Fault::Corrupt | Fault::Unsupported | Fault::Limit => true,
        Fault::Io | Fault::Misuse | Fault::Cancelled => false,
    }
}

impl<E: Blame + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.fault() {
            Fault::Cancelled => Self::usage("interrupted"),
            fault if is_bad(fault) => Self::bad(Box::new(error) as Box<dyn Error>),
            _ => Self::usage(Box::new(error) as Box<dyn Error>),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.source))
    }
}

/// The error and everything that caused it, on one line. A cause that an error names itself is not
/// repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.ends_with(&why) {
            text = format!("{text}: {why}");
        }
        cause = error.source();
    }
    text
}

/// Parses the arguments, runs, and turns the result into an exit code.
///
/// When nobody reads the output any more, as in `ls IMAGE | head`, the run ends early with exit code
/// 2, as it did not do all of its work, and without a word.
pub fn main<A: Parser>(
    run: impl FnOnce(&A, &mut dyn Write) -> Result<Outcome, Failure>,
) -> ExitCode {
    let mut out = Stdout::default();
    let result = run(&A::parse(), &mut out);
    let ended_early = out.closed;
    let flushed = out.flush();
    ExitCode::from(match (result, flushed) {
        (Err(failure), _) if ended_early => failure.code,
        (Ok(outcome), Err(_)) if out.closed => outcome.code(),
        (Ok(outcome), Ok(())) => outcome.code(),
        (Err(failure), _) => failure.tell(),
        (Ok(_), Err(error)) => Failure::usage(error).tell(),
    })
}

impl Failure {
    /// Says on stderr what happened; answers the exit code.
    fn tell(&self) -> u8 {
        note(format_args!("error: {self}"));
        self.code
    }
}

/// Writes a line to stderr. If that is closed or full, there is nobody left to tell.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Buffered stdout, which remembers whether its reader has gone.
struct Stdout {
    out: io::BufWriter<io::StdoutLock<'static>>,
    closed: bool,
}

impl Default for Stdout {
    fn default() -> Self {
        Self {
            out: io::BufWriter::new(io::stdout().lock()),
            closed: false,
        }
    }
}

impl Stdout {
    fn noting<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        self.closed |= result.as_ref().is_err_and(gone);
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.out.write(buf);
        self.noting(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noting(result)
    }
}

/// Has `say` tell what was done: on stdout, or on stderr if `output` is `-`, so that stdout holds the
/// output and nothing else.
pub fn say(
    output: &Path,
    out: &mut dyn Write,
    say: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if output != Path::new("-") {
        return say(out);
    }
    let mut text = Vec::new();
    say(&mut text)?;
    // As with `note`.
    let _ = io::stderr().write_all(&text);
    Ok(())
}

/// Writes `value` as one JSON object and a newline.
pub fn json(out: &mut dyn Write, value: &serde_json::Value) -> Result<(), Failure> {
    writeln!(out, "{value}").map_err(Failure::usage)
}

/// Bytes for people: `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
