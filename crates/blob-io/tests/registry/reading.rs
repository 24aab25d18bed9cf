//! Reads of blobs return the right bytes, or an exact error.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image_model::{Blame as _, Fault};
use lazyoci_blob_io::ReadAt as _;
use lazyoci_blob_io::registry::{ErrorClass, RegistryErrorKind};
use registry_double::{Reply, Request, Server};

use crate::support::{blob, cause, large, options, path, repository, repository_with, text};

/// A server with one blob, whose responses are changed in order; the last change applies to all that follow.
fn changing(changes: Vec<fn(&Request, Reply) -> Reply>) -> Server {
    let count = AtomicUsize::new(0);
    Server::new(move |request| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let change = changes[n.min(changes.len() - 1)];
        change(request, Reply::range(request, &large()))
    })
}

fn as_it_is(_: &Request, reply: Reply) -> Reply {
    reply
}

fn lines(server: &Server, ranges: &[&str]) {
    let path = path("blobs", &verify::sha256(&large()));
    let expected = ranges.iter();
    let expected: Vec<_> = expected.map(|range| format!("GET {path}{range}")).collect();
    assert_eq!(server.lines(), expected);
}

#[test]
fn ranges_are_exact() {
    let server = changing(vec![as_it_is]);
    let (blob, bytes) = (blob(&server, &large()), large());
    assert_eq!(blob.len().unwrap(), 400_000);
    for (offset, len) in [(0, 1), (399_999, 1), (123_456, 77_777)] {
        let expected = &bytes[offset..offset + len];
        assert_eq!(blob.read_bytes(offset as u64, len).unwrap(), expected);
    }
    assert_eq!(blob.read_bytes(7, 0).unwrap(), "");
    lines(
        &server,
        &[" bytes=0-0", " bytes=399999-399999", " bytes=123456-201232"],
    );
    let seen = server.seen();
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("authorization"), None);
    assert!(blob.read_bytes(399_999, 2).is_err());
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn requests_and_bytes_are_counted() {
    let server = changing(vec![as_it_is]);
    let repository = repository(&server);
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    blob.read_bytes(0, 100_000).unwrap();
    blob.read_bytes(200_000, 100_000).unwrap();
    let stats = repository.client().stats();
    assert_eq!(
        (stats.requests, stats.sent, stats.received),
        (2, 0, 200_000)
    );
}

#[test]
fn a_small_blob_is_fetched_once_and_compared_with_its_digest() {
    let server = Server::new(|request| Reply::range(request, b"0123456789"));
    let small = blob(&server, b"0123456789");
    assert_eq!(small.read_bytes(2, 3).unwrap(), "234");
    assert_eq!(small.clone().read_bytes(9, 1).unwrap(), "9");
    assert_eq!(server.seen().len(), 1);

    let other = blob(&server, b"012345678_");
    let error = other.read_bytes(0, 1).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let (expected, found) = (verify::sha256(b"012345678_"), verify::sha256(b"0123456789"));
    let said = format!("blob {expected}, at HOST, attempt 1: its digest is {found}");
    assert_eq!(text(cause(&error), &server), said);
    assert_eq!(cause(&error).class(), ErrorClass::Corrupt);
}

#[test]
fn a_server_without_ranges_is_read_once_from_front_to_back() {
    let server = Server::new(|_| Reply::new(200).body(large()));
    let (blob, bytes) = (blob(&server, &large()), large());
    for offset in [0, 100_000, 250_000] {
        let read = blob.read_bytes(offset as u64, 1000).unwrap();
        assert_eq!(read, bytes[offset..offset + 1000]);
    }
    assert_eq!(server.seen().len(), 1);
    // Reading backwards takes another request.
    assert_eq!(blob.read_bytes(5, 1000).unwrap(), bytes[5..1005]);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn what_breaks_off_is_taken_up_where_it_was() {
    let server = changing(vec![
        |_, reply| reply.cut(1000),
        |_, reply| reply.reset(500),
        as_it_is,
    ]);
    let read = blob(&server, &large()).read_bytes(10, 5000).unwrap();
    assert_eq!(read, large()[10..5010]);
    let seen = server.lines();
    assert_eq!(seen.len(), 3);
    assert!(seen[1].ends_with(" bytes=1010-5009"), "{seen:?}");
    // A reset may overtake bytes sent before it.
    assert!(seen[2].ends_with("-5009"), "{seen:?}");
}

#[test]
fn a_stream_takes_one_request_and_survives() {
    let server = changing(vec![|_, reply| reply.cut(300_000), as_it_is]);
    let blob = blob(&server, &large());
    let mut bytes = Vec::new();
    blob.stream_unverified(0)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, large());
    lines(&server, &["", " bytes=300000-399999"]);
    let mut end = Vec::new();
    blob.stream_unverified(399_990)
        .unwrap()
        .read_to_end(&mut end)
        .unwrap();
    assert_eq!(end, large()[399_990..]);
    assert!(blob.stream_unverified(400_001).is_err());
}

#[test]
fn what_ends_early_every_time_is_an_error() {
    let server = changing(vec![|_, reply| reply.cut(10)]);
    let error = blob(&server, &large()).read_bytes(0, 1000).unwrap_err();
    let found = cause(&error);
    assert_eq!(found.range(), Some(20..1000));
    assert_eq!((found.attempt(), found.server()), (3, &*server.host()));
    assert_eq!(found.class(), ErrorClass::Transient);
    assert_eq!(error.fault(), Fault::Io);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn an_answer_with_fewer_bytes_than_asked_for_is_taken_up() {
    let server = changing(vec![
        |_, _| {
            Reply::new(206)
                .header("Content-Range", "bytes 100-199/400000")
                .body(&large()[100..200])
        },
        as_it_is,
    ]);
    let read = blob(&server, &large()).read_bytes(100, 300).unwrap();
    assert_eq!(read, large()[100..400]);
    lines(&server, &[" bytes=100-399", " bytes=200-399"]);
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = |status| {
        Reply::new(status)
            .header("Retry-After", "0")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#)
    };
    static STATUSES: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(
        move |request| match STATUSES.fetch_add(1, Ordering::Relaxed) {
            0 => busy(429),
            1 => busy(503),
            _ => Reply::range(request, &large()),
        },
    );
    let read = blob(&server, &large()).read_bytes(0, 10).unwrap();
    assert_eq!(read, large()[..10]);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_server_that_wants_rest_for_too_long_is_given_up() {
    let server = Server::new(|_| {
        Reply::new(429)
            .header("Retry-After", "3600")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[2Jdown"}]}"#)
    });
    let error = blob(&server, &large()).read_bytes(0, 10).unwrap_err();
    let said = format!(
        "blob {}, bytes 0 to 10, at HOST, attempt 1: status 429: TOOMANYREQUESTS: slow [2Jdown",
        verify::sha256(&large())
    );
    assert_eq!(text(cause(&error), &server), said);
    let hour = Duration::from_secs(3600);
    assert!(matches!(
        cause(&error).kind(),
        RegistryErrorKind::Status { status: 429, retry_after: Some(after), .. } if *after == hour
    ));
    assert_eq!(server.seen().len(), 1);
}

/// A change to the response to a read of bytes 100 to 200, and the expected error after the attempt.
#[test]
fn answers_with_something_else_are_refused() {
    type Case = (fn(&Request, Reply) -> Reply, &'static str, ErrorClass);
    let cases: [Case; 8] = [
        (
            |_, _| {
                Reply::new(206)
                    .header("Content-Range", "bytes 101-200/400000")
                    .body(&large()[101..201])
            },
            "the response is for the range `bytes 101-200/400000`",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| {
                Reply::new(206)
                    .header("Content-Range", "bytes 100-200/400000")
                    .body(&large()[100..201])
            },
            "the response is for the range `bytes 100-200/400000`",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| {
                Reply::new(206)
                    .header("Content-Range", "bytes 100-199/400001")
                    .body(&large()[100..200])
            },
            "it has 400001 bytes instead of 400000",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| Reply::new(206).body(&large()[100..200]),
            "the response is for the range ``",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| Reply::new(200).body(&large()[1..]),
            "it has 399999 bytes instead of 400000",
            ErrorClass::Corrupt,
        ),
        (
            |_, reply| reply.header("Content-Encoding", "gzip"),
            "the response is encoded as `gzip`",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| Reply::new(416).header("Content-Range", "bytes */50"),
            "it has 50 bytes instead of 400000",
            ErrorClass::Corrupt,
        ),
        (
            |_, _| Reply::new(416).body("<Error><Code>InvalidRange</Code></Error>"),
            "status 416: InvalidRange",
            ErrorClass::Corrupt,
        ),
    ];
    for (change, said, class) in cases {
        let server = changing(vec![change]);
        let error = blob(&server, &large()).read_bytes(100, 100).unwrap_err();
        let digest = verify::sha256(&large());
        let said = format!("blob {digest}, bytes 100 to 200, at HOST, attempt 1: {said}");
        assert_eq!(text(cause(&error), &server), said);
        assert_eq!(
            (cause(&error).class(), error.fault()),
            (class, Fault::Corrupt)
        );
        assert_eq!(server.seen().len(), 1, "{said}");
    }
}

#[test]
fn a_total_that_is_not_said_is_none() {
    let server = changing(vec![|_, _| {
        Reply::new(206)
            .header("Content-Range", "bytes 100-199/*")
            .body(&large()[100..200])
    }]);
    let read = blob(&server, &large()).read_bytes(100, 100).unwrap();
    assert_eq!(read, large()[100..200]);
}

#[test]
fn a_body_that_goes_on_behind_its_end_is_refused() {
    let server = Server::new(|_| {
        let mut bytes = b"61a81\r\n".to_vec();
        bytes.extend(&large());
        bytes.extend(b"x\r\n0\r\n\r\n");
        Reply::new(200)
            .header("Transfer-Encoding", "chunked")
            .body(bytes)
    });
    let blob = blob(&server, &large());
    let mut stream = blob.stream_unverified(0).unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    let source = error.get_ref().unwrap().source().unwrap();
    assert!(
        source
            .to_string()
            .ends_with("it has 400001 bytes instead of 400000"),
        "{source}"
    );
}

#[test]
fn what_is_gone_is_said_to_be() {
    let server = Server::new(|_| {
        Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}"#)
    });
    let error = blob(&server, &large()).read_bytes(0, 1).unwrap_err();
    assert_eq!(cause(&error).class(), ErrorClass::Gone);
    assert_eq!(error.fault(), Fault::Corrupt);
    let said = cause(&error).kind().to_string();
    assert_eq!(said, "status 404: BLOB_UNKNOWN: unknown");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_a_server_says_in_plain_text_is_passed_on() {
    let server = Server::new(|_| Reply::new(400).body("Client sent an HTTP request\n"));
    let error = blob(&server, &large()).read_bytes(0, 1).unwrap_err();
    let said = cause(&error).kind().to_string();
    assert_eq!(said, "status 400: Client sent an HTTP request");
    assert_eq!(cause(&error).class(), ErrorClass::Refused);
    assert_eq!(error.fault(), Fault::Io);
}

#[test]
fn slow_and_silent_servers_are_given_up() {
    let quick = |server: &Server| {
        let options = options(server)
            .attempts(1)
            .read_timeout(Duration::from_millis(300))
            .min_rate(1000);
        repository_with(server, options).blob(verify::sha256(&large()), 400_000)
    };
    let server = changing(vec![|_, reply| reply.drip(Duration::from_millis(20))]);
    let error = quick(&server).read_bytes(0, 10_000).unwrap_err();
    let kind = cause(&error).kind();
    assert!(matches!(kind, RegistryErrorKind::Slow { received, .. } if *received < 100));
    assert_eq!(cause(&error).class(), ErrorClass::Transient);

    let server = changing(vec![|_, _| Reply::silence(Duration::from_secs(2))]);
    let error = quick(&server).read_bytes(0, 10_000).unwrap_err();
    let kind = cause(&error).kind();
    assert!(
        matches!(kind, RegistryErrorKind::Transport { .. }),
        "{kind:?}"
    );
}

#[test]
fn heads_of_answers_are_bounded() {
    let server = changing(vec![|_, reply| reply.header("X-Long", "x".repeat(60_000))]);
    let error = blob(&server, &large()).read_bytes(0, 10).unwrap_err();
    let kind = cause(&error).kind();
    assert!(
        matches!(kind, RegistryErrorKind::Transport { .. }),
        "{kind:?}"
    );
}

#[test]
fn plain_http_has_to_be_asked_for() {
    let server = changing(vec![as_it_is]);
    let options = lazyoci_blob_io::registry::ClientOptions::default().attempts(1);
    let blob = repository_with(&server, options).blob(verify::sha256(&large()), 400_000);
    let error = blob.read_bytes(0, 10).unwrap_err();
    let kind = cause(&error).kind();
    assert!(
        matches!(kind, RegistryErrorKind::Transport { .. }),
        "{kind:?}"
    );
    assert_eq!(server.lines(), [""; 0]);
}

#[test]
fn threads_share_a_blob() {
    let server = changing(vec![as_it_is]);
    let (blob, bytes) = (blob(&server, &large()), large());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (blob, bytes) = (&blob, &bytes);
            scope.spawn(move || {
                for n in 0..20 {
                    let offset = (n * 7919 + thread * 101) % 390_000;
                    let read = blob.read_bytes(offset as u64, 999).unwrap();
                    assert_eq!(read, bytes[offset..offset + 999]);
                }
            });
        }
    });
}
