//! The order in which servers are tried.

use std::ops::Range;

use super::client::{Client, Server};
use super::error::{At, RegistryError};

/// Bytes of progress after which failures are counted from 0 again.
const PROGRESS: u64 = 64 << 10;

/// The servers to try: mirrors once, in their order, then the registry until attempts run out.
pub(super) struct Turns<'s> {
    client: &'s Client,
    servers: &'s [Server],
    state: TurnState,
}

/// The state of [`Turns`] between requests.
#[derive(Debug, Clone, Default)]
pub(super) struct TurnState {
    /// Position of the server.
    pub(super) server: usize,
    /// Total attempts.
    attempts: u32,
    /// Consecutive failures of this server.
    failures: u32,
    progress: u64,
}

impl TurnState {
    /// Records received bytes.
    pub(super) fn progress(&mut self, bytes: u64) {
        self.progress = self.progress.saturating_add(bytes);
        if self.progress >= PROGRESS {
            self.failures = 0;
        }
    }

    /// Begins an attempt at `what`.
    pub(super) fn attempt(&mut self, what: &str, by_digest: bool, range: Option<Range<u64>>) -> At {
        self.attempts = self.attempts.saturating_add(1);
        self.progress = 0;
        self.at(what, by_digest, range)
    }

    /// The object of the current attempt.
    pub(super) fn at(&self, what: &str, by_digest: bool, range: Option<Range<u64>>) -> At {
        At {
            what: what.into(),
            by_digest,
            range,
            attempt: self.attempts,
        }
    }

    /// Prepares another attempt after a failure, and waits before it; returns the error if there is none.
    pub(super) fn failed(
        &mut self,
        client: &Client,
        servers: &[Server],
        error: RegistryError,
    ) -> Result<(), RegistryError> {
        self.failures = self.failures.saturating_add(1);
        if client.wait(&servers[self.server], self.failures, &error) {
            return Ok(());
        }
        if self.server + 1 < servers.len() {
            self.server += 1;
            self.failures = 0;
            return Ok(());
        }
        Err(error)
    }
}

impl<'s> Turns<'s> {
    pub(super) fn new(client: &'s Client, servers: &'s [Server]) -> Self {
        Self {
            client,
            servers,
            state: TurnState::default(),
        }
    }

    /// Tries until an attempt succeeds, or none is left.
    pub(super) fn run<T>(
        mut self,
        what: &str,
        by_digest: bool,
        mut attempt: impl FnMut(&Server, &At) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        loop {
            let at = self.state.attempt(what, by_digest, None);
            match attempt(&self.servers[self.state.server], &at) {
                Ok(done) => return Ok(done),
                Err(error) => self.state.failed(self.client, self.servers, error)?,
            }
        }
    }
}
