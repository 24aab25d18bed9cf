//! One entry of the TOC of containers/storage.
//!
//! Source: containers/storage, `pkg/chunked/internal/minimal/compression.go`, `FileMetadata`. Every field but `type`
//! and `name` is left out where it is 0 or empty.

use std::borrow::Cow;

use serde::Serialize;

use crate::toc::{EntryType, as_map, is_zero};

/// `chunkType` of a run of zeros.
pub const ZEROS: &str = "zeros";

/// One entry, with its fields in the order in which they are written. Numbers are signed as in the reference
/// implementation; they are checked when entries become an image.
///
/// | key | unit | meaning |
/// |---|---|---|
/// | `type` | | see [`EntryType`] |
/// | `name` | path | as in the tar, not cleaned |
/// | `linkName` | path | target of `symlink` and `hardlink` |
/// | `mode` | | as in the tar, file type bits too if it had them |
/// | `size` | bytes | as in the tar, for every type |
/// | `uid`, `gid` | | owner |
/// | `modtime` | RFC 3339 | with nanoseconds, in any zone; missing only for Go's zero time |
/// | `accesstime`, `changetime` | RFC 3339 | where the tar has them |
/// | `devMajor`, `devMinor` | | `char` and `block` |
/// | `xattrs` | name to base64 | |
/// | `digest` | `sha256:` | whole file; `reg` with bytes |
/// | `offset` | bytes in the blob | the zstd frame with this payload; `reg` with bytes and `chunk` |
/// | `endOffset` | bytes in the blob | end of the file's last frame; `reg` with bytes |
/// | `chunkSize` | bytes | every chunk of a file that has several |
/// | `chunkOffset` | bytes in the file | 0 is left out |
/// | `chunkDigest` | `sha256:` | this chunk |
/// | `chunkType` | | [`ZEROS`], or empty: data |
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the table above says what each field means")]
pub struct ContainersEntry<'a> {
    #[serde(rename = "type")]
    pub kind: EntryType<'a>,
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub link_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub mode: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub size: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub uid: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub gid: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub modtime: Cow<'a, str>,
    #[serde(rename = "accesstime", skip_serializing_if = "str::is_empty")]
    pub access_time: Cow<'a, str>,
    #[serde(rename = "changetime", skip_serializing_if = "str::is_empty")]
    pub change_time: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub dev_major: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub dev_minor: i64,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub xattrs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub digest: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub end_offset: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_size: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_offset: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub chunk_digest: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub chunk_type: Cow<'a, str>,
}

impl<'a> ContainersEntry<'a> {
    /// An entry with only a type and a name.
    #[must_use]
    pub fn new(kind: EntryType<'a>, name: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind,
            name: name.into(),
            link_name: Cow::default(),
            mode: 0,
            size: 0,
            uid: 0,
            gid: 0,
            modtime: Cow::default(),
            access_time: Cow::default(),
            change_time: Cow::default(),
            dev_major: 0,
            dev_minor: 0,
            xattrs: Vec::new(),
            digest: Cow::default(),
            offset: 0,
            end_offset: 0,
            chunk_size: 0,
            chunk_offset: 0,
            chunk_digest: Cow::default(),
            chunk_type: Cow::default(),
        }
    }
}
