//! The registry on loopback, and what it was asked for.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

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

/// Paths, and a range of each that was asked for.
type Asked = Mutex<Vec<(String, Range<u64>)>>;

/// A way to the registry that notes which ranges are asked for: the access log has none. It lasts as long as the process.
#[derive(Debug)]
pub struct Ranges {
    host: String,
    asked: Arc<Asked>,
}

impl Ranges {
    /// Opens one to `registry`, for requests that have no body.
    ///
    /// # Panics
    /// If there is no port for it.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("a port").to_string();
        let asked = Arc::default();
        let (to, noted) = (registry.host.clone(), Arc::clone(&asked));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (to, noted) = (to.clone(), Arc::clone(&noted));
                // A connection that breaks is the client's to tell.
                thread::spawn(move || drop(pass(&client, &to, &noted)));
            }
        });
        Self { host, asked }
    }

    /// How clients call `repository` on this way.
    #[must_use]
    pub fn repository(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host)
    }

    /// The ranges of the object with this digest that were asked for so far.
    #[must_use]
    pub fn of_blob(&self, digest: &str) -> Vec<Range<u64>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let of_blob = asked.iter().filter(|(path, _)| path.ends_with(digest));
        of_blob.map(|(_, range)| range.clone()).collect()
    }
}

/// Passes everything on between a client and the registry, and notes the ranges that are in the heads of requests.
fn pass(client: &TcpStream, registry: &str, asked: &Asked) -> io::Result<()> {
    let mut server = TcpStream::connect(registry)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut path = String::new();
    for line in BufReader::new(client).lines() {
        let line = line?;
        if let Some(request) = line.strip_suffix(" HTTP/1.1") {
            path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(list) = line.strip_prefix("Range: bytes=") {
            // podman names none where it has everything.
            let listed = list.split(',').filter(|range| !range.trim().is_empty());
            let ranges = listed.map(|range| {
                let (first, last) = range.trim().split_once('-').expect("a range");
                let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
                (path.clone(), number(first)..number(last) + 1)
            });
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.extend(ranges);
        }
        server.write_all(line.as_bytes())?;
        server.write_all(b"\r\n")?;
    }
    server.shutdown(Shutdown::Write)
}
