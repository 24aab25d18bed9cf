//! The authentication that a registry requests with status 401.

/// Longest header that is parsed.
const MAX_LEN: usize = 8 << 10;
/// Most challenges per header, and most parameters per challenge.
const MAX_COUNT: usize = 32;

/// One challenge of a `WWW-Authenticate` header.
///
/// | part | rule |
/// |---|---|
/// | scheme | a token, case-insensitive: `Bearer`, `Basic` |
/// | parameters | `name=token` or `name="text"`, separated by commas; names are case-insensitive; `\` quotes a character |
///
/// A header may contain several challenges, also separated by commas. Source: RFC 9110, 11.6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case.
    pub(super) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The parameter `name`, which must be in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The challenges in a header, as far as it can be parsed.
    pub(super) fn parse_all(header: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        if header.len() > MAX_LEN {
            return challenges;
        }
        let mut rest = Rest(header);
        loop {
            rest.skip(|c| c == ',' || c.is_ascii_whitespace());
            let word = rest.token();
            if word.is_empty() {
                return challenges;
            }
            rest.skip(|c| c.is_ascii_whitespace());
            if !rest.take('=') {
                if challenges.len() == MAX_COUNT {
                    return challenges;
                }
                challenges.push(Self {
                    scheme: word.to_ascii_lowercase(),
                    parameters: Vec::new(),
                });
                continue;
            }
            rest.skip(|c| c.is_ascii_whitespace());
            let (Some(value), Some(challenge)) = (rest.value(), challenges.last_mut()) else {
                return challenges;
            };
            if challenge.parameters.len() == MAX_COUNT {
                return challenges;
            }
            challenge
                .parameters
                .push((word.to_ascii_lowercase(), value));
        }
    }
}

struct Rest<'h>(&'h str);

impl<'h> Rest<'h> {
    fn skip(&mut self, which: impl FnMut(char) -> bool) {
        self.0 = self.0.trim_start_matches(which);
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> &'h str {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let rest = self.0.trim_start_matches(is_token);
        let token = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        token
    }

    /// A token or quoted text; `None` if the closing quote is missing.
    fn value(&mut self) -> Option<String> {
        if !self.take('"') {
            // Some servers omit the quotes around URLs.
            let end = self
                .0
                .find(|c: char| c == ',' || c.is_ascii_whitespace())
                .unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(value.into());
        }
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
        }
        self.0 = chars.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

    use proptest::collection::vec;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::Challenge;

    fn parsed(header: &str) -> Vec<(String, Vec<(String, String)>)> {
        let all = Challenge::parse_all(header).into_iter();
        all.map(|one| (one.scheme, one.parameters)).collect()
    }

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let parameters = parameters.iter();
        let owned = parameters.map(|(name, value)| ((*name).into(), (*value).into()));
        (scheme.into(), owned.collect())
    }

    #[test]
    fn quoted_values_hold_commas_and_escapes() {
        let header = r#"BEARER Realm="https://a.example/t?x=1,2", scope="repository:a:pull,push repository:b:pull",service = reg,error="a\"b""#;
        let expected = challenge(
            "bearer",
            &[
                ("realm", "https://a.example/t?x=1,2"),
                ("scope", "repository:a:pull,push repository:b:pull"),
                ("service", "reg"),
                ("error", "a\"b"),
            ],
        );
        assert_eq!(parsed(header), [expected]);
    }

    #[test]
    fn several_challenges_stand_in_one_header() {
        let header = r#"Basic realm="x", Negotiate, Bearer realm="https://y/",service="z""#;
        let expected = [
            challenge("basic", &[("realm", "x")]),
            challenge("negotiate", &[]),
            challenge("bearer", &[("realm", "https://y/"), ("service", "z")]),
        ];
        assert_eq!(parsed(header), expected);
        let bearer = &Challenge::parse_all(header)[2];
        assert_eq!(
            (bearer.get("service"), bearer.get("scope")),
            (Some("z"), None)
        );
    }

    #[test]
    fn what_is_broken_ends_the_list() {
        for (header, expected) in [
            ("", vec![]),
            ("=x", vec![]),
            ("realm=\"x\"", vec![]),
            ("Bearer realm=\"x", vec![challenge("bearer", &[])]),
            ("Bearer realm=\"x\\", vec![challenge("bearer", &[])]),
            ("Bearer \u{e9}", vec![challenge("bearer", &[])]),
            ("Bearer realm=", vec![challenge("bearer", &[("realm", "")])]),
        ] {
            assert_eq!(parsed(header), expected, "{header}");
        }
    }

    #[test]
    fn lists_and_headers_are_bounded() {
        let many = "a ".repeat(100);
        assert_eq!(parsed(&many).len(), super::MAX_COUNT);
        let many = format!("a {}", "b=c,".repeat(100));
        assert_eq!(parsed(&many)[0].1.len(), super::MAX_COUNT);
        assert_eq!(parsed(&"a ".repeat(super::MAX_LEN)), []);
    }

    proptest! {
        /// Whatever a server sends, the lists are bounded.
        #[test]
        fn any_header_can_be_parsed(header in "(Bearer|[a-z]{1,4}|[ =,\"\\\\]|\\PC){0,60}") {
            let challenges = Challenge::parse_all(&header);
            prop_assert!(challenges.len() <= super::MAX_COUNT);
            for challenge in challenges {
                prop_assert!(challenge.parameters.len() <= super::MAX_COUNT);
            }
        }

        #[test]
        fn what_is_written_by_the_rules_is_parsed(
            expected in vec(("[a-z]{1,8}", vec(("[a-z]{1,8}", "\\PC{0,12}"), 0..4)), 0..4),
        ) {
            let written = expected.iter().map(|(scheme, parameters)| {
                let quoted = parameters.iter().map(|(name, value)| {
                    let value = value.replace('\\', r"\\").replace('"', "\\\"");
                    format!(" {name}=\"{value}\"")
                });
                format!("{scheme}{}", quoted.collect::<Vec<_>>().join(","))
            });
            let header = written.collect::<Vec<_>>().join(", ");
            prop_assert_eq!(parsed(&header), expected);
        }
    }
}
