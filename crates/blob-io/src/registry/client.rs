//! A client of registries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderName, HeaderValue, Method, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::challenge::Challenge;
use super::error::{At, ErrorClass, RegistryError, RegistryErrorKind};
use super::exchange::{Answer, Message};
use super::options::ClientOptions;
use super::pace::Pace;
use super::reference::{Reference, api_host};
use super::repository::Repository;
use super::retry::{Retry, random};
use super::token::Tokens;
use super::url::{is_link_local, resolve, same_origin};

/// Most redirects per request.
const MAX_REDIRECTS: usize = 5;
/// Longest head of a response.
const MAX_HEAD_LEN: usize = 32 << 10;
/// Idle connections that are kept.
const MAX_IDLE: usize = 16;

/// A client of registries: connections, authorizations and settings. Clones share them.
///
/// ```no_run
/// use lazyoci_blob_io::registry::{Client, ClientOptions, Reference};
/// let client = Client::new(ClientOptions::default())?;
/// let reference: Reference = "docker.io/library/alpine:3".parse()?;
/// let manifest = client.repository(&reference)?.manifest(&reference.name())?;
/// println!("{}", manifest.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    agent: Agent,
    tokens: Tokens,
    mirrors: Vec<Server>,
    headers: Vec<(HeaderName, HeaderValue)>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: Arc<AtomicU64>,
}

/// Requests of a [`Client`] so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClientStats {
    /// Requests, including redirects and token requests.
    pub requests: u64,
    /// Bytes of request bodies.
    pub sent: u64,
    /// Bytes of manifests, blobs and tokens received.
    pub received: u64,
}

/// A server that speaks the registry API.
#[derive(Clone)]
pub(super) struct Server {
    /// Base of its URLs, without a trailing slash.
    pub(super) base: String,
    /// Its name in errors.
    pub(super) name: String,
    /// The key of its credentials.
    pub(super) account: String,
    /// Whether it is a mirror.
    pub(super) is_mirror: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client with these `options`.
    ///
    /// # Errors
    /// [`RegistryError`] if a URL, a header or a certificate in them is not valid.
    pub fn new(options: ClientOptions) -> Result<Self, RegistryError> {
        let headers = headers(&options.headers)?;
        let mirrors = options.mirrors.iter().map(|mirror| {
            let mut server = Server::mirror(&mirror.url)?;
            server.headers = self::headers(&mirror.headers)?;
            server.headers.extend(headers.iter().cloned());
            Ok(server)
        });
        let mirrors = mirrors.collect::<Result<_, RegistryError>>()?;
        let proxy = match &options.proxy {
            // The URL may contain a password.
            Some(url) => Some(
                Proxy::new(url).map_err(|_| RegistryError::misuse("the proxy", "invalid URL"))?,
            ),
            None => None,
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(MAX_HEAD_LEN)
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(MAX_IDLE)
            .proxy(proxy)
            .tls_config(tls(&options)?)
            .user_agent(concat!("lazyoci/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.read_timeout))
            .timeout_per_read(Some(options.read_timeout))
            .timeout_per_write(Some(options.read_timeout))
            .build();
        Ok(Self {
            inner: Arc::new(Inner {
                agent: agent.into(),
                options,
                tokens: Tokens::default(),
                mirrors,
                headers,
                requests: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                received: Arc::default(),
            }),
        })
    }

    /// The repository that `reference` names.
    ///
    /// # Errors
    /// [`RegistryError`] if it does not form a valid URL.
    pub fn repository(&self, reference: &Reference) -> Result<Repository, RegistryError> {
        let host = reference.host();
        let api = api_host(host);
        let scheme = match self.is_plain(host) {
            true => "http",
            false => "https",
        };
        let origin = Server {
            base: format!("{scheme}://{api}"),
            name: api.into(),
            account: host.into(),
            is_mirror: false,
            headers: self.inner.headers.clone(),
        };
        let mut servers = self.inner.mirrors.clone();
        servers.push(origin);
        Ok(Repository::new(self.clone(), reference, servers))
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        ClientStats {
            requests: self.inner.requests.load(Ordering::Relaxed),
            sent: self.inner.sent.load(Ordering::Relaxed),
            received: self.inner.received.load(Ordering::Relaxed),
        }
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.inner.agent
    }

    pub(super) fn pace(&self) -> Pace {
        let options = self.options();
        let received = Arc::clone(&self.inner.received);
        Pace::new(options.read_timeout, options.min_rate, received)
    }

    pub(super) fn count(&self, sent: u64) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Whether plain HTTP was requested for this host.
    pub(super) fn is_plain(&self, host: &str) -> bool {
        let listed = &self.options().plain_http;
        listed.iter().any(|plain| plain.eq_ignore_ascii_case(host))
    }

    /// Sends `message` to `server` with an authorization for `scopes`, renewed once if it is refused, and
    /// follows redirects: to other servers without the authorization and without headers meant for this one.
    pub(super) fn send(
        &self,
        server: &Server,
        scopes: &[String],
        message: &Message<'_>,
        at: &At,
    ) -> Result<Answer, RegistryError> {
        let origin: Uri = (server.base.parse()).map_err(|_| {
            RegistryError::misuse(&server.name, "not a host that a URL can contain")
        })?;
        let mut url = message.url.clone();
        let (mut renewed, mut redirects) = (false, 0);
        loop {
            let ours = same_origin(&url, &origin);
            let mut sent = Message {
                method: message.method.clone(),
                url: url.clone(),
                headers: message.headers.clone(),
                body: message.body.clone(),
                work: message.work,
            };
            let mut used = None;
            if ours {
                sent.headers.extend(server.headers.iter().cloned());
                used = self.inner.tokens.get(server, scopes);
                if let Some(used) = &used {
                    sent.headers.push((AUTHORIZATION, used.header.clone()));
                }
            }
            let mut answer = self.once(&sent, at)?;
            match answer.status() {
                401 if ours && !renewed => {
                    let challenges = Challenge::parse_all(&answer.joined("www-authenticate"));
                    answer.drain();
                    let tokens = &self.inner.tokens;
                    tokens.renew(self, server, scopes, used.as_ref(), challenges, at)?;
                    renewed = true;
                }
                // Amazon's registry sends this status for expired tokens, without a challenge.
                403 if ours && !renewed && used.is_some() => {
                    let (code, said) = answer.errors();
                    let expired = said.as_ref().is_some_and(|said| said.contains("expired"));
                    if !expired {
                        return Err(answer.refused_with(at, code, said));
                    }
                    let tokens = &self.inner.tokens;
                    tokens.renew(self, server, scopes, used.as_ref(), Vec::new(), at)?;
                    renewed = true;
                }
                301 | 302 | 303 | 307 | 308 => {
                    url = self.redirect(&answer, &message.method, redirects, at)?;
                    redirects += 1;
                    answer.drain();
                }
                _ => return Ok(answer),
            }
        }
    }

    /// The target of a redirect.
    fn redirect(
        &self,
        answer: &Answer,
        method: &Method,
        redirects: usize,
        at: &At,
    ) -> Result<Uri, RegistryError> {
        let failed = |reason| answer.error(at, RegistryErrorKind::Redirect { reason });
        if redirects == MAX_REDIRECTS {
            return Err(failed("too many redirects"));
        }
        let reads = [Method::GET, Method::HEAD].contains(method);
        if !reads && !matches!(answer.status(), 307 | 308) {
            return Err(failed(
                "an upload was redirected to something that can only be read",
            ));
        }
        let header = "location";
        let location = answer.header(header);
        let location =
            location.ok_or_else(|| answer.error(at, RegistryErrorKind::Header { header }))?;
        let target = resolve(&answer.url, location).map_err(failed)?;
        match is_link_local(&target) {
            true => Err(failed("redirected to a link-local address")),
            false => Ok(target),
        }
    }

    pub(super) fn retry(&self) -> Retry {
        let options = self.options();
        Retry {
            attempts: options.attempts,
            backoff: options.backoff,
            max_wait: options.max_wait,
        }
    }

    /// Waits before another attempt at a server that has failed `failures` times. Returns whether there is
    /// one.
    pub(super) fn wait(&self, server: &Server, failures: u32, error: &RegistryError) -> bool {
        if server.is_mirror || error.class() != ErrorClass::Transient {
            return false;
        }
        match self.retry().wait(failures, error.retry_after(), random()) {
            Some(time) => {
                thread::sleep(time);
                true
            }
            None => false,
        }
    }
}

impl Server {
    fn mirror(url: &str) -> Result<Self, RegistryError> {
        let failed = |reason| RegistryError::misuse("a mirror", reason);
        let uri: Uri = url.parse().map_err(|_| failed("invalid URL"))?;
        let authority = uri.authority().map(ureq::http::uri::Authority::as_str);
        match (uri.scheme_str(), authority) {
            (Some("http" | "https"), Some(name)) if !name.contains('@') => {
                if uri.query().is_some() {
                    return Err(failed("the URL has a query"));
                }
                Ok(Self {
                    base: url.trim_end_matches('/').into(),
                    name: name.into(),
                    account: name.into(),
                    is_mirror: true,
                    headers: Vec::new(),
                })
            }
            _ => Err(failed(
                "the URL is not of the form `http[s]://HOST[:PORT][/PATH]`",
            )),
        }
    }
}

fn headers(given: &[(String, String)]) -> Result<Vec<(HeaderName, HeaderValue)>, RegistryError> {
    let parsed = given.iter().map(|(name, value)| {
        let parsed = name.parse().ok().zip(HeaderValue::from_str(value).ok());
        parsed.ok_or_else(|| {
            RegistryError::misuse(format!("the header `{name}`"), "invalid name or value")
        })
    });
    parsed.collect()
}

fn tls(options: &ClientOptions) -> Result<TlsConfig, RegistryError> {
    let mut certificates = Vec::new();
    for pem in &options.root_certificates {
        let failed = || RegistryError::misuse("root certificates", "invalid PEM");
        let before = certificates.len();
        for item in parse_pem(pem) {
            if let PemItem::Certificate(certificate) = item.map_err(|_| failed())? {
                certificates.push(certificate);
            }
        }
        if certificates.len() == before {
            return Err(failed());
        }
    }
    let roots = match certificates.is_empty() {
        true => RootCerts::WebPki,
        false => RootCerts::new_with_certs(&certificates),
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}
