//! JSON to entries, strictly: see [`json`](crate::json).

use serde::de::MapAccess;

use image_model::Limits;

use super::entry::{EntryType, TocEntry};
use crate::error::{EntryFault, TocError};
use crate::json::{self, Case, Schema, Text, XattrMap};

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
    visit: impl FnMut(usize, TocEntry<'a>) -> Result<(), E>,
) -> Result<i64, E> {
    json::for_each(json, limits, visit).map(|header| header.version)
}

impl<'a> Schema<'a> for TocEntry<'a> {
    const DOCUMENT_KEYS: &'static [&'static str] = &[];
    const KEYS: &'static [&'static str] = &[
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
    const CASE: Case = Case::Refused;

    fn empty() -> Self {
        TocEntry::new("", EntryType::Reg)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn set<A: MapAccess<'a>>(
        &mut self,
        field: usize,
        map: &mut A,
        max_xattr_len: u32,
        fault: &mut Option<EntryFault>,
    ) -> Result<(), A::Error> {
        match Self::KEYS[field] {
            "name" => self.name = map.next_value::<Text<'_>>()?.0,
            "type" => self.kind = EntryType::new(map.next_value::<Text<'_>>()?.0),
            "size" => self.size = map.next_value()?,
            "modtime" => self.modtime = map.next_value::<Text<'_>>()?.0,
            "linkName" => self.link_name = map.next_value::<Text<'_>>()?.0,
            "mode" => self.mode = map.next_value()?,
            "uid" => self.uid = map.next_value()?,
            "gid" => self.gid = map.next_value()?,
            "userName" => self.user_name = map.next_value::<Text<'_>>()?.0,
            "groupName" => self.group_name = map.next_value::<Text<'_>>()?.0,
            "offset" => self.offset = map.next_value()?,
            "innerOffset" => self.inner_offset = map.next_value()?,
            "devMajor" => self.dev_major = map.next_value()?,
            "devMinor" => self.dev_minor = map.next_value()?,
            "xattrs" => match map.next_value_seed(XattrMap {
                limit: max_xattr_len,
            })? {
                Ok(xattrs) => self.xattrs = xattrs,
                Err(too_long) => *fault = Some(too_long),
            },
            "digest" => self.digest = map.next_value::<Text<'_>>()?.0,
            "chunkOffset" => self.chunk_offset = map.next_value()?,
            "chunkSize" => self.chunk_size = map.next_value()?,
            _ => self.chunk_digest = map.next_value::<Text<'_>>()?.0,
        }
        Ok(())
    }
}
