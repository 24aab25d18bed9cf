//! Credentials for registries.

use std::collections::BTreeMap;
use std::fmt;

use image_model::{Blame, Fault};

/// A source of credentials by registry.
///
/// Credentials for a host are sent to that host and to the token service that it names, and nowhere else:
/// neither to redirect targets nor to mirrors.
///
/// ```
/// use lazyoci_blob_io::registry::{Credential, Credentials, StaticCredentials};
/// let credentials = StaticCredentials::default().with("example.org", Credential::basic("me", "secret"));
/// assert!(credentials.get("example.org")?.is_some());
/// assert!(credentials.get("elsewhere.example.org")?.is_none());
/// assert!(!format!("{credentials:?}").contains("secret"));
/// # Ok::<(), lazyoci_blob_io::registry::CredentialError>(())
/// ```
pub trait Credentials: fmt::Debug + Send + Sync {
    /// The credential for `host`, a name with its port if it has one; `docker.io` is Docker Hub. `None` means
    /// anonymous access. Called again when the previous credential has expired.
    ///
    /// # Errors
    /// [`CredentialError`] if the lookup fails.
    fn get(&self, host: &str) -> Result<Option<Credential>, CredentialError>;
}

/// A credential for a registry. `Debug` does not show its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    secret: Secret,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    Basic { user: String, password: String },
    Identity { token: String },
}

impl Credential {
    /// A user name and password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        let (user, password) = (user.into(), password.into());
        let secret = Secret::Basic { user, password };
        Self { secret }
    }

    /// A token that the token service exchanges for access tokens: an OAuth 2 refresh token.
    pub fn identity_token(token: impl Into<String>) -> Self {
        let secret = Secret::Identity {
            token: token.into(),
        };
        Self { secret }
    }

    /// The user name, if the credential has a password.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.secret {
            Secret::Basic { user, .. } => Some(user),
            Secret::Identity { .. } => None,
        }
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

/// Why credentials cannot be obtained.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
#[non_exhaustive]
pub struct CredentialError {
    /// The file or the program.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl CredentialError {
    /// An error of a file or program.
    pub fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        let (place, reason) = (place.into(), reason.into());
        Self { place, reason }
    }
}

impl Blame for CredentialError {
    fn fault(&self) -> Fault {
        Fault::Io
    }
}

/// Anonymous access everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _host: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// Credentials in memory, by host.
#[derive(Debug, Clone, Default)]
pub struct StaticCredentials {
    by_host: BTreeMap<String, Credential>,
}

impl StaticCredentials {
    /// Adds `credential` for `host`.
    #[must_use]
    pub fn with(mut self, host: impl Into<String>, credential: Credential) -> Self {
        self.by_host.insert(host.into(), credential);
        self
    }
}

impl Credentials for StaticCredentials {
    fn get(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(self.by_host.get(host).cloned())
    }
}
