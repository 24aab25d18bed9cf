//! A well-behaved registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::http::{Reply, Request, Server};

/// A registry in memory, on this machine: plain HTTP, no credentials, monolithic and chunked uploads.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeSet<(String, String)>,
    sessions: BTreeMap<String, Vec<u8>>,
    count: usize,
}

impl Registry {
    /// An empty registry.
    ///
    /// # Panics
    /// If no port is available.
    #[must_use]
    pub fn new() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let answering = Arc::clone(&state);
        let server = Server::new(move |request| answering.lock().unwrap().answer(request));
        Self { server, state }
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The requests so far, one per line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.server.lines()
    }

    /// The tags of a repository.
    ///
    /// # Panics
    /// If the registry panicked.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let tags = state.tags.iter().filter(|(name, _)| name == repository);
        tags.map(|(_, tag)| tag.clone()).collect()
    }

    /// The manifest with that name.
    ///
    /// # Panics
    /// If the registry panicked.
    #[must_use]
    pub fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        let state = self.state.lock().unwrap();
        let key = (repository.to_owned(), name.to_owned());
        state.manifests.get(&key).cloned()
    }

    /// Digests of the blobs of a repository.
    ///
    /// # Panics
    /// If the registry panicked.
    #[must_use]
    pub fn blobs(&self, repository: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let blobs = state.blobs.keys().filter(|(name, _)| name == repository);
        blobs.map(|(_, digest)| digest.clone()).collect()
    }

    /// Changes the bytes of a blob.
    ///
    /// # Panics
    /// If the registry panicked.
    pub fn damage(&self, repository: &str, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock().unwrap();
        let key = (repository.to_owned(), digest.to_owned());
        change(state.blobs.get_mut(&key).unwrap());
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

fn unknown(code: &str) -> Reply {
    Reply::new(404).body(format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#))
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let (path, query) = (request.target.split_once('?')).unwrap_or((&request.target, ""));
        let Some(path) = path.strip_prefix("/v2/") else {
            return Reply::new(404);
        };
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<&str, String> = pairs
            .map(|(name, value)| (name, value.replace("%3A", ":").replace("%2F", "/")))
            .collect();
        if let Some((name, digest)) = path.split_once("/blobs/sha256:") {
            let key = (name.to_owned(), format!("sha256:{digest}"));
            return match self.blobs.get(&key) {
                Some(blob) => Reply::range(request, blob)
                    .header("Docker-Content-Digest", key.1)
                    .header("Content-Type", "application/octet-stream"),
                None => unknown("BLOB_UNKNOWN"),
            };
        }
        if let Some((name, session)) = path.split_once("/blobs/uploads/") {
            return self.upload(request, name, session, &query);
        }
        match path.split_once("/manifests/") {
            Some((name, manifest)) => self.manifests(request, name, manifest),
            None => Reply::new(404),
        }
    }

    fn upload(
        &mut self,
        request: &Request,
        name: &str,
        session: &str,
        query: &BTreeMap<&str, String>,
    ) -> Reply {
        if request.method == "POST" {
            if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
                let found = self.blobs.get(&(from.clone(), digest.clone())).cloned();
                if let Some(blob) = found {
                    self.blobs.insert((name.into(), digest.clone()), blob);
                    return Reply::new(201).header("Docker-Content-Digest", digest);
                }
            }
            self.count += 1;
            let session = format!("session-{}", self.count);
            self.sessions.insert(session.clone(), Vec::new());
            let location = format!("/v2/{name}/blobs/uploads/{session}?_state=0");
            return Reply::new(202).header("Location", location);
        }
        let Some(bytes) = self.sessions.get_mut(session) else {
            return unknown("BLOB_UPLOAD_UNKNOWN");
        };
        match request.method.as_str() {
            "GET" | "PATCH" => {
                bytes.extend(&request.body);
                let (len, status) = (bytes.len(), if request.method == "GET" { 204 } else { 202 });
                Reply::new(status)
                    .header("Range", format!("0-{}", len.saturating_sub(1)))
                    .header(
                        "Location",
                        format!("/v2/{name}/blobs/uploads/{session}?_state={len}"),
                    )
            }
            "PUT" => {
                bytes.extend(&request.body);
                let found = verify::sha256(bytes).to_string();
                let blob = std::mem::take(bytes);
                self.sessions.remove(session);
                if query.get("digest") != Some(&found) {
                    return Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                self.blobs.insert((name.into(), found.clone()), blob);
                Reply::new(201).header("Docker-Content-Digest", found)
            }
            _ => {
                self.sessions.remove(session);
                Reply::new(204)
            }
        }
    }

    fn manifests(&mut self, request: &Request, name: &str, manifest: &str) -> Reply {
        let key = (name.to_owned(), manifest.to_owned());
        if request.method != "PUT" {
            return match self.manifests.get(&key) {
                Some((media_type, bytes)) => Reply::new(200)
                    .header("Content-Type", media_type)
                    .header("Docker-Content-Digest", verify::sha256(bytes).to_string())
                    .body(bytes.clone()),
                None => unknown("MANIFEST_UNKNOWN"),
            };
        }
        if !self.refers_to_what_is_there(name, &request.body) {
            return Reply::new(400).body(r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#);
        }
        let digest = verify::sha256(&request.body).to_string();
        let media_type = request.header("content-type").unwrap_or_default();
        let stored = (media_type.to_owned(), request.body.clone());
        let by_digest = (name.to_owned(), digest.clone());
        self.manifests.insert(by_digest, stored.clone());
        if manifest != digest {
            self.tags.insert(key.clone());
            self.manifests.insert(key, stored);
        }
        Reply::new(201).header("Docker-Content-Digest", digest)
    }

    /// Whether every digest in a manifest refers to an object of the repository.
    fn refers_to_what_is_there(&self, name: &str, manifest: &[u8]) -> bool {
        let text = String::from_utf8_lossy(manifest);
        let mut digests = text.split("\"digest\":\"").skip(1);
        digests.all(|rest| {
            let digest = rest.split('"').next().unwrap_or_default();
            let key = (name.to_owned(), digest.to_owned());
            self.blobs.contains_key(&key) || self.manifests.contains_key(&key)
        })
    }
}
