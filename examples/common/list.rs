//! Long lists.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use lazyoci::model::Limits;
use serde_json::Value;

use super::Failure;

/// A list in an unnamed temporary file, since the paths of an image can take any amount of memory. It is printed when
/// the work is done, or not at all. It holds at most as many bytes as an image may have metadata; further items are
/// only counted.
pub struct List {
    spool: BufWriter<File>,
    is_empty: bool,
    room: u64,
    untold: u64,
}

impl List {
    pub fn new() -> Result<Self, Failure> {
        let spool = tempfile::tempfile().map_err(Failure::usage)?;
        Ok(Self {
            spool: BufWriter::new(spool),
            is_empty: true,
            room: Limits::default().max_metadata_len,
            untold: 0,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// How many items were left out.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// Adds an item of about `len` bytes to a list in a JSON object. An item without room is not computed.
    pub fn push(
        &mut self,
        len: usize,
        value: impl FnOnce() -> Result<Value, Failure>,
    ) -> Result<(), Failure> {
        let comma = if self.is_empty { "" } else { "," };
        if self.takes(len) {
            write!(self.spool, "{comma}{}", value()?).map_err(Failure::usage)?;
        }
        Ok(())
    }

    /// Adds a line of text of about `len` bytes. A line without room is not computed.
    pub fn line(
        &mut self,
        len: usize,
        line: impl FnOnce() -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        if self.takes(len) {
            writeln!(self.spool, "{}", line()?).map_err(Failure::usage)?;
        }
        Ok(())
    }

    fn takes(&mut self, len: usize) -> bool {
        self.is_empty = false;
        // Once an item was left out, all later ones are.
        let room = self.room.checked_sub(len as u64);
        self.room = room.unwrap_or(0);
        self.untold += u64::from(room.is_none());
        room.is_some()
    }

    /// Writes the lines.
    pub fn write_lines(self, out: &mut dyn Write) -> Result<(), Failure> {
        self.copy_to(out).map_err(Failure::usage)
    }

    /// Writes `object`, which must not contain `key`, with the list added as `key`.
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
