//! Why a registry does not give or take something.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use image_model::{Blame, Fault};

use super::credentials::CredentialError;
use crate::{ReadError, WriteError};

/// Why a registry does not give or take something: what, which bytes of it, at which attempt, at which
/// server.
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

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct At {
    /// The blob or manifest, in words.
    pub(super) what: String,
    /// Whether it is called by a digest.
    pub(super) by_digest: bool,
    /// Which bytes of it, if not all.
    pub(super) range: Option<Range<u64>>,
    /// Which attempt that is, the first being 1.
    pub(super) attempt: u32,
}

/// What kinds of failures have in common: what helps against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// It may work another time: a connection that breaks, a server that is busy.
    Transient,
    /// It needs other credentials.
    Auth,
    /// It is not there.
    Gone,
    /// The server gave something else than what was asked for.
    Corrupt,
    /// The server does not do that, or it is not done here.
    Refused,
}

/// What went wrong at a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// The server says no.
    #[error("status {status}{}", said(code.as_deref(), message.as_deref()))]
    Status {
        /// The status of HTTP.
        status: u16,
        /// The code that the registry gives, as `MANIFEST_UNKNOWN`.
        code: Option<String>,
        /// What it says to people, shortened.
        message: Option<String>,
        /// How long it wants not to be asked.
        retry_after: Option<Duration>,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("{reason}")]
    Transport {
        /// What happened.
        reason: String,
    },
    /// The server is not who it should be, or no encryption can be agreed on.
    #[error("{reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// What is there is sent slower than is accepted.
    #[error("{received} bytes in {seconds} s, which is too slow")]
    Slow {
        /// Bytes that came.
        received: u64,
        /// In that time.
        seconds: u64,
    },
    /// The answer ended early.
    #[error("the answer ends after {received} bytes of {expected}")]
    Short {
        /// Bytes that came.
        received: u64,
        /// Bytes that were to come.
        expected: u64,
    },
    /// The object has another length than what refers to it says.
    #[error("it has {found} bytes, what refers to it says {expected}")]
    Length {
        /// What it has.
        found: u64,
        /// What was said.
        expected: u64,
    },
    /// The object is another one than its digest says.
    #[error("its digest is {found}")]
    Digest {
        /// What it is.
        found: String,
    },
    /// Other bytes than those that were asked for.
    #[error("the answer is for the range `{answered}`")]
    Range {
        /// The range as the server states it.
        answered: String,
    },
    /// The answer is encoded, which nobody asked for: its bytes would not be those of the object.
    #[error("the answer is encoded as `{encoding}`")]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// The answer is longer than what is read.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: u64,
    },
    /// The server asks for credentials in a way that is not known here.
    #[error("the server asks for no authorization that is known: `{challenge}`")]
    Challenge {
        /// How it asks.
        challenge: String,
    },
    /// The server asks for credentials, and there are none for it.
    #[error("the server asks for credentials (`{challenge}`), and there are none for it")]
    NoCredentials {
        /// How it asks.
        challenge: String,
    },
    /// Credentials cannot be had.
    #[error("no credentials")]
    Credentials {
        /// Why not.
        source: CredentialError,
    },
    /// The token service `realm` is not one that credentials are sent to, or gives no token.
    #[error("no token from {realm}: {reason}")]
    Token {
        /// The server.
        realm: String,
        /// Why not.
        reason: String,
    },
    /// A location is not followed.
    #[error("{reason}")]
    Redirect {
        /// Why not.
        reason: &'static str,
    },
    /// The answer lacks what it needs.
    #[error("the answer has no `{header}` that can be read")]
    Header {
        /// The header.
        header: &'static str,
    },
    /// The source of an upload cannot be read.
    #[error("cannot read what is to be sent")]
    Source {
        /// Why not.
        source: ReadError,
    },
    /// What was asked for makes no sense.
    #[error("{reason}")]
    Misuse {
        /// Why not.
        reason: String,
    },
}

/// What a registry says besides the status.
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

    /// What makes no sense before anything is asked for.
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

    /// What was asked for: `blob sha256:…`, `manifest v1`.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.inner.at.what
    }

    /// Which bytes of it, if not all.
    #[must_use]
    pub fn range(&self) -> Option<Range<u64>> {
        self.inner.at.range.clone()
    }

    /// At which attempt, the first being 1; 0 if nothing was sent.
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

    /// What helps against it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        use RegistryErrorKind as Kind;
        match self.kind() {
            Kind::Status { status, code, .. } => status_class(*status, code.as_deref()),
            Kind::Transport { .. } | Kind::Slow { .. } | Kind::Short { .. } => {
                ErrorClass::Transient
            }
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

    /// How long the server wants not to be asked.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self.kind() {
            RegistryErrorKind::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// As an error of reading `len` bytes at `offset`.
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
