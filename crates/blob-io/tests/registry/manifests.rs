//! Manifests by tag and digest.

use image_model::{Blame as _, Fault};
use lazyoci_blob_io::registry::{ErrorClass, RegistryErrorKind};
use registry_double::{Reply, Server};

use crate::support::{path, repository, text};

const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;

#[test]
fn a_manifest_has_the_digest_of_its_bytes_whatever_is_said() {
    let server = Server::new(|_| {
        Reply::new(200)
            .header(
                "Content-Type",
                "application/vnd.oci.image.index.v1+json; charset=utf-8",
            )
            .header(
                "Docker-Content-Digest",
                verify::sha256(b"other").to_string(),
            )
            .body(MANIFEST)
    });
    let manifest = repository(&server).manifest("v1").unwrap();
    assert_eq!(manifest.digest, verify::sha256(MANIFEST));
    assert_eq!(manifest.bytes, MANIFEST);
    let media_type = "application/vnd.oci.image.index.v1+json";
    assert_eq!(manifest.media_type.as_deref(), Some(media_type));
    let seen = server.seen();
    assert_eq!(server.lines(), ["GET /v2/team/app/manifests/v1"]);
    let accept = "application/vnd.oci.image.index.v1+json, \
        application/vnd.oci.image.manifest.v1+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.docker.distribution.manifest.v2+json";
    assert_eq!(seen[0].header("accept"), Some(accept));
}

#[test]
fn a_manifest_that_is_another_one_is_refused() {
    let server = Server::new(|_| Reply::new(200).body("{}"));
    let digest = verify::sha256(MANIFEST);
    let error = repository(&server)
        .manifest(&digest.to_string())
        .unwrap_err();
    let said = format!(
        "manifest {digest}, at HOST, attempt 1: its digest is {}",
        verify::sha256(b"{}")
    );
    assert_eq!(text(&error, &server), said);
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn manifests_are_bounded() {
    let server = Server::new(|_| Reply::new(200).header("Content-Length", "999999999999"));
    let error = repository(&server).manifest("v1").unwrap_err();
    let kind = error.kind();
    assert!(matches!(
        kind,
        RegistryErrorKind::TooLong { limit: 16_777_216 }
    ));
    assert_eq!(error.fault(), Fault::Limit);
    // A response without a length.
    let server = Server::new(|_| {
        let chunk = format!("1000000\r\n{}\r\n", "x".repeat(1 << 24));
        Reply::new(200)
            .header("Transfer-Encoding", "chunked")
            .body(format!("{chunk}1\r\nx\r\n0\r\n\r\n"))
    });
    let error = repository(&server).manifest("v1").unwrap_err();
    assert!(matches!(error.kind(), RegistryErrorKind::TooLong { .. }));
}

#[test]
fn a_manifest_that_ends_early_is_asked_for_again_and_never_taken() {
    let server = Server::new(|_| Reply::new(200).body(MANIFEST).cut(5));
    let error = repository(&server).manifest("v1").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert_eq!(error.attempt(), 3);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_tag_that_is_not_there_is_what_the_caller_asked_for() {
    let server = Server::new(|_| {
        Reply::new(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","detail":{"Tag":"v1"}}]}"#)
    });
    let repository = repository(&server);
    let error = repository.manifest("v1").unwrap_err();
    let said = "manifest v1, at HOST, attempt 1: status 404: MANIFEST_UNKNOWN";
    assert_eq!(text(&error, &server), said);
    assert_eq!(
        (error.class(), error.fault()),
        (ErrorClass::Gone, Fault::Misuse)
    );
    assert_eq!(repository.find_manifest("v1").unwrap(), None);
}

#[test]
fn what_is_there_is_said_without_being_fetched() {
    let server = Server::new(|request| {
        Reply::range(request, MANIFEST)
            .header("Content-Type", "application/x")
            .header(
                "Docker-Content-Digest",
                verify::sha256(MANIFEST).to_string(),
            )
    });
    let repository = repository(&server);
    let digest = verify::sha256(MANIFEST);
    for found in [
        repository.find_manifest("v1").unwrap().unwrap(),
        repository.find_blob(&digest).unwrap().unwrap(),
    ] {
        assert_eq!((found.len, found.digest), (Some(19), Some(digest)));
        assert_eq!(found.media_type.as_deref(), Some("application/x"));
    }
    let blob = path("blobs", &digest);
    let lines = [
        "HEAD /v2/team/app/manifests/v1".to_owned(),
        format!("HEAD {blob}"),
    ];
    assert_eq!(server.lines(), lines);
}

#[test]
fn storage_that_knows_only_get_is_asked_for_the_first_byte() {
    let storage = Server::new(|request| match &*request.method {
        "HEAD" => Reply::new(403),
        _ => Reply::range(request, MANIFEST),
    });
    let location = format!("http://{}/x", storage.host());
    let registry = Server::new(move |_| Reply::new(307).header("Location", &location));
    let found = repository(&registry).find_blob(&verify::sha256(MANIFEST));
    assert_eq!(found.unwrap().unwrap().len, Some(19));
    assert_eq!(storage.lines(), ["HEAD /x", "GET /x bytes=0-0"]);
}

#[test]
fn names_that_are_none_are_not_asked_for() {
    let server = Server::new(|_| Reply::new(200));
    for name in ["", "../../x", "sha256:00", "-x", "a b", &"x".repeat(129)] {
        let error = repository(&server).manifest(name).unwrap_err();
        assert_eq!(error.fault(), Fault::Misuse, "{name}");
        assert_eq!(error.attempt(), 0);
    }
    assert_eq!(server.seen().len(), 0);
}
