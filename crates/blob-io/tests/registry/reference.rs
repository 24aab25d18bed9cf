//! Image references.

use lazyoci_blob_io::registry::Reference;

fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

#[test]
fn references_are_read_as_docker_reads_them() {
    let digest = digest();
    for (text, whole, name) in [
        ("alpine", "docker.io/library/alpine", "latest"),
        ("alpine:3.19", "docker.io/library/alpine:3.19", "3.19"),
        ("team/app", "docker.io/team/app", "latest"),
        ("docker.io/alpine", "docker.io/library/alpine", "latest"),
        ("index.docker.io/a/b:c", "docker.io/a/b:c", "c"),
        ("localhost/app", "localhost/app", "latest"),
        ("Example.org/app", "example.org/app", "latest"),
        ("host:5000/app", "host:5000/app", "latest"),
        ("[::1]:5000/app:v1", "[::1]:5000/app:v1", "v1"),
        (
            "example.org/a/b/c__d-e.f:V1_x",
            "example.org/a/b/c__d-e.f:V1_x",
            "V1_x",
        ),
        (
            &format!("example.org/app:v1@{digest}"),
            &format!("example.org/app:v1@{digest}"),
            &digest,
        ),
        (
            &format!("app@{digest}"),
            &format!("docker.io/library/app@{digest}"),
            &digest,
        ),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), whole);
        assert_eq!(reference.name(), name, "{text}");
        assert_eq!(whole.parse(), Ok(reference));
    }
}

#[test]
fn what_is_no_reference_is_refused() {
    let name = "the repository name is invalid";
    for (text, reason) in [
        ("", name),
        ("example.org/", name),
        ("example.org/App", name),
        ("example.org/a//b", name),
        ("example.org/../b", name),
        ("example.org/a..b", name),
        ("example.org/a___b", name),
        ("example.org/-a", name),
        ("example.org/a-", name),
        ("example.org/a?b=c", name),
        ("exa_mple.o rg/a", "the registry is not a host name"),
        (
            "user@example.org/a",
            "the part after `@` is not a SHA-256 digest",
        ),
        (
            "example.org/a@sha256:00",
            "the part after `@` is not a SHA-256 digest",
        ),
        ("example.org/a:", "the tag is invalid"),
        ("example.org/a:.b", "the tag is invalid"),
        ("example.org/a:b c", "the tag is invalid"),
        (
            &format!("example.org/a:{}", "x".repeat(129)),
            "the tag is invalid",
        ),
        (
            &format!("example.org/{}", "x".repeat(250)),
            "the name is too long",
        ),
    ] {
        let error = text.parse::<Reference>().unwrap_err();
        assert_eq!((error.text.as_str(), error.reason), (text, reason));
    }
}
