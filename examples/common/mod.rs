//! What the examples share: exit codes, errors for people, progress, sizes, opening an image.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each example uses its own part of this"
)]

pub mod open;
pub mod progress;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
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

impl<E: Blame + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let code = match error.fault() {
            Fault::Corrupt | Fault::Unsupported | Fault::Limit => 1,
            Fault::Io | Fault::Misuse | Fault::Cancelled => 2,
        };
        Self {
            code,
            source: Box::new(error),
        }
    }
}

/// The error and everything that caused it, on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Parses the arguments, runs, and turns the result into an exit code.
pub fn main<A: Parser>(
    run: impl FnOnce(&A, &mut dyn Write) -> Result<Outcome, Failure>,
) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = run(&A::parse(), &mut out).and_then(|outcome| {
        out.flush().map_err(Failure::usage)?;
        Ok(outcome)
    });
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

/// Writes `value` as one JSON object and a newline.
pub fn json(out: &mut dyn Write, value: &serde_json::Value) -> Result<(), Failure> {
    writeln!(out, "{value}").map_err(Failure::usage)
}

/// Bytes for people: `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
