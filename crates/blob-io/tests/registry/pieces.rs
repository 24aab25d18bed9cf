//! Chunked uploads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lazyoci_blob_io::registry::{ErrorClass, Pushed, Repository};
use registry_double::{Reply, Request, Server};

use crate::support::{options, repository_with, text};

const BLOB: &[u8] = b"0123456789abcdefghijklmno";

/// The state of an upload session, whose location contains the number of bytes received.
fn session(len: usize) -> Reply {
    Reply::new(202)
        .header("Location", format!("/upload?at={len}"))
        .header("Range", format!("0-{}", len.saturating_sub(1)))
}

/// A registry that supports pieces: the handler, with the bytes received.
fn taking(request: &Request, has: &Mutex<Vec<u8>>) -> Reply {
    let mut has = has.lock().unwrap();
    match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => {
            has.clear();
            Reply::new(202).header("Location", "/upload?at=0")
        }
        "GET" => session(has.len()),
        "PATCH" => {
            let range = request.header("content-range").unwrap_or_default();
            if !range.starts_with(&format!("{}-", has.len())) {
                return Reply::new(416);
            }
            has.extend(&request.body);
            session(has.len())
        }
        _ => match *has == BLOB {
            true => Reply::new(201),
            false => Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
        },
    }
}

fn in_pieces(server: &Server) -> Repository {
    repository_with(server, options(server).chunk_len(10))
}

fn push(server: &Server) -> Result<Pushed, lazyoci_blob_io::registry::RegistryError> {
    in_pieces(server).push_blob(&BLOB, &verify::sha256(BLOB), &[])
}

/// The requests after the first two, without digests.
fn lines(server: &Server) -> Vec<String> {
    let lines = server.lines().into_iter().skip(2);
    lines
        .map(|line| line.split("&digest").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn each_piece_goes_where_the_last_answer_says() {
    let has = Mutex::default();
    let server = Server::new(move |request| taking(request, &has));
    assert_eq!(push(&server).unwrap(), Pushed::Uploaded);
    let expected = [
        "PATCH /upload?at=0 0-9",
        "PATCH /upload?at=10 10-19",
        "PATCH /upload?at=20 20-24",
        "PUT /upload?at=25",
    ];
    assert_eq!(lines(&server), expected);
    assert_eq!(server.seen()[2].body, b"0123456789");
    assert_eq!(server.seen()[2].header("content-length"), Some("10"));
}

#[test]
fn a_short_blob_is_sent_whole() {
    let server = Server::new(|request| match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/upload?at=0"),
        _ => Reply::new(201),
    });
    let short = &BLOB[..10];
    in_pieces(&server)
        .push_blob(&short, &verify::sha256(short), &[])
        .unwrap();
    assert_eq!(lines(&server), ["PUT /upload?at=0"]);
}

#[test]
fn a_registry_may_want_longer_pieces() {
    let has = Mutex::default();
    let server =
        Server::new(move |request| taking(request, &has).header("OCI-Chunk-Min-Length", "20"));
    push(&server).unwrap();
    let expected = [
        "PATCH /upload?at=0 0-19",
        "PATCH /upload?at=20 20-24",
        "PUT /upload?at=25",
    ];
    assert_eq!(lines(&server), expected);
}

#[test]
fn a_piece_that_is_cut_off_is_taken_up_where_the_registry_says() {
    let (has, patches) = (Mutex::default(), AtomicUsize::new(0));
    let server = Server::cutting(
        move |request| taking(request, &has),
        move |request| {
            let second = request.method == "PATCH" && patches.fetch_add(1, Ordering::Relaxed) == 1;
            second.then_some(4)
        },
    );
    assert_eq!(push(&server).unwrap(), Pushed::Uploaded);
    let expected = [
        "PATCH /upload?at=0 0-9",
        "PATCH /upload?at=10 10-19",
        "GET /upload?at=10",
        "PATCH /upload?at=14 14-23",
        "PATCH /upload?at=24 24-24",
        "PUT /upload?at=25",
    ];
    assert_eq!(lines(&server), expected);
}

#[test]
fn a_registry_that_has_less_than_was_sent_is_sent_the_rest() {
    let (has, patches) = (Mutex::default(), AtomicUsize::new(0));
    let server = Server::new(move |request| {
        let mut request = request.clone();
        if request.method == "PATCH" && patches.fetch_add(1, Ordering::Relaxed) == 0 {
            request.body.truncate(3);
        }
        taking(&request, &has)
    });
    push(&server).unwrap();
    let expected = [
        "PATCH /upload?at=0 0-9",
        "PATCH /upload?at=3 3-12",
        "PATCH /upload?at=13 13-22",
        "PATCH /upload?at=23 23-24",
        "PUT /upload?at=25",
    ];
    assert_eq!(lines(&server), expected);
}

#[test]
fn a_session_that_is_forgotten_begins_again() {
    let (has, patches) = (Mutex::default(), AtomicUsize::new(0));
    let server = Server::new(move |request| {
        let second = request.method == "PATCH" && patches.fetch_add(1, Ordering::Relaxed) == 1;
        match second {
            true => Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
            false => taking(request, &has),
        }
    });
    assert_eq!(push(&server).unwrap(), Pushed::Uploaded);
    let posts = server
        .seen()
        .into_iter()
        .filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 2);
}

#[test]
fn a_registry_that_forgets_each_session_is_given_up() {
    let has = Mutex::default();
    let server = Server::new(move |request| match &*request.method {
        "PATCH" => Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
        _ => taking(request, &has),
    });
    let error = push(&server).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone);
    let said = format!(
        "blob {}, bytes 0 to 10, at HOST, attempt 3: status 404: BLOB_UPLOAD_UNKNOWN",
        verify::sha256(BLOB)
    );
    assert_eq!(text(&error, &server), said);
}

#[test]
fn a_registry_that_takes_no_pieces_gets_the_whole() {
    let server = Server::new(|request| match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/upload?at=0"),
        "PATCH" => Reply::new(405).body(r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
        _ => Reply::new(201),
    });
    assert_eq!(push(&server).unwrap(), Pushed::Uploaded);
    let seen = server.seen();
    let methods: Vec<_> = seen.iter().map(|request| &*request.method).collect();
    assert_eq!(methods, ["HEAD", "POST", "PATCH", "POST", "PUT"]);
    assert_eq!(seen[4].body, BLOB);
}

#[test]
fn a_registry_that_never_finds_a_piece_in_order_is_given_up() {
    let server = Server::new(|request| match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/upload?at=0"),
        "GET" => session(0),
        _ => Reply::new(416),
    });
    let error = push(&server).unwrap_err();
    assert_eq!(error.kind().to_string(), "status 416");
    assert!(server.seen().len() < 20, "{:?}", server.lines());
}

#[test]
fn a_registry_that_says_it_has_more_than_was_sent_is_not_believed() {
    let server = Server::new(|request| match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/upload?at=0"),
        _ => session(1000),
    });
    let error = push(&server).unwrap_err();
    let said = format!(
        "blob {}, bytes 0 to 10, at HOST, attempt 1: the response is for the range `0-999`",
        verify::sha256(BLOB)
    );
    assert_eq!(text(&error, &server), said);
}
