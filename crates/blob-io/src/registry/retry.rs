//! Retries.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// How often a server is tried, and the delays in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    /// Total number of attempts.
    pub(super) attempts: u32,
    /// Maximum delay after the first attempt, doubled after each further one.
    pub(super) backoff: Duration,
    /// Maximum delay in any case.
    pub(super) max_wait: Duration,
}

impl Retry {
    /// The delay after failed `attempt`, counted from 1; `None` if it was the last one. `asked` is the delay
    /// that the server requests: if it exceeds [`max_wait`](Self::max_wait), there is no further attempt.
    /// `random` spreads clients that fail at the same time.
    pub(super) fn wait(
        &self,
        attempt: u32,
        asked: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        if attempt >= self.attempts || asked.is_some_and(|asked| asked > self.max_wait) {
            return None;
        }
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1));
        let most = doubled.and_then(|factor| self.backoff.checked_mul(factor));
        let most = most.unwrap_or(self.max_wait).min(self.max_wait);
        // Between half of it and all of it.
        let half = most / 2;
        let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(random % spread.saturating_add(1).max(1));
        Some(asked.unwrap_or_default().max(half + jitter))
    }
}

/// A random number.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The delay of a `Retry-After` header: seconds, or a date, which counts from `now`, the server's own `Date`, since
/// clocks differ.
pub(super) fn retry_after(header: &str, now: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = date(header)?.checked_sub(date(now?)?)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Seconds since 1970 of a date as HTTP has it: `Fri, 31 Dec 1999 23:59:59 GMT`.
fn date(header: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = parser.parse_timestamp(header.trim()).ok()?;
    Some(date.as_second())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Retry, retry_after};

    const RETRY: Retry = Retry {
        attempts: 5,
        backoff: Duration::from_millis(200),
        max_wait: Duration::from_secs(1),
    };

    #[test]
    fn waits_double_between_half_and_all_up_to_a_bound() {
        for (attempt, half, all) in [(1, 100, 200), (2, 200, 400), (3, 400, 800), (4, 500, 1000)] {
            let wait = |random| RETRY.wait(attempt, None, random);
            assert_eq!(wait(0), Some(Duration::from_millis(half)));
            assert_eq!(wait(half * 1_000_000), Some(Duration::from_millis(all)));
            assert_eq!(
                wait(half * 1_000_000 + 1),
                Some(Duration::from_millis(half))
            );
        }
        assert_eq!(RETRY.wait(5, None, 0), None);
    }

    #[test]
    fn a_server_is_given_the_time_that_it_asks_for_within_the_bound() {
        let asked = |millis| RETRY.wait(1, Some(Duration::from_millis(millis)), 0);
        assert_eq!(asked(900), Some(Duration::from_millis(900)));
        assert_eq!(asked(10), Some(Duration::from_millis(100)));
        assert_eq!(asked(1001), None);
    }

    #[test]
    fn nothing_overflows() {
        let retry = Retry {
            attempts: u32::MAX,
            backoff: Duration::MAX,
            max_wait: Duration::MAX,
        };
        assert!(retry.wait(u32::MAX - 1, None, u64::MAX).is_some());
        assert!(retry.wait(40, Some(Duration::MAX), 7).is_some());
    }

    #[test]
    fn headers_hold_seconds() {
        assert_eq!(retry_after(" 120 ", None), Some(Duration::from_secs(120)));
        for header in ["", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(retry_after(header, None), None, "{header}");
        }
    }

    #[test]
    fn dates_count_from_that_of_the_server() {
        let last = "Fri, 31 Dec 1999 23:59:59 GMT";
        let from = |now| retry_after(last, Some(now));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(from("Fri, 31 Dec 1999 23:58:29 GMT"), seconds(90));
        assert_eq!(from(last), seconds(0));
        assert_eq!(from("Sat, 01 Jan 2000 00:00:00 GMT"), seconds(0));
        assert_eq!(from("yesterday"), None);
        assert_eq!(retry_after(last, None), None);
        assert_eq!(retry_after("soon", Some(last)), None);
    }
}
