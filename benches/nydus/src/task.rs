//! What is measured.

use std::hint::black_box;
use std::path::Path;

use crate::library::Library;
use crate::questions::Question;

/// What is done with a bootstrap that was not open before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Nothing more.
    Open,
    /// Paths are looked up.
    Paths,
    /// Paths, and chunks of the files there.
    Chunks,
}

impl Task {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Open, Self::Paths, Self::Chunks];

    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paths => "paths",
            Self::Chunks => "chunks",
        }
    }

    /// Opens the bootstrap, and asks `questions`. What was opened is returned, so that closing it is not measured.
    pub(crate) fn run<L: Library>(self, bootstrap: &Path, questions: &[Question]) -> L {
        let opened = L::open(bootstrap);
        for Question { path, chunk } in questions {
            match self {
                Self::Open => break,
                Self::Paths => {
                    black_box(opened.inode(path));
                }
                Self::Chunks => {
                    black_box(opened.chunk(path, *chunk));
                }
            }
        }
        opened
    }
}
