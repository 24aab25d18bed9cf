//! JSON to entries, strictly.
//!
//! Two readers must not see two different layers, so what JSON parsers disagree on is refused: a
//! key that comes twice, and a key that differs from a known one in case only (Go's parser takes
//! it, most others ignore it). Other unknown keys are ignored, as every reader does.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Toc;
use super::entry::{EntryType, TocEntry};

impl<'de> Deserialize<'de> for Toc<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TocVisitor)
    }
}

struct TocVisitor;

impl<'de> Visitor<'de> for TocVisitor {
    type Value = Toc<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut version, mut entries) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            match known(&key, &["version", "entries"])? {
                Some(0) => once(&mut version, "version", map.next_value()?)?,
                Some(_) => {
                    let value = map.next_value::<Option<Vec<TocEntry<'de>>>>()?;
                    once(&mut entries, "entries", value.unwrap_or_default())?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Toc {
            version: version.unwrap_or(0),
            entries: entries.ok_or_else(|| de::Error::missing_field("entries"))?,
        })
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

impl<'de> Deserialize<'de> for TocEntry<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = TocEntry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOC entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entry = TocEntry::new("", EntryType::Reg);
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
                "type" => {
                    let Text(kind) = map.next_value()?;
                    entry.kind = EntryType::parse(&kind).ok_or_else(|| {
                        de::Error::invalid_value(de::Unexpected::Str(&kind), &"an entry type")
                    })?;
                }
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
                "xattrs" => entry.xattrs = map.next_value::<XattrMap<'_>>()?.0,
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
        Ok(entry)
    }
}

/// Position of `key` in `names`; `None` for a key that no reader knows.
fn known<E: de::Error>(key: &str, names: &[&'static str]) -> Result<Option<usize>, E> {
    let found = names.iter().position(|name| *name == key);
    match names.iter().find(|name| name.eq_ignore_ascii_case(key)) {
        Some(name) if found.is_none() => Err(E::custom(format_args!(
            "key `{key}` differs from `{name}` in case only"
        ))),
        _ => Ok(found),
    }
}

fn once<T, E: de::Error>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// A string that borrows from the document where it has no escapes.
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

struct XattrMap<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for XattrMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = XattrMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of extended attributes")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(XattrMap(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    list.push((name, value));
                }
                Ok(XattrMap(list))
            }
        }
        deserializer.deserialize_any(MapVisitor)
    }
}
