//! Long lists.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use serde_json::Value;

use super::Failure;

/// A list in an unnamed temporary file: it is printed once the work is done, or not at all, and paths of an
/// image take any amount of memory.
pub struct List {
    spool: BufWriter<File>,
    is_empty: bool,
}

impl List {
    pub fn new() -> Result<Self, Failure> {
        let spool = tempfile::tempfile().map_err(Failure::usage)?;
        Ok(Self {
            spool: BufWriter::new(spool),
            is_empty: true,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Adds an item of a list in a JSON object.
    pub fn push(&mut self, value: &Value) -> Result<(), Failure> {
        let comma = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        write!(self.spool, "{comma}{value}").map_err(Failure::usage)
    }

    /// Adds a line of a list for people.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.is_empty = false;
        writeln!(self.spool, "{line}").map_err(Failure::usage)
    }

    /// Writes the lines.
    pub fn write_lines(self, out: &mut dyn Write) -> Result<(), Failure> {
        self.copy_to(out).map_err(Failure::usage)
    }

    /// Writes `object`, which must have no `key`, with the list under that.
    pub fn write(self, out: &mut dyn Write, key: &str, object: &Value) -> Result<(), Failure> {
        self.write_to(out, key, object).map_err(Failure::usage)
    }

    fn write_to(self, out: &mut dyn Write, key: &str, object: &Value) -> io::Result<()> {
        let object = object.to_string();
        let fields = object.strip_suffix('}').unwrap_or("{");
        let comma = if fields == "{" { "" } else { "," };
        write!(out, "{fields}{comma}\"{key}\":[")?;
        self.copy_to(out)?;
        writeln!(out, "]}}")
    }

    fn copy_to(self, out: &mut dyn Write) -> io::Result<()> {
        let mut spool = self.spool.into_inner()?;
        spool.rewind()?;
        io::copy(&mut spool, out)?;
        Ok(())
    }
}
