//! One request and its response.

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

/// Longest error response that is read.
const MAX_ERROR_LEN: u64 = 64 << 10;
/// Minimum rate, in bytes per second, at which a server digests content.
const WORK_RATE: u64 = 8 << 20;
/// Longest error code and message that are kept.
const MAX_CODE_LEN: usize = 64;
const MAX_MESSAGE_LEN: usize = 256;
/// Most unread bytes of a response that are drained, so that the connection can be reused.
const MAX_DRAINED: u64 = 64 << 10;

/// A request that can be sent again.
pub(super) struct Message<'b> {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body<'b>,
    /// Bytes that the server may process before it responds.
    pub(super) work: u64,
}

/// The body of a request.
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

/// A response, up to its body.
pub(super) struct Answer {
    response: Response<ureq::Body>,
    /// The URL that it is from.
    pub(super) url: Uri,
    pace: Pace,
}

/// The source of an upload's body; remembers why it could not be read.
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
    /// Sends `message` once, without following redirects.
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

/// Converts a transport error.
fn transport(at: &At, server: &str, error: &ureq::Error) -> RegistryError {
    let reason = error.to_string();
    let kind = match error {
        // Its message would contain the URL.
        ureq::Error::BadUri(_) => RegistryErrorKind::Misuse {
            reason: "cannot request this URL".into(),
        },
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => RegistryErrorKind::Tls { reason },
        // ureq reports TLS errors during the handshake this way.
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

    /// The server that it is from, for errors.
    pub(super) fn server(&self) -> String {
        server_of(&self.url)
    }

    /// A header, if it is text.
    pub(super) fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.response.headers().get(name.as_ref())?.to_str().ok()
    }

    /// All headers of that name, joined.
    pub(super) fn joined(&self, name: &str) -> String {
        let all = self.response.headers().get_all(name).iter();
        let all: Vec<_> = all.filter_map(|value| value.to_str().ok()).collect();
        all.join(", ")
    }

    /// The length of the body according to the headers. For `HEAD`, the length that a body would have.
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

    /// Rejects a response with a content encoding.
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

    /// Converts an unexpected response to an error.
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
            retry_after: (self.header("retry-after"))
                .and_then(|header| retry_after(header, self.header("date"))),
        };
        self.error(at, kind)
    }

    /// The error code and message of a response: from JSON, as registries send it, XML, as object storage
    /// does, or plain text.
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
        // A partial body is used as well.
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

    /// Reads the rest if it is short, so that the connection can be reused.
    pub(super) fn drain(mut self) {
        let body = self.response.body_mut().as_reader();
        // A broken connection is not reused.
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

/// Text of a server without control characters, shortened.
fn clean(text: &str, len: usize) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(len)
        .collect();
    text.trim().into()
}

/// All bytes of a body of at most `limit` bytes.
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

/// The body of a response.
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
