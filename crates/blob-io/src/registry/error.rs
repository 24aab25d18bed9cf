//! Errors of registries.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use image_model::{Blame, Fault};

use super::credentials::CredentialError;
use crate::{ReadError, WriteError};

/// Why a registry request failed: which object, which bytes of it, at which attempt, at which server.
#[derive(Debug)]
pub struct RegistryError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    at: At,
    server: String,
    kind: RegistryErrorKind,
}

/// The object of a request.
#[derive(Debug, Clone)]
pub(super) struct At {
    /// The blob or manifest, for messages.
    pub(super) what: String,
    /// Whether it is named by a digest.
    pub(super) by_digest: bool,
    /// Which bytes of it, if not all.
    pub(super) range: Option<Range<u64>>,
    /// The attempt, counted from 1.
    pub(super) attempt: u32,
}

/// Categories of failures, by remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Another attempt may succeed: a broken connection, a busy server.
    Transient,
    /// Other credentials are needed.
    Auth,
    /// The object does not exist.
    Gone,
    /// The server sent something other than what was requested.
    Corrupt,
    /// The server does not support the request, or the client does not permit it.
    Refused,
}

/// What went wrong at a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// The server returned an error status.
    #[error("status {status}{}", said(code.as_deref(), message.as_deref()))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The error code of the registry, such as `MANIFEST_UNKNOWN`.
        code: Option<String>,
        /// Its message, shortened.
        message: Option<String>,
        /// The delay that it requests before another attempt.
        retry_after: Option<Duration>,
    },
    /// The registry denies a manifest its digest, which is right. docker-registry does so while another client
    /// writes the same objects, and takes the manifest a moment later.
    #[error("status {status}: DIGEST_INVALID, although the digest is right")]
    Denied {
        /// The HTTP status.
        status: u16,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("{reason}")]
    Transport {
        /// What happened.
        reason: String,
    },
    /// The identity of the server cannot be verified, or TLS cannot be negotiated.
    #[error("{reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// The body is sent more slowly than the limit.
    #[error("too slow: {received} bytes in {seconds} s")]
    Slow {
        /// Bytes received.
        received: u64,
        /// Time in which they were received.
        seconds: u64,
    },
    /// The response ended early.
    #[error("the response ends after {received} of {expected} bytes")]
    Short {
        /// Bytes received.
        received: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// The length of the object is not that of its descriptor.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// The actual length.
        found: u64,
        /// The stated length.
        expected: u64,
    },
    /// The content of the object does not match its digest.
    #[error("its digest is {found}")]
    Digest {
        /// The actual digest.
        found: String,
    },
    /// The response has a range other than the one requested.
    #[error("the response is for the range `{answered}`")]
    Range {
        /// The range that the server states.
        answered: String,
    },
    /// The response has a content encoding that was not requested: its bytes would not be those of the
    /// object.
    #[error("the response is encoded as `{encoding}`")]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// The response exceeds the limit.
    #[error("the response is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: u64,
    },
    /// The server requests an authentication scheme that is not supported.
    #[error("the server requests an unsupported kind of authentication: `{challenge}`")]
    Challenge {
        /// The challenge.
        challenge: String,
    },
    /// The server requests credentials, and there are none for it.
    #[error("the server requests credentials (`{challenge}`), and none are known for it")]
    NoCredentials {
        /// The challenge.
        challenge: String,
    },
    /// Credentials cannot be obtained.
    #[error("cannot get credentials")]
    Credentials {
        /// The cause.
        source: CredentialError,
    },
    /// The token service `realm` is not one to which credentials are sent, or returns no token.
    #[error("no token from {realm}: {reason}")]
    Token {
        /// The server.
        realm: String,
        /// The cause.
        reason: String,
    },
    /// A redirect or upload location is not followed.
    #[error("{reason}")]
    Redirect {
        /// The cause.
        reason: &'static str,
    },
    /// The response lacks a required header.
    #[error("the response has no valid `{header}` header")]
    Header {
        /// The header.
        header: &'static str,
    },
    /// The source of an upload cannot be read.
    #[error("cannot read the data to upload")]
    Source {
        /// The cause.
        source: ReadError,
    },
    /// The request is invalid.
    #[error("{reason}")]
    Misuse {
        /// The cause.
        reason: String,
    },
}

/// The error code and message in words.
fn said(code: Option<&str>, message: Option<&str>) -> String {
    [code, message]
        .into_iter()
        .flatten()
        .map(|text| format!(": {text}"))
        .collect()
}

impl RegistryError {
    pub(super) fn new(at: &At, server: impl Into<String>, kind: RegistryErrorKind) -> Self {
        Self {
            inner: Box::new(Inner {
                at: at.clone(),
                server: server.into(),
                kind,
            }),
        }
    }

    /// An invalid request, detected before anything is sent.
    pub(super) fn misuse(what: impl Into<String>, reason: impl Into<String>) -> Self {
        let at = At {
            what: what.into(),
            by_digest: false,
            range: None,
            attempt: 0,
        };
        let reason = reason.into();
        Self::new(&at, String::new(), RegistryErrorKind::Misuse { reason })
    }

    /// The object: `blob sha256:…`, `manifest v1`.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.inner.at.what
    }

    /// Which bytes of it, if not all.
    #[must_use]
    pub fn range(&self) -> Option<Range<u64>> {
        self.inner.at.range.clone()
    }

    /// The attempt, counted from 1; 0 if nothing was sent.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.at.attempt
    }

    /// The server, with its port.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &RegistryErrorKind {
        &self.inner.kind
    }

    /// The category of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        use RegistryErrorKind as Kind;
        match self.kind() {
            Kind::Status { status, code, .. } => status_class(*status, code.as_deref()),
            Kind::Denied { .. }
            | Kind::Transport { .. }
            | Kind::Slow { .. }
            | Kind::Short { .. } => ErrorClass::Transient,
            Kind::Challenge { .. }
            | Kind::NoCredentials { .. }
            | Kind::Credentials { .. }
            | Kind::Token { .. } => ErrorClass::Auth,
            Kind::Length { .. }
            | Kind::Digest { .. }
            | Kind::Range { .. }
            | Kind::Encoding { .. } => ErrorClass::Corrupt,
            Kind::Tls { .. }
            | Kind::TooLong { .. }
            | Kind::Redirect { .. }
            | Kind::Header { .. }
            | Kind::Source { .. }
            | Kind::Misuse { .. } => ErrorClass::Refused,
        }
    }

    /// The delay that the server requests.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self.kind() {
            RegistryErrorKind::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Converts to an error of reading `len` bytes at `offset`.
    pub(super) fn reading(self, offset: u64, len: u64) -> ReadError {
        ReadError::Source {
            offset,
            len,
            fault: self.fault(),
            source: self.into(),
        }
    }
}

fn status_class(status: u16, code: Option<&str>) -> ErrorClass {
    match (status, code) {
        (_, Some("DIGEST_INVALID" | "SIZE_INVALID")) => ErrorClass::Corrupt,
        (_, Some("MANIFEST_BLOB_UNKNOWN")) => ErrorClass::Gone,
        (401 | 403, _) => ErrorClass::Auth,
        (404 | 410, _) => ErrorClass::Gone,
        (408 | 429 | 500 | 502 | 503 | 504, _) => ErrorClass::Transient,
        (416, _) => ErrorClass::Corrupt,
        _ => ErrorClass::Refused,
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { at, server, kind } = &*self.inner;
        f.write_str(&at.what)?;
        if let Some(range) = &at.range {
            write!(f, ", bytes {} to {}", range.start, range.end)?;
        }
        if at.attempt > 0 {
            write!(f, ", at {server}, attempt {}", at.attempt)?;
        }
        write!(f, ": {kind}")
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.kind.source()
    }
}

impl Blame for RegistryError {
    fn fault(&self) -> Fault {
        match (self.class(), self.kind()) {
            (_, RegistryErrorKind::Source { source }) => source.fault(),
            (_, RegistryErrorKind::Misuse { .. }) => Fault::Misuse,
            (_, RegistryErrorKind::TooLong { .. } | RegistryErrorKind::Redirect { .. }) => {
                Fault::Limit
            }
            (ErrorClass::Gone, _) if !self.inner.at.by_digest => Fault::Misuse,
            (ErrorClass::Gone | ErrorClass::Corrupt, _) => Fault::Corrupt,
            (ErrorClass::Transient | ErrorClass::Auth | ErrorClass::Refused, _) => Fault::Io,
        }
    }
}

impl From<RegistryError> for WriteError {
    fn from(error: RegistryError) -> Self {
        Self::Target {
            fault: error.fault(),
            source: error.into(),
        }
    }
}
