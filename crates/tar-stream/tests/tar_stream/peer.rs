//! Agreement with the `tar` crate where both should agree.

use std::borrow::Cow;
use std::io::Read;

use lazyoci_tar_stream::{EntryKind, TarReader};
use proptest::prelude::*;

use crate::tape::*;

/// Name, type, mode, owner, time, link target, content.
type Facts = (Vec<u8>, u8, u32, u64, u64, i64, Vec<u8>, Vec<u8>);

fn ours(tar: &[u8]) -> Vec<Facts> {
    let mut reader = TarReader::new(tar, strict());
    let mut list = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = vec![0; entry.payload_len as usize];
        reader.read_payload_exact(&mut content).unwrap();
        let kind = match entry.kind {
            EntryKind::File => b'0',
            EntryKind::HardLink => b'1',
            EntryKind::Symlink => b'2',
            EntryKind::CharDevice => b'3',
            EntryKind::BlockDevice => b'4',
            EntryKind::Directory => b'5',
            EntryKind::Fifo => b'6',
            EntryKind::Other(typeflag) => typeflag,
        };
        list.push((
            entry.path,
            kind,
            entry.mode.into(),
            entry.uid as u64,
            entry.gid as u64,
            entry.mtime.seconds,
            entry.link_target,
            content,
        ));
    }
    list
}

fn theirs(tar: &[u8]) -> Vec<Facts> {
    let mut archive = tar::Archive::new(tar);
    let mut list = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let head = entry.header().clone();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        list.push((
            entry.path_bytes().into_owned(),
            head.entry_type().as_byte(),
            head.mode().unwrap() & 0o7777,
            head.uid().unwrap(),
            head.gid().unwrap(),
            head.mtime().unwrap() as i64,
            entry.link_name_bytes().map_or(vec![], Cow::into_owned),
            content,
        ));
    }
    list
}

/// Name, type, link target, owner, time, content.
type Made = (String, u8, String, u64, u32, Vec<u8>);

fn built(members: &[Made]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link, id, mtime, content) in members {
        let mut head = tar::Header::new_gnu();
        head.set_entry_type(tar::EntryType::new(*kind));
        head.set_mode(0o755);
        head.set_uid(*id);
        head.set_gid(id / 2);
        head.set_mtime((*mtime).into());
        head.set_size(0);
        match kind {
            b'1' | b'2' => builder.append_link(&mut head, name, link).unwrap(),
            b'0' => {
                head.set_size(content.len() as u64);
                builder.append_data(&mut head, name, &content[..]).unwrap();
            }
            _ => builder.append_data(&mut head, name, &b""[..]).unwrap(),
        }
    }
    builder.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_the_tar_crate_writes_is_read_alike(
        members in prop::collection::vec(
            (
                "[a-z\u{e9}]{1,60}(/[a-z]{1,60}){0,3}",
                prop::sample::select(b"01256".to_vec()),
                "[a-z]{1,70}(/[a-z]{1,60}){0,3}",
                0u64..1 << 40,
                any::<u32>(),
                prop::collection::vec(any::<u8>(), 0..1500),
            ),
            0..6,
        ),
    ) {
        let tar = built(&members);
        prop_assert_eq!(ours(&tar), theirs(&tar));
    }
}

#[test]
fn pax_names_and_sizes_are_read_alike() {
    let tar = Tape::new()
        .pax(&[("path", "a/longer/name"), ("linkpath", "target")])
        .header(header(b"a", b'2').put(LINK, b"other"))
        .pax(&[("size", "5")])
        .header(header(b"b", b'0').size(7))
        .bytes(b"hello")
        .pad()
        .file("c", b"last")
        .end();
    assert_eq!(ours(&tar), theirs(&tar));
    assert_eq!(ours(&tar).len(), 3);
}
