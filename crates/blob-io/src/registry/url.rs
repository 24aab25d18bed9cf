//! URLs of requests.

use std::net::IpAddr;

use ureq::http::Uri;

/// Longest `Location` that is followed.
const MAX_LOCATION_LEN: usize = 16 << 10;

/// Whether `text` is `HOST[:PORT]`, and nothing else.
pub(super) fn is_authority(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    text.chars().all(is_part)
        && text
            .parse::<ureq::http::uri::Authority>()
            .is_ok_and(|authority| !authority.host().is_empty())
}

/// Resolves `location` in a response to a request for `base`.
pub(super) fn resolve(base: &Uri, location: &str) -> Result<Uri, &'static str> {
    if location.len() > MAX_LOCATION_LEN {
        return Err("the location is too long");
    }
    let location = location.split('#').next().unwrap_or_default();
    let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
        return Err("the request has no host");
    };
    let is_absolute = location
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let text = if is_absolute {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let directory = base.path().rfind('/').map_or(0, |slash| slash + 1);
        let directory = &base.path()[..directory];
        format!("{scheme}://{authority}{directory}{location}")
    };
    let target: Uri = text.parse().map_err(|_| "the location is not a URL")?;
    let (Some(scheme), Some(authority)) = (target.scheme_str(), target.authority()) else {
        return Err("the location has no host");
    };
    if authority.host().is_empty() {
        return Err("the location has no host");
    }
    if authority.as_str().contains('@') {
        return Err("the location contains a user name");
    }
    match (base.scheme_str(), scheme) {
        (_, "https") | (Some("http"), "http") => Ok(target),
        (Some("https"), "http") => Err("the location is not encrypted, but the request was"),
        _ => Err("the location is neither http nor https"),
    }
}

/// Whether both have the same scheme, host and port.
pub(super) fn same_origin(one: &Uri, other: &Uri) -> bool {
    let origin = |uri: &Uri| {
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http") => Some(80),
            _ => Some(443),
        });
        let host = uri.host().map(str::to_ascii_lowercase);
        (uri.scheme().cloned(), host, port)
    };
    origin(one) == origin(other)
}

/// Whether the host of a URL is a loopback name or address.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    match address(uri) {
        Some(address) => address.is_loopback(),
        None => uri.host() == Some("localhost"),
    }
}

/// Whether the host of a URL is a link-local address, where cloud metadata services provide credentials.
pub(super) fn is_link_local(uri: &Uri) -> bool {
    match address(uri) {
        Some(IpAddr::V4(address)) => address.is_link_local(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.is_link_local(),
            None => address.is_unicast_link_local(),
        },
        None => false,
    }
}

fn address(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// The host and port of a URL, for errors: without path and query, which may contain secrets.
pub(super) fn server(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default())
        .unwrap_or_default()
        .into()
}

/// `text`, percent-encoded for a query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// `uri` with `pair` appended to its query.
pub(super) fn with_query(uri: &Uri, pair: &str) -> Result<Uri, &'static str> {
    let separator = match uri.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{pair}")
        .parse()
        .map_err(|_| "the location is too long")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

    use ureq::http::Uri;

    use super::{encode, is_link_local, resolve, same_origin, server, with_query};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn locations_are_absolute_or_relative() {
        let base = uri("https://a.example:5000/v2/x/blobs/uploads/?q=1");
        for (location, expected) in [
            ("https://b.example/y?z=1", "https://b.example/y?z=1"),
            ("//b.example/y", "https://b.example/y"),
            ("/v2/y?state=_", "https://a.example:5000/v2/y?state=_"),
            (
                "uuid?s=1#there",
                "https://a.example:5000/v2/x/blobs/uploads/uuid?s=1",
            ),
            ("?s=2", "https://a.example:5000/v2/x/blobs/uploads/?s=2"),
            (
                "/y?to=http://c.example/",
                "https://a.example:5000/y?to=http://c.example/",
            ),
        ] {
            assert_eq!(
                resolve(&base, location).unwrap(),
                uri(expected),
                "{location}"
            );
        }
    }

    #[test]
    fn some_locations_are_refused() {
        let base = uri("https://a.example/");
        for (location, reason) in [
            (
                "http://a.example/",
                "the location is not encrypted, but the request was",
            ),
            ("ftp://a.example/", "the location is neither http nor https"),
            (
                "https://u:p@b.example/",
                "the location contains a user name",
            ),
            ("https://:8080/", "the location has no host"),
            ("https://b .example/", "the location is not a URL"),
            (&"/".repeat(20_000), "the location is too long"),
        ] {
            assert_eq!(resolve(&base, location).unwrap_err(), reason, "{location}");
        }
        let plain = uri("http://a.example/");
        assert_eq!(
            resolve(&plain, "http://b.example/").unwrap(),
            uri("http://b.example/")
        );
    }

    #[test]
    fn origins_are_compared_with_their_ports() {
        let same = |one, other| same_origin(&uri(one), &uri(other));
        assert!(same("https://a/x", "https://A:443/y"));
        assert!(!same("https://a/", "http://a/"));
        assert!(!same("https://a/", "https://a:444/"));
        assert!(!same("https://a/", "https://b.a/"));
    }

    #[test]
    fn link_local_addresses_are_told() {
        for (text, expected) in [
            ("http://169.254.169.254/latest", true),
            ("http://[fe80::1]/", true),
            ("http://[::ffff:169.254.0.1]/", true),
            ("http://127.0.0.1/", false),
            ("http://example.org/", false),
        ] {
            assert_eq!(is_link_local(&uri(text)), expected, "{text}");
        }
    }

    #[test]
    fn queries_are_extended_and_not_shown() {
        let session = uri("https://a:1/u?s=1");
        assert_eq!(
            with_query(&session, "digest=x").unwrap(),
            uri("https://a:1/u?s=1&digest=x")
        );
        assert_eq!(
            with_query(&uri("https://a/u"), "d=x").unwrap(),
            uri("https://a/u?d=x")
        );
        assert_eq!(server(&session), "a:1");
        assert_eq!(
            encode("repository:a/b:pull,push"),
            "repository%3Aa%2Fb%3Apull%2Cpush"
        );
    }

    proptest! {
        /// Wherever a server sends us: not to an unencrypted place from an encrypted one, nor with a user name.
        #[test]
        fn any_location_is_resolved_or_refused(
            location in "(https?://|//|/|[?#@:]|[a-z0-9.]{1,5}|\\PC){0,12}",
        ) {
            let base = uri("https://a.example/v2/x/");
            if let Ok(target) = resolve(&base, &location) {
                prop_assert_eq!(target.scheme_str(), Some("https"));
                let authority = target.authority().unwrap();
                prop_assert!(!authority.as_str().contains('@') && !authority.host().is_empty());
                let _ = (same_origin(&base, &target), is_link_local(&target), server(&target));
                if let Ok(longer) = with_query(&target, "d=x") {
                    prop_assert_eq!(longer.authority(), target.authority());
                }
            }
        }
    }
}
