//! A progress bar on stderr, where that is a terminal, and the end of the work on a signal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use lazyoci::model::{Cancelled, Progress};

use super::interrupt::Interruptible;

/// Shows bytes done, rate and, where the total is known, what is left. A signal cancels the work.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    interruptible: Interruptible,
}

impl Bar {
    /// A bar for work that is called `what`. Nothing is drawn unless stderr is a terminal, and not
    /// before something is done.
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
            interruptible: Interruptible::new(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are valid")
}

impl Progress for Bar {
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
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
