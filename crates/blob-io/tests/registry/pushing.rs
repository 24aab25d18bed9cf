//! Monolithic uploads, and manifests.

use std::sync::atomic::{AtomicUsize, Ordering};

use image_model::{Blame as _, Fault};
use lazyoci_blob_io::registry::{ErrorClass, Pushed, RegistryErrorKind};
use lazyoci_blob_io::{ReadAt, ReadError};
use registry_double::{Registry, Reply, Request, Server};

use crate::support::{large, options, path, repository, repository_with, text};

const BLOB: &[u8] = b"0123456789";

fn digest() -> image_model::Digest {
    verify::sha256(BLOB)
}

fn query() -> String {
    digest().to_string().replace(':', "%3A")
}

/// Responds as an empty registry does, except where `change` returns a response.
fn registry(change: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    Server::new(move |request| change(request).unwrap_or_else(|| plain(request)))
}

fn plain(request: &Request) -> Reply {
    match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/upload/1?_state=a"),
        "PUT" => Reply::new(201),
        _ => Reply::new(405),
    }
}

fn begin() -> [String; 2] {
    [
        format!("HEAD {}", path("blobs", &digest())),
        "POST /v2/team/app/blobs/uploads/".into(),
    ]
}

#[test]
fn a_blob_is_sent_once_it_is_known_not_to_be_there() {
    let server = registry(|_| None);
    let pushed = repository(&server)
        .push_blob(&BLOB, &digest(), &[])
        .unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    let put = format!("PUT /upload/1?_state=a&digest={}", query());
    let [head, post] = begin();
    assert_eq!(server.lines(), [head, post, put]);
    let seen = server.seen();
    assert_eq!(seen[1].header("content-length"), Some("0"));
    let put = &seen[2];
    assert_eq!(put.body, BLOB);
    assert_eq!(put.header("content-length"), Some("10"));
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
    assert_eq!(put.header("transfer-encoding"), None);
}

#[test]
fn a_blob_that_is_there_is_not_sent() {
    let server = Server::new(|request| Reply::range(request, BLOB));
    let pushed = repository(&server).push_blob(&BLOB, &digest(), &["team/base"]);
    assert_eq!(pushed.unwrap(), Pushed::There);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    let server = registry(|request| {
        (request.method == "POST").then(|| Reply::new(201).header("Location", "/x"))
    });
    let pushed = repository(&server).push_blob(&BLOB, &digest(), &["team/app", "team/base"]);
    assert_eq!(pushed.unwrap(), Pushed::Mounted);
    let mount = format!(
        "POST /v2/team/app/blobs/uploads/?mount={}&from=team%2Fbase",
        query()
    );
    let [head, _] = begin();
    assert_eq!(server.lines(), [head, mount]);
}

#[test]
fn a_mount_that_opens_a_session_is_used_for_the_upload() {
    let server = registry(|request| (request.method == "DELETE").then(|| Reply::new(204)));
    let pushed = repository(&server).push_blob(&BLOB, &digest(), &["a", "b"]);
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let lines = server.lines();
    let methods: Vec<_> = lines.iter().map(|line| &line[..6]).collect();
    assert_eq!(methods, ["HEAD /", "POST /", "DELETE", "POST /", "PUT /u"]);
    assert!(lines[3].ends_with("from=b"));
}

#[test]
fn a_mount_that_is_refused_is_no_failure() {
    let server = registry(|request| request.target.contains("mount=").then(|| Reply::new(403)));
    let pushed = repository(&server).push_blob(&BLOB, &digest(), &["other"]);
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn one_token_is_for_both_repositories() {
    let server = Server::new(|request| {
        if request.target.starts_with("/token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        if request.header("authorization").is_none() {
            let host = request.header("host").unwrap_or_default();
            let challenge = format!("Bearer realm=\"http://{host}/token\"");
            return Reply::new(401).header("WWW-Authenticate", challenge);
        }
        plain(request)
    });
    repository(&server)
        .push_blob(&BLOB, &digest(), &["base"])
        .unwrap();
    let lines = server.lines();
    let tokens: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("/token"))
        .collect();
    assert_eq!(
        tokens,
        [
            "GET /token?scope=repository%3Ateam%2Fapp%3Apull",
            "GET /token?scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Abase%3Apull",
        ]
    );
}

#[test]
fn an_upload_that_is_cut_off_begins_again() {
    let puts = AtomicUsize::new(0);
    let bytes = large();
    let server = Server::cutting(plain, move |request| {
        let first = request.method == "PUT" && puts.fetch_add(1, Ordering::Relaxed) == 0;
        first.then_some(1000)
    });
    let digest = verify::sha256(&bytes);
    let pushed = repository(&server).push_blob(&bytes, &digest, &[]);
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let seen = server.seen();
    let methods: Vec<_> = seen.iter().map(|request| &*request.method).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT", "HEAD", "POST", "PUT"]);
    assert_eq!(seen[2].body, bytes[..1000]);
    assert_eq!(seen[5].body, bytes);
}

#[test]
fn an_upload_whose_answer_is_lost_is_found_to_be_there() {
    let sent = AtomicUsize::new(0);
    let server = registry(move |request| match &*request.method {
        "PUT" => {
            sent.fetch_add(1, Ordering::Relaxed);
            Some(Reply::new(504))
        }
        "HEAD" if sent.load(Ordering::Relaxed) > 0 => Some(Reply::range(request, BLOB)),
        _ => None,
    });
    let pushed = repository(&server)
        .push_blob(&BLOB, &digest(), &[])
        .unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn an_upload_that_fails_each_time_names_what_and_where() {
    let server = registry(|request| (request.method == "PUT").then(|| Reply::new(503)));
    let error = repository(&server)
        .push_blob(&BLOB, &digest(), &[])
        .unwrap_err();
    let said = format!("blob {}, at HOST, attempt 3: status 503", digest());
    assert_eq!(text(&error, &server), said);
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[test]
fn a_registry_that_takes_something_else_is_not_believed() {
    let other = verify::sha256(b"other").to_string();
    let said = other.clone();
    let server = registry(move |request| {
        (request.method == "PUT").then(|| Reply::new(201).header("Docker-Content-Digest", &said))
    });
    let repository = repository(&server);
    for error in [
        repository.push_blob(&BLOB, &digest(), &[]).unwrap_err(),
        repository.push_manifest("v1", "a/b", b"{}").unwrap_err(),
    ] {
        let kind = error.kind();
        assert!(matches!(kind, RegistryErrorKind::Digest { found } if *found == other));
        assert_eq!(error.fault(), Fault::Corrupt);
    }
}

#[test]
fn bytes_that_are_not_those_of_the_digest_are_refused_by_the_registry() {
    let registry = Registry::new();
    let reference = format!("{}/team/app", registry.host()).parse().unwrap();
    let options = lazyoci_blob_io::registry::ClientOptions::default().plain_http(registry.host());
    let client = lazyoci_blob_io::registry::Client::new(options).unwrap();
    let repository = client.repository(&reference).unwrap();
    let error = repository
        .push_blob(&&b"other"[..], &digest(), &[])
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt);
    assert_eq!(error.kind().to_string(), "status 400: DIGEST_INVALID");
    assert_eq!(registry.blobs("team/app"), [""; 0]);
}

#[test]
fn a_source_that_fails_is_to_blame_itself() {
    struct Broken;
    impl ReadAt for Broken {
        fn len(&self) -> Result<u64, ReadError> {
            Ok(10)
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            BLOB[..5].read_at(offset, buf)
        }
    }
    let server = registry(|_| None);
    let error = repository(&server)
        .push_blob(&Broken, &digest(), &[])
        .unwrap_err();
    let kind = error.kind();
    assert!(matches!(
        kind,
        RegistryErrorKind::Source {
            source: ReadError::OutOfBounds { blob_len: 5, .. }
        }
    ));
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn an_upload_elsewhere_hears_no_secret() {
    let storage = Server::new(|_| Reply::new(201));
    let location = format!("http://{}/put?signature=s", storage.host());
    let registry = registry(move |request| {
        (request.method == "POST").then(|| Reply::new(202).header("Location", &location))
    });
    let options = options(&registry).header("X-Secret", "value");
    let pushed = repository_with(&registry, options).push_blob(&BLOB, &digest(), &[]);
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let seen = storage.seen();
    assert_eq!(
        seen[0].target,
        format!("/put?signature=s&digest={}", query())
    );
    assert_eq!(seen[0].body, BLOB);
    assert_eq!(seen[0].header("x-secret"), None);
    assert_eq!(seen[0].header("authorization"), None);
}

/// The registry may have to digest the blob: the timeout is longer for long blobs.
#[test]
fn a_server_that_digests_is_waited_for() {
    let bytes = lazyoci_blob_io::bytes::Bytes::from(vec![0; 9 << 20]);
    let server = registry(|request| {
        if request.method == "PUT" {
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
        None
    });
    let options = options(&server)
        .attempts(1)
        .read_timeout(std::time::Duration::from_millis(200));
    let repository = repository_with(&server, options);
    let pushed = repository.push_blob(&bytes, &verify::sha256(&bytes), &[]);
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let error = repository.push_blob(&BLOB, &digest(), &[]).unwrap_err();
    let kind = error.kind();
    assert!(
        matches!(kind, RegistryErrorKind::Transport { .. }),
        "{kind:?}"
    );
}

#[test]
fn a_manifest_is_put_as_it_is() {
    let server = registry(|_| None);
    let repository = repository(&server);
    let digest = repository.push_manifest("v1", "a/b", b"{ }").unwrap();
    assert_eq!(digest, verify::sha256(b"{ }"));
    let by_digest = digest.to_string();
    repository.push_manifest(&by_digest, "a/b", b"{ }").unwrap();
    let error = repository
        .push_manifest(&by_digest, "a/b", b"{}")
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    let lines = [
        "PUT /v2/team/app/manifests/v1".to_owned(),
        format!("PUT {}", path("manifests", &digest)),
    ];
    assert_eq!(server.lines(), lines);
    let seen = server.seen();
    assert_eq!(
        (&*seen[0].body, seen[0].header("content-type")),
        (&b"{ }"[..], Some("a/b"))
    );
}

/// docker-registry, while another client writes the same objects.
#[test]
fn a_manifest_that_is_denied_its_digest_is_put_again() {
    static PUTS: AtomicUsize = AtomicUsize::new(0);
    let deny = || {
        let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"did not match"}]}"#;
        Reply::new(400).body(body)
    };
    let server = registry(move |_| (PUTS.fetch_add(1, Ordering::Relaxed) < 2).then(deny));
    let put = repository(&server).push_manifest("v1", "a/b", b"{}");
    assert_eq!(put.unwrap(), verify::sha256(b"{}"));
    assert_eq!(server.lines().len(), 3);

    let server = registry(move |_| Some(deny()));
    let error = repository(&server)
        .push_manifest("v1", "a/b", b"{}")
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    let said =
        "manifest v1, at HOST, attempt 3: status 400: DIGEST_INVALID, although the digest is right";
    assert_eq!(text(&error, &server), said);
}

#[test]
fn a_manifest_whose_blobs_are_missing_is_not_taken() {
    let server = registry(|request| {
        let body = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#;
        (request.method == "PUT").then(|| Reply::new(400).body(body))
    });
    let error = repository(&server)
        .push_manifest("v1", "a/b", b"{}")
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone);
    let said = "manifest v1, at HOST, attempt 1: status 400: MANIFEST_BLOB_UNKNOWN: blob unknown";
    assert_eq!(text(&error, &server), said);
}
