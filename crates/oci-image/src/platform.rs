//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use image_model::{Blame, Fault};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json;

const FIELDS: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];

/// What an image runs on, in the words of Go: `linux/arm64/v8`.
///
/// ```
/// use lazyoci_oci_image::Platform;
/// let wanted: Platform = "linux/aarch64".parse()?;
/// assert_eq!(wanted.to_string(), "linux/arm64");
/// let built: Platform = serde_json::from_str(r#"{"architecture":"arm64","os":"linux","variant":"v8"}"#)?;
/// assert!(built.serves(&wanted));
/// assert!(!built.serves(&"linux/amd64".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, ...
    pub architecture: String,
    /// `linux`, ...
    pub os: String,
    /// Of Windows.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// What the system has to have; that of a nydus image has [`nydus::OS_FEATURE`](crate::nydus::OS_FEATURE).
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Of the processor: `v7`, `v8`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// All other fields.
    #[serde(flatten, deserialize_with = "other_fields")]
    pub rest: Map<String, Value>,
}

fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    json::other_fields(deserializer, &FIELDS)
}

/// Text that is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a platform: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as `linux/arm64`"
)]
pub struct ParsePlatformError {
    /// The text.
    pub text: String,
}

impl Blame for ParsePlatformError {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

impl Platform {
    /// A platform without a variant.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            architecture: in_go(architecture).into(),
            os: os.into(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
            rest: Map::new(),
        }
    }

    /// Linux on the processor of this machine.
    #[must_use]
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH)
    }

    /// Whether what is built for it runs where `wanted` does. The variant counts if `wanted` has one;
    /// `arm64` without one is `v8`, and `arm` is `v7`.
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        let same = self.os == wanted.os && in_go(&self.architecture) == in_go(&wanted.architecture);
        same && (wanted.variant.is_none() || self.full_variant() == wanted.full_variant())
    }

    fn full_variant(&self) -> Option<&str> {
        let default = match in_go(&self.architecture) {
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            _ => None,
        };
        self.variant
            .as_deref()
            .filter(|variant| !variant.is_empty())
            .or(default)
    }
}

/// What Go calls an architecture.
fn in_go(architecture: &str) -> &str {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" => "386",
        "armhf" => "arm",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => ("", "", None),
        };
        if os.is_empty() || architecture.is_empty() || variant == Some("") {
            return Err(ParsePlatformError { text: text.into() });
        }
        let mut platform = Self::new(os, architecture);
        platform.variant = variant.map(Into::into);
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
