//! Which field a byte of a bootstrap belongs to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use lazyoci_rafs_format::v6::{Bootstrap, Dumped, FieldValue, Structure};

/// Bytes of all structures of a kind, their name, and the words with which the documentation of `check` names them.
pub(crate) type Field = (&'static str, Range<usize>, &'static str, &'static str);

/// What can change without a finding of `check`.
pub(crate) const UNKNOWN: [Field; 28] = [
    ("superblock", 24..36, "build_time", "build time"),
    ("superblock", 48..64, "uuid", "UUID"),
    ("superblock", 64..80, "volume_name", "volume name"),
    (
        "extended superblock",
        0..8,
        "flags",
        "flags that are compatible with each other",
    ),
    (
        "extended superblock",
        40..48,
        "prefetch_table_offset",
        "place and length of a prefetch table that is not there",
    ),
    (
        "extended superblock",
        48..52,
        "prefetch_table_size",
        "place and length of a prefetch table that is not there",
    ),
    (
        "device",
        68..72,
        "mapped_blkaddr",
        "where a device is mapped",
    ),
    (
        "inode",
        0..2,
        "i_format",
        "bits of `i_format`, `i_size` and `i_u`",
    ),
    ("inode", 4..6, "i_mode", "permissions"),
    (
        "inode",
        8..16,
        "i_size",
        "bits of `i_format`, `i_size` and `i_u`",
    ),
    (
        "inode",
        16..20,
        "i_u",
        "bits of `i_format`, `i_size` and `i_u`",
    ),
    ("inode", 20..24, "i_ino", "the sequential number"),
    ("inode", 24..28, "i_uid", "owner"),
    ("inode", 28..32, "i_gid", "group"),
    ("inode", 32..44, "i_mtime", "time"),
    ("names", 0..4096, "name", "names that stay in order"),
    (
        "symlink target",
        0..4096,
        "target",
        "targets of symbolic links",
    ),
    ("blob", 76..80, "compression_algo", "blobs: algorithms"),
    ("blob", 80..84, "digest_algo", "blobs: algorithms"),
    ("blob", 84..88, "features", "features"),
    ("blob", 88..96, "compressed_size", "length"),
    (
        "blob",
        104..108,
        "blob_toc_size",
        "what belongs to a TOC that is not there",
    ),
    ("blob", 108..112, "ci_compressor", "blobs: algorithms"),
    ("blob", 120..128, "ci_compressed_size", "length"),
    (
        "chunk",
        0..32,
        "block_id",
        "of chunks the digest, checksum and flags",
    ),
    (
        "chunk",
        36..40,
        "flags of a chunk",
        "of chunks the digest, checksum and flags",
    ),
    ("chunk", 64..72, "file_offset", "the offset in a file"),
    (
        "chunk",
        76..80,
        "crc32",
        "of chunks the digest, checksum and flags",
    ),
];

/// What a sound bootstrap has where.
pub(crate) struct Map(Vec<(Range<usize>, &'static str)>);

impl Map {
    pub(crate) fn of(bootstrap: &Bootstrap) -> Self {
        let mut map = Self(Vec::new());
        // Entries of a block, which their names follow.
        let mut names = 0..0;
        let told: Result<(), Infallible> = bootstrap.structures(&mut |dumped| {
            let Dumped::Structure(structure) = dumped else {
                panic!("{dumped}");
            };
            let start = usize::try_from(structure.offset).unwrap();
            if structure.name == "dirent" {
                let len = text(&structure, "name");
                if names.start != start {
                    map.add(std::mem::replace(&mut names, start..start), "names");
                }
                // And a byte that ends the last of them.
                names = start + 12..names.end.max(start + 1) + 12 + len;
            } else {
                map.add(std::mem::take(&mut names), "names");
            }
            map.structure(start, &structure);
            Ok(())
        });
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
        let len = match structure.name {
            "superblock" | "device" => 128,
            "extended superblock" | "blob" => 256,
            "prefetch" => 4,
            "inode" if text_is(structure, "form", "compact") => 32,
            "inode" => 64,
            "chunk address" => 8,
            "dirent" => 12,
            "chunk" => 80,
            "symlink target" => text(structure, "target"),
            // The area of all, by its inode; names of an inode that has another.
            "xattr" | "hard link" => 0,
            other => panic!("a {other}"),
        };
        self.add(start..start + len, structure.name);
        let xattrs = structure
            .fields
            .iter()
            .find(|(name, _)| *name == "xattr_bytes");
        if let Some((_, FieldValue::Number(xattrs))) = xattrs {
            let start = start + len;
            let end = start + usize::try_from(*xattrs).unwrap();
            self.add(start..end, "xattrs");
            self.add(end..end.next_multiple_of(8), "padding");
        }
    }

    /// The structure of which byte `offset` is part, and how far from its start that is.
    pub(crate) fn place(&self, offset: usize) -> (&'static str, usize) {
        let next = self.0.partition_point(|(range, _)| range.start <= offset);
        let last = next.checked_sub(1).map(|last| &self.0[last]);
        match last.filter(|(range, _)| range.contains(&offset)) {
            Some((range, name)) => (name, offset - range.start),
            None => ("between structures", offset),
        }
    }
}

fn text(structure: &Structure<'_>, name: &str) -> usize {
    let field = structure.fields.iter().find(|field| field.0 == name);
    match field {
        Some((_, FieldValue::Text(text))) => text.len(),
        other => panic!("{other:?}"),
    }
}

fn text_is(structure: &Structure<'_>, name: &'static str, value: &'static str) -> bool {
    structure.fields.contains(&(name, FieldValue::Name(value)))
}

/// How many bits of each structure there are, and how many of each field passed.
#[derive(Default)]
pub(crate) struct Shares {
    pub(crate) looked_at: BTreeMap<&'static str, usize>,
    pub(crate) passed: BTreeMap<(&'static str, String), usize>,
}

impl Shares {
    pub(crate) fn add(
        &mut self,
        fields: &[Field],
        (structure, at): (&'static str, usize),
        passed: bool,
    ) {
        *self.looked_at.entry(structure).or_default() += 1;
        if passed {
            let of_structure = fields
                .iter()
                .find(|field| field.0 == structure && field.1.contains(&at));
            let field =
                of_structure.map_or_else(|| format!("byte {at}"), |field| field.2.to_owned());
            *self.passed.entry((structure, field)).or_default() += 1;
        }
    }

    /// The fields of which bits passed.
    pub(crate) fn fields(&self) -> Vec<(&'static str, &str)> {
        let passed = self.passed.keys();
        passed
            .map(|(structure, field)| (*structure, field.as_str()))
            .collect()
    }

    pub(crate) fn print(&self, name: &str) {
        let all: usize = self.looked_at.values().sum();
        let sum: usize = self.passed.values().sum();
        println!("{name}: {sum} of {all} bits are not found");
        for ((structure, field), passed) in &self.passed {
            let of = self.looked_at[structure];
            println!("{name}: {passed} of {of} in a {structure}: {field}");
        }
    }
}
