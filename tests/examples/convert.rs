//! Options, sources and outputs of `convert`, and `unpack`, `quickstart` where they share them.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::{Fixture, complaint, example, json, run, text};

#[test]
fn pipes_are_layers_that_come_once_and_empty_files_are_no_images() {
    let fixture = Fixture::new();
    let layer = fixture.path("layer");
    let mut to_tar = example("convert");
    to_tar.args(["--to", "tar"]).arg(fixture.path("source"));
    run(to_tar.arg(&layer), 0);
    let piped = |command: &mut std::process::Command, code| {
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.arg(&layer).stdout(Stdio::piped()).spawn().unwrap();
        command.stdin(cat.stdout.take().unwrap());
        let output = run(command, code);
        // The last reader of the pipe: `cat` ends.
        command.stdin(Stdio::null());
        cat.wait().unwrap();
        output
    };
    for name in ["verify", "ls", "digest"] {
        let said = piped(example(name).arg("/dev/stdin"), 2).stderr;
        // What `verify` cannot open is a fault that it finds.
        let begins = match name {
            "verify" => "misuse",
            _ => "error",
        };
        assert_eq!(
            String::from_utf8(said).unwrap(),
            format!("{begins}: /dev/stdin is neither a file nor a directory\n")
        );
    }
    // What is made out of a layer as it comes is made out of a pipe, too.
    let expected = text(example("digest").arg(&layer));
    for to in ["estargz", "tar-zstd", "rafs-v6"] {
        let output = fixture.path(to);
        let mut convert = example("convert");
        piped(convert.args(["--to", to, "/dev/stdin"]).arg(&output), 0);
        let image = match to {
            "rafs-v6" => output.join("image.boot"),
            _ => output,
        };
        assert_eq!(text(example("digest").arg(image)), expected, "{to}");
    }
    // A file is one by whatever name.
    let mut redirected = example("verify");
    redirected.arg("/dev/stdin");
    run(redirected.stdin(fs::File::open(&layer).unwrap()), 0);

    fs::write(fixture.path("short"), "short").unwrap();
    for to in ["rafs-v6", "estargz", "tar-gzip"] {
        let mut convert = example("convert");
        convert.args(["--to", to]).arg(fixture.path("short"));
        let said = complaint(convert.arg(fixture.path("out")), 3);
        assert!(said.contains("neither a layer nor another image"), "{said}");
        assert!(!fixture.path("out").exists());
    }
}

/// Whatever its compression, also none.
#[test]
fn a_layer_of_no_bytes_is_empty() {
    let fixture = Fixture::new();
    fs::write(fixture.path("empty"), "").unwrap();
    for (to, name) in [("tar-gzip", "a.tar.gz"), ("tar", "b.tar"), ("estargz", "c")] {
        let mut convert = example("convert");
        convert.args(["--to", to]).arg(fixture.path("empty"));
        run(convert.arg(fixture.path(name)), 0);
        run(example("verify").arg(fixture.path(name)), 0);
    }
}

#[test]
fn output_inside_the_source_is_no_part_of_itself() {
    let fixture = Fixture::new();
    let source = fixture.path("source");
    for (to, name) in [
        ("estargz", "a.esgz"),
        ("tar", "b.tar"),
        ("tar-zstd", "c.zst"),
    ] {
        let before = text(example("ls").arg("-R").arg(&source));
        let output = source.join(name);
        let mut convert = example("convert");
        run(convert.args(["--to", to]).arg(&source).arg(&output), 0);
        let inside = text(example("ls").arg("-R").arg(&output));
        assert_eq!(inside, before, "{to}");
    }
}

#[test]
fn version_5_of_rafs_is_an_image_like_any_other() {
    let fixture = Fixture::new();
    let (source, output) = (fixture.path("source"), fixture.path("v5"));
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v5"]).arg(&source);
    let done = json(convert.arg(&output));
    assert_eq!(done["format"], "rafs-v5");
    let version = &done["bootstrap"]["annotations"]["containerd.io/snapshot/nydus-fs-version"];
    assert_eq!(version, "5");
    let bootstrap = output.join("image.boot");
    run(example("verify").arg(&bootstrap), 0);
    run(
        example("diff").args([&fixture.path("image/image.boot"), &bootstrap]),
        0,
    );
    let listed = text(example("ls").arg("-R").arg(&bootstrap));
    assert_eq!(
        listed,
        text(
            example("ls")
                .arg("-R")
                .arg(fixture.path("image/image.boot"))
        )
    );
    let shown = json(example("inspect").arg(&bootstrap));
    assert_eq!(
        (&shown["format"], &shown["rafs"]["version"]),
        (&"rafs-v5".into(), &5.into())
    );
    let dump = text(example("inspect").arg("--dump").arg(&bootstrap));
    assert!(
        dump.starts_with("0x00000000 superblock: block_size="),
        "{dump}"
    );
    assert!(!dump.contains("\n!"), "{dump}");
}

#[test]
fn options_that_do_not_fit_the_format_are_refused() {
    let fixture = Fixture::new();
    let output = fixture.path("output");
    for (to, options) in [
        ("tar", &["--prefetch", "list"][..]),
        ("tar", &["--chunk-size", "4096"]),
        ("tar-gzip", &["--digester", "sha256"]),
        ("tar-zstd", &["--compat", "2.2"]),
        ("estargz", &["--keep-blobs"]),
        ("tar", &["--keep-frames"]),
        ("erofs", &["--keep-frames"]),
        ("estargz", &["--aligned"]),
        ("estargz", &["--inline-meta"]),
        ("tar", &["--toc"]),
        ("rafs-v5", &["--toc"]),
        ("rafs-v5", &["--aligned"]),
        ("estargz", &["--digester", "blake3"]),
        ("tar", &["--compressor", "zstd:3"]),
        ("tar-gzip", &["--compressor", "none"]),
        ("tar-zstd", &["--compressor", "gzip:6"]),
        ("estargz", &["--compressor", "lz4"]),
    ] {
        let mut convert = example("convert");
        convert.args(["--to", to]).args(options);
        let said = complaint(convert.arg(fixture.path("source")).arg(&output), 2);
        let option = match options {
            ["--compressor", _] => options.join(" "),
            _ => options[0].into(),
        };
        assert_eq!(said, format!("error: {option} does not apply to {to}\n"));
        assert!(!output.exists());
    }
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--aligned", "--compressor", "zstd"]);
    complaint(convert.arg(fixture.path("source")).arg(&output), 2);
}

#[test]
fn layers_become_the_image_that_they_are_together() {
    let fixture = Fixture::new();
    let upper = fixture.path("upper");
    fs::create_dir_all(upper.join("etc")).unwrap();
    fs::write(upper.join("etc/.wh.motd"), "").unwrap();
    fs::write(upper.join("etc/issue"), "new\n").unwrap();
    let layers = [fixture.path("lower.tar"), fixture.path("upper.tgz")];
    for (source, (to, layer)) in [fixture.path("source"), upper]
        .iter()
        .zip(["tar", "tar-gzip"].iter().zip(&layers))
    {
        run(
            example("convert").args(["--to", to]).arg(source).arg(layer),
            0,
        );
    }
    let listed = |image: &Path| text(example("ls").arg("-R").arg(image));
    for to in ["rafs-v6", "rafs-v5", "estargz", "tar", "tar-zstd"] {
        let output = fixture.path(to);
        let mut convert = example("convert");
        run(convert.args(["--to", to]).args(&layers).arg(&output), 0);
        assert_eq!(listed(&output), "/big\n/etc\n/etc/issue\n", "{to}");
    }
    let blobs = fs::read_dir(fixture.path("rafs-v6/blobs")).unwrap();
    assert_eq!(blobs.count(), 2);

    // The lower layer from a pipe.
    let output = fixture.path("piped");
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "-"])
        .arg(&layers[1])
        .arg(&output);
    convert.stdin(fs::File::open(&layers[0]).unwrap());
    run(&mut convert, 0);
    assert_eq!(listed(&output), "/big\n/etc\n/etc/issue\n");

    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "--inline-meta"])
        .args(&layers);
    let said = complaint(convert.arg(fixture.path("inline")), 2);
    assert_eq!(
        said,
        "error: the bootstrap of several layers cannot be put into a blob of one of them\n"
    );
}

#[test]
fn blobs_are_kept() {
    let fixture = Fixture::new();
    let convert = |arguments: &[&str], image: &str, output: &str| {
        let mut convert = example("convert");
        convert.args(arguments).arg(fixture.path(image));
        convert.arg(fixture.path(output));
        convert
    };
    run(&mut convert(&["--to", "rafs-v6"], "source", "v6"), 0);
    let blobs = fixture.path("v6/blobs");
    let kept = ["--keep-blobs", "--blobs", blobs.to_str().unwrap(), "--to"];
    let to = |version| [&kept[..], &[version]].concat();
    let said = json(&mut convert(&to("rafs-v5"), "v6/image.boot", "v5"));
    assert_eq!(said["format"], "rafs-v5");
    assert!(!fixture.path("v5/blobs").exists());
    run(&mut convert(&to("rafs-v6"), "v5/image.boot", "again"), 0);
    let [first, again] = ["v6", "again"].map(|name| fixture.path(name).join("image.boot"));
    assert!(fs::read(first).unwrap() == fs::read(again).unwrap());

    run(&mut convert(&["--to", "rafs-v5"], "source", "own"), 0);
    let mut refused = convert(
        &["--to", "rafs-v6", "--keep-blobs"],
        "own/image.boot",
        "out",
    );
    let said = complaint(&mut refused, 3);
    assert!(said.contains("it has no chunk information"), "{said}");
    let mut refused = convert(&to("rafs-v5"), "v6/image.boot", "out");
    let said = complaint(refused.args(["--compressor", "lz4"]), 2);
    assert!(
        said.starts_with("error: --compressor cannot be combined with --keep-blobs"),
        "{said}"
    );
    assert!(!fixture.path("out").exists());
}

#[test]
fn chunks_of_other_images_are_not_stored_again() {
    let fixture = Fixture::new();
    let convert = |arguments: &[&str], image: &str, output: &str| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6"]).args(arguments);
        convert.arg(fixture.path(image)).arg(fixture.path(output));
        convert
    };
    run(&mut convert(&["--inline-meta"], "source", "first"), 0);
    let blobs = fixture.path("first/blobs");
    let blob = fs::read_dir(&blobs).unwrap().next().unwrap().unwrap();
    fs::write(fixture.path("source/new"), b"not there before").unwrap();
    // A bootstrap in a blob does not say what that is called: the blob's digest.
    for dictionary in [fixture.path("first/image.boot"), blob.path()] {
        let dictionary = dictionary.to_str().unwrap();
        let output = "second";
        let arguments = ["--force", "--chunk-dict", dictionary];
        let said = json(&mut convert(&arguments, "source", output));
        assert_eq!(said["stored_chunks"], 1);
        let by_digest = dictionary.ends_with("image.boot");
        if !by_digest {
            assert_eq!(
                said["reused_blobs"],
                json!([blob.file_name().to_str().unwrap()])
            );
            fs::copy(
                blob.path(),
                fixture.path(output).join("blobs").join(blob.file_name()),
            )
            .unwrap();
        }
    }
    run(example("verify").arg(fixture.path("second")), 0);
    let said = json(&mut convert(&["--compact"], "second/image.boot", "third"));
    assert_eq!(
        (
            said["reused_blobs"].as_array().map(Vec::len),
            said["blobs"].as_array().map(Vec::len)
        ),
        (Some(0), Some(1))
    );

    let mut refused = convert(&["--compact", "--toc"], "second/image.boot", "out");
    let said = complaint(&mut refused, 2);
    assert!(
        said.starts_with("error: --toc cannot be combined with --compact"),
        "{said}"
    );
    let mut refused = convert(&["--compact"], "source", "out");
    let said = complaint(&mut refused, 2);
    assert!(said.contains("only a RAFS image"), "{said}");
    let mut refused = convert(
        &["--chunk-dict", fixture.path("source").to_str().unwrap()],
        "source",
        "out",
    );
    let said = complaint(&mut refused, 2);
    assert!(said.contains("not RAFS"), "{said}");
    assert!(!fixture.path("out").exists());
}

#[test]
fn prefetch_lists_are_checked() {
    let fixture = Fixture::new();
    let list = fixture.path("list");
    for (to, output) in [("rafs-v6", "rafs"), ("estargz", "layer")] {
        let convert = || {
            let mut convert = example("convert");
            convert.args(["--to", to, "--prefetch"]).arg(&list);
            convert.arg(fixture.path("source"));
            convert
        };
        fs::write(&list, "/big\n\netc\0motd\n").unwrap();
        let said = complaint(convert().arg(fixture.path(output)), 2);
        let place = format!("error: {}, line 3: ", list.display());
        assert!(said.starts_with(&place), "{said}");
        assert_eq!(said.matches("must not contain").count(), 1, "{said}");
        assert!(!fixture.path(output).exists());

        fs::write(&list, "/gone\netc/motd\netc/motd/below\n").unwrap();
        let report = json(convert().arg(fixture.path(output)));
        let missed: Vec<_> = report["missed"].as_array().unwrap().clone();
        fs::rename(fixture.path(output), fixture.path(&format!("{output}.old"))).unwrap();
        assert_eq!(missed, ["/gone", "/etc/motd/below"]);
    }
    let said = complaint(
        example("convert")
            .args(["--to", "rafs-v6", "--prefetch"])
            .args([&list, &fixture.path("source"), &fixture.path("again")]),
        0,
    );
    let missed = "not prioritized, not found: ";
    assert_eq!(said, format!("{missed}/gone\n{missed}/etc/motd/below\n"));
}

#[cfg(unix)]
#[test]
fn losses_are_told_when_a_tar_goes_to_stdout() {
    let fixture = Fixture::new();
    let socket = fixture.path("source/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for name in ["unpack", "convert"] {
        let command = || {
            let mut command = example(name);
            if name == "convert" {
                command.args(["--to", "tar"]);
            }
            command.arg(fixture.path("source")).arg("-");
            command
        };
        let said = complaint(&mut command(), 3);
        assert!(
            said.ends_with("/socket: sockets cannot be stored (--lossy leaves it out)\n"),
            "{said}"
        );
        let said = complaint(command().arg("--lossy"), 0);
        assert!(
            said.starts_with("lost: /socket: sockets cannot be stored\n-: "),
            "{said}"
        );
    }
}

#[test]
fn a_lazy_layer_is_a_plain_layer_too() {
    let fixture = Fixture::new();
    let lazy = fixture.estargz("layer");
    let ls = |options: &[&str]| text(example("ls").args(options).arg(&lazy));
    assert_eq!(ls(&[]), "big\netc\n");
    let whole = ".no.prefetch.landmark\nbig\netc\nstargz.index.json\n";
    assert_eq!(ls(&["--as-layer"]), whole);
    // Compressed otherwise, its tar is the same.
    let mut convert = example("convert");
    convert.args(["--to", "tar-zstd", "--as-layer"]).arg(&lazy);
    let report = json(convert.arg(fixture.path("zstd")));
    let mut again = example("convert");
    again.args(["--to", "tar-gzip"]).arg(fixture.path("zstd"));
    assert_eq!(
        json(again.arg(fixture.path("gzip")))["diff_id"],
        report["diff_id"]
    );
    assert_eq!(text(example("ls").arg(fixture.path("zstd"))), whole);
}

#[test]
fn a_blob_gets_a_table_of_contents() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "--toc"])
        .arg(fixture.path("source"));
    let report = json(convert.arg(fixture.path("with-toc")));
    let digest = report["blobs"][0]["digest"].as_str().unwrap();
    let blob = fixture
        .path("with-toc/blobs")
        .join(&digest["sha256:".len()..]);
    let value = json(example("verify").arg(&blob));
    assert_eq!(
        (&value["format"], &value["findings"]),
        (&"rafs-blob".into(), &0.into())
    );
    run(example("verify").arg(fixture.path("with-toc")), 0);
}

#[test]
fn content_beyond_the_bounds_is_refused_and_an_option_raises_them() {
    const HINT: &str = " (--max-content SIZE allows more)\n";
    let fixture = Fixture::new();
    let source = fixture.path("source");
    let hole = fs::File::create(source.join("hole")).unwrap();
    let convert = |to: &str, image: &str| {
        let mut convert = example("convert");
        convert.args(["--to", to, "--force"]);
        convert.args([
            fixture.path(image),
            fixture.path(&format!("{to} of {image}")),
        ]);
        convert
    };
    let commands = || {
        let mut digest = example("digest");
        digest.arg(&source);
        let mut unpack = example("unpack");
        unpack
            .arg("--force")
            .args([&source, &fixture.path("unpacked")]);
        let formats = ["rafs-v6", "estargz", "tar"].map(|to| convert(to, "source"));
        [digest, unpack].into_iter().chain(formats)
    };
    // More of it than a few bytes may declare.
    hole.set_len(17 << 30).unwrap();
    for mut command in commands() {
        let said = complaint(&mut command, 3);
        assert!(said.ends_with(HINT), "{said}");
    }
    // With the other files, 11 MiB and 6 bytes.
    hole.set_len(8 << 20).unwrap();
    for mut command in commands() {
        let said = complaint(command.args(["--max-content", "10MiB"]), 3);
        assert!(said.ends_with(HINT), "{said}");
    }
    for mut command in commands() {
        run(command.args(["--max-content", "12MiB"]), 0);
    }
    for mut command in commands() {
        run(command.args(["--max-content", "1TiB"]), 0);
    }
    // As it comes: the file that is too much is named.
    fs::rename(fixture.path("tar of source"), fixture.path("layer")).unwrap();
    let mut streamed = convert("rafs-v6", "layer");
    let said = complaint(streamed.args(["--max-content", "10MiB"]), 3);
    assert!(said.ends_with(HINT), "{said}");
    assert!(
        said.contains("/hole: with this file there are more than 10485760 bytes of content"),
        "{said}"
    );
}
