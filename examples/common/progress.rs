//! A progress bar on stderr, where that is a terminal, and the end of the work on SIGINT.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use lazyoci::model::{Cancelled, Progress};

use super::interrupt::Interruptible;

/// Shows bytes done, rate and, where the total is known, what is left. SIGINT cancels the work.
#[derive(Debug)]
pub struct Bar(ProgressBar, Interruptible);

impl Bar {
    /// A bar for work that is called `what`; nothing is drawn unless stderr is a terminal.
    pub fn new(what: &'static str) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        bar.set_message(what);
        bar.set_style(style("{msg} {bytes} ({bytes_per_sec})"));
        Self(bar, Interruptible::new())
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates below are valid")
}

impl Progress for Bar {
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        if let (Some(total), None) = (total, self.0.length()) {
            self.0.set_length(total);
            self.0.set_style(style(
                "{msg} {bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})",
            ));
        }
        self.0.set_position(done);
        self.1.check()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
