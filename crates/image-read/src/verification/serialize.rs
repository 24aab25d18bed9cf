//! Findings and summaries as values of serde.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Finding, ImageObject, ObjectRange, VerifySummary};

/// `path`, `offset` (or null), `object`, `fault`, and `what` as text.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 5)?;
        let path = self.path.as_ref().map(ToString::to_string);
        finding.serialize_field("path", &path)?;
        finding.serialize_field("offset", &self.offset)?;
        finding.serialize_field("object", &self.object)?;
        finding.serialize_field("fault", &self.fault.to_string())?;
        finding.serialize_field("what", &self.what.to_string())?;
        finding.end()
    }
}

/// The id of a blob; null for the file that was opened.
impl Serialize for ImageObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Image => serializer.serialize_none(),
            Self::Blob(id) => serializer.serialize_some(id.as_str()),
        }
    }
}

/// `object`, `start` and `end`.
impl Serialize for ObjectRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut range = serializer.serialize_struct("ObjectRange", 3)?;
        range.serialize_field("object", &self.object)?;
        range.serialize_field("start", &self.range.start)?;
        range.serialize_field("end", &self.range.end)?;
        range.end()
    }
}

/// `format` by its name, the counts of the audit, and those of the findings.
impl Serialize for VerifySummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let audit = &self.audit;
        let mut summary = serializer.serialize_struct("VerifySummary", 20)?;
        let format = self.format.map(|format| format.to_string());
        summary.serialize_field("format", &format)?;
        for (name, count) in [
            ("paths", audit.paths),
            ("directories", audit.directories),
            ("files", audit.files),
            ("symlinks", audit.symlinks),
            ("specials", audit.specials),
            ("content_bytes", audit.content_len),
            ("chunks", audit.chunks),
            ("chunk_bytes", audit.chunk_len),
            ("unverifiable_chunks", audit.unverifiable_chunks),
            ("blob_count", self.blobs),
            ("findings", self.findings),
            ("untold", self.untold),
            ("corrupt", self.corrupt),
            ("unread", self.unread),
            ("padding_bytes", self.padding_len),
            ("unvouched_bytes", self.unvouched_len),
        ] {
            summary.serialize_field(name, &count)?;
        }
        summary.serialize_field("padding", &self.padding)?;
        summary.serialize_field("unvouched", &self.unvouched)?;
        summary.serialize_field("advisories", &self.advisories)?;
        summary.end()
    }
}
