//! How containers of an image are started.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::annotations::Annotations;
use crate::config::ImageConfig;
use crate::document::DocumentError;
use crate::json;

const FIELDS: [&str; 9] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
];

/// How containers of an image are started, unless somebody says otherwise: the field `config` of its
/// configuration. What is missing, or null, is empty.
///
/// Source: image-spec v1.1, config.md.
///
/// ```
/// use lazyoci_oci_image::ImageConfig;
/// let json = br#"{"rootfs":{"type":"layers"},"config":{"Entrypoint":["sh"],"Cmd":["-c","id"]}}"#;
/// let execution = ImageConfig::parse(json)?.execution()?;
/// assert_eq!(execution.entrypoint, ["sh"]);
/// assert_eq!(execution.user, "");
/// # Ok::<(), lazyoci_oci_image::DocumentError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct Execution {
    /// `USER[:GROUP]`, each a name or a number.
    #[serde(deserialize_with = "or_empty")]
    pub user: String,
    /// Ports, as in `80/tcp`.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// `NAME=VALUE`.
    #[serde(deserialize_with = "or_empty")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(deserialize_with = "or_empty")]
    pub entrypoint: Vec<String>,
    /// Its arguments, if nobody gives others; without an entrypoint what is run.
    #[serde(deserialize_with = "or_empty")]
    pub cmd: Vec<String>,
    /// Directories that a container writes to.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// Where it is run.
    #[serde(deserialize_with = "or_empty")]
    pub working_dir: String,
    /// What is said of containers of the image.
    #[serde(deserialize_with = "or_empty")]
    pub labels: Annotations,
    /// The signal by which a container is ended.
    #[serde(deserialize_with = "or_empty")]
    pub stop_signal: String,
    /// All other fields.
    #[serde(flatten, deserialize_with = "other_fields")]
    pub rest: Map<String, Value>,
}

/// As Go takes it.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The keys of a set, in their order: it is an object whose values mean nothing.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let set: BTreeMap<String, Value> = or_empty(deserializer)?;
    Ok(set.into_keys().collect())
}

fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    json::other_fields(deserializer, &FIELDS)
}

impl ImageConfig {
    /// How containers of the image are started; empty if it does not say.
    ///
    /// # Errors
    /// [`DocumentError::Json`] if it says something else there.
    pub fn execution(&self) -> Result<Execution, DocumentError> {
        let config = self.rest.get("config").filter(|config| !config.is_null());
        let parsed = config.map(Execution::deserialize).transpose();
        let parsed = parsed.map_err(|error| DocumentError::Json {
            what: "the field `config` of an image configuration",
            reason: error.to_string(),
        });
        Ok(parsed?.unwrap_or_default())
    }
}
