//! A repository of a registry.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use image_model::Digest;
use ureq::http::header::{ACCEPT, RANGE};
use ureq::http::{HeaderValue, Method, Uri};

use super::blob::RemoteBlob;
use super::client::{Client, Server};
use super::content_range::ContentRange;
use super::error::{At, ErrorClass, RegistryError, RegistryErrorKind};
use super::exchange::{Answer, Message, read_short};
use super::reference::{Reference, is_tag};
use super::turns::Turns;
use super::url::{encode, same_origin};

/// Longest manifest that is read.
const MAX_MANIFEST_LEN: u64 = 16 << 20;
/// Accepted manifest types, in one header, since some proxies drop all but one.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A repository of a registry: manifests by tag or digest, blobs by digest. Clones refer to the same
/// repository.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    host: String,
    name: String,
    /// Mirrors, then the registry itself.
    servers: Vec<Server>,
    pull: Vec<String>,
}

/// A manifest as received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PulledManifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The media type that the registry states.
    pub media_type: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What a registry states about an object. None of it is compared with the object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its length.
    pub len: Option<u64>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: Option<String>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("host", &self.inner.host)
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Repository {
    pub(super) fn new(client: Client, reference: &Reference, servers: Vec<Server>) -> Self {
        let name = reference.repository().to_owned();
        Self {
            inner: Arc::new(Inner {
                client,
                host: reference.host().into(),
                pull: vec![format!("repository:{name}:pull")],
                name,
                servers,
            }),
        }
    }

    /// The registry, as named in references.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// The name within the registry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The manifest named `name`, a tag or a digest. If it is a digest, the manifest is compared with it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn manifest(&self, name: &str) -> Result<PulledManifest, RegistryError> {
        let expected = name_of_manifest(name)?;
        let what = format!("manifest {name}");
        let turns = Turns::new(self.client(), self.servers());
        turns.run(&what, expected.is_some(), |server, at| {
            let message = self.manifest_message(Method::GET, server, name)?;
            let mut answer = self.client().send(server, self.pull(), &message, at)?;
            if answer.status() != 200 {
                return Err(answer.refused(at));
            }
            answer.check_encoding(at)?;
            let media_type = answer.media_type().map(Into::into);
            let bytes = read_short(&mut answer, MAX_MANIFEST_LEN, at)?;
            let found = match &expected {
                Some(expected) => digest(expected, &bytes)?,
                None => verify::sha256(&bytes),
            };
            if expected.is_some_and(|expected| expected != found) {
                let found = found.to_string();
                return Err(answer.error(at, RegistryErrorKind::Digest { found }));
            }
            Ok(PulledManifest {
                digest: found,
                media_type,
                bytes: bytes.into(),
            })
        })
    }

    /// What the registry itself states about the manifest named `name`, a tag or a digest; `None` if it does
    /// not exist.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn find_manifest(&self, name: &str) -> Result<Option<Found>, RegistryError> {
        let by_digest = name_of_manifest(name)?.is_some();
        let what = format!("manifest {name}");
        let turns = Turns::new(self.client(), self.origin_only());
        let found = turns.run(&what, by_digest, |server, at| {
            let message = self.manifest_message(Method::HEAD, server, name)?;
            let answer = self.client().send(server, self.pull(), &message, at)?;
            found(answer, at)
        });
        there(found)
    }

    /// What the registry itself states about a blob; `None` if it does not exist.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn find_blob(&self, digest: &Digest) -> Result<Option<Found>, RegistryError> {
        let what = format!("blob {digest}");
        let turns = Turns::new(self.client(), self.origin_only());
        let found = turns.run(&what, true, |server, at| {
            let url = self.url(server, &format!("blobs/{digest}"))?;
            let message = Message::new(Method::HEAD, url.clone());
            let answer = self.client().send(server, self.pull(), &message, at)?;
            let elsewhere = !same_origin(&answer.url, &url);
            if !(elsewhere && matches!(answer.status(), 400 | 403 | 405 | 501)) {
                return found(answer, at);
            }
            // Object storage may only accept the signed method, which is GET.
            let mut message = Message::new(Method::GET, url);
            let first = HeaderValue::from_static("bytes=0-0");
            message.headers.push((RANGE, first));
            let answer = self.client().send(server, self.pull(), &message, at)?;
            match (answer.status(), answer.header("content-range")) {
                (206, Some(range)) => Ok(Found {
                    len: ContentRange::parse(range).and_then(|range| range.total),
                    ..Found::default()
                }),
                // An empty blob has no first byte.
                (416, _) => Ok(Found::default()),
                _ => found(answer, at),
            }
        });
        there(found)
    }

    /// The blob with that digest and length. Nothing is requested until it is read.
    #[must_use]
    pub fn blob(&self, digest: Digest, len: u64) -> RemoteBlob {
        RemoteBlob::new(self.clone(), digest, len)
    }

    fn manifest_message(
        &self,
        method: Method,
        server: &Server,
        name: &str,
    ) -> Result<Message<'static>, RegistryError> {
        let mut message = Message::new(method, self.url(server, &format!("manifests/{name}"))?);
        let types = HeaderValue::from_static(MANIFEST_TYPES);
        message.headers.push((ACCEPT, types));
        Ok(message)
    }

    /// The URL of `path` in the repository, at `server`.
    pub(super) fn url(&self, server: &Server, path: &str) -> Result<Uri, RegistryError> {
        let Inner { host, name, .. } = &*self.inner;
        let upstream = match server.is_mirror {
            true => format!("?ns={}", encode(host)),
            false => String::new(),
        };
        let url = format!("{}/v2/{name}/{path}{upstream}", server.base);
        url.parse()
            .map_err(|_| RegistryError::misuse(name, "it cannot be part of a URL"))
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.inner.servers
    }

    /// The registry itself, without mirrors.
    pub(super) fn origin_only(&self) -> &[Server] {
        let mirrors = self.inner.servers.len() - 1;
        &self.inner.servers[mirrors..]
    }

    pub(super) fn pull(&self) -> &[String] {
        &self.inner.pull
    }
}

/// The digest by which a manifest is named, if any.
pub(super) fn name_of_manifest(name: &str) -> Result<Option<Digest>, RegistryError> {
    match name.parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(_) if is_tag(name) => Ok(None),
        Err(_) => Err(RegistryError::misuse(
            "a manifest",
            "its name is neither a tag nor a supported digest",
        )),
    }
}

/// The digest of `bytes` by the algorithm of `like`.
pub(super) fn digest(like: &Digest, bytes: &[u8]) -> Result<Digest, RegistryError> {
    verify::digest(like.algorithm(), bytes)
        .map_err(|error| RegistryError::misuse(like.to_string(), error.to_string()))
}

fn found(answer: Answer, at: &At) -> Result<Found, RegistryError> {
    if answer.status() != 200 {
        return Err(answer.refused(at));
    }
    let digest = answer.header("docker-content-digest");
    Ok(Found {
        len: answer.len(),
        digest: digest.and_then(|digest| digest.parse().ok()),
        media_type: answer.media_type().map(Into::into),
    })
}

/// Maps a missing object to `None`.
fn there(found: Result<Found, RegistryError>) -> Result<Option<Found>, RegistryError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.class() == ErrorClass::Gone => Ok(None),
        Err(error) => Err(error),
    }
}
