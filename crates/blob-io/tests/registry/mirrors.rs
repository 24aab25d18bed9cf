//! Mirrors, proxies, and their headers.

use lazyoci_blob_io::ReadAt as _;
use lazyoci_blob_io::registry::{
    Client, ClientOptions, Credential, ErrorClass, Mirror, StaticCredentials,
};
use registry_double::{Reply, Server};

use crate::support::{cause, large, options, path, repository_with};

fn at(server: &Server) -> Mirror {
    Mirror::new(format!("http://{}", server.host()))
}

#[test]
fn mirrors_are_asked_in_their_order_and_the_registry_last() {
    let busy = Server::new(|_| Reply::new(503));
    let wrong = Server::new(|_| Reply::new(200).body("something else"));
    let registry = Server::new(|request| Reply::range(request, &large()));
    let options = options(&registry).mirror(at(&busy)).mirror(at(&wrong));
    let repository = repository_with(&registry, options);
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    assert_eq!(blob.read_bytes(5, 10).unwrap(), large()[5..15]);
    let path = path("blobs", &verify::sha256(&large()));
    let upstream = registry.host().replace(':', "%3A");
    let asked = [format!("GET {path}?ns={upstream} bytes=5-14")];
    assert_eq!(busy.lines(), asked);
    assert_eq!(wrong.lines(), asked);
    assert_eq!(registry.lines(), [format!("GET {path} bytes=5-14")]);
}

#[test]
fn a_mirror_that_breaks_off_is_followed_by_the_registry_in_the_middle() {
    let mirror = Server::new(|request| Reply::range(request, &large()).cut(1000));
    let registry = Server::new(|request| Reply::range(request, &large()));
    let options = options(&registry).mirror(at(&mirror));
    let repository = repository_with(&registry, options);
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    assert_eq!(blob.read_bytes(0, 5000).unwrap(), large()[..5000]);
    let path = path("blobs", &verify::sha256(&large()));
    assert_eq!(registry.lines(), [format!("GET {path} bytes=1000-4999")]);
}

#[test]
fn wrong_bytes_of_a_mirror_are_not_taken() {
    let mirror = Server::new(|_| Reply::new(200).body("0123456780"));
    let registry = Server::new(|_| Reply::new(200).body("0123456789"));
    let repository = repository_with(&registry, options(&registry).mirror(at(&mirror)));
    let digest = verify::sha256(b"0123456789");
    let read = repository.blob(digest, 10).read_bytes(0, 10).unwrap();
    assert_eq!(read, "0123456789");
    let manifest = repository.manifest(&digest.to_string()).unwrap();
    assert_eq!(manifest.bytes, "0123456789");
    assert_eq!((mirror.seen().len(), registry.seen().len()), (2, 2));
}

#[test]
fn a_mirror_hears_its_own_credentials_and_headers_only() {
    let challenge = |_: &_| Reply::new(401).header("WWW-Authenticate", "Basic realm=x");
    let mirror = Server::new(challenge);
    let registry = Server::new(challenge);
    let credentials =
        StaticCredentials::default().with(registry.host(), Credential::basic("me", "secret"));
    let upstream = format!("http://{}", registry.host());
    let options = options(&registry)
        .credentials(credentials)
        .header("X-For-All", "1")
        .mirror(at(&mirror).header("X-Dragonfly-Registry", &upstream));
    let error = repository_with(&registry, options)
        .manifest("v1")
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Auth);
    assert_eq!(error.server(), registry.host());
    let seen = mirror.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("x-dragonfly-registry"), Some(&*upstream));
    assert_eq!(seen[0].header("x-for-all"), Some("1"));
    let seen = registry.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(seen[1].header("x-dragonfly-registry"), None);
    assert_eq!(seen[1].header("x-for-all"), Some("1"));
}

#[test]
fn everything_goes_by_way_of_a_proxy() {
    // The proxy responds to the requests itself.
    let proxy = Server::new(|request| Reply::range(request, &large()));
    let options = ClientOptions::default()
        .plain_http("registry.example:5000")
        .proxy(format!("http://user:word@{}", proxy.host()));
    let reference = "registry.example:5000/team/app".parse().unwrap();
    let repository = Client::new(options)
        .unwrap()
        .repository(&reference)
        .unwrap();
    let blob = repository.blob(verify::sha256(&large()), 400_000);
    assert_eq!(blob.read_bytes(0, 10).unwrap(), large()[..10]);
    let path = path("blobs", &verify::sha256(&large()));
    let lines = [
        "CONNECT registry.example:5000".to_owned(),
        format!("GET {path} bytes=0-9"),
    ];
    assert_eq!(proxy.lines(), lines);
    let seen = proxy.seen();
    let secret = seen[0].header("proxy-authorization");
    assert_eq!(secret, Some("Basic dXNlcjp3b3Jk"));
    assert_eq!(seen[1].header("proxy-authorization"), None);
}

#[test]
fn a_proxy_that_is_not_there_is_an_error_of_the_connection() {
    let options = ClientOptions::default()
        .plain_http("registry.example")
        .attempts(1)
        .proxy("http://127.0.0.1:1");
    let reference = "registry.example/app".parse().unwrap();
    let repository = Client::new(options)
        .unwrap()
        .repository(&reference)
        .unwrap();
    let error = repository.blob(verify::sha256(&large()), 400_000);
    let error = error.read_bytes(0, 1).unwrap_err();
    assert_eq!(cause(&error).class(), ErrorClass::Transient);
    assert_eq!(cause(&error).server(), "registry.example");
}

#[test]
fn options_that_make_no_sense_are_refused_and_secrets_not_shown() {
    let refused = |options: ClientOptions| Client::new(options).unwrap_err().to_string();
    let none = ClientOptions::default;
    for (options, said) in [
        (
            none().mirror(Mirror::new("ftp://x")),
            "a mirror: the URL is not of the form `http[s]://HOST[:PORT][/PATH]`",
        ),
        (
            none().mirror(Mirror::new("https://me:secret@x/")),
            "a mirror: the URL is not of the form `http[s]://HOST[:PORT][/PATH]`",
        ),
        (
            none().mirror(Mirror::new("https://x/?a=b")),
            "a mirror: the URL has a query",
        ),
        (none().proxy("::secret"), "the proxy: invalid URL"),
        (
            none().header("X-A", "secret\n"),
            "the header `X-A`: invalid name or value",
        ),
        (
            none().root_certificates("secret"),
            "root certificates: invalid PEM",
        ),
    ] {
        assert_eq!(refused(options), said);
    }
    let options = none()
        .header("X-A", "secret")
        .proxy("http://me:secret@x")
        .mirror(Mirror::new("http://x").header("X-B", "secret"));
    assert!(!format!("{options:?}").contains("secret"));
}
