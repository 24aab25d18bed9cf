//! Configurations of images.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json;
use crate::platform::Platform;

const FIELDS: [&str; 5] = ["architecture", "os", "variant", "rootfs", "history"];

/// The configuration of an image: its layers and its platform. All other fields, such as how containers are started,
/// are preserved.
///
/// ```
/// use lazyoci_oci_image::ImageConfig;
/// let json = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"history":[],"config":{"Healthcheck":{}}}"#;
/// let config: ImageConfig = serde_json::from_str(json)?;
/// assert_eq!(config.platform().to_string(), "linux/amd64");
/// assert_eq!(serde_json::to_string(&config)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// What the image is built for.
    #[serde(default)]
    pub architecture: String,
    /// What the image is built for.
    #[serde(default)]
    pub os: String,
    /// Of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The layers.
    pub rootfs: RootFs,
    /// How they came to be.
    #[serde(default)]
    pub history: Vec<History>,
    /// All other fields.
    #[serde(flatten, deserialize_with = "other_fields")]
    pub rest: Map<String, Value>,
}

/// The layers of an image, by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the layers' tars, the lowest first: as many as the manifest has layers.
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

/// The origin of a layer; or, without a layer, some other step in building the image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// When, as in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether there is no layer for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    json::other_fields(deserializer, &FIELDS)
}

impl ImageConfig {
    /// What the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::new(&self.os, &self.architecture);
        platform.variant.clone_from(&self.variant);
        platform
    }
}
