//! Entries to JSON, with the bytes of containers/storage, whose library is not Go's own: no white space, and no short
//! escapes for U+0008 and U+000C.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::{ContainersEntry, ContainersToc};
use crate::toc::{List, WRITES, write_like_go};

/// Version of every TOC that is written.
const VERSION: i64 = 1;

/// The document with `entries`, as the reference implementation writes it: no entries as `null`, an empty
/// `tar_split_digest` left out. No list of entries is made.
///
/// # Errors
/// The first error among `entries`.
pub fn to_json<'a, E>(
    entries: impl IntoIterator<Item = Result<ContainersEntry<'a>, E>>,
    tar_split_digest: &str,
) -> Result<Vec<u8>, E> {
    document(VERSION, entries, tar_split_digest)
}

impl ContainersToc<'_> {
    /// The document, as [`to_json`] writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(Ok::<_, Infallible>);
        let header = &self.header;
        document(header.version, entries, &header.tar_split_digest)
            .unwrap_or_else(|never| match never {})
    }
}

fn document<T: Serialize, E>(
    version: i64,
    entries: impl IntoIterator<Item = Result<T, E>>,
    tar_split_digest: &str,
) -> Result<Vec<u8>, E> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a, T> {
        version: i64,
        entries: Option<T>,
        #[serde(skip_serializing_if = "str::is_empty")]
        tar_split_digest: &'a str,
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
        tar_split_digest,
    };
    let mut json = Vec::new();
    let written = document.serialize(&mut Serializer::with_formatter(&mut json, Compact));
    match refused {
        Some(error) => Err(error),
        None => {
            written.expect(WRITES);
            Ok(json)
        }
    }
}

/// No white space, and the escapes of the reference implementation.
pub(crate) struct Compact;

impl Formatter for Compact {
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
        writer.write_all(match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"/",
            CharEscape::Backspace => b"\\u0008",
            CharEscape::FormFeed => b"\\u000c",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04x}"),
        })
    }
}
