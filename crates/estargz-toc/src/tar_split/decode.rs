//! Lines to items, strictly.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::width::u64_from;
use image_model::{Blame, Fault, Limits};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{FILE_TYPE, Item, SEGMENT_TYPE};
use crate::containers_toc::MAX_LEN;
use crate::json::{Case, Text, known};

/// A tar-split that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarSplitError {
    /// Longer than the limit.
    #[error("the tar-split has {len} bytes; the limit is {limit}")]
    TooLong {
        /// Its length in bytes.
        len: u64,
        /// [`MAX_LEN`], or [`Limits::toc_len`] if that is less.
        limit: u64,
    },
    /// The tar that it describes is longer than the limit.
    #[error("the tar-split describes a tar of {len} bytes or more; the limit is {limit}")]
    TarTooLong {
        /// Bytes so far.
        len: u64,
        /// [`Limits::max_layer_len`].
        limit: u64,
    },
    /// A line that is not JSON, or not an item.
    #[error("cannot parse line {line} of the tar-split")]
    Json {
        /// Number of the line, from 0.
        line: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line that is neither a file nor a segment.
    #[error("line {line} of the tar-split is of type {found}, which is unknown")]
    Type {
        /// Number of the line, from 0.
        line: u64,
        /// The `type` field.
        found: u64,
    },
    /// A line that has another number than its place.
    #[error("line {line} of the tar-split says that it is number {found}")]
    Position {
        /// Number of the line, from 0.
        line: u64,
        /// The `position` field.
        found: u64,
    },
    /// A file with two names or none.
    #[error("line {line} of the tar-split does not have one name")]
    Name {
        /// Number of the line, from 0.
        line: u64,
    },
    /// A payload or a name that is not base64.
    #[error("`{field}` in line {line} of the tar-split is not base64")]
    Base64 {
        /// Number of the line, from 0.
        line: u64,
        /// Key of the field.
        field: &'static str,
    },
    /// A file with content whose payload is not a CRC-64, or one without content that has one.
    #[error("the checksum of {size} bytes in line {line} of the tar-split has {len} bytes")]
    Checksum {
        /// Number of the line, from 0.
        line: u64,
        /// Bytes of content.
        size: u64,
        /// Bytes of the payload.
        len: usize,
    },
}

impl Blame for TarSplitError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLong { .. } | Self::TarTooLong { .. } => Fault::Limit,
            Self::Json { .. }
            | Self::Type { .. }
            | Self::Position { .. }
            | Self::Name { .. }
            | Self::Base64 { .. }
            | Self::Checksum { .. } => Fault::Corrupt,
        }
    }
}

/// Parses the lines, and passes every item to `visit`, in order, until it fails. Memory: one item.
///
/// ```
/// use image_model::Limits;
/// use lazyoci_estargz_toc::tar_split::{Item, TarSplitError, for_each_item};
///
/// let lines = b"{\"type\":2,\"payload\":\"aGVhZGVy\",\"position\":0}\n";
/// let mut items = Vec::new();
/// for_each_item(lines, &Limits::default(), |item| {
///     items.push(item);
///     Ok::<_, TarSplitError>(())
/// })?;
/// assert_eq!(items, [Item::Segment(b"header".to_vec())]);
/// # Ok::<(), TarSplitError>(())
/// ```
///
/// # Errors
/// [`TarSplitError`] for the first line that is no item, or the error of `visit`.
pub fn for_each_item<'a, E: From<TarSplitError>>(
    lines: &'a [u8],
    limits: &Limits,
    mut visit: impl FnMut(Item<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let (len, limit) = (u64_from(lines.len()), limits.toc_len().min(MAX_LEN));
    if len > limit {
        return Err(TarSplitError::TooLong { len, limit }.into());
    }
    let stream = serde_json::Deserializer::from_slice(lines).into_iter::<Line<'a>>();
    for (parsed, line) in stream.zip(0..) {
        let parsed = parsed.map_err(|source| TarSplitError::Json { line, source })?;
        visit(item(parsed, line)?)?;
    }
    Ok(())
}

/// A line as it is parsed.
#[derive(Default)]
struct Line<'a> {
    kind: u64,
    name: Option<Cow<'a, str>>,
    name_raw: Option<Cow<'a, str>>,
    size: u64,
    payload: Option<Cow<'a, str>>,
    position: u64,
}

fn item(parsed: Line<'_>, line: u64) -> Result<Item<'_>, TarSplitError> {
    if parsed.position != line {
        let found = parsed.position;
        return Err(TarSplitError::Position { line, found });
    }
    let decode = |field, text: &str| {
        let decoded = STANDARD.decode(text);
        decoded.map_err(|_| TarSplitError::Base64 { line, field })
    };
    let payload = match &parsed.payload {
        Some(text) => decode("payload", text)?,
        None => Vec::new(),
    };
    match parsed.kind {
        SEGMENT_TYPE => Ok(Item::Segment(payload)),
        FILE_TYPE => {
            let name = match (parsed.name, parsed.name_raw) {
                (Some(Cow::Borrowed(name)), None) => Cow::Borrowed(name.as_bytes()),
                (Some(Cow::Owned(name)), None) => Cow::Owned(name.into_bytes()),
                (None, Some(raw)) => Cow::Owned(decode("name_raw", &raw)?),
                _ => return Err(TarSplitError::Name { line }),
            };
            let size = parsed.size;
            let crc: Option<[u8; 8]> = match (&*payload, size) {
                ([], 0) => None,
                (bytes, 1..) if bytes.len() == 8 => bytes.try_into().ok(),
                (bytes, _) => {
                    let len = bytes.len();
                    return Err(TarSplitError::Checksum { line, size, len });
                }
            };
            Ok(Item::File { name, size, crc })
        }
        found => Err(TarSplitError::Type { line, found }),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LineVisitor;
        impl<'de> Visitor<'de> for LineVisitor {
            type Value = Line<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line of a tar-split")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                fields(map)
            }
        }
        deserializer.deserialize_map(LineVisitor)
    }
}

const KEYS: [&str; 6] = ["type", "name", "name_raw", "size", "payload", "position"];

fn fields<'de, A: MapAccess<'de>>(mut map: A) -> Result<Line<'de>, A::Error> {
    let mut line = Line::default();
    let mut seen = [false; KEYS.len()];
    while let Some(Text(key)) = map.next_key()? {
        let Some(field) = known(&key, &KEYS, Case::Refused)? else {
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        if std::mem::replace(&mut seen[field], true) {
            return Err(de::Error::duplicate_field(KEYS[field]));
        }
        let mut text = || Ok(map.next_value::<Option<Text<'_>>>()?.map(|Text(text)| text));
        match KEYS[field] {
            "name" => line.name = text()?,
            "name_raw" => line.name_raw = text()?,
            "payload" => line.payload = text()?,
            "type" => line.kind = map.next_value()?,
            "size" => line.size = map.next_value()?,
            _ => line.position = map.next_value()?,
        }
    }
    match seen {
        [true, .., true] => Ok(line),
        [false, ..] => Err(de::Error::missing_field("type")),
        _ => Err(de::Error::missing_field("position")),
    }
}
