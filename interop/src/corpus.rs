//! The corpora that `corpus/make.sh` makes.

use std::path::{Path, PathBuf};

use crate::cache_dir;
use crate::run::{Finished, script};

/// One layer and the tree that it was made from.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// `debian/full`, for messages.
    pub name: String,
    base: PathBuf,
}

impl Corpus {
    /// `name` is `CORPUS/VARIANT`, as in the cache.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let base = cache_dir().join("corpus").join(name);
        let corpus = Self {
            name: name.into(),
            base,
        };
        assert!(
            corpus.tar().exists(),
            "missing corpus: {name} (run corpus/make.sh)"
        );
        corpus
    }

    /// The two roots in their `variant`: `full` or `peer`.
    #[must_use]
    pub fn roots(variant: &str) -> Vec<Self> {
        ["debian", "packages"]
            .map(|root| Self::new(&format!("{root}/{variant}")))
            .into()
    }

    /// The source directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.base
    }

    /// The layer, plain.
    #[must_use]
    pub fn tar(&self) -> PathBuf {
        self.with("tar")
    }

    /// The layer, compressed: `tar.gz` or `tar.zst`.
    #[must_use]
    pub fn with(&self, extension: &str) -> PathBuf {
        PathBuf::from(format!("{}.{extension}", self.base.display()))
    }

    /// Tree digest of the source directory, by the walker when the corpus was made.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn digest(&self) -> String {
        let path = self.with("digest");
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            .trim()
            .to_owned()
    }
}

/// Tree digest of a directory or mount, by the independent walker, which reads every file.
#[must_use]
pub fn walk(directory: &Path, options: &[&str]) -> String {
    let mut walker = script("walker.py");
    walker.args(options).arg(directory);
    Finished::of(&mut walker).ok().text().to_owned()
}
