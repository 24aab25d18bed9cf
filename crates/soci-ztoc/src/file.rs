//! The files of a zTOC.

use bytes::Bytes;
use image_model::Timestamp;

use crate::budget::Budget;
use crate::error::{FileFault, ZtocError};
use crate::flatbuffer::{Builder, Malformed, Offset, Table};
use crate::time;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// `dir`
    Directory,
    /// `reg`
    Regular,
    /// `symlink`
    Symlink,
    /// `hardlink`
    HardLink,
    /// `char`
    CharDevice,
    /// `block`
    BlockDevice,
    /// `fifo`
    Fifo,
}

impl FileType {
    const ALL: [Self; 7] = [
        Self::Directory,
        Self::Regular,
        Self::Symlink,
        Self::HardLink,
        Self::CharDevice,
        Self::BlockDevice,
        Self::Fifo,
    ];

    /// Its name in a zTOC.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "dir",
            Self::Regular => "reg",
            Self::Symlink => "symlink",
            Self::HardLink => "hardlink",
            Self::CharDevice => "char",
            Self::BlockDevice => "block",
            Self::Fifo => "fifo",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.name().as_bytes() == name)
    }
}

/// A PAX record of a file: both are any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaxRecord {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// One member of the tar, as its headers say. Names are any bytes, and as they are there. A FlatBuffers table:
///
/// | field | type | what |
/// |---|---|---|
/// | 0 | string | name |
/// | 1 | string | type: `dir`, `reg`, `symlink`, `hardlink`, `char`, `block`, `fifo` |
/// | 2 | i64 | first byte after its headers, in the tar |
/// | 3 | i64 | length of the file |
/// | 4 | string | target of a link |
/// | 5 | i64 | mode |
/// | 6 | u32 | owner |
/// | 7 | u32 | group |
/// | 8 | string | name of the owner |
/// | 9 | string | name of the group |
/// | 10 | string | time of last modification, RFC 3339 |
/// | 11 | i64 | major number of a device |
/// | 12 | i64 | minor number of a device |
/// | 13 | vector of tables | all PAX records, in order of their keys; called `xattrs`. Field 0 is the key, 1 the value |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMetadata {
    /// Its name in the tar.
    pub name: Bytes,
    /// What it is.
    pub kind: FileType,
    /// Where its payload is in the tar, or would be.
    pub offset: u64,
    /// Length of the file in bytes.
    pub size: u64,
    /// Target of a symbolic or hard link.
    pub link_target: Bytes,
    /// Mode in the header.
    pub mode: i64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Name of the owner.
    pub uname: Bytes,
    /// Name of the group.
    pub gname: Bytes,
    /// Time of last modification as it is written; see [`time`](Self::time).
    pub mod_time: Bytes,
    /// Major number of a device.
    pub devmajor: i64,
    /// Minor number of a device.
    pub devminor: i64,
    /// All PAX records, extended attributes among them, in order of their keys.
    pub records: Vec<PaxRecord>,
}

/// What each attribute of PAX begins with.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

impl FileMetadata {
    const FIELDS: usize = 14;

    /// The field of the PAX records.
    pub(crate) const RECORDS: usize = 13;

    /// A file of which nothing else is known.
    #[must_use]
    pub fn new(name: impl Into<Bytes>, kind: FileType) -> Self {
        Self {
            name: name.into(),
            kind,
            offset: 0,
            size: 0,
            link_target: Bytes::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            uname: Bytes::new(),
            gname: Bytes::new(),
            mod_time: Bytes::new(),
            devmajor: 0,
            devminor: 0,
            records: Vec::new(),
        }
    }

    image_model::setters! {
        offset: u64,
        size: u64,
        link_target: impl Into<Bytes> = link_target.into(),
        mode: i64,
        uid: u32,
        gid: u32,
        uname: impl Into<Bytes> = uname.into(),
        gname: impl Into<Bytes> = gname.into(),
        mod_time: impl Into<Bytes> = mod_time.into(),
        devmajor: i64,
        devminor: i64,
        records: Vec<PaxRecord>,
    }

    /// Sets [`mod_time`](Self#structfield.mod_time) to `time` in UTC; it is empty beyond the years 0 to 9999, as it is in
    /// what `soci` writes.
    #[must_use]
    pub fn modified(self, time: Timestamp) -> Self {
        let text = time::format(time).unwrap_or_default();
        self.mod_time(text)
    }

    /// Time of last modification; `None` if it is not written as one.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        time::parse(&self.mod_time)
    }

    /// The extended attributes among the records: names and values.
    pub fn xattrs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.records
            .iter()
            .filter_map(|record| Some((record.key.strip_prefix(XATTR_PREFIX)?, &record.value[..])))
    }

    /// Bytes of its strings.
    pub(crate) fn strings_len(&self) -> usize {
        let own = [
            &self.name,
            &self.link_target,
            &self.uname,
            &self.gname,
            &self.mod_time,
        ];
        let records = self.records.iter().flat_map(|r| [&r.key, &r.value]);
        own.into_iter()
            .chain(records)
            .fold(0, |sum, text| sum.saturating_add(text.len()))
    }

    pub(crate) fn encode(&self, kind: &str, builder: &mut Builder) -> Offset {
        let [name, kind, link_target, uname, gname, mod_time] = [
            &self.name[..],
            kind.as_bytes(),
            &self.link_target,
            &self.uname,
            &self.gname,
            &self.mod_time,
        ]
        .map(|text| builder.string(text));
        let mut records = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let key = builder.string(&record.key);
            let value = builder.string(&record.value);
            builder.begin(2);
            builder.refer(0, key);
            builder.refer(1, value);
            records.push(builder.finish_table());
        }
        let records = builder.vector(&records);
        let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
        builder.begin(Self::FIELDS);
        builder.refer(0, name);
        builder.refer(1, kind);
        builder.i64(2, number(self.offset));
        builder.i64(3, number(self.size));
        builder.refer(4, link_target);
        builder.i64(5, self.mode);
        builder.u32(6, self.uid);
        builder.u32(7, self.gid);
        builder.refer(8, uname);
        builder.refer(9, gname);
        builder.refer(10, mod_time);
        builder.i64(11, self.devmajor);
        builder.i64(12, self.devminor);
        builder.refer(Self::RECORDS, records);
        builder.finish_table()
    }

    pub(crate) fn decode(
        table: &Table<'_>,
        index: u64,
        budget: &mut Budget,
    ) -> Result<Self, ZtocError> {
        budget.take(size_of::<Self>())?;
        let of = |fault| ZtocError::File { index, fault };
        let kind = FileType::of(&table.string(1)?).ok_or(of(FileFault::Type))?;
        let number = |nth| -> Result<u64, ZtocError> {
            u64::try_from(table.i64(nth)?).map_err(|_| of(FileFault::Negative))
        };
        let elements = table.elements(Self::RECORDS)?;
        budget.take(elements.len().saturating_mul(size_of::<PaxRecord>()))?;
        let records = elements.tables("Xattr").map(|record| {
            let record = record?;
            let (key, value) = (record.string(0)?, record.string(1)?);
            Ok(PaxRecord { key, value })
        });
        let file = Self {
            name: table.string(0)?,
            kind,
            offset: number(2)?,
            size: number(3)?,
            link_target: table.string(4)?,
            mode: table.i64(5)?,
            uid: table.u32(6)?,
            gid: table.u32(7)?,
            uname: table.string(8)?,
            gname: table.string(9)?,
            mod_time: table.string(10)?,
            devmajor: table.i64(11)?,
            devminor: table.i64(12)?,
            records: records.collect::<Result<_, Malformed>>()?,
        };
        // Many files can share their strings, and each is gone through.
        budget.take(file.strings_len())?;
        Ok(file)
    }
}
