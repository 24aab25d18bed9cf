//! Audits: a sound image, and one fault of each kind of names and inodes.

use image_model::{Attributes, Blame, Device, Fault, FileKind, Limits};
use lazyoci_verify::{AuditFault, AuditObserver, AuditSummary, audit, audit_metadata};

use crate::common::content::Store;
use crate::common::{Files, Tampered};

fn files() -> Files {
    Files::new()
        .file("a", *b"AAAABBBBCC")
        .file("d/b", *b"BBBB\0\0\0\0AAAA")
        .link("d/c", "a")
        .symlink("l", "target")
        .device("n", 1, 3)
}

pub(crate) fn sound() -> (Tampered, Store) {
    let (image, store) = files().store(4);
    (Tampered::new(image), store)
}

pub(crate) fn summary() -> AuditSummary {
    let mut summary = AuditSummary::default();
    summary.paths = 7;
    summary.directories = 2;
    summary.files = 2;
    summary.symlinks = 1;
    summary.specials = 1;
    summary.content_len = 22;
    summary.chunks = 3;
    summary.chunk_len = 10;
    summary
}

pub(crate) fn run(image: &Tampered, store: &mut Store) -> (AuditSummary, Vec<AuditFault>) {
    let mut faults = Vec::new();
    let mut observer = |fault| faults.push(fault);
    let limits = Limits::default();
    let summary = audit(image, &mut store.of(image), &limits, &mut observer).unwrap();
    assert_eq!(summary.faults, faults.len() as u64);
    (summary, faults)
}

pub(crate) fn texts(image: &Tampered, store: &mut Store) -> Vec<String> {
    run(image, store).1.iter().map(text).collect()
}

pub(crate) fn text(fault: &AuditFault) -> String {
    let whose = fault.fault();
    match fault {
        AuditFault::Content { fault: what, .. } => format!("{whose:?}: {fault}: {what}"),
        _ => format!("{whose:?}: {fault}"),
    }
}

#[test]
fn a_sound_image_has_no_faults_and_each_chunk_is_read_once() {
    let (image, mut store) = sound();
    let (found, faults) = run(&image, &mut store);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(found, summary());
    assert_eq!(store.reads, [0, 4, 8]);
    store.reads.clear();
    let content = &mut store.of(&image);
    let found = audit_metadata(&image, content, &Limits::default(), &mut |_| panic!()).unwrap();
    assert_eq!(found, summary());
    assert!(store.reads.is_empty());
}

#[test]
fn wrong_attributes_are_told() {
    type Change = fn(&mut Attributes);
    let cases: [(&str, Change, &str); 6] = [
        (
            "d",
            |a| a.links = 3,
            "Corrupt: /d: has link count 3 instead of 2",
        ),
        (
            "a",
            |a| a.links = 1,
            "Corrupt: /a: has link count 1 instead of 2",
        ),
        (
            "a",
            |a| a.links = 3,
            "Corrupt: /a: has link count 3 instead of 2",
        ),
        (
            "l",
            |a| a.links = 0,
            "Corrupt: /l: has link count 0 instead of 1",
        ),
        (
            "l",
            |a| a.size = 7,
            "Corrupt: /l: has a target of 6 bytes instead of 7",
        ),
        (
            "l",
            |a| a.device = Device { major: 1, minor: 2 },
            "Corrupt: /l: is not a device, but has device number 1:2",
        ),
    ];
    for (at, change, expected) in cases {
        let (mut image, mut store) = sound();
        let target = image.ino(at);
        image.attributes = Box::new(move |ino, attributes| {
            if ino == target {
                change(attributes);
            }
        });
        assert_eq!(texts(&image, &mut store), [expected]);
    }
}

#[test]
fn contradictions_of_directories_are_told() {
    let (mut image, mut store) = sound();
    let (root, d, l) = (image.ino("/"), image.ino("d"), image.ino("l"));
    image.entries = Box::new(move |directory, entries| {
        if directory == root {
            entries[2].2 = FileKind::File;
        } else if directory == d {
            entries[0].1 = l;
        }
    });
    let expected = [
        "Corrupt: /d/b: listed as a file in its directory, but is a symlink",
        "Corrupt: /d/b: listed as inode 4 in its directory, but its name leads to inode 3",
        "Corrupt: /l: listed as a file in its directory, but is a symlink",
        "Corrupt: /d/b: has link count 1 instead of 2",
    ];
    assert_eq!(texts(&image, &mut store), expected);
    let (mut image, mut store) = sound();
    image.entries = Box::new(move |directory, entries| {
        if directory == d {
            entries.swap(0, 1);
        }
    });
    let found = texts(&image, &mut store);
    assert_eq!(
        found[0],
        "Corrupt: /d: the entry `b` is out of order or a duplicate"
    );
}

#[test]
fn damaged_inodes_are_told() {
    let (mut image, mut store) = sound();
    image.broken_xattrs = Some(image.ino("d/b"));
    assert_eq!(
        texts(&image, &mut store),
        ["Misuse: /d/b: cannot read the inode"]
    );
}

/// Counts the bytes of the paths that an audit tells, and what it only counts.
#[derive(Default)]
struct Told {
    path_bytes: usize,
    faults: u64,
    untold: Vec<Fault>,
}

impl AuditObserver for Told {
    fn fault(&mut self, fault: AuditFault) {
        self.path_bytes += fault.path().as_bytes().len();
        self.faults += 1;
    }

    fn untold(&mut self, fault: Fault) {
        self.untold.push(fault);
    }
}

/// Paths may have megabytes, and every name a fault: told are as many as the limit has room for.
#[test]
fn paths_of_faults_take_no_more_bytes_than_the_limit() {
    let deep = vec!["d".repeat(255); 4].join("/");
    let mut files = Files::new();
    for name in 0..9 {
        files = files.file(&format!("{deep}/{name}"), [b'A' + name; 4]);
    }
    let (image, mut store) = files.store(4);
    store.blob.fill(0);
    let mut image = Tampered::new(image);
    image.attributes = Box::new(|_, attributes| {
        if attributes.kind == FileKind::File {
            attributes.links = 2;
            attributes.device = Device { major: 1, minor: 2 };
        }
    });
    let len = 4 * 256 + 1;
    for (room, told) in [
        (0, 0),
        (len - 1, 0),
        (len, 1),
        (10 * len + 1, 10),
        (20 * len, 20),
        (27 * len, 27),
    ] {
        let limits = Limits::default().max_report_len(room as u64);
        let mut observer = Told::default();
        let summary = audit(&image, &mut store.of(&image), &limits, &mut observer).unwrap();
        assert_eq!(observer.path_bytes, told * len, "{room}");
        assert_eq!(observer.faults, told as u64, "{room}");
        assert_eq!(observer.untold, vec![Fault::Corrupt; 27 - told], "{room}");
        assert_eq!(summary.faults, 27, "{room}");
        assert_eq!(summary.untold, 27 - told as u64, "{room}");
    }
}
