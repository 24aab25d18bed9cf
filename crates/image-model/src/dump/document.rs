//! A whole dump as one value of serde.

use std::error::Error;
use std::fmt;

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::structure::{Dumped, FieldValue, Structure};

/// The version of what [`Document`] serializes. It rises when a key gets another meaning or type, or goes. Structures,
/// fields and keys are added without that.
pub const DUMP_VERSION: u32 = 1;

/// What hears of the structures of a [`Document`].
pub type Tell<'t> = dyn FnMut(Dumped<'_>) -> Result<(), Stopped> + 't;

/// The serializer takes no more structures. Its own error says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no more structures are taken")
    }
}

impl Error for Stopped {}

/// Every structure of what is dumped as one value, an object of JSON. They are serialized as they are told, none is
/// kept.
///
/// ```
/// use lazyoci_image_model::dump::{Document, Dumped, Structure};
///
/// // What the method `structures` of an image does.
/// let document = Document::new(|tell| {
///     tell(Dumped::Structure(Structure {
///         offset: 1024,
///         name: "superblock",
///         index: None,
///         fields: &[("blkszbits", 12_u8.into())],
///     }))
/// });
/// assert_eq!(
///     serde_json::to_string(&document)?,
///     r#"{"dump_version":1,"structures":["#.to_owned()
///         + r#"{"structure":"superblock","index":null,"offset":1024,"fields":{"blkszbits":12}}]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// | key | value |
/// |---|---|
/// | `dump_version` | [`DUMP_VERSION`] |
/// | `structures` | one object for each [`Dumped`], in the order in which they are told |
///
/// A structure that cannot be read has one key:
///
/// | key | value |
/// |---|---|
/// | `error` | text: what is wrong, then each cause, after `: ` |
///
/// Others have these:
///
/// | key | value |
/// |---|---|
/// | `structure` | text: its name, as `superblock`, `inode`, `chunk` |
/// | `index` | number: position in a table, number of an inode; null if it has none |
/// | `offset` | number: its first byte, from the start of what is dumped |
/// | `fields` | object: the fields by name, in the order in which they are stored |
///
/// The values of fields:
///
/// | [`FieldValue`] | value |
/// |---|---|
/// | `Number`, `Signed`, `Word` | number |
/// | `Mode` | text: six octal digits |
/// | `Octal` | text: four octal digits at least |
/// | `Bytes` | text: hexadecimal digits |
/// | `Kind`, `Name` | text: the name |
/// | `Text` | text: all of it; bytes that are not printable ASCII, quotes and backslashes are escaped, as in `\xff` |
pub struct Document<F> {
    structures: F,
}

impl<F> Document<F>
where
    F: Fn(&mut Tell<'_>) -> Result<(), Stopped>,
{
    /// The structures of which `structures` tells. It has to end when it is told to, and may be called again.
    #[must_use]
    pub fn new(structures: F) -> Self {
        Self { structures }
    }
}

impl<F> fmt::Debug for Document<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}

impl<F> Serialize for Document<F>
where
    F: Fn(&mut Tell<'_>) -> Result<(), Stopped>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Document", 2)?;
        document.serialize_field("dump_version", &DUMP_VERSION)?;
        document.serialize_field("structures", &Structures(&self.structures))?;
        document.end()
    }
}

/// The list of a document.
struct Structures<'a, F>(&'a F);

impl<F> Serialize for Structures<'_, F>
where
    F: Fn(&mut Tell<'_>) -> Result<(), Stopped>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut refused = None;
        let told = (self.0)(&mut |dumped| {
            list.serialize_element(&dumped).map_err(|error| {
                refused = Some(error);
                Stopped
            })
        });
        match (refused, told) {
            (Some(error), _) => Err(error),
            (None, Err(stopped)) => Err(S::Error::custom(stopped)),
            (None, Ok(())) => list.end(),
        }
    }
}

/// A structure, or `error`: see [`Document`].
impl Serialize for Dumped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Structure(structure) => structure.serialize(serializer),
            Self::Unreadable(error) => {
                let mut unreadable = serializer.serialize_struct("Unreadable", 1)?;
                unreadable.serialize_field("error", &chain(*error))?;
                unreadable.end()
            }
        }
    }
}

/// An error and its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// `structure`, `index`, `offset` and `fields`: see [`Document`].
impl Serialize for Structure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut structure = serializer.serialize_struct("Structure", 4)?;
        structure.serialize_field("structure", self.name)?;
        structure.serialize_field("index", &self.index)?;
        structure.serialize_field("offset", &self.offset)?;
        structure.serialize_field("fields", &Fields(self.fields))?;
        structure.end()
    }
}

/// The fields of a structure.
struct Fields<'a>(&'a [(&'static str, FieldValue<'a>)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    }
}

/// A number or text: see [`Document`].
impl Serialize for FieldValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Number(number) | Self::Word(number) => serializer.serialize_u64(number),
            Self::Signed(number) => serializer.serialize_i64(number),
            Self::Name(name) => serializer.serialize_str(name),
            Self::Text(text) => serializer.collect_str(&text.escape_ascii()),
            Self::Mode(_) | Self::Octal(_) | Self::Kind(_) | Self::Bytes(_) => {
                serializer.collect_str(self)
            }
        }
    }
}
