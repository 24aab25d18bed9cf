//! Instructions, counted by callgrind.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use crate::library::Library;
use crate::questions::{COUNT, questions};
use crate::task::Task;

/// What glibc must not make use of: its functions for these differ by release.
const HWCAPS: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM";

/// Does `task` once: what is counted.
pub(crate) fn count_in<L: Library>(task: Task, bootstrap: &Path) {
    let questions = questions(bootstrap);
    let run = || task.run::<L>(bootstrap, &questions[..COUNT]);
    // What is done once in a process is no part of it.
    drop(run());
    drop(counted_by_callgrind(&run));
}

/// The only function whose instructions are counted, those of its callees included.
#[inline(never)]
fn counted_by_callgrind<T>(run: &dyn Fn() -> T) -> T {
    black_box(run)()
}

/// The instructions of `task` with [`COUNT`] look-ups by the library called `name`.
pub(crate) fn count(name: &str, task: Task, bootstrap: &Path) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([
            "--collect-atstart=no",
            "--toggle-collect=*counted_by_callgrind*",
        ])
        .arg(std::env::current_exe()?)
        .args(["count", name, task.name()])
        .arg(bootstrap)
        .env("GLIBC_TUNABLES", HWCAPS)
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {said}").into());
    }
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1))
        .and_then(|count| count.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind counted nothing: {said}").into())
}
