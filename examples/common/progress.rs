//! A progress bar on stderr, if that is a terminal, and cancelling on a signal.

use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use lazyoci::blob_io::{LocalFile, ReadAt, ReadError};
use lazyoci::model::{Cancelled, Progress};

use super::interrupt::Interruptible;

/// Shows bytes done, the rate and, if the total is known, the time left. A signal cancels the work.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    metered: Option<Metered>,
    interruptible: Interruptible,
}

/// How far the files that are read front to back have been read.
#[derive(Debug, Clone, Default)]
struct Metered {
    read: Arc<AtomicU64>,
    total: u64,
}

impl Bar {
    /// A bar labelled `what`. Draws nothing unless stderr is a terminal, and nothing before the
    /// first progress.
    pub fn new(what: &'static str) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar: bar
                .with_message(what)
                .with_style(style("{msg} {bytes} ({bytes_per_sec})")),
            metered: None,
            interruptible: Interruptible::new(),
        }
    }

    /// Labels the bar otherwise.
    pub fn label(&mut self, what: String) {
        self.bar.set_message(what);
    }

    /// Meters `source`, of `total` bytes: if the work does not know its own total, the bar shows how much of the
    /// metered sources has been read.
    pub fn meter<R: Read>(&mut self, source: R, total: u64) -> impl Read + use<R> {
        let read = self.count(total);
        Meter { source, read }
    }

    /// The same of a file that may be read anywhere.
    pub fn meter_file(&mut self, source: LocalFile, total: u64) -> impl ReadAt + use<> {
        let read = self.count(total);
        Meter { source, read }
    }

    fn count(&mut self, total: u64) -> Arc<AtomicU64> {
        let metered = self.metered.get_or_insert_default();
        metered.total += total;
        Arc::clone(&metered.read)
    }
}

struct Meter<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

impl ReadAt for Meter<LocalFile> {
    fn len(&self) -> Result<u64, ReadError> {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.source.read_at(offset, buf)?;
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are valid")
}

impl Progress for Bar {
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        let (done, total) = match (&self.metered, total) {
            (Some(metered), None) => (metered.read.load(Ordering::Relaxed), Some(metered.total)),
            _ => (done, total),
        };
        if let Some(total) = total.filter(|&total| total > 0 && self.bar.length() != Some(total)) {
            // As wide as the terminal, whatever the numbers take.
            self.bar.set_style(style(
                "{msg} {wide_bar} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})",
            ));
            self.bar.set_length(total);
        }
        if done > 0 {
            self.bar.set_position(done);
        }
        self.interruptible.check()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A part of a bar's work, which begins when `before` of `total` bytes are done.
#[derive(Debug)]
pub struct Part<'b> {
    bar: &'b mut Bar,
    before: u64,
    total: u64,
}

impl<'b> Part<'b> {
    pub fn new(bar: &'b mut Bar, before: u64, total: u64) -> Self {
        Self { bar, before, total }
    }
}

impl Progress for Part<'_> {
    fn advance(&mut self, done: u64, _total: Option<u64>) -> Result<(), Cancelled> {
        self.bar.advance(self.before + done, Some(self.total))
    }
}
