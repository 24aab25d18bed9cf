//! What is said of inputs and outputs that will not do, and of a single thing.
#![cfg(unix)]

use std::fs;

use crate::{Fixture, NAMES, complaint, example, json, run, text};

#[test]
fn a_merged_bootstrap_does_not_go_to_stdout() {
    let fixture = Fixture::new();
    let mut merge = example("merge");
    merge.current_dir(fixture.path(""));
    let said = complaint(merge.arg(fixture.bootstrap()).arg("-"), 2);
    let expected = "error: -: the output is a directory and cannot go to stdout\n";
    assert_eq!(said, expected);
    assert!(!fixture.path("-").exists());
}

#[test]
fn a_file_is_not_replaced_by_a_directory() {
    let fixture = Fixture::new();
    let output = fixture.path("output");
    fs::write(&output, "precious").unwrap();
    for command in [&["convert", "--to", "rafs-v6"][..], &["unpack"], &["merge"]] {
        let mut forced = example(command[0]);
        forced.args(&command[1..]).arg("--force");
        let said = complaint(forced.args([&fixture.bootstrap(), &output]), 2);
        let output = output.display();
        let expected =
            format!("error: {output} is not a directory, so a directory cannot replace it\n");
        assert_eq!(said, expected);
    }
    assert_eq!(fs::read(&output).unwrap(), b"precious");
}

#[test]
fn an_output_in_no_directory_names_the_output_alone() {
    let fixture = Fixture::new();
    for name in ["missing/output", "missing/output.tar"] {
        let output = fixture.path(name);
        let mut unpack = example("unpack");
        let said = complaint(unpack.args([&fixture.bootstrap(), &output]), 2);
        let beside = format!("cannot create output beside `{}`", output.display());
        let expected = format!("{beside}: No such file or directory (os error 2)\n");
        assert!(said.ends_with(&expected), "{said}");
    }
}

#[test]
fn what_is_not_gzip_is_no_bad_layer() {
    let fixture = Fixture::new();
    let tar = fixture.path("plain.tar");
    run(example("unpack").args([&fixture.bootstrap(), &tar]), 0);
    let mut index = example("index");
    let said = complaint(index.args([&tar, &fixture.path("index")]), 3);
    let tar = tar.display();
    let expected = format!("error: {tar}: cannot index the layer: not a gzip stream\n");
    assert_eq!(said, expected);
}

#[test]
fn a_layer_whose_toc_is_elsewhere_names_the_options() {
    let fixture = Fixture::new();
    let layer = fixture.path("layer");
    let mut convert = example("convert");
    convert.args(["--to", "estargz-external-toc"]);
    run(convert.args([&fixture.bootstrap(), &layer]), 0);
    let said = complaint(example("digest").arg(&layer), 3);
    let options = " (--external-toc FILE names it; --as-layer reads a plain layer instead)\n";
    assert!(said.ends_with(options), "{said}");
}

#[test]
fn a_compressed_layer_is_not_as_long_as_its_tar() {
    let fixture = Fixture::new();
    for (name, known) in [("layer.tar", true), ("layer.tar.gz", false)] {
        let layer = fixture.path(name);
        run(example("unpack").args([&fixture.bootstrap(), &layer]), 0);
        let blob = &json(example("inspect").arg(&layer))["blobs"][0];
        assert_eq!(blob["bytes"].is_u64(), known, "{blob}");
        assert!(blob["decoded_bytes"].is_u64(), "{blob}");
    }
}

#[test]
fn frames_of_many_files_are_sized_in_units() {
    let fixture = Fixture::new();
    let to = |size: &str| {
        let layer = fixture.path(size);
        let mut convert = example("convert");
        convert.args(["--to", "estargz", "--min-chunk-size", size]);
        run(convert.args([&fixture.bootstrap(), &layer]), 0);
        fs::read(layer).unwrap()
    };
    assert!(to("64KiB") == to("65536"));
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    for name in NAMES {
        let help = text(example(name).arg("--help").env("COLUMNS", "80"));
        let long = help.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{name}");
    }
}
