//! SIGINT, SIGTERM and SIGHUP during work that would leave something behind.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use lazyoci::model::Cancelled;

/// While one of these exists, the first signal only makes [`check`](Self::check) fail, so that the work can stop
/// cleanly and remove its temporary output. Otherwise, and from the second signal on, a signal ends the process as
/// usual.
#[derive(Debug)]
pub struct Interruptible(());

struct Flags {
    /// A signal has arrived.
    interrupted: Arc<AtomicBool>,
    /// Nobody checks `interrupted`.
    idle: Arc<AtomicBool>,
}

static FLAGS: LazyLock<io::Result<Flags>> = LazyLock::new(install);
static ALIVE: AtomicUsize = AtomicUsize::new(0);

#[cfg(unix)]
fn install() -> io::Result<Flags> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag::{register, register_conditional_default};
    let flags = Flags {
        interrupted: Arc::default(),
        idle: Arc::new(AtomicBool::new(true)),
    };
    let ignored = ignored_signals();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // `nohup`, and shells for background jobs, make processes ignore signals.
        if ignored & 1 << (signal - 1) != 0 {
            continue;
        }
        // In this order: the second signal finds what the first one set.
        register_conditional_default(signal, flags.idle.clone())?;
        register_conditional_default(signal, flags.interrupted.clone())?;
        register(signal, flags.interrupted.clone())?;
    }
    Ok(flags)
}

/// A bit for each ignored signal, the lowest for signal 1; none if the system does not say.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(not(unix))]
fn install() -> io::Result<Flags> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a signal has arrived.
pub fn came() -> bool {
    matches!(&*FLAGS, Ok(flags) if flags.interrupted.load(Ordering::SeqCst))
}

impl Interruptible {
    /// Takes over the signals; where that is not possible, they end the process as usual.
    pub fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        if let Ok(flags) = &*FLAGS {
            flags.idle.store(false, Ordering::SeqCst);
        }
        Self(())
    }

    /// Fails if a signal has arrived.
    pub fn check(&self) -> Result<(), Cancelled> {
        match came() {
            true => Err(Cancelled),
            false => Ok(()),
        }
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        if ALIVE.fetch_sub(1, Ordering::SeqCst) == 1
            && let Ok(flags) = &*FLAGS
        {
            flags.idle.store(true, Ordering::SeqCst);
        }
    }
}
