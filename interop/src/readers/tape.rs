//! Tars, byte by byte.

/// A header block: a ustar one of an empty file at first.
#[derive(Clone)]
pub(super) struct Header([u8; 512]);

pub(super) const GNU: &[u8] = b"ustar  \0";
pub(super) const USTAR: &[u8] = b"ustar\x0000";
pub(super) const V7: &[u8] = &[0; 8];

impl Header {
    pub(super) fn new(name: &[u8], typeflag: u8) -> Self {
        let mut header = Self([0; 512]);
        for (at, width) in [(108, 8), (116, 8), (124, 12), (329, 8), (337, 8)] {
            header = header.octal(at, width, 0);
        }
        header
            .put(0, &name[..name.len().min(100)])
            .octal(100, 8, if typeflag == b'5' { 0o755 } else { 0o644 })
            .octal(136, 12, 1_700_000_000)
            .put(156, &[typeflag])
            .put(257, USTAR)
    }

    pub(super) fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn octal(self, at: usize, width: usize, value: u64) -> Self {
        let digits = width - 1;
        self.put(at, format!("{value:0digits$o}\0").as_bytes())
    }

    pub(super) fn size(self, size: usize) -> Self {
        self.octal(124, 12, size as u64)
    }

    pub(super) fn link(self, target: &[u8]) -> Self {
        self.put(157, &target[..target.len().min(100)])
    }

    pub(super) fn magic(self, magic: &[u8]) -> Self {
        let header = self.put(257, magic);
        match magic {
            V7 => header.put(265, &[0; 247]),
            _ => header,
        }
    }

    /// The sum of all bytes, the checksum's taken as spaces; as unsigned or signed ones.
    pub(super) fn sum(&self, signed: bool) -> i64 {
        let bytes = self.0.iter().enumerate();
        bytes
            .map(|(at, &byte)| match byte {
                _ if (148..156).contains(&at) => 32,
                byte if signed => i64::from(byte.cast_signed()),
                byte => i64::from(byte),
            })
            .sum()
    }

    pub(super) fn block(self) -> [u8; 512] {
        let sum = self.sum(false);
        self.put(148, format!("{sum:06o}\0 ").as_bytes()).0
    }

    /// With a checksum field as given.
    pub(super) fn block_with(self, field: &[u8]) -> [u8; 512] {
        self.put(148, &[0; 8]).put(148, field).0
    }
}

/// One PAX record.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| rest + len.to_string().len() == *len);
    let len = len.expect("some length fits").to_string();
    [len.as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// A tar under construction.
#[derive(Clone, Default)]
pub(super) struct Tape(pub(super) Vec<u8>);

impl Tape {
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn header(self, header: Header) -> Self {
        self.bytes(&header.block())
    }

    pub(super) fn member(self, header: Header, payload: &[u8]) -> Self {
        self.header(header.size(payload.len())).bytes(payload).pad()
    }

    pub(super) fn file(self, name: &str, payload: &[u8]) -> Self {
        self.member(Header::new(name.as_bytes(), b'0'), payload)
    }

    pub(super) fn dir(self, name: &str) -> Self {
        self.header(Header::new(name.as_bytes(), b'5'))
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.header(Header::new(name.as_bytes(), b'2').link(target.as_bytes()))
    }

    pub(super) fn hardlink(self, name: &str, target: &str) -> Self {
        self.header(Header::new(name.as_bytes(), b'1').link(target.as_bytes()))
    }

    pub(super) fn pax(self, typeflag: u8, records: &[(&str, &[u8])]) -> Self {
        let records = records
            .iter()
            .map(|(key, value)| record(key.as_bytes(), value));
        let payload = records.collect::<Vec<_>>().concat();
        self.raw_pax(typeflag, &payload)
    }

    pub(super) fn raw_pax(self, typeflag: u8, payload: &[u8]) -> Self {
        self.member(Header::new(b"PaxHeaders/x", typeflag), payload)
    }

    pub(super) fn long(self, typeflag: u8, text: &[u8]) -> Self {
        let header = Header::new(b"././@LongLink", typeflag).magic(GNU);
        self.member(header, &[text, b"\0"].concat())
    }

    /// A last file, by which one sees where a reader thinks that members begin; and the end.
    pub(super) fn end(self) -> Vec<u8> {
        self.file("zz-end", b"end").bytes(&[0; 1024]).0
    }
}
