//! Settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::{Anonymous, Credentials};

/// Settings of a [`Client`](super::Client).
///
/// ```
/// use lazyoci_blob_io::registry::{Client, ClientOptions, DockerConfig, Mirror};
/// let options = ClientOptions::default()
///     .credentials(DockerConfig::find()?)
///     .mirror(Mirror::new("http://127.0.0.1:65001").header("X-Dragonfly-Registry", "https://example.org"));
/// let client = Client::new(options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientOptions {
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) plain_http: Vec<String>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) proxy: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) root_certificates: Vec<Vec<u8>>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) min_rate: u64,
    pub(super) attempts: u32,
    pub(super) backoff: Duration,
    pub(super) max_wait: Duration,
    pub(super) chunk_len: Option<u64>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Anonymous),
            plain_http: Vec::new(),
            mirrors: Vec::new(),
            proxy: None,
            headers: Vec::new(),
            root_certificates: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            min_rate: 1 << 10,
            attempts: 5,
            backoff: Duration::from_millis(200),
            max_wait: Duration::from_secs(60),
            chunk_len: None,
        }
    }
}

/// Values that may be secrets are not shown.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("credentials", &self.credentials)
            .field("plain_http", &self.plain_http)
            .field("mirrors", &self.mirrors)
            .field("attempts", &self.attempts)
            .field("chunk_len", &self.chunk_len)
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    /// The source of credentials. Default: [`Anonymous`].
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials + 'static) -> Self {
        self.credentials = Arc::new(credentials);
        self
    }

    /// Uses HTTP without TLS for `host`, given with its port if it has one. All others, including local ones,
    /// use HTTPS.
    #[must_use]
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http.push(host.into());
        self
    }

    /// Reads through `mirror`; several are tried in the order in which they are given, then the registry
    /// itself. Nothing is written to mirrors.
    #[must_use]
    pub fn mirror(mut self, mirror: Mirror) -> Self {
        self.mirrors.push(mirror);
        self
    }

    /// Connects through a proxy, `http://[USER:PASSWORD@]HOST:PORT`, by `CONNECT`. By default none is used;
    /// the environment is not consulted.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Sends a header with every request to a registry or mirror, but not to redirect targets.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Trusts the certificate authorities in `pem` instead of the default ones: for a private registry or
    /// proxy.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Timeout for connecting. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Maximum time without data from the server. Default: 30 s.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Minimum transfer rate, in bytes per second, after one [`read_timeout`](Self::read_timeout). Default: 1
    /// KiB.
    #[must_use]
    pub fn min_rate(mut self, bytes: u64) -> Self {
        self.min_rate = bytes;
        self
    }

    /// Attempts at a registry after transient failures or interrupted transfers. Default: 5. Mirrors are
    /// tried once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Maximum delay after the first attempt, doubled for each further one. Default: 200 ms.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Maximum delay in any case; a server that requests a longer one is not tried again. Default: 60 s.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Uploads blobs longer than this in pieces of this length, so that interrupted uploads can be resumed.
    /// Not every registry supports that; by default, blobs are sent whole.
    #[must_use]
    pub fn chunk_len(mut self, len: u64) -> Self {
        self.chunk_len = Some(len.max(1));
        self
    }
}

/// A mirror of registries, requested at `URL/v2/REPOSITORY/…?ns=REGISTRY`.
///
/// HTTP is used if its URL says so. It has its own credentials. Dragonfly's dfdaemon works as a mirror with
/// the header `X-Dragonfly-Registry: https://REGISTRY`.
#[derive(Clone)]
pub struct Mirror {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Mirror {
    /// The mirror at `url`, `http[s]://HOST[:PORT][/PATH]`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
        }
    }

    /// Sends a header with every request to it.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Header values may be secrets, and are not shown.
impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Mirror")
            .field("url", &self.url)
            .field("headers", &headers)
            .finish()
    }
}
