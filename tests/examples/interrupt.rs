//! Signals in the middle of the work.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Fixture, example};

/// Waits until a temporary output is in `directory`, then sends `signal`.
fn interrupt(child: &mut Child, directory: &Path, signal: Signal) {
    let start = Instant::now();
    while !names(directory)
        .iter()
        .any(|name| name.starts_with(".lazyoci-"))
    {
        assert!(child.try_wait().unwrap().is_none(), "ended too early");
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Whether a list of signals in the status of a process has this one.
fn has_signal(process: &str, list: &str, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let found = status.lines().find_map(|line| line.strip_prefix(list));
    let found = u64::from_str_radix(found.unwrap().trim(), 16).unwrap();
    found & 1 << (signal.as_raw() - 1) != 0
}

/// Whether this process ignores it, and so does what it starts.
fn is_ignored(signal: Signal) -> bool {
    has_signal("self", "SigIgn:", signal)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn nothing_is_left_behind() {
    let fixture = Fixture::new();
    // Long work out of nothing: 16 GiB of which hardly any are compressed until the signal comes.
    let hole = File::create(fixture.path("source/hole")).unwrap();
    hole.set_len(16 << 30).unwrap();
    drop(hole);
    let output = fixture.path("output");
    for (signal, arguments) in [
        (
            Signal::INT,
            &["convert", "--to", "tar-zstd", "--compressor", "zstd:19"][..],
        ),
        (
            Signal::TERM,
            &["convert", "--to", "estargz", "--compressor", "gzip:9"],
        ),
        (Signal::HUP, &["unpack"]),
    ] {
        // What is begun in the background ignores some signals; nobody ignores this one.
        let signal = match is_ignored(signal) {
            true => Signal::TERM,
            false => signal,
        };
        fs::create_dir(&output).unwrap();
        let target = match arguments[0] {
            "unpack" => output.join("out.tar.gz"),
            _ => output.join("out"),
        };
        let mut command = example(arguments[0]);
        command.args(&arguments[1..]);
        command.arg(fixture.path("source")).arg(&target);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        interrupt(&mut child, &output, signal);
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        let ended = (ended.status.code(), &*stderr);
        assert_eq!(ended, (Some(2), "error: interrupted\n"), "{arguments:?}");
        assert_eq!(names(&output), [""; 0], "{arguments:?}");
        fs::remove_dir(&output).unwrap();
    }
}

#[test]
fn a_pipe_through_which_nothing_comes_is_not_waited_for() {
    let fixture = Fixture::new();
    for to in ["rafs-v6", "estargz", "tar-zstd"] {
        let output = fixture.path("output");
        let mut command = example("convert");
        command.args(["--to", to, "-"]).arg(&output);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        // Until signals are taken over.
        let start = Instant::now();
        while !has_signal(&id.to_string(), "SigCgt:", Signal::TERM) {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        // All of them.
        std::thread::sleep(Duration::from_millis(100));
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let stdin = child.stdin.take();
        let ended = child.wait_with_output().unwrap();
        drop(stdin);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (&*said, ended.status.code()),
            ("error: interrupted\n", Some(2)),
            "{to}"
        );
        assert!(!output.exists(), "{to}");
    }
}

#[test]
fn what_nohup_runs_outlives_its_terminal() {
    let fixture = Fixture::new();
    let hole = File::create(fixture.path("source/hole")).unwrap();
    hole.set_len(1 << 30).unwrap();
    drop(hole);
    let output = fixture.path("output");
    fs::create_dir(&output).unwrap();
    let mut command = Command::new("nohup");
    command.arg(example("convert").get_program());
    command
        .args(["--to", "tar-zstd"])
        .arg(fixture.path("source"));
    command.arg(output.join("out"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    interrupt(&mut child, &output, Signal::HUP);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(names(&output), ["out"]);
}
