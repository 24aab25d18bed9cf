//! The table of contents: one JSON document that describes every file and chunk of the layer.

mod decode;
mod encode;
mod entry;
pub mod time;

use image_model::Limits;

pub use decode::for_each_entry;
pub use encode::to_json;
pub(crate) use encode::{List, WRITES, append_json, json_len, write_like_go};
pub use entry::{EntryType, TocEntry};
pub(crate) use entry::{as_map, is_zero};

use crate::error::TocError;

/// Name of the tar member that contains the TOC, and of its file for readers that do not know eStargz.
pub const TOC_NAME: &str = "stargz.index.json";

/// The parsed document. Strings borrow from it if they contain no escapes.
///
/// ```
/// use lazyoci_estargz_toc::toc::{EntryType, Toc};
/// let json = br#"{"version": 1, "entries": [{"name": "bin/", "type": "dir", "mode": 493}]}"#;
/// let toc = Toc::from_json(json, &Default::default())?;
/// assert_eq!((&toc.entries[0].kind, toc.entries[0].mode), (&EntryType::Dir, 0o755));
/// # Ok::<(), lazyoci_estargz_toc::error::TocError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toc<'a> {
    /// 1 in all TOCs so far; readers ignore it.
    pub version: i64,
    /// Entries in the order of the tar.
    pub entries: Vec<TocEntry<'a>>,
}

impl<'a> Toc<'a> {
    /// Parses the document into a list; [`for_each_entry`] does without.
    ///
    /// # Errors
    /// [`TocError::TooLong`] beyond the limit, [`TocError::Json`] with line and column otherwise.
    pub fn from_json(json: &'a [u8], limits: &Limits) -> Result<Self, TocError> {
        let mut entries = Vec::new();
        let version = for_each_entry(json, limits, |_, entry| {
            entries.push(entry);
            Ok::<_, TocError>(())
        })?;
        Ok(Self { version, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Toc<'_>, TocError> {
        Toc::from_json(json.as_bytes(), &Limits::default())
    }

    fn error(json: &str) -> String {
        match parse(json) {
            Err(TocError::Json(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn written_like_go_writes_it() {
        let mut file = TocEntry::new("a<b>&\u{2028}\u{8}\"\\\n\u{7f}é", EntryType::Reg);
        file.size = 5;
        file.xattrs = vec![("user.a".into(), "AAE=".into())];
        let toc = Toc {
            version: 1,
            entries: vec![file],
        };
        let expected = "{\n\t\"version\": 1,\n\t\"entries\": [\n\t\t{\n\t\t\t\"name\": \
            \"a\\u003cb\\u003e\\u0026\\u2028\\b\\\"\\\\\\n\u{7f}é\",\n\t\t\t\"type\": \"reg\",\n\t\t\t\"size\": 5,\n\t\t\t\
            \"xattrs\": {\n\t\t\t\t\"user.a\": \"AAE=\"\n\t\t\t}\n\t\t}\n\t]\n}";
        let json = toc.to_json();
        assert_eq!(str::from_utf8(&json), Ok(expected));
        assert_eq!(parse(expected).unwrap(), toc);
    }

    #[test]
    fn no_entries_are_null() {
        let toc = Toc {
            version: 1,
            entries: Vec::new(),
        };
        assert_eq!(
            toc.to_json(),
            b"{\n\t\"version\": 1,\n\t\"entries\": null\n}"
        );
        assert_eq!(parse(r#"{"entries":null,"version":1}"#).unwrap(), toc);
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        assert_eq!(
            error(r#"{"entries":[{"name":"a","type":"dir","name":"b"}]}"#),
            "duplicate field `name` at line 1 column 43"
        );
        assert_eq!(
            error(r#"{"entries":[{"name":"a","Type":"dir"}]}"#),
            "key `Type` differs from `type` in case only at line 1 column 30"
        );
        assert_eq!(
            error("{\"entries\":[{\"name\":\"a\",\"type\":\"dir\",\"chun\u{212a}\u{17f}ize\":1}]}"),
            "key `chun\u{212a}\u{17f}ize` differs from `chunkSize` in case only at line 1 column 51"
        );
        assert!(error(r#"{"entries":[],"entries":[]}"#).starts_with("duplicate field `entries`"));
    }

    #[test]
    fn unknown_keys_are_ignored() {
        let toc = parse(r#"{"entries":[{"name":"a","type":"fifo","NumLink":0}],"x":[1]}"#).unwrap();
        assert_eq!(toc.entries, [TocEntry::new("a", EntryType::Fifo)]);
    }

    #[test]
    fn an_unknown_type_is_kept() {
        let json = r#"{"entries":[{"name":"a","type":"door"}]}"#;
        let toc = parse(json).unwrap();
        assert_eq!(toc.entries[0].kind, EntryType::Unknown("door".into()));
        assert!(
            toc.to_json()
                .ends_with(b"\"type\": \"door\"\n\t\t}\n\t]\n}")
        );
    }

    #[test]
    fn visiting_stops_at_the_first_refusal() {
        let json = r#"{"entries":[{"name":"a","type":"dir"},{"name":"b","type":"dir"},3]}"#;
        let mut seen = Vec::new();
        let result = for_each_entry(json.as_bytes(), &Limits::default(), |index, entry| {
            seen.push((index, entry.name.into_owned()));
            if index == 1 { Err(None) } else { Ok(()) }
        });
        assert_eq!(result.map_err(|e: Option<TocError>| e.is_none()), Err(true));
        assert_eq!(seen, [(0, "a".to_owned()), (1, "b".to_owned())]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(error(r#"{"entries":[{"name":"a"}]}"#).starts_with("missing field `type`"));
        assert!(
            error(r#"{"entries":[{"name":"a","type":"reg","size":9223372036854775808}]}"#)
                .starts_with("invalid value: integer `9223372036854775808`")
        );
        assert!(error(r#"{"version":1}"#).starts_with("missing field `entries`"));
        assert!(error(r#"{"entries":[]} x"#).starts_with("trailing characters"));
        assert!(error("[]").starts_with("invalid type"));
    }
}
