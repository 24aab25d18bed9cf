//! Image names in Docker's syntax.

/// Longest repository name, including the registry.
const MAX_NAME_LEN: usize = 255;
/// Longest tag.
const MAX_TAG_LEN: usize = 128;
/// The default registry.
const DOCKER: &str = "docker.io";

/// The full reference for `name`, with registry and tag. `None` if it is not a repository with an optional
/// tag. Digests are not accepted.
///
/// Source: distribution/reference, `ParseNormalizedNamed` and `TagNameOnly`.
pub(crate) fn normalised(name: &str) -> Option<String> {
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let is_registry = first.contains(['.', ':'])
        || first == "localhost"
        || first.contains(|letter: char| letter.is_ascii_uppercase());
    let (registry, rest) = match is_registry {
        true => (first, rest),
        false => (DOCKER, name),
    };
    let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
    let (registry, official) = match registry {
        DOCKER | "index.docker.io" => (DOCKER, !repository.contains('/')),
        other => (other, false),
    };
    let library = if official { "library/" } else { "" };
    // Docker treats such names as image ids.
    let is_id = !is_registry
        && repository.len() == 64
        && repository
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let len = registry.len() + 1 + library.len() + repository.len();
    let fits = is_host(registry)
        && repository.split('/').all(is_component)
        && is_tag(tag)
        && len <= MAX_NAME_LEN
        && !is_id;
    fits.then(|| format!("{registry}/{library}{repository}:{tag}"))
}

/// Whether `text` is a host name or address, with an optional port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        let ends = [label.as_bytes().first(), label.as_bytes().last()];
        let sound = |b: &u8| b.is_ascii_alphanumeric();
        ends.into_iter().all(|end| end.is_some_and(sound))
            && label.bytes().all(|b| sound(&b) || b == b'-')
    };
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(is_label),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    is_host && port.is_none_or(is_port)
}

/// Whether `text` is a component of a repository: lower-case letters and digits, separated by one dot, one or
/// two underscores, or hyphens.
fn is_component(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut between = text.split(|c: char| u8::try_from(c).is_ok_and(sound));
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.into_iter().all(|end| end.is_some_and(sound))
        && between.all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG_LEN
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_short_for_whole_references() {
        for (name, whole) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3", "docker.io/library/alpine:3"),
            ("me/tool:V_1.0-x", "docker.io/me/tool:V_1.0-x"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("HOST/a", "HOST/a:latest"),
            (
                "example.org:5000/a/b__c/d--e:1",
                "example.org:5000/a/b__c/d--e:1",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ] {
            assert_eq!(normalised(name).as_deref(), Some(whole), "{name}");
            assert_eq!(normalised(whole).as_deref(), Some(whole));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let id = "0".repeat(64);
        let long = format!(
            "{}:v1",
            "a".repeat(MAX_NAME_LEN - "docker.io/library/".len() + 1)
        );
        let tag = format!("a:{}", "t".repeat(MAX_TAG_LEN + 1));
        for name in [
            "",
            ":v1",
            "a:",
            "A",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a.-b",
            "a___b",
            "-a",
            "a-",
            "a..b",
            "a@b",
            "a@sha256:0",
            "a:b:c",
            "a:.b",
            "a:b/c",
            "é",
            "a b",
            "x.:1/a",
            ".x/a",
            "x:/a",
            "[]/a:1",
            "../a",
            &id,
            &long,
            &tag,
        ] {
            assert_eq!(normalised(name), None, "{name}");
        }
        assert!(normalised(&long[1..]).is_some() && normalised(&tag[..tag.len() - 1]).is_some());
    }
}
