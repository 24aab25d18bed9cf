//! The cases of stargz-snapshotter's own tests of building a layer, `estargz/build_test.go` and `estargz/testutil.go`, by
//! their names there.

use std::sync::Arc;

use blob_io::WriterOutput;
use bytes::Bytes;
use estargz_toc::compare::{CompareOptions, compare};
use image_model::{Device, FileKind, Node};
use image_read::{Follow, NoBlobs, OpenImage, OpenOptions, open_source};
use lazyoci_image_convert::{ConvertError, EstargzOptions, EstargzReport, Streaming, to_estargz};

use crate::support::{Tar, metadata, path, with_xattr};

/// What the reference puts before every name of a tar, and of a list.
pub(crate) const PREFIXES: [&str; 4] = ["", "./", "/", "../"];

fn convert(tar: &[u8], options: &EstargzOptions) -> Result<(Vec<u8>, EstargzReport), ConvertError> {
    let mut layer = Vec::new();
    let mut output = WriterOutput::new(&mut layer);
    let report = to_estargz(Streaming::new(tar), &mut output, options, &mut ())?;
    Ok((layer, report))
}

/// Opens a layer, whose TOC has to agree with its tar.
fn opened(layer: &[u8]) -> OpenImage {
    let source = Arc::new(Bytes::copy_from_slice(layer));
    let image = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    let toc = &image.estargz().unwrap().toc;
    let mut tell = |found| panic!("{found}");
    compare(toc, layer, &CompareOptions::default(), &mut tell).unwrap();
    image
}

/// The names in the tar inside, in their order, without the TOC, and `|` for a landmark.
fn names(layer: &[u8]) -> String {
    let stream = tar_stream::LayerStream::open(layer, &Default::default()).unwrap();
    let mut reader = tar_stream::TarReader::new(stream, tar_stream::TarReadOptions::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(match String::from_utf8(entry.path.clone()).unwrap() {
            landmark if landmark == ".prefetch.landmark" => "|".to_owned(),
            name => name,
        });
    }
    assert_eq!(names.pop().as_deref(), Some("stargz.index.json"));
    names.join(" ")
}

/// A header as every writer of ustar makes it.
pub(crate) fn header(name: &str, kind: u8, size: usize, link: &str) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, if kind == b'5' { b"0000755" } else { b"0000644" });
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{:011o}", 1_600_000_000).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000001");
    put(337, b"0000002");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A tar of these names, each with `prefix`, as they are: `d/` is a directory, `l=t` a hard link, `s>t` a symbolic link,
/// `c!`, `b!` and `p!` are devices and a pipe, `f:x` is a file with other content than its name.
pub(crate) fn raw(prefix: &str, list: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    for item in list.split_whitespace() {
        let at = |name: &str| format!("{prefix}{name}");
        if let Some((name, target)) = item.split_once('=') {
            tar.extend(header(&at(name), b'1', 0, &at(target)));
        } else if let Some((name, target)) = item.split_once('>') {
            tar.extend(header(&at(name), b'2', 0, target));
        } else if let Some(name) = item.strip_suffix('!') {
            let kind = match name {
                "c" => b'3',
                "b" => b'4',
                _ => b'6',
            };
            tar.extend(header(&at(name), kind, 0, ""));
        } else if item.ends_with('/') {
            tar.extend(header(&at(item), b'5', 0, ""));
        } else {
            let (name, content) = item.split_once(':').unwrap_or((item, item));
            tar.extend(header(&at(name), b'0', content.len(), ""));
            tar.extend(content.as_bytes());
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
    }
    tar.extend([0; 1024]);
    tar
}

/// Converts the tar of `list`, with every prefix, and checks the order of the names in the layer.
#[track_caller]
fn sorted(list: &str, wanted: &str, expected: &str) {
    for (of_tar, of_list) in PREFIXES.map(|a| PREFIXES.map(|b| (a, b))).concat() {
        let wanted = wanted.split_whitespace();
        let wanted = wanted.map(|name| path(&format!("{of_list}{name}")));
        let options = EstargzOptions::default().prefetch(wanted.collect());
        let tar = raw(of_tar, list);
        let (layer, report) = convert(&tar, &options).unwrap();
        assert_eq!(names(&layer), expected, "{of_tar:?} {of_list:?}");
        assert_eq!(report.report.missed, []);
        let image = opened(&layer);
        let items = list.split_whitespace();
        let files = items.filter(|item| !item.contains(['=', '>', '!']) && !item.ends_with('/'));
        for (name, content) in files.map(|file| file.split_once(':').unwrap_or((file, file))) {
            let found = image.read(name, 100).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), content);
        }
    }
}

#[test]
fn test_sort() {
    const NONE: &str = ".no.prefetch.landmark";
    // nolog
    sorted(
        "foo.txt bar/ bar/baz.txt bar/bar.txt",
        "",
        &format!("{NONE} foo.txt bar/ bar/baz.txt bar/bar.txt"),
    );
    // identical
    sorted(
        "foo.txt bar/ bar/baz.txt bar/bar.txt bar/baa.txt",
        "foo.txt bar/baz.txt",
        "foo.txt bar/ bar/baz.txt | bar/bar.txt bar/baa.txt",
    );
    // shuffle_reg
    sorted(
        "foo.txt baz.txt bar.txt baa.txt",
        "baa.txt bar.txt baz.txt",
        "baa.txt bar.txt baz.txt | foo.txt",
    );
    // shuffle_directory
    sorted(
        "foo.txt bar/ bar/bar.txt bar/baa.txt baz/ baz/baz1.txt baz/baz2.txt baz/bazbaz/ \
         baz/bazbaz/bazbaz_b.txt baz/bazbaz/bazbaz_a.txt",
        "baz/bazbaz/bazbaz_a.txt baz/baz2.txt foo.txt",
        "baz/ baz/bazbaz/ baz/bazbaz/bazbaz_a.txt baz/baz2.txt foo.txt | bar/ bar/bar.txt \
         bar/baa.txt baz/baz1.txt baz/bazbaz/bazbaz_b.txt",
    );
    // shuffle_link; of the names of one file in one directory the first by its bytes has the content.
    sorted(
        "foo.txt bar.txt baz.txt=bar.txt baa.txt",
        "bar.txt",
        "bar.txt | foo.txt baz.txt baa.txt",
    );
    sorted(
        "foo.txt baz.txt bar.txt=baz.txt baa.txt",
        "baz.txt",
        "bar.txt baz.txt | foo.txt baa.txt",
    );
    // various_types
    sorted("s>x c! b! p! foo", "p s", "p s | c b foo");
    // hardlink
    sorted(
        "bar.txt baa/ baa/foo.txt baz.txt=bar.txt",
        "baz.txt",
        "bar.txt baz.txt | baa/ baa/foo.txt",
    );
}

/// The root has an entry of its own, which comes first; a wanted file brings it along.
#[test]
fn root_relative_file_and_root_absolute_file() {
    for root in ["./", "/"] {
        let list = "foo.txt bar/ bar/baz.txt baa.txt=bar/baz.txt";
        let mut tar = header(root, b'5', 0, "").to_vec();
        tar.extend(raw(root, list));
        let wanted = vec![path("baa.txt")];
        let options = EstargzOptions::default().prefetch(wanted);
        let (layer, _) = convert(&tar, &options).unwrap();
        let [root, rest] = ["./", "bar/ bar/baz.txt baa.txt | foo.txt"];
        assert_eq!(names(&layer), format!("{root} {rest}"));
    }
}

#[test]
fn longname() {
    let long = "b".repeat(120);
    let longer = format!("dir/{}", "c".repeat(150));
    let tar = Tar::new()
        .file("a", b"a")
        .file(&long, b"b")
        .directory("dir")
        .file(&longer, b"c")
        .finish();
    let options = EstargzOptions::default().prefetch(vec![path(&longer), path(&long)]);
    let (layer, _) = convert(&tar, &options).unwrap();
    assert_eq!(names(&layer), format!("dir/ {longer} {long} | a"));
    assert_eq!(opened(&layer).read(&longer, 9).unwrap(), b"c");
}

/// The last entry of a name counts, in the place of the last one.
#[test]
fn duplicated_entry() {
    let list = "foo.txt bar/ bar/baz.txt:old bar/ bar/baz.txt:new";
    let options = EstargzOptions::default().prefetch(vec![path("bar/baz.txt")]);
    let (layer, _) = convert(&raw("", list), &options).unwrap();
    assert_eq!(names(&layer), "bar/ bar/baz.txt | foo.txt");
    assert_eq!(opened(&layer).read("bar/baz.txt", 9).unwrap(), b"new");
}

/// The reference fails unless told not to; here it is always reported.
#[test]
fn not_existing_file() {
    let wanted = vec![path("notexist"), path("foo.txt")];
    let options = EstargzOptions::default().prefetch(wanted);
    let (layer, report) = convert(&raw("", "bar foo.txt"), &options).unwrap();
    assert_eq!(names(&layer), "foo.txt | bar");
    assert_eq!(report.report.missed, [path("notexist")]);
}

#[test]
fn existing_landmarks() {
    const NONE: &str = ".no.prefetch.landmark";
    for landmark in [".prefetch.landmark", NONE] {
        for (wanted, expected) in [
            ("foo.txt", "foo.txt | bar".to_owned()),
            ("", format!("{NONE} bar foo.txt")),
        ] {
            let list = format!("bar {landmark} foo.txt");
            let wanted = wanted.split_whitespace().map(path).collect();
            let options = EstargzOptions::default().prefetch(wanted).lossy(true);
            let (layer, _) = convert(&raw("", &list), &options).unwrap();
            assert_eq!(names(&layer), expected, "{landmark}");
        }
    }
}

/// `chunked_file`: every offset is read, alone and to the end.
#[test]
fn chunked_file() {
    let content = b"This is such a big file";
    let tar = Tar::new()
        .directory("foo")
        .file("foo/big.txt", content)
        .finish();
    let options = EstargzOptions::default().chunk_size(4);
    let (layer, report) = convert(&tar, &options).unwrap();
    // Six of the file, and the landmark's.
    assert_eq!(report.report.chunks.stored, 7);
    let image = opened(&layer);
    let ino = image.resolve("foo/big.txt", Follow::Parents).unwrap();
    for start in 0..content.len() {
        for end in start + 1..=content.len() {
            let range = start as u64..end as u64;
            let mut found = Vec::new();
            image.reader().read_range(ino, range, &mut found).unwrap();
            assert_eq!(found, &content[start..end]);
        }
    }
}

/// `block_char_fifo`, `modes`, `symlink`, `hardlink`, `1dir_1file`, `2meta_2file`, `recursive`.
#[test]
fn attributes_of_every_kind() {
    let device = |major, minor| Device { major, minor };
    let modes = [0o4755, 0o2755, 0o1755, 0o700, 0o755, 0o7777];
    let mut owned = metadata(0o644);
    (owned.uid, owned.gid) = (50, 100);
    let mut tar = Tar::new()
        .node("", &metadata(0o755), &Node::empty_directory())
        .node("b", &metadata(0o644), &Node::BlockDevice(device(123, 456)))
        .node("c", &metadata(0o644), &Node::CharDevice(device(111, 222)))
        .node("p", &metadata(0o644), &Node::Fifo)
        .node("sgid", &metadata(0o2755), &Node::empty_directory())
        .symlink("sym", "../../x")
        .file_with("owned", &owned, b"content")
        .file_with("x", &with_xattr(b"user.foo", b"\xff\xfebar"), b"content")
        .link("y", "x");
    for mode in modes {
        tar = tar.file_with(&format!("{mode:o}"), &metadata(mode), b"x");
    }
    let (layer, _) = convert(&tar.finish(), &EstargzOptions::default()).unwrap();
    let image = opened(&layer);
    let found = |name: &str| {
        let ino = image.resolve(name, Follow::Parents).unwrap();
        image.image().attributes(ino).unwrap()
    };
    for mode in modes {
        assert_eq!(found(&format!("{mode:o}")).mode, mode);
    }
    assert_eq!(found("sgid").mode, 0o2755);
    let owner = found("owned");
    assert_eq!((owner.uid, owner.gid), (50, 100));
    let (block, char) = (found("b"), found("c"));
    assert_eq!((block.kind, block.links), (FileKind::BlockDevice, 1));
    assert_eq!((char.kind, char.links), (FileKind::CharDevice, 1));
    assert_eq!(block.device, device(123, 456));
    assert_eq!(char.device, device(111, 222));
    assert_eq!(found("p").kind, FileKind::Fifo);
    let ino = |name: &str| image.resolve(name, Follow::Parents).unwrap();
    assert_eq!(
        &*image.image().symlink_target(ino("sym")).unwrap(),
        b"../../x"
    );
    let xattrs = image.image().xattrs(ino("x")).unwrap();
    assert_eq!(xattrs, with_xattr(b"user.foo", b"\xff\xfebar").xattrs);
    assert_eq!(ino("x"), ino("y"));
    assert_eq!(found("x").links, 2);
}
