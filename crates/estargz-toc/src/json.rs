//! TOCs in JSON, of any schema, strictly. Two readers must not see two different layers, so what JSON parsers disagree
//! on is refused: a repeated key, and, if readers differ in that, a key that differs from a known one only in case.
//! Other unknown keys are ignored, as by every reader.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess};
use serde::de::{SeqAccess, Visitor};

use image_model::Limits;
use image_model::width::{u64_from, usize_from};

use crate::error::{EntryFault, TocError};

/// The entries of a kind of TOC.
pub(crate) trait Schema<'a>: Sized {
    /// Keys of the document beside `version` and `entries`, with text as values; at most one.
    const DOCUMENT_KEYS: &'static [&'static str];
    /// Keys of an entry; at most 32.
    const KEYS: &'static [&'static str];
    /// What is done with keys that differ from these in case.
    const CASE: Case;

    /// An entry without a name.
    fn empty() -> Self;

    /// Its name.
    fn name(&self) -> &str;

    /// Takes the value of the key number `field` from `map`. What is wrong with it although it is valid JSON is left
    /// in `fault`.
    fn set<A: MapAccess<'a>>(
        &mut self,
        field: usize,
        map: &mut A,
        max_xattr_len: u32,
        fault: &mut Option<EntryFault>,
    ) -> Result<(), A::Error>;
}

/// What is done with keys that differ from known ones in case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They are refused: some readers would ignore them.
    Refused,
    /// They are the known ones, as to the only reader of the format. An empty key, at which that reader goes astray,
    /// is refused.
    Ignored,
}

/// What a document says beside its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) version: i64,
    /// The value of the only one of [`Schema::DOCUMENT_KEYS`].
    pub(crate) text: Option<Cow<'a, str>>,
}

/// Parses the document, which must fill `json` except for white space, and passes every entry with its position to
/// `visit`, in order, until it fails. No list of entries is made.
pub(crate) fn for_each<'a, T: Schema<'a>, E: From<TocError>>(
    json: &'a [u8],
    limits: &Limits,
    mut visit: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<Header<'a>, E> {
    let len = u64_from(json.len());
    let limit = limits.toc_len();
    if len > limit {
        return Err(TocError::TooLong { len, limit }.into());
    }
    let mut refused = None;
    let mut index = 0usize;
    let mut sink = |Parsed { entry, fault }: Parsed<T>| {
        let visited = match fault {
            None => visit(index, entry),
            Some(fault) => Err(TocError::Entry {
                index,
                name: entry.name().into(),
                fault,
            }
            .into()),
        };
        index = index.saturating_add(1);
        visited.map_err(|error| refused = Some(error)).is_ok()
    };
    let document = Document {
        sink: &mut sink,
        max_xattr_len: limits.max_xattr_len,
    };
    let parsed = match str::from_utf8(json) {
        // Strings need not be checked one by one.
        Ok(text) => document.parse(serde_json::Deserializer::from_str(text)),
        // What is ignored may be anything.
        Err(_) => document.parse(serde_json::Deserializer::from_slice(json)),
    };
    match refused {
        Some(error) => Err(error),
        None => parsed.map_err(|error| TocError::from(error).into()),
    }
}

/// An entry, and what is wrong with it although it is valid JSON.
struct Parsed<T> {
    entry: T,
    fault: Option<EntryFault>,
}

/// Takes an entry; false to stop.
type Sink<'s, T> = &'s mut dyn FnMut(Parsed<T>) -> bool;

struct Document<'s, T> {
    sink: Sink<'s, T>,
    max_xattr_len: u32,
}

impl<'de, T: Schema<'de>> Document<'_, T> {
    fn parse<R: serde_json::de::Read<'de>>(
        self,
        mut document: serde_json::Deserializer<R>,
    ) -> serde_json::Result<Header<'de>> {
        let header = self.deserialize(&mut document)?;
        document.end().map(|()| header)
    }
}

impl<'de, T: Schema<'de>> DeserializeSeed<'de> for Document<'_, T> {
    type Value = Header<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Schema<'de>> Visitor<'de> for Document<'_, T> {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        const KEYS: [&str; 2] = ["version", "entries"];
        let mut header = Header {
            version: 0,
            text: None,
        };
        let mut seen = [false; 2];
        while let Some(Text(key)) = map.next_key()? {
            let Some(field) = known(&key, &KEYS, T::CASE)? else {
                match known(&key, T::DOCUMENT_KEYS, T::CASE)? {
                    Some(field) if header.text.is_some() => {
                        return Err(de::Error::duplicate_field(T::DOCUMENT_KEYS[field]));
                    }
                    Some(_) => header.text = Some(map.next_value::<Text<'_>>()?.0),
                    None => drop(map.next_value::<IgnoredAny>()?),
                }
                continue;
            };
            if std::mem::replace(&mut seen[field], true) {
                return Err(de::Error::duplicate_field(KEYS[field]));
            }
            match KEYS[field] {
                "version" => header.version = map.next_value()?,
                _ => map.next_value_seed(Entries {
                    sink: &mut *self.sink,
                    max_xattr_len: self.max_xattr_len,
                })?,
            }
        }
        if seen[1] {
            Ok(header)
        } else {
            Err(de::Error::missing_field("entries"))
        }
    }
}

/// The list of entries, or `null`.
struct Entries<'s, T> {
    sink: Sink<'s, T>,
    max_xattr_len: u32,
}

impl<'de, T: Schema<'de>> DeserializeSeed<'de> for Entries<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Schema<'de>> Visitor<'de> for Entries<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of TOC entries")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self {
            sink,
            max_xattr_len,
        } = self;
        let seed = || EntrySeed {
            max_xattr_len,
            schema: std::marker::PhantomData,
        };
        while let Some(parsed) = seq.next_element_seed(seed())? {
            if !sink(parsed) {
                return Err(de::Error::custom("the entry is refused"));
            }
        }
        Ok(())
    }
}

struct EntrySeed<T> {
    max_xattr_len: u32,
    schema: std::marker::PhantomData<T>,
}

impl<'de, T: Schema<'de>> DeserializeSeed<'de> for EntrySeed<T> {
    type Value = Parsed<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Schema<'de>> Visitor<'de> for EntrySeed<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entry = T::empty();
        let mut fault = None;
        let mut seen = 0u32;
        let mut next = 0;
        while let Some(Text(key)) = map.next_key()? {
            // Writers keep to the order of the keys.
            let mut ahead = T::KEYS.iter().enumerate().skip(next);
            let found = match ahead.find(|(_, name)| **name == key) {
                Some((field, _)) => Some(field),
                None => known(&key, T::KEYS, T::CASE)?,
            };
            let Some(field) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & 1 << field != 0 {
                return Err(de::Error::duplicate_field(T::KEYS[field]));
            }
            seen |= 1 << field;
            next = field.saturating_add(1);
            entry.set(field, &mut map, self.max_xattr_len, &mut fault)?;
        }
        for (field, &name) in T::KEYS.iter().enumerate() {
            if seen & 1 << field == 0 && matches!(name, "name" | "type") {
                return Err(de::Error::missing_field(name));
            }
        }
        Ok(Parsed { entry, fault })
    }
}

/// Position of `key` in `names`; `None` for an unknown key.
pub(crate) fn known<E: de::Error>(
    key: &str,
    names: &[&'static str],
    case: Case,
) -> Result<Option<usize>, E> {
    if let Some(found) = names.iter().position(|name| *name == key) {
        return Ok(Some(found));
    }
    if key.is_empty() && case == Case::Ignored {
        return Err(E::custom("an empty key"));
    }
    // Go folds these two characters as well.
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    let lower = |name: &str| {
        folded
            .clone()
            .eq(name.chars().map(|c| c.to_ascii_lowercase()))
    };
    match names.iter().position(|name| lower(name)) {
        Some(found) if case == Case::Refused => Err(E::custom(format_args!(
            "key `{}` differs from `{}` in case only",
            key.escape_debug(),
            names[found]
        ))),
        found => Ok(found),
    }
}

/// A string that borrows from the document if it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Bytes that an extended attribute counts: those of its name and its value. An empty one is
/// refused later, but takes memory until then.
fn xattr_len(name: &str, base64: &str) -> usize {
    let digits = base64.trim_end_matches('=').len();
    let padding = base64.len().saturating_sub(digits);
    let value = (base64.len() / 4).saturating_mul(3).saturating_sub(padding);
    name.len().saturating_add(value).max(1)
}

pub(crate) type XattrList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A map of extended attributes of up to `limit` bytes. One that is longer is read to its end, so
/// that the entry can be named, but not kept.
pub(crate) struct XattrMap {
    pub(crate) limit: u32,
}

impl<'de> DeserializeSeed<'de> for XattrMap {
    type Value = Result<XattrList<'de>, EntryFault>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for XattrMap {
    type Value = Result<XattrList<'de>, EntryFault>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of extended attributes")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ok(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let limit = self.limit;
        let mut list = Vec::new();
        let mut len = 0usize;
        while let Some((Text(name), Text(value))) = map.next_entry()? {
            len = len.saturating_add(xattr_len(&name, &value));
            if len > usize_from(limit) {
                drop(list);
                while map.next_entry::<Text<'_>, Text<'_>>()?.is_some() {}
                return Ok(Err(EntryFault::XattrsTooLong { len, limit }));
            }
            list.push((name, value));
        }
        Ok(Ok(list))
    }
}
