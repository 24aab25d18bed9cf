//! How registries are asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::{Anonymous, Credentials};

/// How registries are asked.
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
    /// Who to be at which registry. [Nobody](Anonymous) unless told.
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials + 'static) -> Self {
        self.credentials = Arc::new(credentials);
        self
    }

    /// Asks `host`, given with its port if it has one, by HTTP without TLS. All others are asked by HTTPS,
    /// those on this machine too.
    #[must_use]
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http.push(host.into());
        self
    }

    /// Reads by way of `mirror`, of several in the order in which they are given here, and asks the
    /// registry itself only for what no mirror gives. Nothing is written to mirrors.
    #[must_use]
    pub fn mirror(mut self, mirror: Mirror) -> Self {
        self.mirrors.push(mirror);
        self
    }

    /// Connects by way of a proxy, `http://[USER:PASSWORD@]HOST:PORT`, by `CONNECT`. Without, and unless
    /// there is one here, none is used; the environment is not looked at.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Sends a header along with every request to a registry or mirror, and not to where they redirect.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Trusts the authorities in `pem` instead of those that browsers trust: of a registry, or a proxy, of
    /// one's own.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// How long connecting may take: 10 s unless told.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a server may be silent: 30 s unless told.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Gives up what comes slower than that many bytes a second, beyond one [`read_timeout`](Self::read_timeout):
    /// 1 KiB unless told.
    #[must_use]
    pub fn min_rate(mut self, bytes: u64) -> Self {
        self.min_rate = bytes;
        self
    }

    /// How often a registry is asked for something that it may give another time, or for more of what broke
    /// off early: 5 times unless told. Mirrors are asked once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long is waited at most after the first attempt; after each further one twice as long. 200 ms
    /// unless told.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long is waited at most; a server that wants not to be asked for longer is given up. 60 s unless
    /// told.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Uploads blobs that are longer than that in pieces of that length, so that an upload that breaks goes
    /// on where it was. Not every registry takes pieces; without this, blobs are sent whole.
    #[must_use]
    pub fn chunk_len(mut self, len: u64) -> Self {
        self.chunk_len = Some(len.max(1));
        self
    }
}

/// A server that has what a registry has: `URL/v2/REPOSITORY/…?ns=REGISTRY` is what is asked for.
///
/// A mirror is asked by HTTP if its URL says so, and with credentials of its own. Dragonfly's dfdaemon is one
/// with the header `X-Dragonfly-Registry: https://REGISTRY`.
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

    /// Sends a header along with every request to it.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Values of headers may be secrets, and are not shown.
impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Mirror")
            .field("url", &self.url)
            .field("headers", &headers)
            .finish()
    }
}
