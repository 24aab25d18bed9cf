//! Minimum transfer rates.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::RegistryErrorKind;

/// Aborts transfers that are too slow. Only the time spent reading counts.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    grace: Duration,
    /// Bytes per second.
    min_rate: u64,
    spent: Duration,
    received: u64,
    /// Bytes received by all transfers.
    total: Arc<AtomicU64>,
}

impl Pace {
    pub(super) fn new(grace: Duration, min_rate: u64, total: Arc<AtomicU64>) -> Self {
        Self {
            grace,
            min_rate,
            spent: Duration::ZERO,
            received: 0,
            total,
        }
    }

    /// Reads some bytes of `body`.
    pub(super) fn read(
        &mut self,
        body: &mut impl Read,
        buf: &mut [u8],
    ) -> Result<usize, RegistryErrorKind> {
        let begin = Instant::now();
        let read = body.read(buf);
        self.spent += begin.elapsed();
        let read = read.map_err(|error| RegistryErrorKind::Transport {
            reason: error.to_string(),
        })?;
        self.received += read as u64;
        self.total.fetch_add(read as u64, Ordering::Relaxed);
        let due = self.received / self.min_rate.max(1);
        if self.spent > self.grace.saturating_add(Duration::from_secs(due)) {
            return Err(RegistryErrorKind::Slow {
                received: self.received,
                seconds: self.spent.as_secs(),
            });
        }
        Ok(read)
    }
}
