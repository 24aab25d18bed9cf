//! Entries to JSON, with the bytes of Go's `json.MarshalIndent(toc, "", "\t")`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use super::{Toc, TocEntry};

/// Version of every TOC that is written.
const VERSION: i64 = 1;

/// The document with `entries`, as the reference implementation writes it: tabs, no newline at the
/// end, `<`, `>`, `&`, U+2028 and U+2029 escaped, no entries as `null`. No list of entries is made.
///
/// # Errors
/// The first error among `entries`.
pub fn to_json<'a, E>(
    entries: impl IntoIterator<Item = Result<TocEntry<'a>, E>>,
) -> Result<Vec<u8>, E> {
    let mut json = Vec::new();
    append_json(&mut json, entries)?;
    Ok(json)
}

/// Appends the document of [`to_json`] to `out`.
pub(crate) fn append_json<'a, E>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = Result<TocEntry<'a>, E>>,
) -> Result<(), E> {
    document(out, VERSION, entries)?.expect(WRITES);
    Ok(())
}

/// Length of the document of [`to_json`] in bytes, if not more than `limit`.
pub(crate) fn json_len<'a, E>(
    limit: usize,
    entries: impl IntoIterator<Item = Result<TocEntry<'a>, E>>,
) -> Result<Option<usize>, E> {
    let mut room = Room { left: limit };
    let written = document(&mut room, VERSION, entries)?;
    Ok(written.is_ok().then(|| limit.saturating_sub(room.left)))
}

/// Why a document can be written to a vector.
pub(crate) const WRITES: &str = "writing to a vector does not fail, and every key is a string";

/// A sink with room for so many bytes, which are not kept.
struct Room {
    left: usize,
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = (self.left.checked_sub(bytes.len())).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Toc<'_> {
    /// The document, as [`to_json`] writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(Ok::<_, Infallible>);
        let mut json = Vec::new();
        let written = document(&mut json, self.version, entries);
        written
            .unwrap_or_else(|never| match never {})
            .expect(WRITES);
        json
    }
}

/// Writes a document; the outer error is the first among `entries`, the inner one that of `out`.
fn document<T: Serialize, E>(
    out: &mut impl io::Write,
    version: i64,
    entries: impl IntoIterator<Item = Result<T, E>>,
) -> Result<serde_json::Result<()>, E> {
    #[derive(Serialize)]
    struct Document<T> {
        version: i64,
        entries: Option<T>,
    }
    let mut refused = None;
    let entries = entries
        .into_iter()
        .map_while(|entry| entry.map_err(|error| refused = Some(error)).ok());
    let mut entries = entries.peekable();
    let document = Document {
        version,
        entries: entries
            .peek()
            .is_some()
            .then_some(List(RefCell::new(entries))),
    };
    let written = document.serialize(&mut Serializer::with_formatter(
        out,
        GoFormatter(PrettyFormatter::with_indent(b"\t")),
    ));
    refused.map_or(Ok(written), Err)
}

/// The items of an iterator as a list; to be serialized once.
pub(crate) struct List<I>(pub(crate) RefCell<I>);

impl<I: Iterator<Item: Serialize>> Serialize for List<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&mut *self.0.borrow_mut())
    }
}

/// Writes text that needs no escapes in JSON, but some in Go's.
pub(crate) fn write_like_go<W: ?Sized + io::Write>(writer: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let (plain, tail) = rest.split_at(at);
        writer.write_all(plain.as_bytes())?;
        let special = tail.chars().next().map_or(0, u32::from);
        write!(writer, "\\u{special:04x}")?;
        rest = &tail[if special < 0x80 { 1 } else { 3 }..];
    }
    writer.write_all(rest.as_bytes())
}

/// Indents like [`PrettyFormatter`] and escapes like Go.
struct GoFormatter<'a>(PrettyFormatter<'a>);

impl Formatter for GoFormatter<'_> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_like_go(writer, fragment)
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
