//! The documents that describe images.

use image_model::{Blame, Fault};
use serde_json::Value;

use crate::config::ImageConfig;
use crate::index::Index;
use crate::manifest::Manifest;
use crate::media_type::MediaType;

/// Maximum length of a document, in bytes: most registries accept up to 4 MiB.
pub const MAX_DOCUMENT_LEN: u64 = 16 << 20;

/// The document that a name or a descriptor of an image refers to.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Images for several platforms.
    Index(Index),
    /// One image.
    Manifest(Box<Manifest>),
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is longer than [`MAX_DOCUMENT_LEN`].
    #[error("the document has {len} bytes; the limit is {MAX_DOCUMENT_LEN}")]
    TooLong {
        /// Its bytes.
        len: u64,
    },
    /// It is not JSON, or does not have the required form.
    #[error("not valid JSON of {what}: {reason}")]
    Json {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// It has the fields of both an index and a manifest: tools could read it as either.
    #[error(
        "the document has both `manifests` and `layers`: some readers treat it as an index, others as a manifest"
    )]
    Ambiguous,
    /// It is Docker's manifest of before 2016.
    #[error("Docker manifests of schema {version} are not supported")]
    Schema {
        /// What it says.
        version: u64,
    },
    /// Its type differs from the one in its descriptor.
    #[error("the document says it is `{found}`, but its descriptor says `{expected}`")]
    MediaType {
        /// What it says.
        found: String,
        /// What was said of it.
        expected: String,
    },
}

impl Blame for DocumentError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLong { .. } => Fault::Limit,
            Self::Json { .. } | Self::Ambiguous | Self::MediaType { .. } => Fault::Corrupt,
            Self::Schema { .. } => Fault::Unsupported,
        }
    }
}

impl Document {
    /// Reads an index or a manifest, of which it was said that it is of type `media_type`.
    ///
    /// ```
    /// use lazyoci_oci_image::{Document, DocumentError};
    /// let index = Document::parse(br#"{"schemaVersion":2,"manifests":[]}"#, None)?;
    /// assert!(matches!(index, Document::Index(_)));
    /// let both = br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    /// assert_eq!(Document::parse(both, None), Err(DocumentError::Ambiguous));
    /// # Ok::<(), DocumentError>(())
    /// ```
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, DocumentError> {
        check_len(bytes)?;
        let value: Value = parse(bytes, "an index or a manifest")?;
        let has = |key| value.get(key).is_some_and(|value| !value.is_null());
        if has("manifests") && has("layers") {
            return Err(DocumentError::Ambiguous);
        }
        let version = value.get("schemaVersion").and_then(Value::as_u64);
        if let Some(version) = version.filter(|&version| version != 2) {
            return Err(DocumentError::Schema { version });
        }
        let found = value.get("mediaType").and_then(Value::as_str);
        if let (Some(found), Some(expected)) = (found, media_type)
            && found != expected
        {
            let (found, expected) = (found.to_owned(), expected.to_owned());
            return Err(DocumentError::MediaType { found, expected });
        }
        let is_index = match media_type.map(str::parse) {
            Some(Ok(MediaType::Index(_))) => true,
            Some(Ok(MediaType::Manifest(_))) => false,
            _ => has("manifests"),
        };
        // From the bytes, as a value knows no key that is there twice.
        match is_index {
            true => parse(bytes, "an index").map(Self::Index),
            false => parse(bytes, "a manifest").map(|manifest| Self::Manifest(Box::new(manifest))),
        }
    }
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        check_len(bytes)?;
        parse(bytes, "an image configuration")
    }
}

fn check_len(bytes: &[u8]) -> Result<(), DocumentError> {
    let len = bytes.len() as u64;
    match len > MAX_DOCUMENT_LEN {
        true => Err(DocumentError::TooLong { len }),
        false => Ok(()),
    }
}

fn parse<'de, T: serde::Deserialize<'de>>(
    bytes: &'de [u8],
    what: &'static str,
) -> Result<T, DocumentError> {
    serde_json::from_slice(bytes).map_err(|error| DocumentError::Json {
        what,
        reason: error.to_string(),
    })
}
