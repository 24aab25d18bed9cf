//! Images as lists of layers.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::annotations::Annotations;
use crate::descriptor::Descriptor;
use crate::json;
use crate::media_type::{Family, MediaType};

const FIELDS: [&str; 6] = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "subject",
    "annotations",
];

/// An image manifest, of OCI or of Docker.
///
/// ```
/// use lazyoci_oci_image::{Descriptor, Manifest, MediaType, Family};
/// # let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse()?;
/// let config = Descriptor::new(MediaType::Config(Family::Oci), &digest, 2);
/// let manifest = Manifest::new(config, Vec::new());
/// let text = serde_json::to_string(&manifest)?;
/// assert!(text.starts_with(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"#));
/// assert_eq!(serde_json::from_str::<Manifest>(&text)?, manifest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// What the document says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What the manifest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// All other fields.
    #[serde(flatten, deserialize_with = "other_fields")]
    pub rest: Map<String, Value>,
}

fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    json::other_fields(deserializer, &FIELDS)
}

impl Manifest {
    /// An OCI manifest.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::Manifest(Family::Oci).to_string()),
            config,
            layers,
            subject: None,
            annotations: Annotations::default(),
            rest: Map::new(),
        }
    }
}
