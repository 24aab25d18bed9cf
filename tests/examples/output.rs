//! Outputs that nobody takes: they are no reason to panic.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;

use crate::{Fixture, example};

#[test]
fn a_stderr_that_takes_nothing_changes_no_exit_code() {
    let fixture = Fixture::new();
    let mut bytes = fs::read(fixture.blob()).unwrap();
    bytes[0] ^= 1;
    fs::write(fixture.blob(), bytes).unwrap();
    let source = fixture.path("source");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for (code, mut command) in [
        (1, example("verify")),
        (2, example("ls")),
        (0, example("cat")),
        (0, example("convert")),
        (0, example("unpack")),
    ] {
        match code {
            1 => command.arg(fixture.bootstrap()),
            2 => command.arg(fixture.path("missing")),
            _ => command.arg(&source),
        };
        let program = command.get_program().to_owned();
        match program.to_str().unwrap().rsplit('/').next().unwrap() {
            "cat" => command.args(["etc/motd", "--stats"]),
            "convert" => command.args(["-", "--to", "tar"]),
            "unpack" => command.arg("-"),
            _ => &mut command,
        };
        let status = command
            .stdout(Stdio::null())
            .stderr(full())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{command:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_ends_the_run_quietly() {
    let fixture = Fixture::new();
    let big = fixture.path("source/big");
    fs::write(&big, vec![b'x'; 8 << 20]).unwrap();
    let mut children = Vec::new();
    for name in ["cat", "convert"] {
        let mut command = example(name);
        command.arg(fixture.path("source"));
        match name {
            "cat" => command.arg("big"),
            _ => command.args(["--to", "tar", "-"]),
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        children.push(command.spawn().unwrap());
    }
    for mut child in children {
        let mut first = [0; 1];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(2));
    }
    // What the image is like does not depend on who listens.
    let mut bytes = fs::read(fixture.blob()).unwrap();
    bytes[0] ^= 1;
    fs::write(fixture.blob(), bytes).unwrap();
    let mut verify = example("verify");
    verify.arg(fixture.bootstrap()).stdout(Stdio::piped());
    let mut child = verify.stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
