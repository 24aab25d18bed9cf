//! How runs end, and human-readable errors.

use std::error::Error;
use std::fmt;
use std::iter::successors;

#[cfg(feature = "convert")]
use lazyoci::convert::ConvertError;
use lazyoci::estargz_toc::error::{EntryFault, TocError as TocEntryError};
use lazyoci::estargz_toc::open::OpenError as TocError;
use lazyoci::model::layer::LayerError;
use lazyoci::model::{Blame, Fault};
use lazyoci::read::{FrameError, LayerImageError, OpenError, ReadError};
use lazyoci::tar_stream::TarError;
use lazyoci::verify::TreeDigestError;
use serde_json::{Value, json};

/// The outcome of a run that completed its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1: the image is bad or differs. The details have been reported.
    Bad,
    /// Exit code 2: parts of the image could not be read. The details have been reported.
    Unreadable,
    /// Exit code 3: the image may be sound, but strict reading refuses it, or this version does not
    /// support it. The details have been reported.
    Refused,
}

impl Outcome {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bad => 1,
            Self::Unreadable => 2,
            Self::Refused => 3,
        }
    }
}

/// Why a run could not do its work.
#[derive(Debug)]
pub struct Failure {
    outcome: Outcome,
    text: String,
}

impl Failure {
    /// The arguments or the environment are bad.
    pub fn usage(source: impl Into<Box<dyn Error>>) -> Self {
        Self::new(Outcome::Unreadable, &*source.into())
    }

    /// The image is bad.
    pub fn bad(source: impl Into<Box<dyn Error>>) -> Self {
        Self::new(Outcome::Bad, &*source.into())
    }

    /// The image is sound, but exceeds a limit.
    pub fn refused(source: impl Into<Box<dyn Error>>) -> Self {
        Self::new(Outcome::Refused, &*source.into())
    }

    fn new(outcome: Outcome, error: &(dyn Error + 'static)) -> Self {
        let text = with_hint(chain(error), error);
        Self { outcome, text }
    }

    /// Prefixes the text with `what`, unless it already contains it.
    pub fn of(mut self, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        if !self.text.contains(&what) {
            self.text = format!("{what}: {}", self.text);
        }
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.outcome.code()
    }

    /// The object that `--json` prints.
    pub fn object(&self) -> Value {
        json!({ "error": self.text, "exit_code": self.code() })
    }
}

impl<E: Blame + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // Whatever fails after a signal failed because of it.
        let outcome = match error.fault() {
            _ if super::interrupt::came() => return Self::usage("interrupted"),
            Fault::Cancelled => return Self::usage("interrupted"),
            Fault::Corrupt => Outcome::Bad,
            Fault::Unsupported | Fault::Limit => Outcome::Refused,
            Fault::Io | Fault::Misuse => Outcome::Unreadable,
        };
        Self::new(outcome, &error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The error and all its causes, on one line. What an error already says, its cause or a path, is not repeated.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in successors(error.source(), |error| (*error).source()) {
        let why = cause.to_string();
        let why = match why.split_once(": ") {
            Some((path, why)) if path.starts_with('/') && text.contains(&format!(" {path} ")) => {
                why
            }
            _ => &why,
        };
        if !text.ends_with(why) {
            text = format!("{text}: {why}");
        }
    }
    text
}

/// `text`, with the option that lifts the refusal, if there is one.
pub fn with_hint(text: String, error: &(dyn Error + 'static)) -> String {
    let mut causes = successors(Some(error), |error| (*error).source());
    match causes.find_map(lifted_by) {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

/// The option that lifts a refusal, and its effect.
fn lifted_by(error: &(dyn Error + 'static)) -> Option<&'static str> {
    const LENIENT: Option<&str> = Some("--lenient accepts it");
    const MAX_CONTENT: Option<&str> = Some("--max-content SIZE allows more");
    const MAX_FRAME: Option<&str> = Some("--max-frame SIZE allows more");
    #[cfg(feature = "convert")]
    if let Some(ConvertError::NotCarried { .. }) = error.downcast_ref() {
        return Some("--lossy leaves it out");
    }
    #[cfg(feature = "convert")]
    if let Some(ConvertError::TooMuchContent(_)) = error.downcast_ref() {
        return MAX_CONTENT;
    }
    if let Some(TarError::Refused { .. }) = error.downcast_ref() {
        return LENIENT;
    }
    let layer = match error.downcast_ref() {
        Some(OpenError::Layer(layer)) => Some(layer),
        _ => error.downcast_ref(),
    };
    if let Some(LayerImageError::Tar(TarError::Refused { .. })) = layer {
        return LENIENT;
    }
    if let Some(OpenError::Estargz(TocError::External)) = error.downcast_ref() {
        return Some("--external-toc FILE names it; --as-layer reads a plain layer instead");
    }
    if let Some(OpenError::Toc(TocEntryError::Entry { fault, .. })) = error.downcast_ref()
        && matches!(fault, EntryFault::FrameTooLong { .. })
    {
        return Some("--max-frame SIZE allows more; --as-layer reads a plain layer instead");
    }
    if let Some(FrameError::TooLong { .. }) = error.downcast_ref() {
        return MAX_FRAME;
    }
    if let Some(error) = error.downcast_ref::<OpenError>()
        && error.may_be_layer()
    {
        return Some("--as-layer ignores the TOC and reads a plain layer");
    }
    if let Some(TreeDigestError::TooLarge { .. }) = error.downcast_ref() {
        return MAX_CONTENT;
    }
    if let Some(ReadError::TooMuch { .. }) = error.downcast_ref() {
        return MAX_CONTENT;
    }
    match error.downcast_ref()? {
        LayerError::TooMuchContent { .. } => MAX_CONTENT,
        LayerError::WhiteoutDirectory { .. } | LayerError::BelowDanglingSymlink { .. } => LENIENT,
        _ => None,
    }
}
