//! Outputs that exist, and outputs that nobody takes, which are no reason to panic.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Fixture, complaint, example, json, run, text};

/// The commands that make something of `source`, without their output; and whether that is a directory.
fn makers(source: &Path) -> Vec<(Command, bool)> {
    let commands = [
        (&["convert", "--to", "rafs-v6"][..], true),
        (&["convert", "--to", "estargz"], false),
        (&["convert", "--to", "tar-zstd"], false),
        (&["unpack"], true),
    ];
    let make = |(arguments, directory): (&[&str], bool)| {
        let mut command = example(arguments[0]);
        command.args(&arguments[1..]).arg(source);
        (command, directory)
    };
    commands.map(make).into()
}

#[test]
fn an_output_that_exists_is_replaced_by_force_alone() {
    let fixture = Fixture::new();
    let source = fixture.path("source");
    for (mut command, directory) in makers(&source) {
        let output = fixture.path("output");
        let kept = match directory {
            true => output.join("kept"),
            false => output.clone(),
        };
        if directory {
            fs::create_dir(&output).unwrap();
        }
        fs::write(&kept, "precious").unwrap();
        command.arg(&output);
        assert_eq!(
            complaint(&mut command, 2),
            format!("error: {} exists (--force replaces it)\n", output.display())
        );
        assert_eq!(fs::read(&kept).unwrap(), b"precious");
        // What fails leaves it as it was.
        let mut failing = example("unpack");
        failing.arg("--force").arg(fixture.path("missing"));
        failing.arg(&output);
        complaint(&mut failing, 2);
        assert_eq!(fs::read(&kept).unwrap(), b"precious");

        run(command.arg("--force"), 0);
        assert!(!directory || !kept.exists());
        let image = match output.join("image.boot") {
            boot if boot.exists() => boot,
            _ => output.clone(),
        };
        let digest = |image: &Path| text(example("digest").arg(image));
        assert_eq!(digest(&image), digest(&source), "{command:?}");
        let left = fs::read_dir(fixture.path("")).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["image", "output", "source"], "{command:?}");
        match directory {
            true => fs::remove_dir_all(&output).unwrap(),
            false => fs::remove_file(&output).unwrap(),
        }
    }
}

#[test]
fn a_directory_in_which_there_is_nothing_is_filled() {
    let fixture = Fixture::new();
    let output = fixture.path("output");
    for (mut command, directory) in makers(&fixture.path("source")) {
        fs::create_dir(&output).unwrap();
        command.arg(&output);
        if directory {
            run(&mut command, 0);
        } else {
            let said = complaint(command.arg("--force"), 2);
            let output = output.display();
            let kept = format!("error: {output} is a directory, so a file cannot replace it\n");
            assert_eq!(said, kept);
        }
        fs::remove_dir_all(&output).unwrap();
    }
}

#[test]
fn a_layer_comes_from_stdin_and_goes_to_stdout() {
    let fixture = Fixture::new();
    let layer = fixture.path("layer");
    let mut to_tar = example("convert");
    to_tar
        .args(["--to", "tar-gzip"])
        .arg(fixture.path("source"));
    run(to_tar.arg(&layer), 0);
    let expected = text(example("digest").arg(&layer));
    let piped = |command: &mut Command, code| {
        let mut cat = Command::new("cat");
        let mut cat = cat.arg(&layer).stdout(Stdio::piped()).spawn().unwrap();
        command.stdin(cat.stdout.take().unwrap());
        let output = run(command, code);
        cat.wait().unwrap();
        output
    };
    for to in ["estargz", "tar", "tar-zstd"] {
        let mut convert = example("convert");
        let output = piped(convert.args(["--to", to, "-", "-"]), 0);
        let made = fixture.path(to);
        fs::write(&made, output.stdout).unwrap();
        assert_eq!(text(example("digest").arg(made)), expected, "{to}");
    }
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "-"]);
    piped(convert.arg(fixture.path("rafs")), 0);
    let boot = fixture.path("rafs/image.boot");
    assert_eq!(text(example("digest").arg(boot)), expected);

    // Where it does not do, it is refused by name.
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6"]).arg(&layer);
    let said = complaint(convert.arg("-"), 2);
    assert!(
        said.starts_with("error: -: rafs-v6 is a directory"),
        "{said}"
    );
    for name in ["ls", "verify", "digest", "inspect", "unpack"] {
        let mut command = example(name);
        command.arg("-");
        if name == "unpack" {
            command.arg(fixture.path("unpacked"));
        }
        let said = complaint(&mut command, 2);
        assert!(said.starts_with("error: -: "), "{said}");
    }
}

#[test]
fn a_tar_is_compressed_as_it_is_called() {
    let fixture = Fixture::new();
    for (name, format) in [
        ("u.tar", "tar"),
        ("u.tar.gz", "tar-gzip"),
        ("u.tgz", "tar-gzip"),
        ("u.tar.zst", "tar-zstd"),
    ] {
        let output = fixture.path(name);
        run(example("unpack").arg(fixture.bootstrap()).arg(&output), 0);
        assert_eq!(json(example("digest").arg(&output))["format"], format);
    }
    let xz = fixture.path("u.tar.xz");
    let said = complaint(example("unpack").arg(fixture.bootstrap()).arg(&xz), 2);
    assert_eq!(
        said,
        format!("error: {}: cannot compress a tar as `xz`\n", xz.display())
    );
    assert!(!xz.exists());
}

#[test]
fn sizes_have_units() {
    let fixture = Fixture::new();
    let convert = |size: &str, code| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6", "--force", "--chunk-size", size]);
        convert.arg(fixture.path("source"));
        run(convert.arg(fixture.path("sized")), code)
    };
    convert("64KiB", 0);
    let value = json(example("inspect").arg(fixture.path("sized/image.boot")));
    assert_eq!(value["rafs"]["chunk_size"], 64 << 10);
    for wrong in ["64k", "0", "5GiB", "-1", "1.5MiB", "99999999999GiB"] {
        convert(wrong, 2);
    }
}

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

/// `command`, started with stdout closed.
#[cfg(target_os = "linux")]
fn without_stdout(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >&-", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// What cannot be written is told, although the runtime opens `/dev/null` for a stdout that is closed.
#[test]
#[cfg(target_os = "linux")]
fn a_closed_stdout_is_an_error() {
    let fixture = Fixture::new();
    let (source, bootstrap) = (fixture.path("source"), fixture.bootstrap());
    let layer = fixture.path("layer");
    let mut convert = example("convert");
    let convert = convert.args(["--to", "tar-gzip"]).arg(&source);
    run(convert.arg(&layer), 0);
    let closed = |command: &mut Command| {
        let said = complaint(&mut without_stdout(command), 2);
        assert!(
            said.contains("error: ") && said.ends_with("stdout is closed\n"),
            "{command:?}: {said}"
        );
    };
    for name in crate::NAMES {
        let mut command = example(name);
        match name {
            "quickstart" | "verify" | "digest" | "inspect" | "ls" | "dedup" => command.arg(&source),
            "cat" => command.arg(&source).arg("etc/motd"),
            "diff" => command.arg(&source).arg(source.join("etc")),
            "index" => command.arg(&layer).arg(fixture.path("index")),
            "convert" => command.args(["--to", "tar"]).arg(&source).arg("-"),
            "merge" => command.arg(&bootstrap).arg(fixture.path("merged")),
            "unpack" => command.arg(&bootstrap).arg("-"),
            _ => panic!("{name}: not tried"),
        };
        closed(&mut command);
        closed(example(name).arg("--help"));
        closed(example(name).arg("--version"));
    }
    closed(
        example("unpack")
            .arg("--json")
            .arg(&bootstrap)
            .arg(fixture.path("unpacked")),
    );
    // A failure has its own exit code and message.
    let mut missing = without_stdout(example("digest").arg("--json").arg(fixture.path("missing")));
    let said = complaint(&mut missing, 2);
    assert!(!said.contains("stdout"), "{said}");
    // Nothing is written to it here.
    run(
        &mut without_stdout(
            example("cat")
                .arg(&source)
                .args(["etc/motd", "--range", "0:0"]),
        ),
        0,
    );
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

#[test]
fn a_bad_directory_for_temporary_files_is_named() {
    let fixture = Fixture::new();
    let layer = fixture.path("layer");
    let mut convert = example("convert");
    convert.args(["--to", "tar-gzip"]);
    run(convert.arg(fixture.path("source")).arg(&layer), 0);
    let gone = fixture.path("gone");
    let mut streamed = example("convert");
    streamed.args(["--to", "estargz", "-", "-"]);
    streamed.stdin(File::open(&layer).unwrap());
    let mut commands = [example("digest"), streamed, example("quickstart")];
    commands[0].arg(&layer);
    commands[2].arg(&layer);
    for command in &mut commands {
        let said = complaint(command.env("TMPDIR", &gone), 2);
        assert!(said.starts_with("error: "), "{said}");
        assert!(
            said.contains(&format!(" in {}: ", gone.display())),
            "{said}"
        );
    }
}

#[test]
fn cut_times_are_told() {
    let fixture = Fixture::new();
    let motd = File::options()
        .append(true)
        .open(fixture.path("source/etc/motd"));
    let half = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1500);
    motd.unwrap().set_modified(half).unwrap();
    let whole = std::time::SystemTime::UNIX_EPOCH;
    for name in ["source/big", "source/etc", "source"] {
        let file = File::open(fixture.path(name)).unwrap();
        file.set_modified(whole).unwrap();
    }
    let mut convert = example("convert");
    convert
        .args(["--to", "estargz"])
        .arg(fixture.path("source"));
    let said = complaint(convert.arg(fixture.path("lazy")), 0);
    assert_eq!(said, "lost: fractions of a second in 1 time\n");
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6"])
        .arg(fixture.path("source"));
    assert_eq!(complaint(convert.arg(fixture.path("rafs")), 0), "");
}
