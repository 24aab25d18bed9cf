//! What passes in metadata without digests if nobody says what the digest of the whole is: of images of RAFS version 6
//! and EROFS. What leads to other content of blobs that have digests is found there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use image_model::BlobId;
use lazyoci_image_read::{
    Format, NoBlobs, OpenOptions, VerifyOptions, VerifySourceOptions, open_source, verify_source,
};
use rafs_format::dump::{Dumped, FieldValue, Structure};

use crate::flips::{flipped, one_thread, those_that_pass};
use crate::support::{Golden, InMemory, golden, worst};

/// Bytes of all structures of a kind, and their name.
type Field = (&'static str, Range<usize>, &'static str);

/// What an image has where.
struct Map(Vec<(Range<usize>, &'static str)>);

impl Map {
    fn of(bootstrap: &Bytes, format: Format) -> Self {
        let source = Arc::new(bootstrap.clone());
        let options = OpenOptions::default().format(format);
        let image = open_source(source, None, NoBlobs, &options).unwrap();
        let mut map = Self(Vec::new());
        // Entries of a block, which their names follow.
        let mut names = 0..0;
        let mut tell = |dumped: Dumped<'_>| -> Result<(), Infallible> {
            let Dumped::Structure(structure) = dumped else {
                panic!("{dumped}");
            };
            let start = usize::try_from(structure.offset).unwrap();
            match structure.name {
                "dirent" => {
                    let len = text(&structure, "name");
                    if names.start != start {
                        map.add(std::mem::replace(&mut names, start..start), "names");
                    }
                    names = start + 12..names.end + 12 + len;
                }
                _ => map.add(std::mem::take(&mut names), "names"),
            }
            map.structure(start, &structure);
            Ok(())
        };
        let told = match image.bootstrap() {
            Some(bootstrap) => bootstrap.structures(&mut tell),
            None => image.erofs().unwrap().structures(&mut tell),
        };
        assert_eq!(told, Ok(()));
        map.add(names, "names");
        map.0.sort_by_key(|(range, _)| range.start);
        map
    }

    fn add(&mut self, range: Range<usize>, name: &'static str) {
        if !range.is_empty() {
            self.0.push((range, name));
        }
    }

    fn structure(&mut self, start: usize, structure: &Structure<'_>) {
        let compact = ("form", FieldValue::Name("compact"));
        let (name, len) = match structure.name {
            name @ ("superblock" | "device") => (name, 128),
            name @ ("extended superblock" | "blob") => (name, 256),
            "inode" if structure.fields.contains(&compact) => ("compact inode", 32),
            "inode" => ("inode", 64),
            name @ "chunk address" => (name, 8),
            name @ "dirent" => (name, 12),
            name @ "chunk" => (name, 80),
            name @ "symlink target" => (name, text(structure, "target")),
            // The area of all attributes, by its inode; another name of an inode.
            name @ ("xattr" | "hard link") => (name, 0),
            other => panic!("a {other}"),
        };
        self.add(start..start + len, name);
        let fields = &mut structure.fields.iter();
        if let Some((_, FieldValue::Number(xattrs))) = fields.find(|field| field.0 == "xattr_bytes")
        {
            let start = start + len;
            self.add(start..start + usize::try_from(*xattrs).unwrap(), "xattrs");
        }
    }

    /// The field of which byte `offset` is part; a place if `fields` has none.
    fn field(&self, fields: &[Field], offset: usize) -> (&'static str, String) {
        let next = self.0.partition_point(|(range, _)| range.start <= offset);
        let last = next.checked_sub(1).map(|last| &self.0[last]);
        let last = last.filter(|(range, _)| range.contains(&offset));
        let (name, at) = last.map_or(("between structures", offset), |(range, name)| {
            (*name, offset - range.start)
        });
        let field = fields
            .iter()
            .find(|field| field.0 == name && field.1.contains(&at));
        let field = field.map_or_else(|| format!("byte {at}"), |field| field.2.to_owned());
        (name, field)
    }
}

fn text(structure: &Structure<'_>, name: &str) -> usize {
    match structure.fields.iter().find(|field| field.0 == name) {
        Some((_, FieldValue::Text(text))) => text.len(),
        other => panic!("{other:?}"),
    }
}

/// Flips every bit of the bootstrap, but of bytes that nothing looks at one of each. Those that pass are in `fields`, and
/// all fields have some; with the digest none passes. The format is given: without a magic number it would be another.
fn only_these_pass(format: Format, golden: &Golden, fields: &[Field]) {
    const SELDOM: [&str; 4] = ["between structures", "names", "xattrs", "symlink target"];
    let bootstrap = golden.bootstrap.clone().unwrap();
    let map = Map::of(&bootstrap, format);
    let seldom = |bit: usize| SELDOM.contains(&map.field(fields, bit / 8).0);
    let bits: Vec<_> = (0..8 * bootstrap.len())
        .filter(|&bit| !seldom(bit) || bit % 8 == bit / 8 % 8)
        .collect();
    let passed_with = |options: &VerifyOptions, bits: &[usize]| {
        let options = VerifySourceOptions::default()
            .open(OpenOptions::default().format(format))
            .verify(options.clone());
        those_that_pass(bits, |bit| {
            let source = Arc::new(flipped(&bootstrap, bit));
            let blobs = InMemory(Arc::new(golden.blob.clone()));
            worst(|progress, tell| verify_source(source, blobs, &options, progress, tell)).is_none()
        })
    };
    let passed = passed_with(&one_thread(), &bits);
    let mut shares = BTreeMap::<(&str, String), usize>::new();
    for bit in &passed {
        *shares.entry(map.field(fields, bit / 8)).or_default() += 1;
    }
    let (sum, all) = (passed.len(), bits.len());
    println!("{format}: {sum} of {all} bits pass without the digest");
    for ((structure, field), passed) in &shares {
        println!("{format}: {passed} in a {structure}: {field}");
    }
    let mut expected: Vec<_> = fields.iter().map(|field| (field.0, field.2)).collect();
    expected.sort_unstable();
    let found = shares
        .keys()
        .map(|(structure, field)| (*structure, field.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), expected, "{format}");
    let options = one_thread()
        .content(false)
        .expect(golden.bootstrap_digest());
    assert_eq!(passed_with(&options, &passed), [0; 0], "{format}");
}

/// What the documentation of `v6::Bootstrap::check` lists, but for what is found when blobs are opened and chunks read.
#[test]
fn flips_in_a_v6_bootstrap_that_pass_without_its_digest() {
    let golden = golden("a4-v6-zstd-sha256");
    let fields = [
        ("superblock", 24..36, "build_time"),
        ("superblock", 48..64, "uuid"),
        ("superblock", 64..80, "volume_name"),
        ("extended superblock", 0..8, "flags"),
        ("extended superblock", 40..48, "prefetch_table_offset"),
        ("extended superblock", 48..52, "prefetch_table_size"),
        ("device", 68..72, "mapped_blkaddr"),
        ("inode", 0..2, "i_format"),
        ("inode", 4..6, "i_mode"),
        ("inode", 8..16, "i_size"),
        ("inode", 16..20, "i_u"),
        ("inode", 20..24, "i_ino"),
        ("inode", 24..28, "i_uid"),
        ("inode", 28..32, "i_gid"),
        ("inode", 32..44, "i_mtime"),
        ("names", 0..4096, "name"),
        ("symlink target", 0..4096, "target"),
        ("blob", 84..88, "features"),
        ("chunk", 64..72, "file_offset"),
        ("chunk", 76..80, "crc32"),
    ];
    only_these_pass(Format::RafsV6, &golden, &fields);
}

/// The index of a tar by `mkfs.erofs --tar=i`, which has no checksum: what the documentation of `ErofsImage::check` lists.
/// Content has no digests.
#[test]
fn flips_in_an_erofs_image_that_pass_without_its_digest() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../erofs-format/tests/goldens");
    let read = |name: &str| Bytes::from(fs::read(goldens.join(name)).unwrap());
    let golden = Golden {
        bootstrap: Some(read("tar-i.erofs")),
        blob: read("tree.tar"),
        id: BlobId::new(b"device-1").unwrap(),
    };
    let fields = [
        ("superblock", 8..12, "feature_compat"),
        ("superblock", 24..36, "build_time"),
        ("superblock", 36..40, "blocks of the image"),
        ("superblock", 44..48, "xattr_blkaddr"),
        ("superblock", 48..64, "uuid"),
        ("superblock", 64..80, "volume_name"),
        ("superblock", 80..84, "feature_incompat"),
        ("superblock", 84..86, "u1"),
        ("superblock", 88..90, "devt_slotoff"),
        ("superblock", 91..92, "xattr_prefix_count"),
        ("superblock", 92..96, "xattr_prefix_start"),
        ("superblock", 96..104, "packed_nid"),
        ("superblock", 104..128, "reserved"),
        ("device", 0..64, "tag"),
        ("device", 64..68, "blocks"),
        ("device", 68..72, "mapped_blkaddr"),
        ("compact inode", 0..2, "i_format"),
        ("compact inode", 2..4, "i_xattr_icount"),
        ("compact inode", 4..6, "i_mode"),
        ("compact inode", 8..12, "i_size"),
        ("compact inode", 12..16, "reserved"),
        ("compact inode", 16..20, "i_u"),
        ("compact inode", 20..24, "i_ino"),
        ("compact inode", 24..26, "i_uid"),
        ("compact inode", 26..28, "i_gid"),
        ("compact inode", 28..32, "reserved2"),
        ("inode", 4..6, "i_mode"),
        ("inode", 8..16, "i_size"),
        ("inode", 20..24, "i_ino"),
        ("inode", 24..28, "i_uid"),
        ("inode", 28..32, "i_gid"),
        ("inode", 32..44, "i_mtime"),
        ("dirent", 8..10, "nameoff"),
        ("names", 0..4096, "name"),
        ("symlink target", 0..4096, "target"),
        ("xattrs", 0..4096, "xattrs"),
        ("chunk address", 0..2, "startblk_hi"),
        ("chunk address", 2..4, "device_id"),
        ("chunk address", 4..8, "startblk_lo"),
        ("between structures", 0..usize::MAX, "byte"),
    ];
    only_these_pass(Format::Erofs, &golden, &fields);
}
