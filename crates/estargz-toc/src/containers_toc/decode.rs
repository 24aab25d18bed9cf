//! JSON to entries, strictly: see [`json`](crate::json).

use std::borrow::Cow;

use image_model::Limits;
use serde::de::MapAccess;

use super::entry::ContainersEntry;
use super::{MAX_LEN, TocHeader};
use crate::error::{EntryFault, TocError};
use crate::json::{self, Case, Schema, Text, XattrMap};
use crate::toc::EntryType;

/// Parses the document, which must fill `json` except for white space, and passes every entry with its position to
/// `visit`, in order, until it fails. No list of entries is made. Keys count in any case, as to the only reader of the
/// format; repeated ones are refused.
///
/// # Errors
/// [`TocError::TooLong`] beyond [`MAX_LEN`] or the limit, [`TocError::Json`] with line and column,
/// [`EntryFault::XattrsTooLong`], or the error of `visit`. Entries visited before an error do not form a TOC.
pub fn for_each_entry<'a, E: From<TocError>>(
    json: &'a [u8],
    limits: &Limits,
    visit: impl FnMut(usize, ContainersEntry<'a>) -> Result<(), E>,
) -> Result<TocHeader<'a>, E> {
    let limits = limits.clone().max_toc_len(limits.max_toc_len.min(MAX_LEN));
    let header = json::for_each(json, &limits, visit)?;
    Ok(TocHeader {
        version: header.version,
        tar_split_digest: header.text.unwrap_or(Cow::Borrowed("")),
    })
}

impl<'a> Schema<'a> for ContainersEntry<'a> {
    const DOCUMENT_KEYS: &'static [&'static str] = &["tarSplitDigest"];
    const KEYS: &'static [&'static str] = &[
        "type",
        "name",
        "linkName",
        "mode",
        "size",
        "uid",
        "gid",
        "modtime",
        "accesstime",
        "changetime",
        "devMajor",
        "devMinor",
        "xattrs",
        "digest",
        "offset",
        "endOffset",
        "chunkSize",
        "chunkOffset",
        "chunkDigest",
        "chunkType",
    ];
    const CASE: Case = Case::Ignored;

    fn empty() -> Self {
        Self::new(EntryType::Reg, "")
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
            "type" => self.kind = EntryType::new(map.next_value::<Text<'_>>()?.0),
            "name" => self.name = map.next_value::<Text<'_>>()?.0,
            "linkName" => self.link_name = map.next_value::<Text<'_>>()?.0,
            "mode" => self.mode = map.next_value()?,
            "size" => self.size = map.next_value()?,
            "uid" => self.uid = map.next_value()?,
            "gid" => self.gid = map.next_value()?,
            "modtime" => self.modtime = map.next_value::<Text<'_>>()?.0,
            "accesstime" => self.access_time = map.next_value::<Text<'_>>()?.0,
            "changetime" => self.change_time = map.next_value::<Text<'_>>()?.0,
            "devMajor" => self.dev_major = map.next_value()?,
            "devMinor" => self.dev_minor = map.next_value()?,
            "xattrs" => match map.next_value_seed(XattrMap {
                limit: max_xattr_len,
            })? {
                Ok(xattrs) => self.xattrs = xattrs,
                Err(too_long) => *fault = Some(too_long),
            },
            "digest" => self.digest = map.next_value::<Text<'_>>()?.0,
            "offset" => self.offset = map.next_value()?,
            "endOffset" => self.end_offset = map.next_value()?,
            "chunkSize" => self.chunk_size = map.next_value()?,
            "chunkOffset" => self.chunk_offset = map.next_value()?,
            "chunkDigest" => self.chunk_digest = map.next_value::<Text<'_>>()?.0,
            _ => self.chunk_type = map.next_value::<Text<'_>>()?.0,
        }
        Ok(())
    }
}
