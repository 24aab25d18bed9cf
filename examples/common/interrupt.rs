//! SIGINT during work that would leave something behind.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use lazyoci::model::Cancelled;

/// While one of these lives, SIGINT makes [`check`](Self::check) fail, so that the work ends in
/// order and removes its temporary output. Without, and from the second SIGINT on, it ends the
/// process as usual.
#[derive(Debug)]
pub struct Interruptible(());

struct Flags {
    /// SIGINT came.
    interrupted: Arc<AtomicBool>,
    /// Nobody looks at `interrupted`.
    idle: Arc<AtomicBool>,
}

static FLAGS: LazyLock<io::Result<Flags>> = LazyLock::new(install);
static ALIVE: AtomicUsize = AtomicUsize::new(0);

#[cfg(unix)]
fn install() -> io::Result<Flags> {
    use signal_hook::consts::SIGINT;
    use signal_hook::flag::{register, register_conditional_default};
    let flags = Flags {
        interrupted: Arc::default(),
        idle: Arc::new(AtomicBool::new(true)),
    };
    // In this order: the second SIGINT finds what the first one set.
    register_conditional_default(SIGINT, flags.idle.clone())?;
    register_conditional_default(SIGINT, flags.interrupted.clone())?;
    register(SIGINT, flags.interrupted.clone())?;
    Ok(flags)
}

#[cfg(not(unix))]
fn install() -> io::Result<Flags> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Interruptible {
    /// Takes SIGINT over; where that is not possible, it ends the process as ever.
    pub fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        if let Ok(flags) = &*FLAGS {
            flags.idle.store(false, Ordering::SeqCst);
        }
        Self(())
    }

    /// Fails if SIGINT came.
    pub fn check(&self) -> Result<(), Cancelled> {
        match &*FLAGS {
            Ok(flags) if flags.interrupted.load(Ordering::SeqCst) => Err(Cancelled),
            _ => Ok(()),
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
