//! Every bit of small bootstraps, changed.

use bytes::Bytes;
use image_model::Limits;
use lazyoci_rafs_format::v6::Bootstrap;

use crate::common::A4;
use crate::fields::{Field, Map, Shares, UNKNOWN};

/// Files of several chunks, extended attributes, directories of several blocks, compressed chunks.
const ODD: &[u8] = include_bytes!("../goldens/odd-v6-zstd-sha256-4k.boot");

/// Flips `bits` of `image`, one after the other. No change makes the decoder panic.
fn flips(image: &[u8], fields: &[Field], bits: impl Fn(&Map, usize) -> bool) -> Shares {
    let open = |bytes: &[u8]| Bootstrap::open(Bytes::copy_from_slice(bytes), &Limits::small());
    let map = Map::of(&open(image).unwrap());
    let mut shares = Shares::default();
    let mut bytes = image.to_vec();
    for bit in (0..8 * image.len()).filter(|&bit| bits(&map, bit)) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let opened = open(&bytes);
        let passed = opened.is_ok_and(|bootstrap| bootstrap.check(&mut |_| ()).findings == 0);
        shares.add(fields, map.place(bit / 8), passed);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    shares
}

/// All but these are found without anything but the bootstrap. Of the zeros between structures, which are looked at by
/// the byte, one bit of each byte will do, unless `LAZYOCI_EVERY_BIT` is set.
#[test]
fn every_flipped_bit_is_found_where_it_can_be() {
    let every = std::env::var_os("LAZYOCI_EVERY_BIT").is_some();
    let shares = flips(A4, &UNKNOWN, |map, bit| {
        every || map.place(bit / 8).0 != "between structures" || bit % 8 == bit / 8 % 8
    });
    shares.print("a4");
    let mut known: Vec<_> = UNKNOWN.iter().map(|field| (field.0, field.2)).collect();
    known.sort_unstable();
    assert_eq!(shares.fields(), known);
}

/// What `check` says that it cannot know is what is not found.
#[test]
fn the_documentation_names_what_is_not_found() {
    let source = include_str!("../../src/v6/check/mod.rs");
    let (_, list) = source
        .split_once("the bootstrap's digest vouches for it:")
        .unwrap();
    let (list, _) = list.split_once("/// Of tarfs images").unwrap();
    let list = list.replace("///", "");
    let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
    for (structure, _, field, words) in UNKNOWN.iter().chain(&MORE) {
        assert!(
            list.contains(words),
            "{structure}: {field}: no `{words}`: {list}"
        );
    }
}

/// What another image has besides.
const MORE: [Field; 6] = [
    ("chunk", 40..44, "compressed_size", "stored length"),
    (
        "dirent",
        8..10,
        "nameoff",
        "names that stay in order, and where they end",
    ),
    (
        "padding",
        0..8,
        "padding",
        "bytes between extended attributes and chunk addresses",
    ),
    ("xattrs", 0..65_536, "xattrs", "extended attributes"),
    (
        "dirent",
        0..8,
        "nid",
        "nids of two entries that are exchanged",
    ),
    (
        "chunk address",
        0..8,
        "address",
        "chunk addresses that lead to another chunk of the same length",
    ),
];

/// Some bits of each place of an image that has more of everything: nothing passes that the list does not have.
#[test]
fn no_other_flip_passes_in_an_odd_image() {
    let fields = [&UNKNOWN[..], &MORE].concat();
    let shares = flips(ODD, &fields, |_, bit| bit % 31 == 0);
    shares.print("odd");
    let named = |found: &(&str, &str)| fields.iter().any(|field| (field.0, field.2) == *found);
    let found = shares.fields();
    let unnamed: Vec<_> = found.iter().filter(|found| !named(found)).collect();
    assert_eq!(unnamed, [&("", ""); 0]);
    assert!(found.contains(&("xattrs", "xattrs")), "{found:?}");
}
