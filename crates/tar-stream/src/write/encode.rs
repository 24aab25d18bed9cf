//! The header of a new member: a ustar block, preceded by a PAX header if something does not fit.

use image_model::width::{u64_from, usize_from};
use image_model::{Device, FileKind, ImagePath, Metadata, Node, Timestamp, Xattrs};
use tar_core::Header;

use crate::block::{BLOCK_LEN, padding_len, unsigned_sum};
use crate::pax;

/// Longest payload of a PAX header that Go reads.
const MAX_RECORDS_LEN: usize = 1 << 20;

/// The content of a header.
pub(crate) struct Fields<'a> {
    name: Vec<u8>,
    link_name: &'a [u8],
    typeflag: u8,
    mode: u16,
    uid: u32,
    gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: Timestamp,
    device: Device,
    xattrs: Option<&'a Xattrs>,
}

impl<'a> Fields<'a> {
    /// `None` for a socket.
    pub(crate) fn of_node<C>(
        path: &ImagePath,
        metadata: &'a Metadata,
        node: &'a Node<C>,
    ) -> Option<Self> {
        let kind = node.kind();
        let mut name = path.as_bytes().to_vec();
        if path.is_root() {
            name.push(b'.');
        }
        if kind == FileKind::Directory {
            name.push(b'/');
        }
        let typeflag = match kind {
            FileKind::File => b'0',
            FileKind::Symlink => b'2',
            FileKind::CharDevice => b'3',
            FileKind::BlockDevice => b'4',
            FileKind::Directory => b'5',
            FileKind::Fifo => b'6',
            FileKind::Socket => return None,
        };
        let (link_name, size): (&[u8], u64) = match node {
            Node::Symlink(target) => (target, 0),
            other => (b"", other.size()),
        };
        Some(Self {
            name,
            link_name,
            typeflag,
            mode: metadata.mode & 0o7777,
            uid: metadata.uid,
            gid: metadata.gid,
            size,
            mtime: metadata.mtime,
            device: node.device(),
            xattrs: Some(&metadata.xattrs),
        })
    }

    /// A hard link to `target`, without extended attributes.
    pub(crate) fn of_link(path: &ImagePath, metadata: &Metadata, target: &'a ImagePath) -> Self {
        Self {
            name: path.as_bytes().to_vec(),
            link_name: target.as_bytes(),
            typeflag: b'1',
            mode: metadata.mode & 0o7777,
            uid: metadata.uid,
            gid: metadata.gid,
            size: 0,
            mtime: metadata.mtime,
            device: Device::default(),
            xattrs: None,
        }
    }
}

/// Appends the header blocks to `out`.
///
/// # Errors
/// The length of PAX records that are too long.
pub(crate) fn encode(fields: &Fields<'_>, out: &mut Vec<u8>) -> Result<(), usize> {
    let mut header = Header::new_ustar();
    let block = header.as_ustar_mut();
    let mut records = Records::default();

    match split_name(&fields.name) {
        Some((prefix, name)) => {
            fill(&mut block.prefix, prefix);
            fill(&mut block.name, name);
        }
        None => {
            fill(&mut block.name, &fields.name);
            records.text("path", &fields.name);
        }
    }
    fill(&mut block.linkname, fields.link_name);
    if fields.link_name.len() > block.linkname.len() {
        records.text("linkpath", fields.link_name);
    }
    number(&mut block.mode, fields.mode.into());
    if !number(&mut block.uid, fields.uid.into()) {
        records.push(b"uid", fields.uid.to_string().as_bytes());
    }
    if !number(&mut block.gid, fields.gid.into()) {
        records.push(b"gid", fields.gid.to_string().as_bytes());
    }
    if !number(&mut block.size, fields.size.into()) {
        records.push(b"size", fields.size.to_string().as_bytes());
    }
    let Timestamp {
        seconds,
        nanoseconds,
    } = fields.mtime;
    if !number(&mut block.mtime, seconds.into()) || nanoseconds != 0 {
        records.push(b"mtime", pax::format_time(fields.mtime).as_bytes());
    }
    block.typeflag = [fields.typeflag];
    number(&mut block.dev_major, fields.device.major.into());
    number(&mut block.dev_minor, fields.device.minor.into());
    for xattr in fields.xattrs.into_iter().flatten() {
        records.xattr(&xattr.name, &xattr.value);
    }

    let records = records.finish();
    if records.len() > MAX_RECORDS_LEN {
        return Err(records.len());
    }
    if !records.is_empty() {
        append_pax_header(&fields.name, &records, out);
    }
    append_block(header, out);
    Ok(())
}

fn append_pax_header(name: &[u8], records: &[u8], out: &mut Vec<u8>) {
    let mut header = Header::new_ustar();
    let block = header.as_ustar_mut();
    // The name that Go gives it: a reader that does not know PAX shows it as a file.
    let last = name.iter().rposition(|&b| b != b'/');
    let name = last.map_or(&b""[..], |last| &name[..=last]);
    let base = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let parent = name.strip_suffix(base).unwrap_or_default();
    let mut pax_name = [parent, b"PaxHeaders.0/", base].concat();
    pax_name.retain(u8::is_ascii);
    fill(&mut block.name, &pax_name);
    number(&mut block.mode, 0);
    number(&mut block.uid, 0);
    number(&mut block.gid, 0);
    let records_len = u64_from(records.len());
    number(&mut block.size, records_len.into());
    number(&mut block.mtime, 0);
    block.typeflag = [b'x'];
    number(&mut block.dev_major, 0);
    number(&mut block.dev_minor, 0);
    append_block(header, out);
    out.extend_from_slice(records);
    out.extend_from_slice(&[0; BLOCK_LEN][..padding_len(records_len)]);
}

fn append_block(mut header: Header, out: &mut Vec<u8>) {
    let sum = unsigned_sum(header.as_bytes());
    // Six digits, NUL, space: 512 * 255 has six.
    header.as_ustar_mut().cksum = [0; 8];
    let text = format!("{sum:06o}\0 ");
    fill(&mut header.as_ustar_mut().cksum, text.as_bytes());
    out.extend_from_slice(header.as_bytes());
}

/// The parts of a name for the prefix and the name field; `None` if it does not fit.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if name.len() <= NAME {
        return Some((b"", name));
    }
    // The slash between the two is in neither; one at the end belongs to the name.
    let latest = name.len().saturating_sub(1).min(PREFIX + 1);
    let slash = name[..latest].iter().rposition(|&b| b == b'/')?;
    let (prefix, [b'/', rest @ ..]) = name.split_at(slash) else {
        return None;
    };
    (!prefix.is_empty() && rest.len() <= NAME).then_some((prefix, rest))
}

/// Writes `text`, or as much of it as fits.
fn fill(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
}

/// Writes octal digits and a NUL or, if they do not fit, a base-256 number; returns whether they fit.
fn number(field: &mut [u8], value: i128) -> bool {
    let (last, digits) = field.split_last_mut().expect("fields are not empty");
    if let Ok(mut rest) = u64::try_from(value) {
        for digit in digits.iter_mut().rev() {
            let [low, ..] = rest.to_le_bytes();
            *digit = b'0' | low & 7;
            rest >>= 3;
        }
        if rest == 0 {
            *last = 0;
            return true;
        }
    }
    for (to, from) in field.iter_mut().rev().zip(value.to_le_bytes()) {
        *to = from;
    }
    field[0] |= 0x80;
    false
}

/// PAX records in the order of their keys; `hdrcharset` first, since it applies to those after it.
#[derive(Default)]
struct Records {
    list: Vec<(Vec<u8>, Vec<u8>)>,
    binary: bool,
}

impl Records {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.list.push((key.to_vec(), value.to_vec()));
    }

    fn text(&mut self, key: &str, value: &[u8]) {
        self.binary |= str::from_utf8(value).is_err();
        self.push(key.as_bytes(), value);
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) {
        self.push(&[b"SCHILY.xattr.", name].concat(), value);
    }

    fn finish(mut self) -> Vec<u8> {
        self.list.sort();
        let mut out = Vec::new();
        if self.binary {
            append_record(b"hdrcharset", b"BINARY", &mut out);
        }
        for (key, value) in &self.list {
            append_record(key, value, &mut out);
        }
        out
    }
}

fn append_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = [b" ", key, b"=", value, b"\n"].concat();
    let digits = |len: usize| usize_from(len.checked_ilog10().unwrap_or(0)).saturating_add(1);
    // Counting its own digits may take one digit more.
    let guess = rest.len().saturating_add(digits(rest.len()));
    let len = rest.len().saturating_add(digits(guess));
    out.extend_from_slice(len.to_string().as_bytes());
    out.extend_from_slice(&rest);
}
