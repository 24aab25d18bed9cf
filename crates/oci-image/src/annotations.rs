//! Annotations of descriptors and manifests.

use std::collections::BTreeMap;

use image_model::{Blame, Digest, DigestAlgorithm, Fault};
use serde::{Deserialize, Deserializer, Serialize};

use crate::json;

/// Annotations: text by key, written in the order of the keys.
///
/// ```
/// use lazyoci_oci_image::Annotations;
/// let mut annotations = Annotations::default();
/// annotations.set("org.opencontainers.image.title", "base");
/// assert_eq!(annotations.text("org.opencontainers.image.title"), Some("base"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::unique_keys(deserializer).map(Self)
    }
}

impl Annotations {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets `key` to `value`.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Removes `key`, and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// All keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of `key` as a SHA-256 digest.
    ///
    /// # Errors
    /// [`AnnotationError::Value`] if it is anything else.
    pub fn sha256(&self, key: &'static str) -> Result<Option<Digest>, AnnotationError> {
        self.parse(key, "a sha256 digest", |text| {
            let digest: Digest = text.parse().ok()?;
            (digest.algorithm() == DigestAlgorithm::Sha256).then_some(digest)
        })
    }

    /// The value of `key` as a decimal number, digits only.
    ///
    /// # Errors
    /// [`AnnotationError::Value`] if it is anything else, or is beyond 64 bits.
    pub fn number(&self, key: &'static str) -> Result<Option<u64>, AnnotationError> {
        self.parse(key, "a decimal number", |text| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok())?
        })
    }

    pub(crate) fn parse<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, AnnotationError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(AnnotationError::Value {
                key,
                value: text.into(),
                expected,
            }),
        }
    }
}

/// Invalid annotations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// A value does not have the form that its key requires.
    #[error("annotation `{key}` is `{value}`, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The required form.
        expected: &'static str,
    },
    /// Two annotations are mutually exclusive.
    #[error("annotations `{first}` and `{second}` are mutually exclusive")]
    Conflict {
        /// One key.
        first: &'static str,
        /// The other key.
        second: &'static str,
    },
    /// One of two annotations that belong together is missing.
    #[error("annotation `{present}` needs `{key}`, which is missing")]
    Missing {
        /// The missing key.
        key: &'static str,
        /// The key that is present.
        present: &'static str,
    },
}

impl Blame for AnnotationError {
    fn fault(&self) -> Fault {
        match self {
            Self::Value { .. } | Self::Conflict { .. } | Self::Missing { .. } => Fault::Corrupt,
        }
    }
}
