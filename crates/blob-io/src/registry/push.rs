//! Pushing blobs and manifests.

use image_model::Digest;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderValue, Method, Uri};

use super::client::{Client, Server};
use super::error::{At, ErrorClass, RegistryError, RegistryErrorKind};
use super::exchange::{Answer, Body, Message};
use super::reference::is_repository;
use super::repository::{Repository, digest, name_of_manifest};
use super::turns::{TurnState, Turns};
use super::url::{encode, resolve, with_query};
use crate::ReadAt;

/// Media type of blob content.
pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const DIGEST: &str = "docker-content-digest";

/// How a blob got into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pushed {
    /// It existed already.
    There,
    /// The registry mounted it from another of its repositories.
    Mounted,
    /// It was uploaded.
    Uploaded,
}

impl Repository {
    /// Pushes a blob with that digest, reading its bytes from `source`, again if sending is interrupted. A
    /// blob that exists, or that the registry can mount from one of the repositories `mount_from`, is not
    /// sent.
    ///
    /// The caller must ensure that `source` has the digest; the registry checks it, too.
    ///
    /// # Errors
    /// [`RegistryError`]. A partial upload does not become a blob.
    pub fn push_blob(
        &self,
        source: &dyn ReadAt,
        digest: &Digest,
        mount_from: &[&str],
    ) -> Result<Pushed, RegistryError> {
        let what = format!("blob {digest}");
        let len = source.len().map_err(|source| {
            let at = TurnState::default().at(&what, true, None);
            RegistryError::new(&at, self.host(), RegistryErrorKind::Source { source })
        })?;
        if self.has(digest, len)? {
            return Ok(Pushed::There);
        }
        let push = Push {
            repository: self,
            client: self.client(),
            what: &what,
            digest,
            source,
            len,
            scopes: self.push_scopes(mount_from)?,
        };
        let mut session = None;
        for from in mount_from.iter().filter(|from| **from != self.name()) {
            if let Some(unused) = session.take() {
                push.cancel(&unused);
            }
            match push.mount(from)? {
                Mount::Done => return Ok(Pushed::Mounted),
                Mount::Session(opened) => session = Some(opened),
                Mount::Refused => {}
            }
        }
        push.upload(session)?;
        Ok(Pushed::Uploaded)
    }

    /// Pushes a manifest named `name`, a tag or its digest. Everything that it refers to must exist.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn push_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let what = format!("manifest {name}");
        let called = name_of_manifest(name)?;
        let own = match &called {
            Some(called) => digest(called, bytes)?,
            None => verify::sha256(bytes),
        };
        if called.is_some_and(|called| called != own) {
            return Err(RegistryError::misuse(what, "its digest is different"));
        }
        let content_type = HeaderValue::from_str(media_type)
            .map_err(|_| RegistryError::misuse(&what, "invalid media type"))?;
        let scopes = self.push_scopes(&[])?;
        let turns = Turns::new(self.client(), self.origin_only());
        turns.run(&what, called.is_some(), |server, at| {
            let url = self.url(server, &format!("manifests/{name}"))?;
            let mut message = Message::new(Method::PUT, url);
            message.headers.push((CONTENT_TYPE, content_type.clone()));
            message.body = Body::Bytes(bytes.to_vec().into());
            let mut answer = self.client().send(server, &scopes, &message, at)?;
            let status = answer.status();
            if !matches!(status, 200 | 201) {
                let (code, said) = answer.errors();
                return Err(match code.as_deref() {
                    Some("DIGEST_INVALID") => {
                        answer.error(at, RegistryErrorKind::Denied { status })
                    }
                    _ => answer.refused_with(at, code, said),
                });
            }
            check_digest(&answer, &own, at)?;
            answer.drain();
            Ok(own)
        })
    }

    /// Whether the registry has the blob.
    fn has(&self, digest: &Digest, len: u64) -> Result<bool, RegistryError> {
        let found = self.find_blob(digest)?;
        // If the length differs, it is sent again, and the registry has to report the conflict.
        Ok(found.is_some_and(|found| found.len.is_none_or(|found| found == len)))
    }

    fn push_scopes(&self, mount_from: &[&str]) -> Result<Vec<String>, RegistryError> {
        let mut scopes = vec![format!("repository:{}:pull,push", self.name())];
        for from in mount_from.iter().filter(|from| **from != self.name()) {
            if !is_repository(from) {
                return Err(RegistryError::misuse(*from, "not a repository name"));
            }
            scopes.push(format!("repository:{from}:pull"));
        }
        Ok(scopes)
    }
}

/// Detects a registry that stored something other than what was sent.
fn check_digest(answer: &Answer, own: &Digest, at: &At) -> Result<(), RegistryError> {
    match answer.header(DIGEST) {
        Some(found) if found != own.to_string() => {
            let found = found.chars().take(128).collect();
            Err(answer.error(at, RegistryErrorKind::Digest { found }))
        }
        _ => Ok(()),
    }
}

enum Mount {
    Done,
    Session(Session),
    Refused,
}

/// An open upload session.
pub(super) struct Session {
    /// Its current location, which every response updates.
    pub(super) url: Uri,
    /// Minimum length of a piece.
    pub(super) min_chunk: u64,
}

pub(super) struct Push<'p> {
    pub(super) repository: &'p Repository,
    pub(super) client: &'p Client,
    pub(super) what: &'p str,
    digest: &'p Digest,
    pub(super) source: &'p dyn ReadAt,
    pub(super) len: u64,
    scopes: Vec<String>,
}

impl Push<'_> {
    fn origin(&self) -> &Server {
        &self.repository.origin_only()[0]
    }

    pub(super) fn send(&self, message: &Message<'_>, at: &At) -> Result<Answer, RegistryError> {
        self.client.send(self.origin(), &self.scopes, message, at)
    }

    fn mount(&self, from: &str) -> Result<Mount, RegistryError> {
        let turns = Turns::new(self.client, self.repository.origin_only());
        let digest = encode(&self.digest.to_string());
        let path = format!("blobs/uploads/?mount={digest}&from={}", encode(from));
        let mounted = turns.run(self.what, true, |server, at| {
            let url = self.repository.url(server, &path)?;
            let answer = self.send(&Message::new(Method::POST, url), at)?;
            match answer.status() {
                201 => {
                    check_digest(&answer, self.digest, at)?;
                    answer.drain();
                    Ok(Mount::Done)
                }
                202 => Ok(Mount::Session(self.session(answer, at)?)),
                _ => Err(answer.refused(at)),
            }
        });
        match mounted {
            // Mounting failed: the blob is sent.
            Err(error)
                if matches!(
                    error.class(),
                    ErrorClass::Gone | ErrorClass::Auth | ErrorClass::Refused
                ) =>
            {
                Ok(Mount::Refused)
            }
            mounted => mounted,
        }
    }

    fn begin(&self, at: &At) -> Result<Session, RegistryError> {
        let url = self.repository.url(self.origin(), "blobs/uploads/")?;
        let answer = self.send(&Message::new(Method::POST, url), at)?;
        match answer.status() {
            202 => self.session(answer, at),
            _ => Err(answer.refused(at)),
        }
    }

    pub(super) fn session(&self, answer: Answer, at: &At) -> Result<Session, RegistryError> {
        let header = "location";
        let location = answer.header(header);
        let location =
            location.ok_or_else(|| answer.error(at, RegistryErrorKind::Header { header }))?;
        let url = resolve(&answer.url, location)
            .map_err(|reason| answer.error(at, RegistryErrorKind::Redirect { reason }))?;
        let min_chunk = answer.header("oci-chunk-min-length");
        let min_chunk = min_chunk.and_then(|len| len.parse().ok()).unwrap_or(1);
        answer.drain();
        Ok(Session { url, min_chunk })
    }

    /// Cancels a session; the registry would expire it anyway.
    fn cancel(&self, session: &Session) {
        let message = Message::new(Method::DELETE, session.url.clone());
        let at = TurnState::default().at(self.what, true, None);
        if let Ok(answer) = self.send(&message, &at) {
            answer.drain();
        }
    }

    /// Sends the blob, in an existing session if there is one.
    fn upload(&self, mut session: Option<Session>) -> Result<(), RegistryError> {
        let (mut turns, mut sessions) = (TurnState::default(), 0);
        let mut in_pieces = self.client.options().chunk_len;
        in_pieces = in_pieces.filter(|&len| self.len > len);
        loop {
            let at = turns.attempt(self.what, true, None);
            let begun = match session.take() {
                Some(session) => Ok(session),
                None => self.begin(&at),
            };
            let began = begun.is_ok();
            sessions += 1;
            let sent = begun.and_then(|session| match in_pieces {
                Some(len) => self.send_pieces(session, len, &mut turns, at),
                None => self.send_whole(&session.url, &at),
            });
            let Err(error) = sent else {
                return Ok(());
            };
            if in_pieces.is_some() && error.class() == ErrorClass::Refused && refused(&error) {
                in_pieces = None;
                continue;
            }
            let forgotten = error.class() == ErrorClass::Gone && began;
            if forgotten && sessions < self.client.options().attempts {
                continue;
            }
            turns.failed(self.client, self.repository.origin_only(), error)?;
            // The registry may have stored it despite the failure.
            if self.repository.has(self.digest, self.len)? {
                return Ok(());
            }
        }
    }

    fn send_whole(&self, session: &Uri, at: &At) -> Result<(), RegistryError> {
        self.close(
            session,
            Body::Part {
                source: self.source,
                offset: 0,
                len: self.len,
            },
            at,
        )
    }

    /// Completes a session with the last bytes.
    pub(super) fn close(
        &self,
        session: &Uri,
        body: Body<'_>,
        at: &At,
    ) -> Result<(), RegistryError> {
        let pair = format!("digest={}", encode(&self.digest.to_string()));
        let url = with_query(session, &pair)
            .map_err(|reason| RegistryError::misuse(self.what, reason))?;
        let mut message = Message::new(Method::PUT, url);
        message.headers.push((CONTENT_TYPE, OCTETS));
        message.body = body;
        message.work = self.len;
        let answer = self.send(&message, at)?;
        match answer.status() {
            200 | 201 | 204 => {
                check_digest(&answer, self.digest, at)?;
                answer.drain();
                Ok(())
            }
            _ => Err(answer.refused(at)),
        }
    }
}

/// Whether the registry does not support pieces.
fn refused(error: &RegistryError) -> bool {
    matches!(error.kind(), RegistryErrorKind::Status { .. })
}
