//! Stdout, which may be closed, or lose its reader.

use std::io::{self, Write};

/// Buffered stdout.
pub struct Stdout {
    out: io::BufWriter<Checked>,
    /// Whether its reader has gone.
    pub reader_gone: bool,
}

impl Default for Stdout {
    fn default() -> Self {
        Self {
            out: io::BufWriter::new(Checked(io::stdout().lock())),
            reader_gone: false,
        }
    }
}

impl Stdout {
    fn noting<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        self.reader_gone |= result.as_ref().is_err_and(gone);
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.out.write(buf);
        self.noting(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noting(result)
    }
}

/// Stdout, which fails if it was closed.
struct Checked(io::StdoutLock<'static>);

impl Write for Checked {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        check_open()?;
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Fails if the process was started with stdout closed, as by `>&-`.
pub fn check_open() -> io::Result<()> {
    match at_start::is_closed() {
        true => Err(io::Error::other("stdout is closed")),
        false => Ok(()),
    }
}

/// Before `main`, Rust's runtime opens `/dev/null` for standard descriptors that are closed, so that writing to them
/// succeeds. What was there is known only before that.
#[cfg(target_os = "linux")]
mod at_start {
    use std::sync::atomic::{AtomicBool, Ordering};

    static CLOSED: AtomicBool = AtomicBool::new(false);

    pub fn is_closed() -> bool {
        CLOSED.load(Ordering::Relaxed)
    }

    extern "C" fn look() {
        let stdout = rustix::io::fcntl_getfd(rustix::stdio::stdout());
        CLOSED.store(stdout.is_err(), Ordering::Relaxed);
    }

    #[allow(
        unsafe_code,
        reason = "the loader calls it before the runtime starts: it makes a system call and stores a bool"
    )]
    #[used]
    // SAFETY: the section holds pointers to functions of this type.
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;
}

#[cfg(not(target_os = "linux"))]
mod at_start {
    pub fn is_closed() -> bool {
        false
    }
}
