//! One request and its answer.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use ureq::http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use ureq::{BodyReader, SendBody};

use super::client::Client;
use super::error::{At, RegistryError, RegistryErrorKind};
use super::pace::Pace;
use super::retry::retry_after;
use super::url::server as server_of;
use crate::{ReadAt, ReadError};

/// Longest answer that says what is wrong.
const MAX_ERROR_LEN: u64 = 64 << 10;
/// Bytes a second that a server digests at least.
const WORK_RATE: u64 = 8 << 20;
/// Longest code and message that are kept of it.
const MAX_CODE_LEN: usize = 64;
const MAX_MESSAGE_LEN: usize = 256;
/// Bytes of an answer that nobody needs which are read, so that the connection can be used again.
const MAX_DRAINED: u64 = 64 << 10;

/// A request. It can be sent again.
pub(super) struct Message<'b> {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body<'b>,
    /// Bytes that the server may go through before it answers.
    pub(super) work: u64,
}

/// What goes along with a request.
#[derive(Clone)]
pub(super) enum Body<'b> {
    Bytes(Bytes),
    Part {
        source: &'b dyn ReadAt,
        offset: u64,
        len: u64,
    },
}

impl Message<'_> {
    pub(super) fn new(method: Method, url: Uri) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Body::Bytes(Bytes::new()),
            work: 0,
        }
    }
}

/// An answer, up to its body.
pub(super) struct Answer {
    response: Response<ureq::Body>,
    /// Whom it is from.
    pub(super) url: Uri,
    pace: Pace,
}

/// What the body of an upload is read from; remembers why it could not be.
struct Part<'b> {
    source: &'b dyn ReadAt,
    offset: u64,
    left: u64,
    failed: Option<ReadError>,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        if let Err(error) = self.source.read_at(self.offset, &mut buf[..len]) {
            self.failed = Some(error);
            return Err(io::Error::other("the source fails"));
        }
        self.offset += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}

impl Client {
    /// Sends `message` as it is, and follows nothing.
    pub(super) fn once(&self, message: &Message<'_>, at: &At) -> Result<Answer, RegistryError> {
        let Message {
            method,
            url,
            headers,
            body,
            work,
        } = message;
        let server = server_of(url);
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request = request.header(ACCEPT_ENCODING, "identity");
        let sends = [Method::POST, Method::PUT, Method::PATCH].contains(method);
        let mut part = match body {
            Body::Bytes(bytes) => Part {
                source: bytes,
                offset: 0,
                left: bytes.len() as u64,
                failed: None,
            },
            Body::Part {
                source,
                offset,
                len,
            } => Part {
                source: *source,
                offset: *offset,
                left: *len,
                failed: None,
            },
        };
        if sends {
            request = request.header(CONTENT_LENGTH, part.left);
        }
        self.count(if sends { part.left } else { 0 });
        let misuse = |error: ureq::http::Error| RegistryError::misuse(&at.what, error.to_string());
        let answer = match sends {
            true => {
                let request = request.body(SendBody::from_reader(&mut part));
                let patience = self.options().read_timeout;
                let patience = patience.saturating_add(Duration::from_secs(work / WORK_RATE));
                let request = self.agent().configure_request(request.map_err(misuse)?);
                let request = request
                    .timeout_recv_response(Some(patience))
                    .timeout_per_read(Some(patience));
                self.agent().run(request.build())
            }
            false => self.agent().run(request.body(()).map_err(misuse)?),
        };
        if let Some(source) = part.failed {
            let kind = RegistryErrorKind::Source { source };
            return Err(RegistryError::new(at, server, kind));
        }
        let response = answer.map_err(|error| transport(at, &server, &error))?;
        Ok(Answer {
            response,
            url: url.clone(),
            pace: self.pace(),
        })
    }
}

/// What the connection says.
fn transport(at: &At, server: &str, error: &ureq::Error) -> RegistryError {
    let reason = error.to_string();
    let kind = match error {
        // It would show the URL.
        ureq::Error::BadUri(_) => RegistryErrorKind::Misuse {
            reason: "no URL that can be asked for".into(),
        },
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => RegistryErrorKind::Tls { reason },
        // So it is called while a connection is made.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            let reason = error.to_string();
            RegistryErrorKind::Tls { reason }
        }
        _ => RegistryErrorKind::Transport { reason },
    };
    RegistryError::new(at, server, kind)
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Whom it is from, for errors.
    pub(super) fn server(&self) -> String {
        server_of(&self.url)
    }

    /// A header that is text.
    pub(super) fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.response.headers().get(name.as_ref())?.to_str().ok()
    }

    /// All headers of that name, as one.
    pub(super) fn joined(&self, name: &str) -> String {
        let all = self.response.headers().get_all(name).iter();
        let all: Vec<_> = all.filter_map(|value| value.to_str().ok()).collect();
        all.join(", ")
    }

    /// How long the body says that it is. The answer to a `HEAD` states what it would be.
    pub(super) fn len(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    pub(super) fn media_type(&self) -> Option<&str> {
        let value = self.header(CONTENT_TYPE)?;
        value.split(';').next().map(str::trim)
    }

    pub(super) fn error(&self, at: &At, kind: RegistryErrorKind) -> RegistryError {
        RegistryError::new(at, self.server(), kind)
    }

    /// Refuses an answer that is encoded.
    pub(super) fn check_encoding(&self, at: &At) -> Result<(), RegistryError> {
        match self.header("content-encoding") {
            None | Some("" | "identity") => Ok(()),
            Some(encoding) => Err(self.error(
                at,
                RegistryErrorKind::Encoding {
                    encoding: clean(encoding, MAX_CODE_LEN),
                },
            )),
        }
    }

    /// What an answer that is not what was hoped for says.
    pub(super) fn refused(mut self, at: &At) -> RegistryError {
        let (code, message) = self.errors();
        self.refused_with(at, code, message)
    }

    pub(super) fn refused_with(
        &self,
        at: &At,
        code: Option<String>,
        message: Option<String>,
    ) -> RegistryError {
        let kind = RegistryErrorKind::Status {
            status: self.status(),
            code,
            message,
            retry_after: self.header("retry-after").and_then(retry_after),
        };
        self.error(at, kind)
    }

    /// The code and the message of an answer that says what is wrong: in JSON, as registries do, in XML, as
    /// object storage does, or as text.
    pub(super) fn errors(&mut self) -> (Option<String>, Option<String>) {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let mut bytes = Vec::new();
        let mut body = self.response.body_mut().as_reader().take(MAX_ERROR_LEN);
        // Whatever comes of it.
        let _ = body.read_to_end(&mut bytes);
        let kept = |text: &str, len| Some(clean(text, len)).filter(|text| !text.is_empty());
        if let Ok(parsed) = serde_json::from_slice::<Errors>(&bytes) {
            let Some(first) = parsed.errors.first() else {
                return (None, None);
            };
            return (
                kept(&first.code, MAX_CODE_LEN),
                kept(&first.message, MAX_MESSAGE_LEN),
            );
        }
        let text = String::from_utf8_lossy(&bytes);
        if !text.trim_start().starts_with('<') {
            return (None, kept(&text, MAX_MESSAGE_LEN));
        }
        let element = |name: &str, len| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (inner, _) = rest.split_once(&format!("</{name}>"))?;
            kept(inner, len)
        };
        (
            element("Code", MAX_CODE_LEN),
            element("Message", MAX_MESSAGE_LEN),
        )
    }

    /// Reads the rest, if it is short: the connection can be used again then.
    pub(super) fn drain(mut self) {
        let body = self.response.body_mut().as_reader();
        // A connection that breaks is not used again.
        let _ = io::copy(&mut body.take(MAX_DRAINED), &mut io::sink());
    }

    pub(super) fn into_stream(self) -> Stream {
        Stream {
            server: self.server(),
            body: self.response.into_body().into_reader(),
            pace: self.pace,
        }
    }
}

/// Text of a server without what would not be text on a terminal, shortened.
fn clean(text: &str, len: usize) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(len)
        .collect();
    text.trim().into()
}

/// All of a body that is at most `limit` bytes long.
pub(super) fn read_short(
    answer: &mut Answer,
    limit: u64,
    at: &At,
) -> Result<Vec<u8>, RegistryError> {
    let too_long = RegistryErrorKind::TooLong { limit };
    let stated = answer.len();
    if stated.is_some_and(|len| len > limit) {
        return Err(answer.error(at, too_long));
    }
    let server = answer.server();
    let mut pace = answer.pace.clone();
    let mut body = answer.response.body_mut().as_reader();
    let mut bytes = Vec::new();
    let mut piece = [0; 8 << 10];
    loop {
        let read = pace.read(&mut body, &mut piece);
        let read = read.map_err(|kind| RegistryError::new(at, &server, kind))?;
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..read]);
        if bytes.len() as u64 > limit {
            return Err(RegistryError::new(at, server, too_long));
        }
    }
    match stated {
        Some(expected) if expected != bytes.len() as u64 => {
            let received = bytes.len() as u64;
            let kind = RegistryErrorKind::Short { received, expected };
            Err(RegistryError::new(at, server, kind))
        }
        _ => Ok(bytes),
    }
}

/// The body of an answer.
pub(super) struct Stream {
    pub(super) server: String,
    body: BodyReader<'static>,
    pace: Pace,
}

impl Stream {
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, RegistryErrorKind> {
        self.pace.read(&mut self.body, buf)
    }
}
