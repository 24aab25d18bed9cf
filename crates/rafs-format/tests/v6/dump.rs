//! Dumps of sound and damaged bootstraps.

use lazyoci_rafs_format::v6::{Dumped, FieldValue};

use crate::common::{A4, open, patched};
use crate::damage::{E, F};

const Z: usize = 0x3140;

fn dump(patches: &[(usize, &[u8])]) -> String {
    let mut dump = String::new();
    open(&patched(A4, patches))
        .unwrap()
        .dump(&mut dump)
        .unwrap();
    dump
}

#[test]
fn the_dump_prints_every_structure() {
    let dump = dump(&[]);
    let lines = |start: &str| dump.lines().filter(|line| line.contains(start)).count();
    for (what, count) in [
        ("superblock: ", 2),
        (" device 0: ", 1),
        (" blob 0: ", 1),
        (" inode ", 6),
        (" hard link ", 1),
        (" dirent: ", 10),
        (" chunk address 0: ", 2),
        (" symlink target: ", 1),
        (" chunk 0: ", 1),
        (" chunk 1: ", 1),
        ("! ", 0),
    ] {
        assert_eq!(lines(what), count, "{what}:\n{dump}");
    }
    let link = "0x00003220 inode 145: path=\"d/l\" form=extended layout=inline mode=120777 ";
    assert!(dump.contains(link), "{dump}");
    let first = "0x00000400 superblock: feature_compat=";
    assert!(dump.starts_with(first), "{dump}");
}

/// Three files of 900 MiB, whose chunk addresses would have to overlap: any number of inodes could
/// show the same bytes.
#[test]
fn the_tree_takes_no_more_than_there_is() {
    let size: &[u8] = &[0, 0, 0x40, 0x38];
    let dump = dump(&[(E + 8, size), (F + 8, size), (Z + 8, size)]);
    let crowded = "! the structures up to the inode at byte 12608 take 22120 bytes, \
                   but the bootstrap has only 20480";
    assert_eq!(dump.lines().filter(|&line| line == crowded).count(), 1);
    assert_eq!(dump.matches(" chunk address ").count(), 1800);
    assert!(!dump.contains("path=\"z\""));
    // What is no part of the tree follows.
    assert_eq!(dump.matches(": digest=").count(), 2);
}

#[test]
fn structures_have_values_of_types() {
    let bootstrap = open(&patched(A4, &[])).unwrap();
    let mut found = Vec::new();
    let told = bootstrap.structures(&mut |dumped| {
        let Dumped::Structure(structure) = dumped else {
            return Err(dumped.to_string());
        };
        let field = |name| structure.fields.iter().find(|field| field.0 == name);
        if let ("inode", Some(&(_, FieldValue::Text(b"d/l")))) = (structure.name, field("path")) {
            let [size, mode] = ["size", "mode"].map(|name| field(name).unwrap().1.to_string());
            found.push((structure.offset, structure.index, size, mode));
        }
        Ok(())
    });
    assert_eq!(told, Ok(()));
    let [size, mode] = ["4", "120777"].map(str::to_owned);
    assert_eq!(found, [(0x3220, Some(145), size, mode)]);
    // Whoever hears of them may end it.
    let mut heard = 0;
    let ended = bootstrap.structures(&mut |_| {
        heard += 1;
        Err("enough")
    });
    assert_eq!((ended, heard), (Err("enough"), 1));
}

#[test]
fn keys_are_not_shown() {
    let key: (usize, &[u8]) = (4096 + 168, &[0xab; 16]);
    let shown = |patches: &[(usize, &[u8])]| dump(patches).contains("meta_digest=abab");
    assert!(shown(&[key]));
    assert!(!shown(&[key, (4096 + 216, &[1])]));
    // ENCRYPTED with entries of version 2.
    let v2: (usize, &[u8]) = (4096 + 128, &[48]);
    assert!(!shown(&[key, (4096 + 84, &[5, 1]), v2]));
}
