//! Progress bars, on a terminal of 80 columns.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Fixture, example, noise, run};

const COLUMNS: usize = 80;

/// What `command` shows on a terminal, line by line as each is drawn, without control sequences. The
/// terminal is that of `script`, of util-linux.
fn shown(command: &Command, code: i32) -> Vec<String> {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(quoted).collect::<Vec<_>>().join(" ");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command"]);
    script.arg(format!("stty cols {COLUMNS} rows 24; exec {line}"));
    // What is typed is that of nobody.
    script.arg("/dev/null").stdin(std::process::Stdio::null());
    let output = String::from_utf8(run(&mut script, code).stdout).unwrap();
    let mut plain = String::new();
    let mut rest = output.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                rest.by_ref().find(char::is_ascii_alphabetic);
            }
            c => plain.push(c),
        }
    }
    plain.split(['\r', '\n']).map(str::to_owned).collect()
}

#[test]
fn help_fits() {
    for name in crate::NAMES {
        let mut command = example(name);
        for line in shown(command.arg("--help"), 0) {
            assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
        }
    }
}

#[test]
fn bars_have_totals_and_fit() {
    let fixture = Fixture::new();
    let source = fixture.path("source");
    fs::write(source.join("noise"), noise(24 << 20)).unwrap();
    let path = |name: &str| fixture.path(name);
    let convert = |to: &str, from: &Path, output: &str| {
        let mut convert = example("convert");
        convert.args(["--to", to]).arg(from).arg(path(output));
        convert
    };
    let on = |name: &str, images: &[&Path]| {
        let mut command = example(name);
        command.args(images);
        command
    };
    let (layer, lazy) = (path("layer"), path("lazy"));
    for (what, command) in [
        ("converting", convert("tar-zstd", &source, "layer")),
        ("converting", convert("rafs-v6", &layer, "rafs")),
        ("opening", convert("estargz", &layer, "lazy")),
        ("converting", convert("tar-gzip", &layer, "gzip")),
        ("verifying", on("verify", &[&lazy])),
        ("digesting", on("digest", &[&lazy])),
        ("unpacking", on("unpack", &[&lazy, &path("unpacked")])),
        ("comparing", on("diff", &[&source, &layer])),
    ] {
        let lines = shown(&command, 0);
        // All that is drawn while it works; what comes at the end are results.
        for line in lines.iter().filter(|line| line.contains("B/")) {
            assert!(line.chars().count() <= COLUMNS, "{command:?}: {line}");
            assert!(!line.contains(" 0 B/0 B"), "{command:?}: {line}");
        }
        let bars = lines.iter().filter(|line| line.starts_with(what));
        let has_total = |line: &&String| {
            let (_, total) = line.split_once("iB/")?;
            Some(total.starts_with(|c: char| c.is_ascii_digit()))
        };
        let with_total = bars.filter(|line| has_total(line) == Some(true));
        assert!(with_total.count() > 0, "{command:?}: {lines:#?}");
    }
}
