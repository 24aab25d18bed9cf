//! Credentials stored by `docker login` and `podman login`.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::{Credential, CredentialError, Credentials};

/// Longest file, and longest output of a helper.
const MAX_LEN: u64 = 1 << 20;
/// The user name that helpers return with an identity token.
const TOKEN_USER: &str = "<token>";
/// The key of Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Output of a helper that has no credentials.
const NOT_FOUND: &str = "credentials not found";

/// The `config.json` of Docker, and the `auth.json` of podman.
///
/// | member | holds |
/// |---|---|
/// | `auths` | by registry: `auth`, base64 of `USER:PASSWORD`, or `username` and `password`; `identitytoken` |
/// | `credHelpers` | by registry: a program `docker-credential-NAME` that is called instead |
/// | `credsStore` | the program that is called for all others, before `auths` |
///
/// A registry is keyed by its host or a URL of it; Docker Hub by `https://index.docker.io/v1/`.
/// Source: docker/cli `cli/config/configfile`, containers-auth.json(5).
///
/// ```
/// use lazyoci_blob_io::registry::{Credentials, DockerConfig};
/// let config = DockerConfig::parse(br#"{"auths": {"https://example.org/v2/": {"auth": "bWU6c2VjcmV0"}}}"#, "config.json")?;
/// let found = config.get("example.org")?.expect("it is listed");
/// assert_eq!(found.user(), Some("me"));
/// # Ok::<(), lazyoci_blob_io::registry::CredentialError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    place: String,
    auths: BTreeMap<String, Credential>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed {
    #[serde(default)]
    auths: Option<BTreeMap<String, Auth>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

/// Output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl DockerConfig {
    /// The first of these that exists, or an empty configuration: `$REGISTRY_AUTH_FILE`,
    /// `$XDG_RUNTIME_DIR/containers/auth.json`, `$DOCKER_CONFIG/config.json`, `~/.docker/config.json`.
    ///
    /// # Errors
    /// [`CredentialError`] if it cannot be read; `$REGISTRY_AUTH_FILE`, if set, must exist.
    pub fn find() -> Result<Self, CredentialError> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = variable("REGISTRY_AUTH_FILE") {
            return Self::open(path);
        }
        let inside = |name, path: &str| variable(name).map(|dir| PathBuf::from(dir).join(path));
        let places = [
            inside("XDG_RUNTIME_DIR", "containers/auth.json"),
            inside("DOCKER_CONFIG", "config.json"),
            inside("HOME", ".docker/config.json"),
        ];
        match places.into_iter().flatten().find(|path| path.exists()) {
            Some(path) => Self::open(path),
            None => Ok(Self::default()),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CredentialError> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_LEN + 1).read_to_end(&mut bytes))
            .map_err(|error| CredentialError::new(&place, error.to_string()))?;
        Self::parse(&bytes, &place)
    }

    /// Parses the content of a file, which errors call `place`.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self, CredentialError> {
        let failed = |reason: String| CredentialError::new(place, reason);
        if bytes.len() as u64 > MAX_LEN {
            return Err(failed(format!("longer than {MAX_LEN} bytes")));
        }
        // Errors of serde_json may quote values of the file; only the position is kept.
        let parsed: Parsed = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            failed(format!("line {line}, column {column}: invalid JSON"))
        })?;
        let mut config = Self {
            place: place.into(),
            store: parsed.creds_store.filter(|store| !store.is_empty()),
            ..Self::default()
        };
        for (key, auth) in parsed.auths.unwrap_or_default() {
            let found = auth.credential();
            let found = found.map_err(|reason| failed(format!("`{key}`: {reason}")))?;
            if let Some(credential) = found {
                config.auths.insert(host_of(&key), credential);
            }
        }
        for (key, helper) in parsed.cred_helpers.unwrap_or_default() {
            config.helpers.insert(host_of(&key), helper);
        }
        Ok(config)
    }

    /// Calls the helper for `host`.
    fn ask(&self, helper: &str, host: &str) -> Result<Option<Credential>, CredentialError> {
        let program = format!("docker-credential-{helper}");
        let failed = |reason: String| CredentialError::new(&program, reason);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if helper.is_empty() || !helper.chars().all(is_name) {
            return Err(CredentialError::new(
                &self.place,
                "the name of a helper is not a program name",
            ));
        }
        let key = match host {
            "docker.io" => DOCKER_HUB_KEY,
            host => host,
        };
        let (succeeded, output) = run(&program, key).map_err(|error| failed(error.to_string()))?;
        if !succeeded {
            let said = String::from_utf8_lossy(&output);
            return match said.contains(NOT_FOUND) {
                true => Ok(None),
                // Its output may contain anything.
                false => Err(failed("it failed".into())),
            };
        }
        let answer: Answer = serde_json::from_slice(&output)
            .map_err(|_| failed("its output is not valid JSON".into()))?;
        let Answer { username, secret } = answer;
        Ok(match (username.as_str(), secret.is_empty()) {
            (_, true) => None,
            (TOKEN_USER, false) => Some(Credential::identity_token(secret)),
            (_, false) => Some(Credential::basic(username, secret)),
        })
    }
}

impl Credentials for DockerConfig {
    fn get(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        if let Some(helper) = self.helpers.get(host) {
            return self.ask(helper, host);
        }
        if let Some(store) = &self.store
            && let Some(found) = self.ask(store, host)?
        {
            return Ok(Some(found));
        }
        Ok(self.auths.get(host).cloned())
    }
}

impl Auth {
    fn credential(self) -> Result<Option<Credential>, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::identity_token(self.identitytoken)));
        }
        if self.auth.is_empty() {
            let given = !self.username.is_empty();
            return Ok(given.then(|| Credential::basic(self.username, self.password)));
        }
        let decoded = STANDARD.decode(self.auth.trim_end_matches('\0'));
        let decoded = decoded.map_err(|_| "`auth` is not base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "`auth` is not UTF-8")?;
        let pair = decoded.trim_end_matches('\0').split_once(':');
        let (user, password) = pair.ok_or("`auth` has no colon")?;
        Ok(Some(Credential::basic(user, password)))
    }
}

/// The registry of a key.
fn host_of(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        host => host.to_ascii_lowercase(),
    }
}

/// Runs a helper. Returns whether it succeeded, and its output.
fn run(program: &str, key: &str) -> io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input reports why itself.
        let _ = stdin.write_all(key.as_bytes());
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_LEN).read_to_end(&mut output)?;
    }
    Ok((child.wait()?.success(), output))
}
