//! One entry of the TOC.
//!
//! Source: containerd/stargz-snapshotter, `estargz/types.go`, `TOCEntry`. Every field but `name` and
//! `type` is left out where it is 0 or empty.

use std::borrow::Cow;

use serde::Serialize;

/// What an entry describes: the `type` field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntryType<'a> {
    /// A directory.
    Dir,
    /// A regular file, and its first chunk.
    Reg,
    /// A symbolic link.
    Symlink,
    /// A hard link: another name for the entry that `linkName` names.
    Hardlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A further chunk of the regular file before it.
    Chunk,
    /// An unknown type. No writer produces it, and no image has it.
    Unknown(Cow<'a, str>),
}

impl<'a> EntryType<'a> {
    pub(crate) fn new(text: Cow<'a, str>) -> Self {
        match &*text {
            "dir" => Self::Dir,
            "reg" => Self::Reg,
            "symlink" => Self::Symlink,
            "hardlink" => Self::Hardlink,
            "char" => Self::Char,
            "block" => Self::Block,
            "fifo" => Self::Fifo,
            "chunk" => Self::Chunk,
            _ => Self::Unknown(text),
        }
    }

    /// The text of the field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dir => "dir",
            Self::Reg => "reg",
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::Char => "char",
            Self::Block => "block",
            Self::Fifo => "fifo",
            Self::Chunk => "chunk",
            Self::Unknown(text) => text,
        }
    }
}

impl Serialize for EntryType<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One entry, with its fields in the order in which they are written. Numbers are signed as in the
/// reference implementation; they are checked when entries become an image.
///
/// | key | unit | meaning |
/// |---|---|---|
/// | `name` | path | as in the tar, not cleaned |
/// | `type` | | see [`EntryType`] |
/// | `size` | bytes | length of the file; `reg` only |
/// | `modtime` | RFC 3339, UTC | whole seconds; missing for the first second of 1970 |
/// | `linkName` | path | target of `symlink` and `hardlink` |
/// | `mode` | | as in the tar, file type bits too if it had them |
/// | `uid`, `gid` | | owner |
/// | `userName`, `groupName` | | only where they differ from the last ones of the same id |
/// | `offset` | bytes in the blob | the gzip member with this payload; `reg` with bytes and `chunk` |
/// | `innerOffset` | bytes | start of the payload in the decompressed member |
/// | `devMajor`, `devMinor` | | `char` and `block` |
/// | `xattrs` | name to base64 | |
/// | `digest` | `sha256:` | whole file; every `reg` |
/// | `chunkOffset` | bytes in the file | 0 is left out |
/// | `chunkSize` | bytes | left out for the last chunk if it is short |
/// | `chunkDigest` | `sha256:` | this chunk |
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the table above says what each field means")]
pub struct TocEntry<'a> {
    pub name: Cow<'a, str>,
    #[serde(rename = "type")]
    pub kind: EntryType<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    pub size: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub modtime: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub link_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub mode: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub uid: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub gid: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub group_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub inner_offset: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub dev_major: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub dev_minor: i64,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub xattrs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub digest: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_offset: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_size: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub chunk_digest: Cow<'a, str>,
}

impl<'a> TocEntry<'a> {
    /// An entry with only a name and a type.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, kind: EntryType<'a>) -> Self {
        Self {
            name: name.into(),
            kind,
            size: 0,
            modtime: Cow::default(),
            link_name: Cow::default(),
            mode: 0,
            uid: 0,
            gid: 0,
            user_name: Cow::default(),
            group_name: Cow::default(),
            offset: 0,
            inner_offset: 0,
            dev_major: 0,
            dev_minor: 0,
            xattrs: Vec::new(),
            digest: Cow::default(),
            chunk_offset: 0,
            chunk_size: 0,
            chunk_digest: Cow::default(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(crate) fn is_zero(value: &i64) -> bool {
    *value == 0
}

pub(crate) fn as_map<S: serde::Serializer>(
    xattrs: &[(Cow<'_, str>, Cow<'_, str>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(xattrs.iter().map(|(name, value)| (name, value)))
}
