//! Running programs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{cache_dir, interop_dir};

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// Exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Finished {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// If it cannot be started or was killed.
    pub fn of(command: &mut Command) -> Self {
        Self::with(command, Stdio::null())
    }

    /// The same, with `input` on stdin.
    ///
    /// # Panics
    /// If the file or the program is missing, or that was killed.
    pub fn reading(command: &mut Command, input: &Path) -> Self {
        let file = File::open(input).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
        Self::with(command, file.into())
    }

    fn with(command: &mut Command, stdin: Stdio) -> Self {
        let name = format!("{command:?}");
        let output = command
            .stdin(stdin)
            .output()
            .unwrap_or_else(|e| panic!("missing program: {name}: {e}"));
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("{name}: {}", output.status)),
            command: name,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same if the exit code is 0.
    ///
    /// # Panics
    /// If it is not, with what the program said.
    #[must_use]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// The same if the exit code is `code`.
    ///
    /// # Panics
    /// If it is not, with what the program said.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "{}\n{}{}",
            self.command,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// stdout as text without white space at its end.
    ///
    /// # Panics
    /// If it is no UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: {e}", self.command))
            .trim_end()
    }

    /// stdout as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: {e}\n{}", self.command, self.text()))
    }
}

/// One of our examples, built for release.
///
/// # Panics
/// If it is not there: `run.sh` builds it.
#[must_use]
pub fn lazyoci(example: &str) -> Command {
    let path = examples_dir().join(example);
    assert!(
        path.exists(),
        "{} is missing: run.sh builds it",
        path.display()
    );
    Command::new(path)
}

fn examples_dir() -> PathBuf {
    std::env::var_os("LAZYOCI_EXAMPLES").map_or_else(
        || interop_dir().join("../target/release/examples"),
        PathBuf::from,
    )
}

/// nydus-image 2.2.0.
///
/// # Panics
/// If it is not there: `peers.sh` builds it.
#[must_use]
pub fn nydus_image(verb: &str) -> Command {
    let path = cache_dir().join("nydus/bin/nydus-image");
    assert!(
        path.exists(),
        "missing peer: {} (run peers.sh)",
        path.display()
    );
    let mut command = Command::new(path);
    command.args([verb, "--log-level", "error"]);
    command
}

/// Runs `name` in `dir`, which ends well.
///
/// # Panics
/// If it does not.
pub fn tool(name: &str, dir: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(name);
    Finished::of(command.current_dir(dir).args(arguments)).ok()
}

/// A script of this folder.
#[must_use]
pub fn script(name: &str) -> Command {
    Command::new(interop_dir().join(name))
}

/// `sha256sum` of a file, in hex.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn sha256(path: &Path) -> String {
    let sum = Finished::of(Command::new("sha256sum").arg(path)).ok();
    sum.text()[..64].to_owned()
}
