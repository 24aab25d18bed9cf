//! Credentials of Docker and podman.

use lazyoci_blob_io::registry::{Credential, Credentials as _, DockerConfig};

fn parse(json: &str) -> DockerConfig {
    DockerConfig::parse(json.as_bytes(), "config.json").unwrap()
}

#[test]
fn hosts_are_listed_in_many_ways() {
    let config = parse(
        r#"{
            "auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOmh1YnA="},
                "plain.example:5000": {"auth": "bWU6cDpx"},
                "http://Url.example/v2/": {"username": "u", "password": "p"},
                "token.example": {"auth": "PHRva2VuPjo=", "identitytoken": "it"},
                "empty.example": {}
            },
            "HttpHeaders": {"X": "y"},
            "currentContext": "x"
        }"#,
    );
    for (host, expected) in [
        ("docker.io", Some(Credential::basic("hub", "hubp"))),
        ("plain.example:5000", Some(Credential::basic("me", "p:q"))),
        ("url.example", Some(Credential::basic("u", "p"))),
        ("token.example", Some(Credential::identity_token("it"))),
        ("empty.example", None),
        ("plain.example", None),
        ("sub.url.example", None),
    ] {
        assert_eq!(config.get(host).unwrap(), expected, "{host}");
    }
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("hubp") && !shown.contains("\"it\""),
        "{shown}"
    );
}

#[test]
fn files_that_are_broken_are_named_and_not_shown() {
    for (json, said) in [
        ("{", "config.json: line 1, column 1: invalid JSON"),
        (
            r#"{"auths":{"a.example":{"auth":"secret!"}}}"#,
            "config.json: `a.example`: `auth` is not base64",
        ),
        (
            r#"{"auths":{"a.example":{"auth":"c2VjcmV0"}}}"#,
            "config.json: `a.example`: `auth` has no colon",
        ),
        (
            r#"{"auths":{"a.example":{"auth":{"secret":1}}}}"#,
            "config.json: line 1, column 30: invalid JSON",
        ),
    ] {
        let error = DockerConfig::parse(json.as_bytes(), "config.json").unwrap_err();
        assert_eq!(error.to_string(), said);
    }
    let long = vec![b' '; (1 << 20) + 1];
    let error = DockerConfig::parse(&long, "config.json").unwrap_err();
    assert_eq!(error.to_string(), "config.json: longer than 1048576 bytes");
    let error = DockerConfig::open("/no/such/file").unwrap_err();
    assert!(error.to_string().starts_with("/no/such/file: "));
}

#[test]
fn helpers_are_no_paths() {
    for helper in ["../x", "", "a/b"] {
        let config = parse(&format!(r#"{{"credHelpers":{{"a.example":"{helper}"}}}}"#));
        let error = config.get("a.example").unwrap_err();
        let said = "config.json: the name of a helper is not a program name";
        assert_eq!(error.to_string(), said);
        assert_eq!(config.get("b.example").unwrap(), None);
    }
    let config = parse(r#"{"credsStore":"lazyoci-test-that-is-not-there"}"#);
    let error = config.get("a.example").unwrap_err();
    let said = "docker-credential-lazyoci-test-that-is-not-there: ";
    assert!(error.to_string().starts_with(said), "{error}");
}

/// Helpers are looked up in `PATH`, so the test runs in a process of its own.
#[cfg(unix)]
#[test]
fn helpers_are_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    const CHILD: &str = "LAZYOCI_TEST_HELPERS";
    if std::env::var_os(CHILD).is_some() {
        return with_helpers();
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\nread host\ncase $1/$host in
get/token.example) echo '{\"ServerURL\":\"x\",\"Username\":\"<token>\",\"Secret\":\"it\"}';;
get/https://index.docker.io/v1/) echo '{\"Username\":\"hub\",\"Secret\":\"hubp\"}';;
get/broken.example) echo secret; exit 1;;
get/odd.example) echo secret;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac\n";
    let helper = directory.path().join("docker-credential-test");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "docker_config::helpers_are_asked"])
        .env(CHILD, "1")
        .env("PATH", format!("{}:{path}", directory.path().display()))
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(unix)]
fn with_helpers() {
    let config = parse(
        r#"{
            "credHelpers": {"token.example": "test", "none.example": "test"},
            "credsStore": "test",
            "auths": {"listed.example": {"auth": "bWU6c2VjcmV0"}, "none.example": {"auth": "bWU6c2VjcmV0"}}
        }"#,
    );
    for (host, expected) in [
        ("token.example", Some(Credential::identity_token("it"))),
        ("docker.io", Some(Credential::basic("hub", "hubp"))),
        ("listed.example", Some(Credential::basic("me", "secret"))),
        ("none.example", None),
        ("unlisted.example", None),
    ] {
        assert_eq!(config.get(host).unwrap(), expected, "{host}");
    }
    for (host, said) in [
        ("broken.example", "docker-credential-test: it failed"),
        (
            "odd.example",
            "docker-credential-test: its output is not valid JSON",
        ),
    ] {
        assert_eq!(config.get(host).unwrap_err().to_string(), said);
    }
}
