//! JSON to entries, strictly. Two readers must not see two different layers, so what JSON parsers
//! disagree on is refused: a repeated key, and a key that differs from a known one only in case
//! (Go's parser accepts it, most others ignore it). Other unknown keys are ignored, as by every
//! reader.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess};
use serde::de::{SeqAccess, Visitor};

use image_model::Limits;
use image_model::width::{u64_from, usize_from};

use super::entry::{EntryType, TocEntry};
use crate::error::{EntryFault, TocError};

/// Parses the document, which must fill `json` except for white space, and passes every entry with
/// its position to `visit`, in order, until it fails. No list of entries is made. Returns the
/// document's version.
///
/// # Errors
/// [`TocError::TooLong`] beyond the limit, [`TocError::Json`] with line and column,
/// [`EntryFault::XattrsTooLong`], or the error of `visit`. Entries visited before an error do not
/// form a TOC.
pub fn for_each_entry<'a, E: From<TocError>>(
    json: &'a [u8],
    limits: &Limits,
    mut visit: impl FnMut(usize, TocEntry<'a>) -> Result<(), E>,
) -> Result<i64, E> {
    let len = u64_from(json.len());
    let limit = limits.toc_len();
    if len > limit {
        return Err(TocError::TooLong { len, limit }.into());
    }
    let mut refused = None;
    let mut index = 0usize;
    let mut document = serde_json::Deserializer::from_slice(json);
    let mut sink = |Parsed { entry, fault }: Parsed<'a>| {
        let visited = match fault {
            None => visit(index, entry),
            Some(fault) => Err(TocError::Entry {
                index,
                name: entry.name.into(),
                fault,
            }
            .into()),
        };
        index = index.saturating_add(1);
        visited.map_err(|error| refused = Some(error)).is_ok()
    };
    let parsed = Document {
        sink: &mut sink,
        max_xattr_len: limits.max_xattr_len,
    }
    .deserialize(&mut document)
    .and_then(|version| document.end().map(|()| version));
    match refused {
        Some(error) => Err(error),
        None => parsed.map_err(|error| TocError::from(error).into()),
    }
}

/// An entry, and what is wrong with it although it is valid JSON.
struct Parsed<'a> {
    entry: TocEntry<'a>,
    fault: Option<EntryFault>,
}

/// Takes an entry; false to stop.
type Sink<'s, 'a> = &'s mut dyn FnMut(Parsed<'a>) -> bool;

struct Document<'s, 'a> {
    sink: Sink<'s, 'a>,
    max_xattr_len: u32,
}

impl<'de> DeserializeSeed<'de> for Document<'_, 'de> {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, 'de> {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<i64, A::Error> {
        const KEYS: [&str; 2] = ["version", "entries"];
        let mut version = 0;
        let mut seen = [false; KEYS.len()];
        while let Some(Text(key)) = map.next_key()? {
            let Some(field) = known(&key, &KEYS)? else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[field], true) {
                return Err(de::Error::duplicate_field(KEYS[field]));
            }
            match KEYS[field] {
                "version" => version = map.next_value()?,
                _ => map.next_value_seed(Entries {
                    sink: &mut *self.sink,
                    max_xattr_len: self.max_xattr_len,
                })?,
            }
        }
        if seen[1] {
            Ok(version)
        } else {
            Err(de::Error::missing_field("entries"))
        }
    }
}

/// The list of entries, or `null`.
struct Entries<'s, 'a> {
    sink: Sink<'s, 'a>,
    max_xattr_len: u32,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, 'de> {
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
        while let Some(parsed) = seq.next_element_seed(EntrySeed { max_xattr_len })? {
            if !sink(parsed) {
                return Err(de::Error::custom("the entry is refused"));
            }
        }
        Ok(())
    }
}

const FIELDS: &[&str] = &[
    "name",
    "type",
    "size",
    "modtime",
    "linkName",
    "mode",
    "uid",
    "gid",
    "userName",
    "groupName",
    "offset",
    "innerOffset",
    "devMajor",
    "devMinor",
    "xattrs",
    "digest",
    "chunkOffset",
    "chunkSize",
    "chunkDigest",
];

#[derive(Clone, Copy)]
struct EntrySeed {
    max_xattr_len: u32,
}

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = Parsed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entry = TocEntry::new("", EntryType::Reg);
        let mut fault = None;
        let mut seen = 0u32;
        while let Some(Text(key)) = map.next_key()? {
            let Some(field) = known(&key, FIELDS)? else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & 1 << field != 0 {
                return Err(de::Error::duplicate_field(FIELDS[field]));
            }
            seen |= 1 << field;
            match FIELDS[field] {
                "name" => entry.name = map.next_value::<Text<'_>>()?.0,
                "type" => entry.kind = EntryType::new(map.next_value::<Text<'_>>()?.0),
                "size" => entry.size = map.next_value()?,
                "modtime" => entry.modtime = map.next_value::<Text<'_>>()?.0,
                "linkName" => entry.link_name = map.next_value::<Text<'_>>()?.0,
                "mode" => entry.mode = map.next_value()?,
                "uid" => entry.uid = map.next_value()?,
                "gid" => entry.gid = map.next_value()?,
                "userName" => entry.user_name = map.next_value::<Text<'_>>()?.0,
                "groupName" => entry.group_name = map.next_value::<Text<'_>>()?.0,
                "offset" => entry.offset = map.next_value()?,
                "innerOffset" => entry.inner_offset = map.next_value()?,
                "devMajor" => entry.dev_major = map.next_value()?,
                "devMinor" => entry.dev_minor = map.next_value()?,
                "xattrs" => match map.next_value_seed(XattrMap {
                    limit: self.max_xattr_len,
                })? {
                    Ok(xattrs) => entry.xattrs = xattrs,
                    Err(too_long) => fault = Some(too_long),
                },
                "digest" => entry.digest = map.next_value::<Text<'_>>()?.0,
                "chunkOffset" => entry.chunk_offset = map.next_value()?,
                "chunkSize" => entry.chunk_size = map.next_value()?,
                _ => entry.chunk_digest = map.next_value::<Text<'_>>()?.0,
            }
        }
        for (field, name) in ["name", "type"].into_iter().enumerate() {
            if seen & 1 << field == 0 {
                return Err(de::Error::missing_field(name));
            }
        }
        Ok(Parsed { entry, fault })
    }
}

/// Position of `key` in `names`; `None` for an unknown key.
fn known<E: de::Error>(key: &str, names: &[&'static str]) -> Result<Option<usize>, E> {
    if let Some(found) = names.iter().position(|name| *name == key) {
        return Ok(Some(found));
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
    match names.iter().find(|name| lower(name)) {
        Some(name) => Err(E::custom(format_args!(
            "key `{}` differs from `{name}` in case only",
            key.escape_debug()
        ))),
        None => Ok(None),
    }
}

/// A string that borrows from the document if it has no escapes.
struct Text<'a>(Cow<'a, str>);

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

type XattrList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A map of extended attributes of up to `limit` bytes. One that is longer is read to its end, so
/// that the entry can be named, but not kept.
struct XattrMap {
    limit: u32,
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
