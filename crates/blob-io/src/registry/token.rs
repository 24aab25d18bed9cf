//! Authorizations, cached until they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method, Uri};

use super::challenge::Challenge;
use super::client::{Client, Server};
use super::credentials::{Credential, Secret};
use super::error::{At, RegistryError, RegistryErrorKind};
use super::exchange::{Body, Message, read_short};
use super::url::{encode, is_loopback, resolve, server as server_of};

/// Default and minimum lifetime of a token.
const MIN_LIFETIME: Duration = Duration::from_secs(60);
/// Maximum lifetime.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its expiry a token is no longer used.
const MARGIN: Duration = Duration::from_secs(10);
/// Longest response of a token service.
const MAX_ANSWER_LEN: u64 = 256 << 10;
/// Most authorizations that are cached.
const MAX_KEPT: usize = 256;
/// The client id sent to token services.
const CLIENT_ID: &str = "lazyoci";

/// Authorizations by server and scopes.
#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<HashMap<Key, Authorization>>,
    /// One token is fetched at a time; threads that need the same one wait for it.
    fetching: Mutex<()>,
}

type Key = (String, String);

#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    expires: Option<Instant>,
    /// The challenges that it satisfies.
    challenges: Vec<Challenge>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// Response of a token service.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tokens {
    /// The cached authorization for `server` and `scopes`.
    pub(super) fn get(&self, server: &Server, scopes: &[String]) -> Option<Authorization> {
        let kept = lock(&self.kept);
        let found = kept.get(&key(server, scopes))?;
        let fresh = found.expires.is_none_or(|at| Instant::now() < at);
        fresh.then(|| found.clone())
    }

    /// Obtains an authorization for `scopes`, after `server` responded with `challenges` to `used`. Without
    /// challenges, those of `used` apply.
    pub(super) fn renew(
        &self,
        client: &Client,
        server: &Server,
        scopes: &[String],
        used: Option<&Authorization>,
        challenges: Vec<Challenge>,
        at: &At,
    ) -> Result<(), RegistryError> {
        let _one = lock(&self.fetching);
        let now = self.get(server, scopes);
        if now.is_some_and(|now| used.is_none_or(|used| used.header != now.header)) {
            // Another thread has renewed it meanwhile.
            return Ok(());
        }
        let challenges = match (challenges.is_empty(), used) {
            (true, Some(used)) => used.challenges.clone(),
            _ => challenges,
        };
        let asking = Asking {
            client,
            server,
            scopes,
            at,
        };
        let found = asking.authorize(challenges)?;
        let mut kept = lock(&self.kept);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key(server, scopes), found);
        Ok(())
    }
}

fn key(server: &Server, scopes: &[String]) -> Key {
    (server.base.clone(), scopes.join(" "))
}

struct Asking<'c> {
    client: &'c Client,
    server: &'c Server,
    scopes: &'c [String],
    at: &'c At,
}

impl Asking<'_> {
    fn failed(&self, kind: RegistryErrorKind) -> RegistryError {
        RegistryError::new(self.at, &self.server.name, kind)
    }

    fn authorize(&self, challenges: Vec<Challenge>) -> Result<Authorization, RegistryError> {
        let credential = self.client.options().credentials.get(&self.server.account);
        let credential =
            credential.map_err(|source| self.failed(RegistryErrorKind::Credentials { source }))?;
        let of = |scheme| challenges.iter().find(|one| one.scheme == scheme);
        if let Some(bearer) = of("bearer") {
            let (token, lifetime) = self.token(bearer, credential.as_ref())?;
            return Ok(Authorization {
                header: secret(&format!("Bearer {token}"))
                    .ok_or_else(|| self.no_token(bearer, "it cannot be sent in a header"))?,
                expires: Some(Instant::now() + lifetime.saturating_sub(MARGIN)),
                challenges,
            });
        }
        let basic = credential.as_ref().and_then(basic);
        match (of("basic"), basic) {
            (Some(_), Some(header)) => Ok(Authorization {
                header,
                expires: None,
                challenges,
            }),
            (asks, _) => {
                let schemes = challenges.iter().map(|one| one.scheme.as_str());
                let challenge = schemes.collect::<Vec<_>>().join(", ");
                Err(self.failed(match asks.is_some() && credential.is_none() {
                    true => RegistryErrorKind::NoCredentials { challenge },
                    false => RegistryErrorKind::Challenge { challenge },
                }))
            }
        }
    }

    fn no_token(&self, bearer: &Challenge, reason: impl Into<String>) -> RegistryError {
        let realm = bearer.get("realm").unwrap_or_default();
        let realm = realm.parse().map(|uri: Uri| server_of(&uri));
        self.failed(RegistryErrorKind::Token {
            realm: realm.unwrap_or_default(),
            reason: reason.into(),
        })
    }

    /// Requests a token from the token service.
    fn token(
        &self,
        bearer: &Challenge,
        credential: Option<&Credential>,
    ) -> Result<(String, Duration), RegistryError> {
        let failed = |reason: &str| self.no_token(bearer, reason);
        let realm = bearer.get("realm").ok_or_else(|| failed("no realm"))?;
        let base: Uri = (self.server.base.parse()).map_err(|_| failed("the realm is not a URL"))?;
        let realm = resolve(&base, realm).map_err(failed)?;
        let plain = |uri: &Uri| is_loopback(uri) || self.client.is_plain(&server_of(uri));
        if realm.scheme_str() != Some("https") && !plain(&realm) {
            return Err(failed("its URL is not encrypted"));
        }
        let mut scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let asked = bearer.get("scope").unwrap_or_default().split(' ');
        for scope in asked.filter(|scope| !scope.is_empty()) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let mut pairs = Vec::new();
        if let Some(service) = bearer.get("service") {
            pairs.push(("service", service));
        }
        let message = match credential.map(Credential::secret) {
            Some(Secret::Identity { token }) => {
                pairs.push(("grant_type", "refresh_token"));
                pairs.push(("refresh_token", token));
                pairs.push(("client_id", CLIENT_ID));
                let scope = scopes.join(" ");
                pairs.push(("scope", &scope));
                let form = joined(&pairs);
                let mut message = Message::new(Method::POST, realm);
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                message.headers.push((CONTENT_TYPE, form_type));
                message.body = Body::Bytes(form.into());
                message
            }
            _ => {
                pairs.extend(scopes.iter().map(|scope| ("scope", *scope)));
                let query = joined(&pairs);
                let url = super::url::with_query(&realm, &query).map_err(failed)?;
                let mut message = Message::new(Method::GET, url);
                if let Some(header) = credential.and_then(basic) {
                    message.headers.push((AUTHORIZATION, header));
                }
                message
            }
        };
        let mut answer = self.client.once(&message, self.at)?;
        match answer.status() {
            200 => {}
            401 | 403 => return Err(failed("it rejected the credentials")),
            _ => return Err(answer.refused(self.at)),
        }
        let bytes = read_short(&mut answer, MAX_ANSWER_LEN, self.at)?;
        let parsed: Answer =
            serde_json::from_slice(&bytes).map_err(|_| failed("the response is not valid JSON"))?;
        let is_token = |token: &String| !token.is_empty();
        let token = parsed.token.filter(is_token);
        let token = token.or(parsed.access_token.filter(is_token));
        let lifetime = Duration::from_secs(parsed.expires_in.unwrap_or_default());
        let lifetime = lifetime.clamp(MIN_LIFETIME, MAX_LIFETIME);
        Ok((
            token.ok_or_else(|| failed("the response contains none"))?,
            lifetime,
        ))
    }
}

/// Names and values, encoded as a query or form.
fn joined(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Secret::Basic { user, password } = credential.secret() else {
        return None;
    };
    secret(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

/// A header value that is not shown by `Debug`.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
