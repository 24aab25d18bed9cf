//! Putting blobs and manifests into a repository.

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

/// What the bytes of blobs are.
pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const DIGEST: &str = "docker-content-digest";

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pushed {
    /// It was there.
    There,
    /// The registry has taken it from another repository of its own.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl Repository {
    /// Puts a blob with that digest into the repository: its bytes are those of `source`, which is read again
    /// if sending breaks off. One that is there is not sent, nor is one that the registry has in one of the
    /// repositories `mount_from`, and gives from there.
    ///
    /// That `source` has the digest is for the caller to know; the registry compares it, too.
    ///
    /// # Errors
    /// [`RegistryError`]. What was sent so far is no blob then.
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

    /// Puts a manifest into the repository, called `name`, a tag or its digest. All that it refers to has to
    /// be there.
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
            return Err(RegistryError::misuse(what, "it has another digest"));
        }
        let content_type = HeaderValue::from_str(media_type)
            .map_err(|_| RegistryError::misuse(&what, "its media type is none"))?;
        let scopes = self.push_scopes(&[])?;
        let turns = Turns::new(self.client(), self.origin_only());
        turns.run(&what, called.is_some(), |server, at| {
            let url = self.url(server, &format!("manifests/{name}"))?;
            let mut message = Message::new(Method::PUT, url);
            message.headers.push((CONTENT_TYPE, content_type.clone()));
            message.body = Body::Bytes(bytes.to_vec().into());
            let answer = self.client().send(server, &scopes, &message, at)?;
            if !matches!(answer.status(), 200 | 201) {
                return Err(answer.refused(at));
            }
            check_digest(&answer, &own, at)?;
            answer.drain();
            Ok(own)
        })
    }

    /// Whether the registry has the blob.
    fn has(&self, digest: &Digest, len: u64) -> Result<bool, RegistryError> {
        let found = self.find_blob(digest)?;
        // Sent again, one of another length is the registry's to explain.
        Ok(found.is_some_and(|found| found.len.is_none_or(|found| found == len)))
    }

    fn push_scopes(&self, mount_from: &[&str]) -> Result<Vec<String>, RegistryError> {
        let mut scopes = vec![format!("repository:{}:pull,push", self.name())];
        for from in mount_from.iter().filter(|from| **from != self.name()) {
            if !is_repository(from) {
                return Err(RegistryError::misuse(*from, "no name of a repository"));
            }
            scopes.push(format!("repository:{from}:pull"));
        }
        Ok(scopes)
    }
}

/// A registry that has taken something else than what was sent says so.
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

/// An upload that has begun.
pub(super) struct Session {
    /// Where it goes on, which every answer says anew.
    pub(super) url: Uri,
    /// Bytes of the least piece that is taken.
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
            // Not from there: it is sent.
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

    /// Gives up a session; the registry does that by itself after a while.
    fn cancel(&self, session: &Session) {
        let message = Message::new(Method::DELETE, session.url.clone());
        let at = TurnState::default().at(self.what, true, None);
        if let Ok(answer) = self.send(&message, &at) {
            answer.drain();
        }
    }

    /// Sends the blob, in a session that may be there already.
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
            // What broke off may have been taken all the same.
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

    /// Ends a session with the last bytes.
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

/// Whether a registry does not take pieces.
fn refused(error: &RegistryError) -> bool {
    matches!(error.kind(), RegistryErrorKind::Status { .. })
}
