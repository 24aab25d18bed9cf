//! Who is asked next.

use std::ops::Range;

use super::client::{Client, Server};
use super::error::{At, RegistryError};

/// Bytes after which a connection that breaks counts as the first one that does.
const PROGRESS: u64 = 64 << 10;

/// Whose turn it is: mirrors once, in their order, then the registry as often as it may.
pub(super) struct Turns<'s> {
    client: &'s Client,
    servers: &'s [Server],
    state: TurnState,
}

/// What of [`Turns`] is kept while others are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct TurnState {
    /// Position of the server.
    pub(super) server: usize,
    /// Attempts in all.
    attempts: u32,
    /// Attempts in a row that this server failed at.
    failures: u32,
    progress: u64,
}

impl TurnState {
    /// Bytes have come.
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

    /// What the attempt is at.
    pub(super) fn at(&self, what: &str, by_digest: bool, range: Option<Range<u64>>) -> At {
        At {
            what: what.into(),
            by_digest,
            range,
            attempt: self.attempts,
        }
    }

    /// Makes of a failure another attempt, after waiting for it, or the error that it is.
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

    /// Tries until one attempt is successful, or there is none left.
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
