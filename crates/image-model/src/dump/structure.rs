//! A structure as a dump shows it.

use std::error::Error;
use std::fmt;

use crate::metadata::FileKind;

/// Number of bytes of a value to show.
const SHOWN: usize = 64;

/// What a dump tells, one after the other. Its `Display` is one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Dumped<'a> {
    /// A structure.
    Structure(Structure<'a>),
    /// A structure that cannot be read.
    Unreadable(&'a (dyn Error + 'static)),
}

/// A structure of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure<'a> {
    /// First byte, from the start of what is dumped.
    pub offset: u64,
    /// What it is: `superblock`, `inode`, `span`.
    pub name: &'static str,
    /// Its position in a table; the number of an inode.
    pub index: Option<u64>,
    /// Its fields, in the order in which they are stored. A time of 12 bytes is two of them.
    pub fields: &'a [(&'static str, FieldValue<'a>)],
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// A number.
    Number(u64),
    /// A number that may be negative: seconds since 1970.
    Signed(i64),
    /// A word of flags, or a number that people know by its hexadecimal digits.
    Word(u64),
    /// `st_mode`.
    Mode(u16),
    /// A mode of more bits than that has: one that stands in a tar.
    Octal(u64),
    /// A kind of file.
    Kind(FileKind),
    /// The name of a value: of an algorithm, a layout.
    Name(&'static str),
    /// A digest, or another value of bytes that are not text.
    Bytes(&'a [u8]),
    /// Text of any bytes: a name, a path, an id.
    Text(&'a [u8]),
}

impl From<u64> for FieldValue<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for FieldValue<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for FieldValue<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for FieldValue<'_> {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

/// Text is escaped, and shown up to its 64th byte.
impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Word(word) => write!(f, "{word:#x}"),
            Self::Mode(mode) => write!(f, "{mode:06o}"),
            Self::Octal(mode) => write!(f, "{mode:04o}"),
            Self::Kind(kind) => write!(f, "{kind}"),
            Self::Name(name) => f.write_str(name),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Text(text) => {
                let shown = text.get(..SHOWN).unwrap_or(text);
                write!(f, "\"{}\"", shown.escape_ascii())?;
                if shown.len() < text.len() {
                    write!(f, "... ({} bytes)", text.len())?;
                }
                Ok(())
            }
        }
    }
}

/// `0x00000400 superblock: inos=5 ...`
impl fmt::Display for Structure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x} {}", self.offset, self.name)?;
        if let Some(index) = self.index {
            write!(f, " {index}")?;
        }
        let mut separator = ":";
        for (name, value) in self.fields {
            write!(f, "{separator} {name}={value}")?;
            separator = "";
        }
        Ok(())
    }
}

impl fmt::Display for Dumped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(structure) => structure.fmt(f),
            Self::Unreadable(error) => {
                f.write_str("!")?;
                let mut separator = "";
                let mut next = Some(*error);
                while let Some(error) = next {
                    write!(f, "{separator} {error}")?;
                    separator = ":";
                    next = error.source();
                }
                Ok(())
            }
        }
    }
}
