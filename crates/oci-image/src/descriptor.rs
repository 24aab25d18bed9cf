//! Descriptors: how documents refer to objects.

use image_model::Digest;
use image_model::digest::ParseDigestError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::annotations::Annotations;
use crate::json;
use crate::media_type::{MediaType, UnknownMediaType};
use crate::platform::Platform;

/// The fields that [`Descriptor`] has of its own.
const FIELDS: [&str; 5] = ["mediaType", "digest", "size", "platform", "annotations"];

/// Type, digest and size of an object, with all other fields. Unknown fields (`urls`, `data`,
/// `artifactType`, extensions) are kept in [`rest`](Self::rest) and written again, in order, after
/// the known fields. Rewriting a document therefore loses nothing, but may change its digest.
/// Repeated keys, and keys that differ from a known one only in case, are refused.
///
/// ```
/// use lazyoci_oci_image::Descriptor;
/// let json = r#"{"mediaType":"text/plain","digest":"sha512:00","size":5,"urls":["https://a"]}"#;
/// let descriptor: Descriptor = serde_json::from_str(json)?;
/// assert_eq!(descriptor.rest["urls"][0], "https://a");
/// assert_eq!(serde_json::to_string(&descriptor)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Type of the object, whether known here or not.
    pub media_type: String,
    /// Digest of the object, of whatever algorithm.
    pub digest: String,
    /// Length of the object in bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// What the object runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// All other fields.
    #[serde(flatten, deserialize_with = "other_fields")]
    pub rest: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor without annotations.
    #[must_use]
    pub fn new(media_type: MediaType, digest: &Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_string(),
            digest: digest.to_string(),
            size,
            platform: None,
            annotations: Annotations::default(),
            rest: Map::new(),
        }
    }

    /// The type, if it is known here.
    ///
    /// # Errors
    /// [`UnknownMediaType`] if not.
    pub fn parse_media_type(&self) -> Result<MediaType, UnknownMediaType> {
        self.media_type.parse()
    }

    /// The digest, if it is of an algorithm that can be computed here.
    ///
    /// # Errors
    /// [`ParseDigestError`] if not.
    pub fn parse_digest(&self) -> Result<Digest, ParseDigestError> {
        self.digest.parse()
    }
}

fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    json::other_fields(deserializer, &FIELDS)
}
