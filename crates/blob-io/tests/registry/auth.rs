//! Credentials for registries, and where they are sent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lazyoci_blob_io::ReadAt as _;
use lazyoci_blob_io::registry::{
    Credential, ErrorClass, RegistryErrorKind, Repository, StaticCredentials,
};
use registry_double::{Reply, Request, Server};

use crate::support::{cause, large, options, repository, repository_with, text};

/// A registry that accepts only the latest token of its token service, which is on the same server; tokens are
/// numbered.
fn wanting(accepts: fn(&str, usize) -> bool, challenge: &'static str) -> Server {
    let given = AtomicUsize::new(0);
    Server::new(move |request| {
        if request.target.starts_with("/token") {
            let n = given.fetch_add(1, Ordering::Relaxed) + 1;
            return Reply::new(200).body(format!(r#"{{"token":"token-{n}","expires_in":300}}"#));
        }
        let sent = request.header("authorization").unwrap_or_default();
        match accepts(sent, given.load(Ordering::Relaxed)) {
            true => Reply::range(request, &large()),
            false => {
                let host = request.header("host").unwrap_or_default();
                Reply::new(401).header("WWW-Authenticate", challenge.replace("HOST", host))
            }
        }
    })
}

const BEARER: &str =
    r#"Bearer realm="http://HOST/token",service="the registry",scope="repository:team/app:pull""#;

fn with(server: &Server, credential: Credential) -> Repository {
    let credentials = StaticCredentials::default().with(server.host(), credential);
    repository_with(server, options(server).credentials(credentials))
}

fn read(repository: &Repository) -> Result<(), lazyoci_blob_io::ReadError> {
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    let read = blob.read_bytes(10, 10)?;
    assert_eq!(read, large()[10..20]);
    Ok(())
}

fn targets(server: &Server) -> Vec<String> {
    let targets = server.seen().into_iter();
    targets
        .map(|request| match request.target.starts_with("/token") {
            true => request.target,
            false => request.header("authorization").unwrap_or("nothing").into(),
        })
        .collect()
}

#[test]
fn tokens_are_fetched_once_and_used_again() {
    let server = wanting(|sent, _| sent == "Bearer token-1", BEARER);
    let repository = with(&server, Credential::basic("me", "secret"));
    read(&repository).unwrap();
    read(&repository).unwrap();
    let token = "/token?service=the%20registry&scope=repository%3Ateam%2Fapp%3Apull";
    let expected = ["nothing", token, "Bearer token-1", "Bearer token-1"];
    assert_eq!(targets(&server), expected);
    let basic = server.seen()[1].header("authorization").map(str::to_owned);
    assert_eq!(basic.as_deref(), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn nobody_gets_a_token_too() {
    let server = wanting(|sent, _| sent == "Bearer token-1", BEARER);
    read(&repository(&server)).unwrap();
    assert_eq!(server.seen()[1].header("authorization"), None);
}

#[test]
fn identity_tokens_are_exchanged() {
    let server = wanting(|sent, _| sent == "Bearer token-1", BEARER);
    read(&with(&server, Credential::identity_token("the/token"))).unwrap();
    let request = &server.seen()[1];
    assert_eq!((&*request.method, &*request.target), ("POST", "/token"));
    let form = "service=the%20registry&grant_type=refresh_token&refresh_token=the%2Ftoken\
        &client_id=lazyoci&scope=repository%3Ateam%2Fapp%3Apull";
    assert_eq!(String::from_utf8_lossy(&request.body), form);
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[test]
fn a_token_that_is_refused_is_renewed_once() {
    // The first token is valid for one request.
    let used = AtomicUsize::new(0);
    let count = Mutex::new(0);
    let server = Server::new(move |request| {
        if request.target.starts_with("/token") {
            *count.lock().unwrap() += 1;
            let n = *count.lock().unwrap();
            return Reply::new(200).body(format!(r#"{{"access_token":"token-{n}"}}"#));
        }
        let good = match request.header("authorization") {
            Some("Bearer token-1") => used.fetch_add(1, Ordering::Relaxed) == 0,
            Some("Bearer token-2") => true,
            _ => false,
        };
        let host = request.header("host").unwrap_or_default();
        match good {
            true => Reply::range(request, &large()),
            false => Reply::new(401).header("WWW-Authenticate", BEARER.replace("HOST", host)),
        }
    });
    let repository = repository(&server);
    read(&repository).unwrap();
    read(&repository).unwrap();
    let token = "/token?service=the%20registry&scope=repository%3Ateam%2Fapp%3Apull";
    let expected = [
        "nothing",
        token,
        "Bearer token-1",
        "Bearer token-1",
        token,
        "Bearer token-2",
    ];
    assert_eq!(targets(&server), expected);
}

#[test]
fn a_registry_that_wants_a_new_token_each_time_is_given_up() {
    let server = wanting(|_, _| false, BEARER);
    let error = read(&repository(&server)).unwrap_err();
    assert_eq!(cause(&error).class(), ErrorClass::Auth);
    let said = format!(
        "blob {}, bytes 10 to 20, at HOST, attempt 1: status 401",
        verify::sha256(&large())
    );
    assert_eq!(text(cause(&error), &server), said);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn users_with_passwords_are_sent_as_they_are_where_that_is_asked_for() {
    let basic = r#"Basic realm="HOST""#;
    let server = wanting(|sent, _| sent == "Basic bWU6c2VjcmV0", basic);
    let repository = with(&server, Credential::basic("me", "secret"));
    read(&repository).unwrap();
    read(&repository).unwrap();
    let expected = ["nothing", "Basic bWU6c2VjcmV0", "Basic bWU6c2VjcmV0"];
    assert_eq!(targets(&server), expected);
}

#[test]
fn credentials_are_those_of_the_host() {
    let server = wanting(|_, _| false, r#"Basic realm="HOST""#);
    let credentials =
        StaticCredentials::default().with("127.0.0.1", Credential::basic("me", "secret"));
    let options = options(&server).credentials(credentials);
    let error = read(&repository_with(&server, options)).unwrap_err();
    let said = cause(&error).kind().to_string();
    let expected = "the server requests credentials (`basic`), and none are known for it";
    assert_eq!(said, expected);
    assert_eq!(cause(&error).class(), ErrorClass::Auth);
    assert_eq!(targets(&server), ["nothing"]);
}

#[test]
fn what_is_asked_for_in_other_ways_is_said() {
    for (challenge, said) in [
        ("", ""),
        (r#"Negotiate, Digest realm="x""#, "negotiate, digest"),
    ] {
        let server = wanting(|_, _| false, challenge);
        let error = read(&with(&server, Credential::basic("a", "b"))).unwrap_err();
        let kind = cause(&error).kind();
        assert!(matches!(kind, RegistryErrorKind::Challenge { challenge } if challenge == said));
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn a_token_service_that_is_not_encrypted_hears_nothing() {
    for (realm, reason) in [
        ("http://auth.example/token", "its URL is not encrypted"),
        ("ftp://HOST/token", "the location is neither http nor https"),
    ] {
        let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
        let challenge: &'static str = challenge.leak();
        let server = wanting(|_, _| false, challenge);
        let error = read(&with(&server, Credential::basic("me", "secret"))).unwrap_err();
        let kind = cause(&error).kind();
        assert!(
            matches!(kind, RegistryErrorKind::Token { reason: found, .. } if found == reason),
            "{kind:?}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn token_services_may_answer_anything() {
    type Answer = fn(&Request) -> Reply;
    let cases: [(Answer, &str); 5] = [
        (|_| Reply::new(401), "it rejected the credentials"),
        (
            |_| Reply::new(200).body("<html>"),
            "the response is not valid JSON",
        ),
        (
            |_| Reply::new(200).body(r#"{"token":""}"#),
            "the response contains none",
        ),
        (
            |_| Reply::new(200).body(r#"{"token":"a\nb"}"#),
            "it cannot be sent in a header",
        ),
        (
            |_| Reply::new(200).body("x".repeat(300 << 10)),
            "the response is longer than 262144 bytes",
        ),
    ];
    for (answer, said) in cases {
        let server = Server::new(move |request| {
            let host = request.header("host").unwrap_or_default();
            match request.target.starts_with("/token") {
                true => answer(request),
                false => Reply::new(401).header("WWW-Authenticate", BEARER.replace("HOST", host)),
            }
        });
        let error = read(&repository(&server)).unwrap_err();
        let text = cause(&error).to_string();
        assert!(text.ends_with(said), "{text}");
        assert_eq!(server.seen().len(), 2, "{said}");
    }
}

#[test]
fn an_authorization_that_has_expired_is_renewed_without_a_challenge() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |request| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        match (request.header("authorization"), n) {
            (None, _) => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
            (_, 2) => Reply::new(403).body(
                r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
            ),
            _ => Reply::range(request, &large()),
        }
    });
    let repository = with(&server, Credential::basic("AWS", "secret"));
    read(&repository).unwrap();
    read(&repository).unwrap();
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn what_is_denied_stays_denied() {
    let server = Server::new(|_| {
        Reply::new(403).body(r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#)
    });
    let error = read(&repository(&server)).unwrap_err();
    let kind = cause(&error).kind().to_string();
    assert_eq!(kind, "status 403: DENIED: not for you");
    assert_eq!(cause(&error).class(), ErrorClass::Auth);
    assert_eq!(server.seen().len(), 1);
}
