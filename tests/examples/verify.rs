//! What `verify` finds, how it says it, and the exit codes.

use std::fs;

use serde_json::Value;

use crate::{Fixture, complaint, example, json, run, text};

/// The object that `verify` prints in spite of exit code `code`.
fn object(command: &mut std::process::Command, code: i32) -> Value {
    serde_json::from_slice(&run(command.arg("--json"), code).stdout).unwrap()
}

/// Its faults, as they are said without `--json`.
fn faults(value: &Value) -> Vec<String> {
    let faults = value["faults"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |fault: &Value| format!("{}: {}", text(&fault["fault"]), text(&fault["what"]));
    faults.map(line).collect()
}

#[test]
fn a_missing_blob_is_one_fault_of_the_environment() {
    let fixture = Fixture::new();
    let blob = fixture.blob();
    fs::remove_file(&blob).unwrap();
    let said = complaint(example("verify").arg(fixture.bootstrap()), 2);
    let id = blob.file_name().unwrap().to_str().unwrap();
    assert!(
        said.starts_with(&format!("i/o: blob `{id}`: cannot open ")),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let value = object(example("verify").arg(fixture.bootstrap()), 2);
    assert_eq!(value["faults"].as_array().unwrap().len(), 1);
    run(
        example("verify")
            .arg("--metadata-only")
            .arg(fixture.bootstrap()),
        0,
    );
}

#[cfg(unix)]
#[test]
fn a_blob_that_is_a_pipe_is_not_waited_for() {
    let fixture = Fixture::new();
    let blob = fixture.blob();
    fs::remove_file(&blob).unwrap();
    run(std::process::Command::new("mkfifo").arg(&blob), 0);
    let said = complaint(example("verify").arg(fixture.bootstrap()), 2);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.ends_with(": not a file\n"), "{said}");
}

#[test]
fn an_undecodable_toc_is_a_fault_like_others() {
    let fixture = Fixture::new();
    let layer = fixture.estargz("layer");
    let toc_offset = json(example("inspect").arg(&layer))["estargz"]["toc_offset"].clone();
    let mut bytes = fs::read(&layer).unwrap();
    bytes[toc_offset.as_u64().unwrap() as usize + 200] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let value = object(example("verify").arg(&layer), 1);
    assert_eq!(value["format"], "estargz");
    let found = faults(&value);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("corrupt: "), "{found:?}");
    let output = run(example("verify").arg(&layer), 1);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "{} (--as-layer ignores the TOC and reads a plain layer)\n",
            found[0]
        )
    );
    assert!(output.stdout.ends_with(b"1 fault\n"));

    fs::write(fixture.path("short"), "short").unwrap();
    let value = object(example("verify").arg(fixture.path("short")), 3);
    assert_eq!(value["format"], "unknown");
    run(
        example("verify").arg("--json").arg(fixture.path("missing")),
        2,
    );
}

#[test]
fn an_unexpected_digest_does_not_hide_other_faults() {
    let fixture = Fixture::new();
    let mut bytes = fs::read(fixture.blob()).unwrap();
    bytes[0] ^= 1;
    fs::write(fixture.blob(), bytes).unwrap();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let mut verify = example("verify");
    let value = object(
        verify.args(["--expect", &wrong]).arg(fixture.bootstrap()),
        1,
    );
    let found = faults(&value);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("corrupt: the file has digest sha256:"),
        "{found:?}"
    );
    assert!(
        found[0].ends_with(&format!(", expected {wrong}")),
        "{found:?}"
    );
    assert!(found[1].starts_with("corrupt: /"), "{found:?}");
    assert!(found[2].ends_with(", which is not its name"), "{found:?}");
    // Where it is, for programs.
    let blob = fixture.blob();
    let id = blob.file_name().unwrap().to_str().unwrap();
    assert_eq!(value["faults"][0]["object"], Value::Null);
    assert_eq!(value["faults"][1]["object"], id);
    assert_eq!(value["faults"][1]["offset"], 0);
    assert!(
        value["faults"][1]["path"]
            .as_str()
            .unwrap()
            .starts_with('/')
    );
    assert_eq!(value["faults"][2]["object"], id);
    assert_eq!(value["corrupt"], 3);
}

#[test]
fn digests_of_bootstrap_toc_and_blob_are_expected() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--inline-meta"]);
    let image = fixture.path("inline");
    run(convert.arg(fixture.path("source")).arg(&image), 0);
    let blob = fs::read_dir(image.join("blobs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let sha256 = |path| lazyoci::verify::sha256(&fs::read(path).unwrap()).to_string();
    let expect = |digest: &str, code| {
        let mut verify = example("verify");
        complaint(verify.args(["--expect", digest]).arg(&blob), code)
    };
    expect(&sha256(blob.clone()), 0);
    let wrong = format!("sha256:{}", "0".repeat(64));
    let said = expect(&wrong, 1);
    let (_, bootstrap) = said.split_once("its bootstrap has digest ").unwrap();
    let bootstrap = bootstrap.split(',').next().unwrap();
    expect(bootstrap, 0);

    let layer = fixture.estargz("layer");
    let toc = json(example("inspect").arg(&layer))["estargz"]["toc_digest"].clone();
    for digest in [toc.as_str().unwrap(), &sha256(layer.clone())] {
        run(example("verify").args(["--expect", digest]).arg(&layer), 0);
    }
}

#[test]
fn both_readings_of_a_layer_are_told() {
    let fixture = Fixture::new();
    let open_to_all = fixture.estargz("first");
    let motd = fixture.path("source/etc/motd");
    let mut permissions = fs::metadata(&motd).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&motd, permissions).unwrap();
    let read_only = fixture.estargz("second");
    // The tar of one, the TOC of the other.
    let offset = |layer| json(example("inspect").arg(layer))["estargz"]["toc_offset"].clone();
    assert_eq!(offset(&open_to_all), offset(&read_only));
    let at = offset(&read_only).as_u64().unwrap() as usize;
    let mut layer = fs::read(&open_to_all).unwrap();
    layer.truncate(at);
    layer.extend(&fs::read(&read_only).unwrap()[at..]);
    fs::write(fixture.path("both"), layer).unwrap();

    let said = complaint(example("verify").arg(fixture.path("both")), 1);
    assert!(said.starts_with("corrupt: /etc/motd: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let mode = |layer| {
        let listed = json(example("ls").arg(layer).arg("etc/motd"));
        listed["entries"][0]["mode"]
            .as_str()
            .unwrap()
            .trim_start_matches('0')
            .to_owned()
    };
    let (tar, toc) = (mode(&open_to_all), mode(&read_only));
    assert_ne!(tar, toc);
    assert!(said.contains(&tar) && said.contains(&toc), "{said}");
    // Those that were not tampered with have one reading.
    assert!(text(example("verify").arg(&open_to_all)).ends_with(" 0 faults\n"));
    assert!(text(example("verify").arg(&read_only)).ends_with(" 0 faults\n"));
}

#[test]
fn estargz_whose_footer_is_damaged_is_no_sound_tar() {
    let fixture = Fixture::new();
    let layer = fixture.estargz("layer");
    let sound = fs::read(&layer).unwrap();
    let footer = sound.len() - 51;
    let found = "corrupt: looks like eStargz with a damaged footer\n";
    for byte in [33, 37] {
        let mut damaged = sound.clone();
        damaged[footer + byte] ^= 1;
        fs::write(&layer, damaged).unwrap();
        assert_eq!(complaint(example("verify").arg(&layer), 1), found);
        let value = object(example("verify").arg("--metadata-only").arg(&layer), 1);
        assert_eq!(value["format"], "tar-gzip");
    }
    // What is left is an ordinary layer, as if it had been compressed anew.
    fs::write(&layer, &sound[..footer]).unwrap();
    assert_eq!(
        text(example("verify").arg(&layer))
            .matches("0 faults")
            .count(),
        1
    );
}

/// The bootstrap's own chunk table is sound, and so are all chunks; but nydusd cannot read the blob.
#[test]
fn a_blob_that_nydusd_cannot_read_is_bad() {
    let fixture = Fixture::new();
    let blob = fixture.blob();
    let sound = fs::read(&blob).unwrap();
    let mut flipped = sound.clone();
    let header = flipped.len() - 4096;
    flipped[header - 1] ^= 1;
    for damaged in [&sound[..sound.len() - 1], &flipped] {
        fs::write(&blob, damaged).unwrap();
        run(example("verify").arg(fixture.bootstrap()), 1);
        run(example("verify").arg(&blob), 1);
    }
    fs::write(&blob, &sound).unwrap();
    run(example("verify").arg(fixture.bootstrap()), 0);
}

#[test]
fn what_convert_wrote_is_verified_as_a_whole_and_in_parts() {
    let fixture = Fixture::new();
    let mut whole = json(example("verify").arg(fixture.path("image")));
    let by_bootstrap = json(example("verify").arg(fixture.bootstrap()));
    whole["image"] = by_bootstrap["image"].clone();
    assert_eq!(whole, by_bootstrap);
    assert_eq!(
        (&whole["format"], &whole["blob_count"]),
        (&"rafs-v6".into(), &1.into())
    );
    let alone = json(example("verify").arg(fixture.blob()));
    assert_eq!(alone["format"], "rafs-data");
    assert_eq!(alone["chunks"], whole["chunks"]);

    let inline = fixture.path("inline");
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--inline-meta"]);
    run(convert.arg(fixture.path("source")).arg(&inline), 0);
    let value = json(example("verify").arg(&inline));
    assert_eq!(value["format"], "rafs-v6");
    fs::remove_file(inline.join("image.boot")).unwrap();
    let value = json(example("verify").arg(&inline));
    assert_eq!(value["format"], "rafs-blob");
    assert_eq!(value["paths"], whole["paths"]);
    // Any other directory is an image by itself.
    let value = json(example("verify").arg(fixture.path("source")));
    assert_eq!(
        (&value["format"], &value["files"]),
        (&"directory".into(), &2.into())
    );
}

#[test]
fn a_directory_has_no_digest() {
    let fixture = Fixture::new();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let mut verify = example("verify");
    let said = complaint(
        verify
            .args(["--expect", &wrong])
            .arg(fixture.path("source")),
        2,
    );
    assert_eq!(
        said,
        format!("misuse: a directory has no digest, expected {wrong}\n")
    );
}

#[test]
fn what_strict_reading_refuses_is_not_bad() {
    let fixture = Fixture::new();
    let mut erofs = vec![0; 4096];
    erofs[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
    // Blocks of 4096 bytes, and compression.
    (erofs[1024 + 12], erofs[1024 + 80]) = (12, 2);
    fs::write(fixture.path("erofs"), erofs).unwrap();
    let said = complaint(example("verify").arg(fixture.path("erofs")), 3);
    assert!(said.starts_with("unsupported: "), "{said}");

    // A file whose name ends in a slash, which some take for a directory.
    let mut header = [0u8; 1024];
    header[..6].copy_from_slice(b"file/\0");
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(b"00000000000\0");
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header[..512].iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fs::write(fixture.path("odd"), [&header[..512], &[0; 1024]].concat()).unwrap();
    let said = complaint(example("verify").arg(fixture.path("odd")), 3);
    assert!(said.ends_with(" (--lenient accepts it)\n"), "{said}");
    let mut lenient = example("verify");
    run(lenient.arg("--lenient").arg(fixture.path("odd")), 0);
}
