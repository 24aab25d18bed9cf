//! The registry on loopback, and what it was asked for.

use crate::run::{Finished, script};

/// The registry of `runtimes/registry.sh`, which all tests share.
#[derive(Debug)]
pub struct Registry {
    host: String,
}

/// A line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// Behind the host.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub bytes: u64,
}

impl Registry {
    /// Starts it, unless it runs.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut start = script("runtimes/registry.sh");
        let host = Finished::of(start.arg("start")).ok().text().to_owned();
        Self { host }
    }

    /// How clients call `repository` there: `HOST:PORT/REPOSITORY`.
    #[must_use]
    pub fn repository(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host)
    }

    /// What was asked of `repository` so far.
    ///
    /// # Panics
    /// If the log has another form.
    #[must_use]
    pub fn requests(&self, repository: &str) -> Vec<Request> {
        let mut log = script("runtimes/registry.sh");
        let log = Finished::of(log.arg("log")).ok();
        let path = format!("/v2/{repository}/");
        let lines = log.text().lines().filter(|line| line.contains(&path));
        lines.map(Request::parse).collect()
    }
}

impl Request {
    /// Reads a line such as `127.0.0.1 - - [TIME] "GET /v2/a/blobs/sha256:… HTTP/1.1" 206 4160 "" "agent"`.
    fn parse(line: &str) -> Self {
        let mut parts = line.split('"').skip(1);
        let mut request = parts.next().unwrap_or_default().split(' ');
        let mut answer = parts.next().unwrap_or_default().split_whitespace();
        let mut number = || answer.next().and_then(|text| text.parse::<u64>().ok());
        let (Some(status), Some(bytes)) = (number(), number()) else {
            panic!("no line of an access log: {line}");
        };
        let mut text = || request.next().unwrap_or_default().to_owned();
        Self {
            method: text(),
            path: text(),
            status: u16::try_from(status).unwrap_or_else(|_| panic!("no status: {line}")),
            bytes,
        }
    }

    /// Whether bytes of an object were answered.
    #[must_use]
    pub fn is_of_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/sha256:")
    }
}
