//! Indexes: lists of images.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::annotations::Annotations;
use crate::descriptor::Descriptor;
use crate::json;
use crate::media_type::{Family, MediaType};
use crate::platform::Platform;

const FIELDS: [&str; 5] = [
    "schemaVersion",
    "mediaType",
    "manifests",
    "subject",
    "annotations",
];

/// On a descriptor of a layout's `index.json`: what the image is called, a tag or a whole reference.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The same, by containerd and Docker: the whole reference.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// An image index, or Docker's manifest list: an image for each of several platforms, or the list of a
/// layout.
///
/// ```
/// use lazyoci_oci_image::Index;
/// let json = r#"{"schemaVersion":2,"manifests":[],"x":1}"#;
/// let index: Index = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&index)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// The document's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images, and other things, such as attestations.
    pub manifests: Vec<Descriptor>,
    /// What the index is about.
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

impl Index {
    /// An OCI index of these.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::Index(Family::Oci).to_string()),
            manifests,
            subject: None,
            annotations: Annotations::default(),
            rest: Map::new(),
        }
    }

    /// The first image that runs on `platform`, as every client takes it.
    #[must_use]
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let serves = |descriptor: &&Descriptor| {
            let built = descriptor.platform.as_ref();
            built.is_some_and(|built| built.serves(platform))
        };
        self.manifests.iter().find(serves)
    }
}

impl Descriptor {
    /// Whether the image that a layout lists there is called `name`: a tag, or a whole reference.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        [REF_NAME, IMAGE_NAME].into_iter().any(|key| {
            let found = self.annotations.text(key).unwrap_or_default();
            let tag = found.rsplit_once(':').map_or(found, |(_, tag)| tag);
            !name.is_empty() && (found == name || tag == name)
        })
    }

    /// All names that a layout has for the image there: by the specification, and by containerd and Docker.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = [REF_NAME, IMAGE_NAME].into_iter();
        names.filter_map(|key| self.annotations.text(key))
    }

    /// The name of the image in a layout.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let text = |key| self.annotations.text(key);
        text(REF_NAME).or_else(|| text(IMAGE_NAME))
    }
}
