//! A blob in a registry.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use image_model::Digest;
use ureq::http::header::RANGE;
use ureq::http::{HeaderValue, Method, Uri};

use super::client::Server;
use super::content_range::ContentRange;
use super::error::{At, RegistryError, RegistryErrorKind};
use super::exchange::{Answer, Message, Stream};
use super::repository::{Repository, digest};
use super::stream::BlobStream;
use super::url::same_origin;
use crate::read::{ReadAt, ReadError, check_range};

/// Blobs up to this length are fetched whole at the first read, and kept.
const SMALL: u64 = 64 << 10;
/// Bytes skipped at once.
const SKIPPED: usize = 64 << 10;

/// A blob in a registry, read by range.
///
/// Its length is given by the caller; a server that reports another length is an error. Ranges cannot be
/// compared with a digest: the reader has to verify them. Blobs of up to 64 KiB are fetched whole, compared with
/// their digest, and kept. Interrupted reads are resumed.
///
/// Clones share redirect targets and kept content.
///
/// ```no_run
/// use lazyoci_blob_io::ReadAt;
/// use lazyoci_blob_io::registry::{Client, ClientOptions, Reference};
/// let client = Client::new(ClientOptions::default())?;
/// let reference: Reference = "example.org/app".parse()?;
/// let digest = format!("sha256:{}", "0".repeat(64)).parse()?;
/// let blob = client.repository(&reference)?.blob(digest, 1 << 30);
/// let footer = blob.read_bytes((1 << 30) - 51, 51)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RemoteBlob {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) repository: Repository,
    pub(super) digest: Digest,
    pub(super) len: u64,
    what: String,
    target: Mutex<Option<Target>>,
    rest: Mutex<Option<Rest>>,
    kept: Mutex<Option<Bytes>>,
}

/// The target of a server's redirect.
#[derive(Clone)]
struct Target {
    server: usize,
    url: Uri,
}

/// The rest of a response from a server that sends whole blobs only.
struct Rest {
    server: usize,
    offset: u64,
    stream: Stream,
}

/// A response whose next bytes are those requested.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// How many of them it contains.
    pub(super) left: u64,
    /// Whether it continues to the end of the blob, whatever was requested.
    pub(super) is_whole: bool,
}

impl fmt::Debug for RemoteBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBlob")
            .field("repository", &self.inner.repository)
            .field("digest", &self.inner.digest)
            .field("len", &self.inner.len)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteBlob {
    pub(super) fn new(repository: Repository, digest: Digest, len: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                repository,
                digest,
                len,
                what: format!("blob {digest}"),
                target: Mutex::new(None),
                rest: Mutex::new(None),
                kept: Mutex::new(None),
            }),
        }
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.inner.digest
    }

    /// The bytes from `offset` to the end, by one request unless the connection breaks. They are not compared
    /// with the digest.
    ///
    /// # Errors
    /// [`ReadError::OutOfBounds`] if the blob ends before `offset`.
    pub fn stream_unverified(&self, offset: u64) -> Result<BlobStream, ReadError> {
        check_range(offset, 0, self.inner.len)?;
        Ok(BlobStream::new(self.clone(), offset..self.inner.len))
    }

    /// All bytes of a small blob; `None` for longer ones.
    fn small(&self) -> Result<Option<Bytes>, ReadError> {
        let Inner { len, .. } = *self.inner;
        if len > SMALL {
            return Ok(None);
        }
        let mut kept = lock(&self.inner.kept);
        if let Some(bytes) = &*kept {
            return Ok(Some(bytes.clone()));
        }
        let mut stream = BlobStream::new(self.clone(), 0..len);
        let bytes = stream.verified().map_err(|error| error.reading(0, len))?;
        *kept = Some(bytes.clone());
        Ok(Some(bytes))
    }
}

impl ReadAt for RemoteBlob {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.inner.len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_range(offset, buf.len(), self.inner.len)?;
        if buf.is_empty() {
            return Ok(());
        }
        if let Some(bytes) = self.small()? {
            return bytes.read_at(offset, buf);
        }
        let len = buf.len() as u64;
        let mut stream = BlobStream::new(self.clone(), offset..offset + len);
        stream.fill(buf).map_err(|error| error.reading(offset, len))
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        check_range(offset, len, self.inner.len)?;
        if len > 0
            && let Some(bytes) = self.small()?
        {
            return bytes.read_bytes(offset, len);
        }
        let mut buf = vec![0; len];
        self.read_at(offset, &mut buf)?;
        Ok(buf.into())
    }
}

impl Inner {
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    fn servers(&self) -> &[Server] {
        self.repository.servers()
    }

    /// Requests the bytes of `at` from the server at that position, without a range if all are wanted.
    pub(super) fn open(&self, position: usize, at: &At) -> Result<Opened, RegistryError> {
        let (offset, end) = match &at.range {
            Some(range) => (range.start, range.end),
            None => (0, self.len),
        };
        if let Some(opened) = self.reopen(position, offset, at)? {
            return Ok(opened);
        }
        let server = &self.servers()[position];
        let url = (self.repository).url(server, &format!("blobs/{}", self.digest))?;
        let mut message = Message::new(Method::GET, url);
        if at.range.is_some() {
            let range = HeaderValue::try_from(format!("bytes={offset}-{}", end - 1));
            let range = range.map_err(|error| RegistryError::misuse(&at.what, error.to_string()));
            message.headers.push((RANGE, range?));
        }
        if let Some(answer) = self.ask_target(position, &message, at)? {
            return self.accept(answer, offset, end, at);
        }
        let client = self.repository.client();
        let answer = client.send(server, self.repository.pull(), &message, at)?;
        let url = answer.url.clone();
        let opened = self.accept(answer, offset, end, at)?;
        if !same_origin(&url, &message.url) {
            let server = position;
            *lock(&self.target) = Some(Target { server, url });
        }
        Ok(opened)
    }

    /// Requests the target of an earlier redirect of that server; `None` if there is none, or it has expired.
    fn ask_target(
        &self,
        position: usize,
        message: &Message<'_>,
        at: &At,
    ) -> Result<Option<Answer>, RegistryError> {
        let target = lock(&self.target).clone();
        let Some(target) = target.filter(|target| target.server == position) else {
            return Ok(None);
        };
        let mut direct = Message::new(Method::GET, target.url);
        direct.headers.clone_from(&message.headers);
        let answer = self.repository.client().once(&direct, at);
        match answer {
            Ok(answer) if matches!(answer.status(), 200 | 206 | 416) => Ok(Some(answer)),
            // Whatever the failure: the registry knows the current location of the blob.
            Ok(answer) => {
                *lock(&self.target) = None;
                answer.drain();
                Ok(None)
            }
            Err(_) => {
                *lock(&self.target) = None;
                Ok(None)
            }
        }
    }

    fn accept(
        &self,
        answer: Answer,
        offset: u64,
        end: u64,
        at: &At,
    ) -> Result<Opened, RegistryError> {
        let stated = answer.header("content-range").unwrap_or_default();
        let range = ContentRange::parse(stated);
        let total = range.as_ref().and_then(|range| range.total);
        let length = |found| RegistryErrorKind::Length {
            found,
            expected: self.len,
        };
        let status = answer.status();
        if let (206 | 416, Some(found)) = (status, total)
            && found != self.len
        {
            return Err(answer.error(at, length(found)));
        }
        match status {
            200 | 206 => answer.check_encoding(at)?,
            _ => return Err(answer.refused(at)),
        }
        if status == 206 {
            let bytes = range.and_then(|range| range.bytes);
            let fits = bytes.filter(|&(first, last)| first == offset && last < end);
            let fits = fits.map(|(first, last)| last - first + 1);
            let fits = fits.filter(|&len| answer.len().is_none_or(|stated| stated == len));
            let Some(left) = fits else {
                let answered = stated.chars().take(64).collect();
                return Err(answer.error(at, RegistryErrorKind::Range { answered }));
            };
            return Ok(Opened {
                stream: answer.into_stream(),
                left,
                is_whole: false,
            });
        }
        if let Some(found) = answer.len().filter(|&found| found != self.len) {
            return Err(answer.error(at, length(found)));
        }
        let mut stream = answer.into_stream();
        self.skip(&mut stream, offset, at)?;
        Ok(Opened {
            stream,
            left: self.len - offset,
            is_whole: true,
        })
    }

    /// Skips bytes.
    fn skip(&self, stream: &mut Stream, len: u64, at: &At) -> Result<(), RegistryError> {
        let mut piece = vec![0; SKIPPED];
        let mut skipped = 0;
        while skipped < len {
            let most = usize::try_from(len - skipped).unwrap_or(SKIPPED);
            let read = stream.read(&mut piece[..most.min(SKIPPED)]);
            let failed = match read {
                Ok(0) => RegistryErrorKind::Short {
                    received: skipped,
                    expected: self.len,
                },
                Ok(read) => {
                    skipped += read as u64;
                    continue;
                }
                Err(kind) => kind,
            };
            return Err(RegistryError::new(at, &stream.server, failed));
        }
        Ok(())
    }

    /// Continues a kept response if it can reach the offset.
    fn reopen(
        &self,
        position: usize,
        offset: u64,
        at: &At,
    ) -> Result<Option<Opened>, RegistryError> {
        let fits = |rest: &mut Rest| rest.server == position && rest.offset <= offset;
        let Some(mut rest) = lock(&self.rest).take_if(fits) else {
            return Ok(None);
        };
        self.skip(&mut rest.stream, offset - rest.offset, at)?;
        Ok(Some(Opened {
            stream: rest.stream,
            left: self.len - offset,
            is_whole: true,
        }))
    }

    /// Keeps the rest of a response, from `offset` on.
    pub(super) fn keep(&self, server: usize, offset: u64, stream: Stream) {
        *lock(&self.rest) = Some(Rest {
            server,
            offset,
            stream,
        });
    }

    /// Compares `bytes` with the digest of the blob.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), RegistryErrorKind> {
        let found = digest(&self.digest, bytes).map_err(|error| RegistryErrorKind::Misuse {
            reason: error.to_string(),
        })?;
        match found == self.digest {
            true => Ok(()),
            false => Err(RegistryErrorKind::Digest {
                found: found.to_string(),
            }),
        }
    }
}
