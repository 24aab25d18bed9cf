//! Blobs in object storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_model::{Blame as _, Fault};
use lazyoci_blob_io::ReadAt as _;
use lazyoci_blob_io::registry::{Credential, RegistryErrorKind, StaticCredentials};
use registry_double::{Reply, Server};

use crate::support::{blob, cause, large, options, path, repository_with};

/// A registry that redirects to `storage`.
fn redirecting(storage: String) -> Server {
    Server::new(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401).header("WWW-Authenticate", "Basic realm=x");
        }
        Reply::new(307).header("Location", &storage)
    })
}

#[test]
fn storage_gets_the_range_and_no_secret_and_is_remembered() {
    let storage = Arc::new(Server::new(|request| Reply::range(request, &large())));
    let location = format!("http://{}/bucket/x?signature=s", storage.host());
    let registry = redirecting(location);
    let credentials =
        StaticCredentials::default().with(registry.host(), Credential::basic("me", "secret"));
    let options = options(&registry)
        .credentials(credentials)
        .header("X-Secret", "value");
    let repository = repository_with(&registry, options);
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    assert_eq!(blob.read_bytes(10, 10).unwrap(), large()[10..20]);
    assert_eq!(blob.read_bytes(500, 10).unwrap(), large()[500..510]);

    let path = path("blobs", &verify::sha256(&large()));
    let asked = format!("GET {path} bytes=10-19");
    assert_eq!(registry.lines(), [asked.clone(), asked]);
    assert_eq!(registry.seen()[1].header("x-secret"), Some("value"));
    let lines = [
        "GET /bucket/x?signature=s bytes=10-19",
        "GET /bucket/x?signature=s bytes=500-509",
    ];
    assert_eq!(storage.lines(), lines);
    for request in storage.seen() {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-secret"), None);
    }
}

#[test]
fn storage_whose_signature_has_expired_is_asked_for_anew() {
    for status in [400, 401, 403, 404] {
        let count = AtomicUsize::new(0);
        let storage = Server::new(move |request| match count.fetch_add(1, Ordering::Relaxed) {
            1 => Reply::new(status).body("<Error><Code>ExpiredToken</Code></Error>"),
            _ => Reply::range(request, &large()),
        });
        let location = format!("http://{}/x", storage.host());
        let registry = Server::new(move |_| Reply::new(302).header("Location", &location));
        let blob = blob(&registry, &large());
        assert_eq!(blob.read_bytes(0, 10).unwrap(), large()[..10]);
        assert_eq!(blob.read_bytes(10, 10).unwrap(), large()[10..20]);
        assert_eq!((registry.seen().len(), storage.seen().len()), (2, 3));
    }
}

#[test]
fn storage_that_refuses_is_named() {
    let storage = Server::new(|_| {
        Reply::new(403).body(
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>",
        )
    });
    let location = format!("http://{}/x?signature=secret", storage.host());
    let registry = Server::new(move |_| Reply::new(302).header("Location", &location));
    let error = blob(&registry, &large()).read_bytes(0, 10).unwrap_err();
    assert_eq!(cause(&error).server(), storage.host());
    let said = format!(
        "blob {}, bytes 0 to 10, at {}, attempt 1: status 403: AccessDenied: no",
        verify::sha256(&large()),
        storage.host()
    );
    assert_eq!(cause(&error).to_string(), said);
}

#[test]
fn redirects_are_bounded_and_not_followed_anywhere() {
    for (location, reason, requests) in [
        ("/v2/again", "too many redirects", 6),
        (
            "http://169.254.169.254/latest/meta-data",
            "redirected to a link-local address",
            1,
        ),
        ("file:///etc/passwd", "the location is not a URL", 1),
        (
            "http://user@127.0.0.1/",
            "the location contains a user name",
            1,
        ),
    ] {
        let server = Server::new(move |_| Reply::new(302).header("Location", location));
        let error = blob(&server, &large()).read_bytes(0, 10).unwrap_err();
        let kind = cause(&error).kind();
        assert!(
            matches!(kind, RegistryErrorKind::Redirect { reason: found } if *found == reason),
            "{kind:?}"
        );
        assert_eq!(error.fault(), Fault::Limit);
        assert_eq!(server.seen().len(), requests, "{location}");
    }
    let server = Server::new(|_| Reply::new(302));
    let error = blob(&server, &large()).read_bytes(0, 10).unwrap_err();
    let kind = cause(&error).kind();
    assert!(matches!(
        kind,
        RegistryErrorKind::Header { header: "location" }
    ));
}

#[test]
fn relative_locations_stay_at_the_registry_and_keep_the_authorization() {
    let server = Server::new(|request| match &*request.target {
        "/v2/team/app/blobs/elsewhere" => Reply::range(request, &large()),
        _ if request.header("authorization").is_none() => {
            Reply::new(401).header("WWW-Authenticate", "Basic realm=x")
        }
        _ => Reply::new(307).header("Location", "elsewhere"),
    });
    let credentials =
        StaticCredentials::default().with(server.host(), Credential::basic("me", "secret"));
    let repository = repository_with(&server, options(&server).credentials(credentials));
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    assert_eq!(blob.read_bytes(3, 3).unwrap(), large()[3..6]);
    let last = server.seen().pop().unwrap();
    assert_eq!(last.target, "/v2/team/app/blobs/elsewhere");
    assert!(last.header("authorization").is_some());
}
