//! Image references.

use std::fmt;
use std::str::FromStr;

use image_model::{Blame, Digest, Fault};

/// The default registry.
const DOCKER_HUB: &str = "docker.io";
/// Other names of it.
const DOCKER_HUB_NAMES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// Its API host.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// Prefix of its repositories with one component.
const DOCKER_HUB_LIBRARY: &str = "library/";
/// The default tag.
const DEFAULT_TAG: &str = "latest";

/// Longest repository name, including the registry.
const MAX_NAME_LEN: usize = 255;
/// Longest tag.
const MAX_TAG_LEN: usize = 128;

/// A reference to an image in a registry: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
///
/// Parsed as Docker does: the default host is Docker Hub, where names of one component are prefixed with
/// `library/`. The first component is a host if it contains a dot or a colon, or is `localhost`. If both tag
/// and digest are given, the digest is used.
///
/// Source: distribution `reference`, distribution-spec v1.1 "Pulling manifests".
///
/// ```
/// use lazyoci_blob_io::registry::Reference;
///
/// let reference: Reference = "example.org:5000/team/app:v1".parse()?;
/// assert_eq!((reference.host(), reference.repository()), ("example.org:5000", "team/app"));
/// assert_eq!(reference.tag(), Some("v1"));
///
/// let short: Reference = "alpine".parse()?;
/// assert_eq!(short.to_string(), "docker.io/library/alpine");
/// assert_eq!(short.name(), "latest");
/// # Ok::<(), lazyoci_blob_io::registry::ParseReferenceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Text that is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {reason}")]
#[non_exhaustive]
pub struct ParseReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Blame for ParseReferenceError {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

impl Reference {
    /// The registry, with its port if that is not the default one; `docker.io` for Docker Hub.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if given.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The name of the manifest: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.into(),
        }
    }
}

/// The API host of the registry `host`.
pub(super) fn api_host(host: &str) -> &str {
    match host {
        DOCKER_HUB => DOCKER_HUB_API,
        host => host,
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| ParseReferenceError {
            text: text.chars().take(2 * MAX_NAME_LEN).collect(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let digest = match digest {
        Some(digest) => Some(
            digest
                .parse()
                .map_err(|_| "the part after `@` is not a SHA-256 digest")?,
        ),
        None => None,
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("the tag is invalid");
    }
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let host = match DOCKER_HUB_NAMES.contains(&host) {
        true => DOCKER_HUB,
        false => host,
    };
    if !super::url::is_authority(host) {
        return Err("the registry is not a host name");
    }
    let library = match host == DOCKER_HUB && !path.contains('/') {
        true => DOCKER_HUB_LIBRARY,
        false => "",
    };
    let repository = format!("{library}{path}");
    if host.len() + repository.len() > MAX_NAME_LEN {
        return Err("the name is too long");
    }
    if !is_repository(&repository) {
        return Err("the repository name is invalid");
    }
    Ok(Reference {
        host: host.to_ascii_lowercase(),
        repository,
        tag: tag.map(Into::into),
        digest,
    })
}

/// Whether `text` is a repository name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` between slashes.
pub(super) fn is_repository(text: &str) -> bool {
    text.len() <= MAX_NAME_LEN && text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = text;
    loop {
        let word = rest.trim_start_matches(is_alphanumeric);
        if word.len() == rest.len() {
            return false;
        }
        if word.is_empty() {
            return true;
        }
        rest = word.trim_start_matches(|c| !is_alphanumeric(c));
        let separator = &word[..word.len() - rest.len()];
        let dashes = separator.bytes().all(|byte| byte == b'-');
        if !dashes && !matches!(separator, "." | "_" | "__") {
            return false;
        }
    }
}

/// Whether `text` is a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG_LEN
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}
