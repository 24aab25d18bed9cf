//! A builder of tars, byte by byte, with named places to patch.

use std::ops::Range;

use lazyoci_tar_stream::{Entry, TarError, TarReadOptions, TarReader};

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const UID: Range<usize> = 108..116;
pub(crate) const GID: Range<usize> = 116..124;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const MTIME: Range<usize> = 136..148;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
pub(crate) const TYPE: Range<usize> = 156..157;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..265;
pub(crate) const UNAME: Range<usize> = 265..297;
pub(crate) const GNAME: Range<usize> = 297..329;
pub(crate) const DEVMAJOR: Range<usize> = 329..337;
pub(crate) const DEVMINOR: Range<usize> = 337..345;
pub(crate) const PREFIX: Range<usize> = 345..500;
pub(crate) const GNU_ATIME: Range<usize> = 345..357;
pub(crate) const GNU_SPARSE: Range<usize> = 386..482;
pub(crate) const GNU_EXTENDED: Range<usize> = 482..483;
pub(crate) const GNU_REALSIZE: Range<usize> = 483..495;
pub(crate) const STAR_TRAILER: Range<usize> = 508..512;

pub(crate) const USTAR: &[u8] = b"ustar\x0000";
pub(crate) const GNU: &[u8] = b"ustar  \0";
pub(crate) const V7: &[u8] = &[0; 8];

/// A header block under construction: a ustar one of an empty member at first.
#[derive(Clone)]
pub(crate) struct Header([u8; 512]);

/// An empty member of this name and type, in ustar form.
pub(crate) fn header(name: &[u8], typeflag: u8) -> Header {
    let numbers = [MODE, UID, GID, SIZE, MTIME, DEVMAJOR, DEVMINOR];
    let header = numbers
        .into_iter()
        .fold(Header([0; 512]), |header, field| header.octal(field, 0));
    header
        .put(NAME, name)
        .put(TYPE, &[typeflag])
        .put(MAGIC, USTAR)
}

impl Header {
    /// Writes `bytes` into a field, which is cleared first.
    pub(crate) fn put(mut self, field: Range<usize>, bytes: &[u8]) -> Self {
        let field = &mut self.0[field];
        field.fill(0);
        field[..bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn octal(self, field: Range<usize>, value: u64) -> Self {
        let digits = field.len() - 1;
        self.put(field, format!("{value:0digits$o}").as_bytes())
    }

    /// A base-256 number.
    pub(crate) fn binary(self, field: Range<usize>, value: i64) -> Self {
        let wide = i128::from(value).to_be_bytes();
        let mut bytes = wide[wide.len() - field.len()..].to_vec();
        bytes[0] |= 0x80;
        self.put(field, &bytes)
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.octal(SIZE, size)
    }

    /// With the checksum as every tar writes it.
    pub(crate) fn block(self) -> [u8; 512] {
        let sum = sum(&self.0);
        self.put(CHECKSUM, format!("{sum:06o}\0 ").as_bytes()).0
    }

    /// With the checksum of tars that add up signed characters.
    pub(crate) fn signed_block(self) -> [u8; 512] {
        let high = self.0.iter().filter(|b| **b >= 0x80).count() as u32;
        let sum = sum(&self.0) - 256 * high;
        self.put(CHECKSUM, format!("{sum:06o}\0 ").as_bytes()).0
    }
}

/// Makes the checksum of a changed block right again.
pub(crate) fn repair(block: &mut [u8]) {
    let bytes: &mut [u8; 512] = block.try_into().unwrap();
    *bytes = Header(*bytes).block();
}

fn sum(block: &[u8; 512]) -> u32 {
    let mut block = *block;
    block[CHECKSUM].fill(b' ');
    block.iter().map(|b| u32::from(*b)).sum()
}

/// One PAX record.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| rest + len.to_string().len() == *len);
    let len = len.unwrap().to_string();
    [len.as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// A tar under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Vec<u8>);

impl Tape {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Fills up to a whole block.
    pub(crate) fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn header(self, header: Header) -> Self {
        self.bytes(&header.block())
    }

    /// A header, a payload whose length the header says, padding.
    pub(crate) fn member(self, header: Header, payload: &[u8]) -> Self {
        let header = header.size(payload.len() as u64);
        self.header(header).bytes(payload).pad()
    }

    /// A regular file.
    pub(crate) fn file(self, name: &str, payload: &[u8]) -> Self {
        self.member(header(name.as_bytes(), b'0'), payload)
    }

    /// A PAX header.
    pub(crate) fn pax(self, list: &[(&str, &str)]) -> Self {
        self.records(b'x', list)
    }

    pub(crate) fn records(self, typeflag: u8, list: &[(&str, &str)]) -> Self {
        let records = list.iter().map(|(k, v)| record(k.as_bytes(), v.as_bytes()));
        let payload = records.collect::<Vec<_>>().concat();
        self.member(header(b"PaxHeaders/x", typeflag), &payload)
    }

    /// A GNU long name (`L`) or link (`K`).
    pub(crate) fn long(self, typeflag: u8, text: &[u8]) -> Self {
        let header = header(b"././@LongLink", typeflag).put(MAGIC, GNU);
        self.member(header, &[text, b"\0"].concat())
    }

    /// Two zero blocks.
    pub(crate) fn end(self) -> Vec<u8> {
        self.bytes(&[0; 1024]).0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn strict() -> TarReadOptions {
    TarReadOptions::default()
}

pub(crate) fn lenient() -> TarReadOptions {
    TarReadOptions::default().lenient(true)
}

/// All entries of a tar, payloads skipped.
pub(crate) fn entries(tar: &[u8], options: TarReadOptions) -> Result<Vec<Entry>, TarError> {
    let mut reader = TarReader::new(tar, options);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

/// The only entry of a tar, read strictly.
pub(crate) fn entry(tar: &[u8]) -> Entry {
    let mut entries = entries(tar, strict()).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

/// The names of the entries of a tar.
pub(crate) fn names(tar: &[u8], options: TarReadOptions) -> Vec<String> {
    let entries = entries(tar, options).unwrap();
    let names = entries.iter().map(|e| e.path.escape_ascii().to_string());
    names.collect()
}
