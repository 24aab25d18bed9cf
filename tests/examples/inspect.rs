//! `inspect --dump`, and `ls` and `cat` by paths with links.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Fixture, complaint, example, json, run, text};

#[test]
fn every_structure_of_estargz_is_dumped() {
    let fixture = Fixture::new();
    let layer = fixture.estargz("layer");
    let len = fs::metadata(&layer).unwrap().len();
    let value = json(example("inspect").arg("--dump").arg(&layer));
    let members = value["members"].as_array().unwrap();
    // From the first byte to the footer, without a gap.
    let mut end = 0;
    for member in members {
        assert_eq!(member["offset"], end);
        end += member["bytes"].as_u64().unwrap();
        assert!(member["decoded_bytes"].as_u64().unwrap() > 0);
    }
    assert_eq!(value["footer"]["offset"], end);
    assert_eq!(end + 51, len);
    assert_eq!(value["footer"]["toc_offset"], value["toc"]["offset"]);
    let holds = |name: &str| {
        let held = |member: &&Value| member["holds"][0]["name"] == name;
        members.iter().filter(held).count()
    };
    assert_eq!((holds("big"), holds("etc/motd")), (1, 1));
    assert_eq!(holds("stargz.index.json"), 1);
    let entries = value["toc"]["toc_entries"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .any(|e| e["name"] == "etc/motd" && e["size"] == 6)
    );

    let lines = text(example("inspect").arg("--dump").arg(&layer));
    assert_eq!(lines.lines().count(), members.len() + entries.len() + 2);
    assert!(lines.contains("`etc/motd`@0+6\n"), "{lines}");
    let footer = format!(
        "{:#010x} footer: bytes=51 toc_offset={}\n",
        len - 51,
        value["toc"]["offset"]
    );
    assert!(lines.ends_with(&footer), "{lines}");
}

#[test]
fn a_dump_of_a_bootstrap_is_one_object_too() {
    let fixture = Fixture::new();
    let value = json(example("inspect").arg("--dump").arg(fixture.bootstrap()));
    assert_eq!(value["format"], "rafs-v6");
    assert_eq!(value["dump_version"], 1);
    let structures = value["structures"].as_array().unwrap();
    assert_eq!(structures[0]["offset"], 1024);
    assert_eq!(structures[0]["structure"], "superblock");
    let lines = text(example("inspect").arg("--dump").arg(fixture.bootstrap()));
    assert_eq!(structures.len(), lines.lines().count());
    assert!(structures.iter().all(|s| s["offset"].is_u64()), "{lines}");
    // Values of types: numbers are numbers.
    let fields = |name: &str, key: &str, value: Value| {
        let found = structures
            .iter()
            .find(|s| s["structure"] == name && s["fields"][key] == value);
        found.unwrap_or_else(|| panic!("no {name} with {key}={value}: {lines}"))["fields"].clone()
    };
    assert_eq!(structures[0]["fields"]["blkszbits"], 12);
    let motd = fields("inode", "path", "etc/motd".into());
    assert_eq!(
        (&motd["size"], &motd["form"]),
        (&6.into(), &"extended".into())
    );
    assert!(motd["mode"].as_str().unwrap().starts_with("100"), "{motd}");
    let chunk = fields("chunk", "uncompressed_size", 6.into());
    assert_eq!(chunk["digest"].as_str().unwrap().len(), 64);
}

/// As text and as JSON: offsets, names and indices are the same.
fn dumped(image: &Path) -> (Value, Vec<Value>) {
    let text = text(example("inspect").arg("--dump").arg(image));
    let value = json(example("inspect").arg("--dump").arg(image));
    let structures = value["structures"].as_array().unwrap().clone();
    let starts = structures.iter().map(|s| {
        let index = s["index"].as_u64();
        let index = index.map_or_else(String::new, |index| format!(" {index}"));
        let offset = s["offset"].as_u64().unwrap();
        format!(
            "{offset:#010x} {}{index}: ",
            s["structure"].as_str().unwrap()
        )
    });
    assert_eq!(text.lines().count(), structures.len());
    for (line, start) in text.lines().zip(starts) {
        assert!(line.starts_with(&start), "{line}: no {start}");
    }
    (value, structures)
}

/// How many structures there are of each name.
fn counts(structures: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for structure in structures {
        let name = structure["structure"].as_str().unwrap();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn a_dump_of_version_5_has_every_structure() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v5"])
        .arg(fixture.path("source"));
    run(convert.arg(fixture.path("v5")), 0);
    let (value, structures) = dumped(&fixture.path("v5/image.boot"));
    assert_eq!(value["format"], "rafs-v5");
    assert_eq!(value["dump_version"], 1);
    assert_eq!(
        counts(&structures),
        [
            ("blob", 1),
            ("chunk", 4),
            ("extended blob", 1),
            ("inode", 4),
            ("inode table entry", 4),
            ("superblock", 1),
        ]
        .into()
    );
    let superblock = &structures[0];
    assert_eq!(
        (&superblock["offset"], &superblock["index"]),
        (&0.into(), &Value::Null)
    );
    assert_eq!(superblock["fields"]["inodes_count"], 4);
    let motd = structures
        .iter()
        .find(|s| s["structure"] == "inode" && s["fields"]["name"] == "motd")
        .unwrap();
    assert_eq!(motd["fields"]["size"], 6);
    assert_eq!(motd["fields"]["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn a_dump_of_an_erofs_image_has_every_structure() {
    let fixture = Fixture::new();
    let image = fixture.path("erofs");
    let mut convert = example("convert");
    convert.args(["--to", "erofs"]).arg(fixture.path("source"));
    run(convert.arg(&image), 0);
    let (value, structures) = dumped(&image);
    assert_eq!(value["format"], "erofs");
    assert_eq!(value["dump_version"], 1);
    let counts = counts(&structures);
    assert_eq!((counts["superblock"], counts["inode"]), (1, 4));
    // `.` and `..` in both directories, and `big`, `etc`, `motd`.
    assert_eq!(counts["dirent"], 7);
    assert_eq!(structures[0]["offset"], 1024);
    assert_eq!(structures[0]["fields"]["inos"], 4);
    let motd = structures
        .iter()
        .find(|s| s["structure"] == "inode" && s["fields"]["path"] == "etc/motd")
        .unwrap();
    assert_eq!(motd["fields"]["size"], 6);
    // What cannot be read is told, and its reason.
    let mut bytes = fs::read(&image).unwrap();
    let offset = usize::try_from(motd["offset"].as_u64().unwrap()).unwrap();
    bytes[offset] |= 0x0e;
    // The feature that there is a checksum.
    bytes[1024 + 8] &= !1;
    fs::write(&image, bytes).unwrap();
    let value = json(example("inspect").arg("--dump").arg(&image));
    let told = value["structures"].as_array().unwrap();
    let errors: Vec<_> = told.iter().filter_map(|s| s["error"].as_str()).collect();
    let lines = text(example("inspect").arg("--dump").arg(&image));
    let lines = lines.lines().filter_map(|line| line.strip_prefix("! "));
    assert_eq!(errors, lines.collect::<Vec<_>>());
    assert_eq!(errors.len(), 1, "{errors:?}");
}

/// A golden of a crate.
fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates")
        .join(path)
}

/// By itself and with its layer, as lines and as JSON.
#[test]
fn a_dump_of_an_index_is_that_of_its_golden() {
    for (name, layer, format) in [
        ("gzip-index/tests/goldens/odd.index", "odd.tar.gz", "own"),
        (
            "image-read/tests/goldens/soci/odd.ztoc",
            "odd.tar.gz",
            "soci",
        ),
    ] {
        let index = golden(name);
        let layer = index.with_file_name(layer);
        let expected = fs::read_to_string(index.with_extension("dump")).unwrap();
        assert_eq!(text(example("inspect").arg("--dump").arg(&index)), expected);
        let mut with_layer = example("inspect");
        with_layer
            .arg("--dump")
            .arg("--index")
            .args([&index, &layer]);
        assert_eq!(text(&mut with_layer), expected);
        let (value, structures) = dumped(&index);
        assert_eq!(value["format"], format);
        assert_eq!(value["dump_version"], 1);
        let with_layer = json(&mut with_layer);
        assert_eq!(with_layer["format"], "tar-gzip");
        assert_eq!(with_layer["structures"], Value::Array(structures));
    }
}

#[test]
fn an_index_is_made_as_its_golden() {
    let fixture = Fixture::new();
    let expected = golden("gzip-index/tests/goldens/odd.index");
    let index = fixture.path("index");
    let mut make = example("index");
    make.args(["--span", "4KiB"]);
    run(
        make.args([&expected.with_file_name("odd.tar.gz"), &index]),
        0,
    );
    assert!(fs::read(&index).unwrap() == fs::read(&expected).unwrap());
}

#[test]
fn an_index_is_no_image_and_a_damaged_one_says_why() {
    let fixture = Fixture::new();
    let index = golden("gzip-index/tests/goldens/odd.index");
    let path = index.display();
    let by_itself = format!(
        "error: {path}: an index is no image by itself: --dump shows its structures, --index takes it with its layer\n"
    );
    assert_eq!(complaint(example("inspect").arg(&index), 2), by_itself);
    let mut twice = example("inspect");
    twice.arg("--dump").arg("--index").args([&index, &index]);
    assert_eq!(complaint(&mut twice, 2), by_itself);
    let layer = index.with_file_name("odd.tar.gz");
    assert_eq!(
        complaint(example("inspect").arg("--dump").arg(layer), 2),
        "error: a tar-gzip has no structures to dump (--index FILE dumps those of its index)\n"
    );
    // Ours has a digest of itself; a zTOC is shown as far as it can be read.
    let damaged = fixture.path("damaged");
    let mut bytes = fs::read(&index).unwrap();
    bytes[200] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let said = complaint(example("inspect").arg("--dump").arg(&damaged), 1);
    let expected = format!(
        "error: {}: cannot use the index: the digest in the gzip index is not that of its bytes\n",
        damaged.display()
    );
    assert_eq!(said, expected);
    let ztoc = golden("image-read/tests/goldens/soci/odd.ztoc");
    let mut bytes = fs::read(&ztoc).unwrap();
    let digest = bytes.windows(7).position(|b| b == b"sha256:").unwrap();
    bytes[digest] = b'S';
    fs::write(&damaged, bytes).unwrap();
    let lines = text(example("inspect").arg("--dump").arg(&damaged));
    let expected = fs::read_to_string(ztoc.with_extension("dump")).unwrap();
    let mut differ = lines.lines().zip(expected.lines()).filter(|(a, b)| a != b);
    let (found, instead_of) = differ.next().unwrap();
    assert!(instead_of.contains(" span digest "), "{instead_of}");
    assert!(found.ends_with(" is not a SHA-256"), "{found}");
    assert_eq!(differ.next(), None);
    assert_eq!(lines.lines().count(), expected.lines().count());
}

#[test]
fn what_an_image_is_made_of_is_told_in_a_sensible_order() {
    let fixture = Fixture::new();
    let list = fixture.path("list");
    fs::write(&list, "etc/motd\n").unwrap();
    let image = fixture.path("prefetched");
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--chunk-size", "64KiB", "--prefetch"]);
    run(
        convert.arg(&list).arg(fixture.path("source")).arg(&image),
        0,
    );
    let boot = image.join("image.boot");
    let said = text(example("inspect").arg(&boot));
    let keys: Vec<_> = said
        .lines()
        .map(|line| line.split([':', ',']).next().unwrap())
        .collect();
    let blob = fs::read_dir(image.join("blobs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let blob = format!("blob {}", blob.file_name().into_string().unwrap());
    assert_eq!(
        keys,
        [
            "image",
            "format",
            "read to open",
            "paths",
            "inodes",
            "  directories",
            "  files",
            "content",
            "bootstrap",
            "  digest",
            "  size",
            "  chunk size",
            "  chunk records",
            "  flags",
            "  prefetch",
            &blob,
            "  size",
            "  decoded",
            "  chunks",
            "  features",
        ],
        "{said}"
    );
    for line in [
        "content:            3.00 MiB (3145734)\n",
        "  chunk size:       64.00 KiB (65536)\n",
        "  prefetch:         /etc/motd\n",
        "  flags:            HASH_BLAKE3 EXPLICIT_UID_GID COMPRESSION_ZSTD ENCRYPTION_NONE (0x1000094)\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    // For programs in the same order.
    let printed = text(example("inspect").arg("--json").arg(&boot));
    let places = ["image", "format", "counts", "blobs", "rafs"].map(|key| {
        let place = printed.find(&format!("\"{key}\":"));
        place.unwrap_or_else(|| panic!("no {key}: {printed}"))
    });
    assert!(places.is_sorted(), "{printed}");
}

#[cfg(unix)]
#[test]
fn ls_lists_what_links_lead_to() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::new();
    let source = fixture.path("source");
    symlink("etc", source.join("conf")).unwrap();
    symlink("conf/motd", source.join("hello")).unwrap();
    symlink("loop", source.join("loop")).unwrap();
    let ls = |path: &str| text(example("ls").arg(&source).arg(path));
    assert_eq!(ls("conf"), "motd\n");
    assert_eq!(ls("conf/motd"), "motd\n");
    assert_eq!(ls("hello"), "motd\n");
    let listed = json(example("ls").arg(&source).arg("/hello"));
    assert_eq!(listed["entries"][0]["path"], "/etc/motd");
    assert_eq!(
        text(example("ls").arg("-R").arg(&source).arg("conf")),
        "/etc/motd\n"
    );
    // More links than are followed: refused. No such file: the caller's fault.
    complaint(example("ls").arg(&source).arg("loop"), 3);
    complaint(example("ls").arg(&source).arg("conf/gone"), 2);
    complaint(example("cat").arg(&source).arg("motd/.."), 2);
}

#[test]
fn a_damaged_directory_on_the_way_is_the_images_fault() {
    let fixture = Fixture::new();
    let lines = text(example("inspect").arg("--dump").arg(fixture.bootstrap()));
    let root = lines
        .lines()
        .find(|line| line.contains(" inode ") && line.contains(": path=\"\" "))
        .unwrap();
    let offset = usize::from_str_radix(&root[2..10], 16).unwrap();
    let mut bytes = fs::read(fixture.bootstrap()).unwrap();
    // The layout of the root's data: one that does not exist.
    bytes[offset] |= 0x0e;
    fs::write(fixture.bootstrap(), bytes).unwrap();
    for name in ["cat", "ls"] {
        run(example(name).arg(fixture.bootstrap()).arg("etc/motd"), 1);
    }
}
