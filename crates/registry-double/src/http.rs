//! A scripted HTTP server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The part of the body that was read.
    pub body: Vec<u8>,
}

impl Request {
    /// The header with that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Method and target, and the range if there is one: `GET /x bytes=0-1`.
    #[must_use]
    pub fn line(&self) -> String {
        let range = self.header("range").or(self.header("content-range"));
        let range = range.map(|range| format!(" {range}")).unwrap_or_default();
        format!("{} {}{range}", self.method, self.target)
    }

    /// First and last byte requested, of `len`.
    #[must_use]
    pub fn range(&self, len: usize) -> Option<(usize, usize)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let last = last.parse().unwrap_or(len - 1);
        Some((first.parse().ok()?, last.min(len - 1)))
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    sent: usize,
    resets: bool,
    pause: Option<Duration>,
    silent: bool,
}

impl Reply {
    /// A response with that status and no body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            sent: usize::MAX,
            resets: false,
            pause: None,
            silent: false,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after that many bytes of the body.
    #[must_use]
    pub fn cut(mut self, sent: usize) -> Self {
        self.sent = sent;
        self
    }

    /// Resets the connection after that many bytes of the body.
    #[must_use]
    pub fn reset(mut self, sent: usize) -> Self {
        (self.sent, self.resets) = (sent, true);
        self
    }

    /// Sends one byte of the body at a time, with pauses.
    #[must_use]
    pub fn drip(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Sends nothing for that long, then closes the connection.
    #[must_use]
    pub fn silence(pause: Duration) -> Self {
        Self {
            silent: true,
            pause: Some(pause),
            ..Self::new(0)
        }
    }

    /// The bytes of `blob` that `request` asks for: status 206 or, without a range, 200.
    #[must_use]
    pub fn range(request: &Request, blob: &[u8]) -> Self {
        let Some((first, last)) = request.range(blob.len()) else {
            return Self::new(200).body(blob);
        };
        if first > last {
            let range = format!("bytes */{}", blob.len());
            return Self::new(416).header("Content-Range", range);
        }
        Self::new(206)
            .header(
                "Content-Range",
                format!("bytes {first}-{last}/{}", blob.len()),
            )
            .body(&blob[first..=last])
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;
type Limit = dyn Fn(&Request) -> Option<usize> + Send + Sync;

/// A server on this machine. It serves one request per connection.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that responds as `handler` says.
    ///
    /// # Panics
    /// If no port is available.
    pub fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::cutting(handler, |_| None)
    }

    /// A server that closes the connection once as many bytes of a body have arrived as `limit` returns, if
    /// it returns a number. `handler` is called with the bytes received; its response is not sent.
    ///
    /// # Panics
    /// If no port is available.
    pub fn cutting(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        limit: impl Fn(&Request) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            over: Arc::default(),
        };
        let (seen, over) = (Arc::clone(&server.seen), Arc::clone(&server.over));
        let (handler, limit): (Arc<Handler>, Arc<Limit>) = (Arc::new(handler), Arc::new(limit));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, handler, limit) =
                    (Arc::clone(&seen), Arc::clone(&handler), Arc::clone(&limit));
                // Errors of a client that disconnects are ignored.
                thread::spawn(move || {
                    stream.and_then(|stream| serve(stream, &seen, &*handler, &*limit))
                });
            }
        });
        server
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far.
    ///
    /// # Panics
    /// If a handler panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests so far, one per line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Request::line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
    limit: &Limit,
) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let Some((mut request, head)) = peek_head(&stream)? else {
        return Ok(());
    };
    let len = request.header("content-length").unwrap_or("0");
    let len: usize = len.parse().unwrap_or_default();
    if request.method == "CONNECT" {
        stream.read_exact(&mut vec![0; head])?;
        seen.lock().unwrap().push(request);
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        return serve(stream, seen, handler, limit);
    }
    let cut = limit(&request).filter(|&cut| cut < len);
    let taken = cut.unwrap_or(len);
    // The last byte is left unread: closing a connection with unread data resets it.
    let mut bytes = vec![0; head + taken - 1];
    stream.read_exact(&mut bytes)?;
    let mut last = vec![0];
    if taken > 0 {
        stream.read_exact(&mut last)?;
        bytes.append(&mut last);
        request.body = bytes.split_off(head);
    }
    seen.lock().unwrap().push(request.clone());
    let reply = handler(&request);
    if cut.is_some() {
        return Ok(());
    }
    send(stream, &request, &reply, last.len())
}

/// Peeks at the head of a request. Returns its length, too.
fn peek_head(stream: &TcpStream) -> io::Result<Option<(Request, usize)>> {
    let mut bytes = vec![0; 64 << 10];
    let end = loop {
        let len = stream.peek(&mut bytes)?;
        // Not HTTP, but TLS for example.
        if len == 0 || !bytes[0].is_ascii_uppercase() {
            return Ok(None);
        }
        let end = bytes[..len].windows(4).position(|four| four == b"\r\n\r\n");
        match end {
            Some(end) => break end + 4,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    bytes.truncate(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    let request = Request {
        method,
        target,
        headers: headers.collect(),
        body: Vec::new(),
    };
    Ok(Some((request, end)))
}

/// Sends a response to a request of which `unread` bytes have not been read.
fn send(mut stream: TcpStream, request: &Request, reply: &Reply, unread: usize) -> io::Result<()> {
    if reply.silent {
        thread::sleep(reply.pause.unwrap_or_default());
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let stated = ["content-length", "transfer-encoding"];
    let is_stated = |(name, _): &(String, String)| stated.contains(&&*name.to_ascii_lowercase());
    if !reply.headers.iter().any(is_stated) && reply.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        let body = &reply.body[..reply.body.len().min(reply.sent)];
        match reply.pause {
            None => stream.write_all(body)?,
            Some(pause) => {
                for byte in body {
                    thread::sleep(pause);
                    stream.write_all(&[*byte])?;
                }
            }
        }
    }
    if reply.resets {
        return Ok(());
    }
    stream.read_exact(&mut vec![0; unread])?;
    stream.shutdown(Shutdown::Write)?;
    // Read until the client closes, too: otherwise its remaining data would cause a reset.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}
