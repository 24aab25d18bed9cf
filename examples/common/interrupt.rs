//! SIGINT, SIGTERM and SIGHUP during work that would leave something behind.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use lazyoci::model::Cancelled;

/// While one of these lives, a signal that is to end the process makes [`check`](Self::check) fail, so
/// that the work ends in order and removes its temporary output. Without, and from the second signal
/// on, it ends the process as usual.
#[derive(Debug)]
pub struct Interruptible(());

struct Flags {
    /// A signal came.
    interrupted: Arc<AtomicBool>,
    /// Nobody looks at `interrupted`.
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
        // `nohup`, and shells for what they run in the background, have signals ignored.
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

/// A bit for each signal that is ignored, the lowest one for signal 1; none where that is not told.
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

/// Whether a signal has come.
pub fn came() -> bool {
    matches!(&*FLAGS, Ok(flags) if flags.interrupted.load(Ordering::SeqCst))
}

impl Interruptible {
    /// Takes the signals over; where that is not possible, they end the process as ever.
    pub fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        if let Ok(flags) = &*FLAGS {
            flags.idle.store(false, Ordering::SeqCst);
        }
        Self(())
    }

    /// Fails if a signal came.
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
