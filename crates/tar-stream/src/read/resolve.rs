//! From the header blocks of a member to its entry.

use std::ops::Range;

use image_model::advisory::Oddity;
use image_model::tree::Spans;
use image_model::width::u64_from;
use image_model::{Limits, Timestamp};
use tar_core::Header;

use super::TarReadOptions;
use crate::block::{BLOCK_LEN, Block, Field, HeaderBlock, Prefix, field_number};
use crate::entry::{Entry, EntryKind};
use crate::error::{Refusal, TarError};
use crate::pax::PaxFields;
use crate::sparse::{MapPlace, Regions, SparseFault};

/// The extension headers that were read for the next member: the last one of each type.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) pax: Option<Extension>,
    pub(crate) name: Option<Extension>,
    pub(crate) link: Option<Extension>,
    /// Whether there was a `g` header.
    pub(crate) global: bool,
    pub(crate) oddities: Vec<Oddity>,
}

#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) typeflag: u8,
    /// First byte of its header block in the tar.
    pub(crate) offset: u64,
    /// Its payload in the raw segment; for long names the part before the first NUL.
    pub(crate) payload: Range<usize>,
}

impl Pending {
    pub(crate) fn first(&self) -> Option<&Extension> {
        [&self.pax, &self.name, &self.link]
            .into_iter()
            .flatten()
            .min_by_key(|extension| extension.offset)
    }
}

/// Where the rest of a member's sparse map is.
#[derive(Debug)]
pub(crate) enum Map {
    /// The member is not sparse.
    None,
    /// The map is complete.
    Read(Regions),
    /// Blocks of further pairs follow.
    Blocks(Regions),
    /// The map is at the start of the payload.
    Payload,
}

/// The segment of a member up to its header block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) raw: &'a [u8],
    /// First byte of the member in the tar.
    pub(crate) offset: u64,
    /// First byte of the header block, the last of `raw`, in the tar.
    pub(crate) header_offset: u64,
}

/// Builds the entry, except for its raw bytes and what depends on a sparse map.
pub(crate) fn resolve(
    segment: Segment<'_>,
    block: &Block,
    header: &HeaderBlock<'_>,
    pending: &Pending,
    options: &TarReadOptions,
) -> Result<(Entry, Map), TarError> {
    let Segment {
        raw,
        offset,
        header_offset,
    } = segment;
    let strict = !options.lenient;
    let refused = |reason| TarError::Refused {
        offset: header_offset,
        reason,
    };
    let text = |extension: &Option<Extension>| {
        let range = extension.as_ref()?.payload.clone();
        raw.get(range).filter(|text| !text.is_empty())
    };
    let mut oddities = pending.oddities.clone();
    let pax = match &pending.pax {
        Some(x) => {
            let at = x.offset.saturating_add(u64_from(BLOCK_LEN));
            PaxFields::parse(&raw[x.payload.clone()], at, strict, &mut oddities)?
        }
        None => PaxFields::default(),
    };
    let place = pax.sparse.place(strict).map_err(refused)?;
    let old_sparse = header.typeflag == b'S';
    if strict && old_sparse && place.is_some() {
        return Err(refused(Refusal::SparseRecords));
    }
    let sparse_name = pax.sparse.name().filter(|_| place.is_some() && !old_sparse);

    let (gnu_name, gnu_link) = (text(&pending.name), text(&pending.link));
    if let (true, Some(pax), Some(gnu)) = (strict, sparse_name.or(pax.path), gnu_name)
        && pax != gnu
    {
        let (pax, gnu) = (pax.into(), gnu.into());
        return Err(refused(Refusal::Names { pax, gnu }));
    }
    if let (true, Some(pax), Some(gnu)) = (strict, pax.link_path, gnu_link)
        && pax != gnu
    {
        let (pax, gnu) = (pax.into(), gnu.into());
        return Err(refused(Refusal::LinkTargets { pax, gnu }));
    }
    let path = match sparse_name.or(gnu_name).or(pax.path) {
        Some(name) => name.to_vec(),
        None => block_name(header, strict, &mut oddities).map_err(refused)?,
    };
    let kind = EntryKind::of(header.typeflag, &path);
    let is_link = matches!(kind, EntryKind::HardLink | EntryKind::Symlink);
    if strict && is_link && pax.empty_link_path {
        let key = (*b"linkpath").into();
        return Err(refused(Refusal::EmptyRecord { key }));
    }
    if strict && kind == EntryKind::File && path.ends_with(b"/") {
        let name = path.into();
        return Err(refused(Refusal::TrailingSlash { name }));
    }
    let stored = payload_len(header, pax.size, kind, header_offset)?;
    if !kind.has_payload() {
        let declared = declared_size(header, pax.size, strict).map_err(refused)?;
        oddities.extend(declared.map(|size| Oddity::Size { size }));
    }
    let mut size = stored;
    let sparse_error = |fault| TarError::Sparse {
        offset: header_offset,
        fault,
    };
    let map = match place {
        _ if old_sparse => {
            let (map, real_size) = old_map(header, block, &options.limits, header_offset)?;
            size = real_size;
            map
        }
        None => Map::None,
        Some(_) if !kind.has_payload() => return Err(sparse_error(SparseFault::Kind)),
        Some(place) => {
            size = pax
                .sparse
                .logical_size()
                .map_err(sparse_error)?
                .unwrap_or(size);
            match place {
                MapPlace::Payload => Map::Payload,
                MapPlace::Records => {
                    let limit = options.limits.max_sparse_regions;
                    Map::Read(pax.sparse.regions(limit).map_err(sparse_error)?)
                }
            }
        }
    };
    let is_sparse = old_sparse || place.is_some();
    let seconds = |time: Option<i64>| time.map(Timestamp::from_seconds);
    let entry = Entry {
        offset,
        header_offset,
        path,
        link_target: gnu_link
            .or(pax.link_path)
            .unwrap_or(header.link_name)
            .into(),
        kind,
        typeflag: header.typeflag,
        mode: permissions(header.mode),
        raw_mode: header.mode,
        uid: pax.uid.unwrap_or(header.uid),
        gid: pax.gid.unwrap_or(header.gid),
        uname: pax.uname.unwrap_or(header.uname).into(),
        gname: pax.gname.unwrap_or(header.gname).into(),
        mtime: pax.mtime.unwrap_or(Timestamp::from_seconds(header.mtime)),
        atime: pax.atime.or(seconds(header.atime)),
        ctime: pax.ctime.or(seconds(header.ctime)),
        devmajor: header.devmajor,
        devminor: header.devminor,
        xattrs: pax.xattrs,
        size,
        payload_offset: 0,
        payload_len: stored,
        spans: Spans::default(),
        is_sparse,
        after_global: pending.global,
        oddities,
        raw: Vec::new(),
        gap: 0,
    };
    Ok((entry, map))
}

fn permissions(mode: i64) -> u16 {
    let [.., high, low] = mode.to_be_bytes();
    u16::from_be_bytes([high, low]) & 0o7777
}

/// The name in the header block, with its prefix.
fn block_name(
    header: &HeaderBlock<'_>,
    strict: bool,
    oddities: &mut Vec<Oddity>,
) -> Result<Vec<u8>, Refusal> {
    match header.prefix {
        Prefix::FullStar(_) if strict => return Err(Refusal::StarPrefix),
        Prefix::Unmarked if strict => return Err(Refusal::UnmarkedPrefix),
        Prefix::Gnu([_, ..]) => oddities.push(Oddity::NamePrefix),
        _ => {}
    }
    Ok(match header.prefix.bytes() {
        b"" => header.name.to_vec(),
        prefix => [prefix, b"/", header.name].concat(),
    })
}

/// Bytes after the header block that belong to the member.
fn payload_len(
    header: &HeaderBlock<'_>,
    pax_size: Option<i64>,
    kind: EntryKind,
    offset: u64,
) -> Result<u64, TarError> {
    let size = pax_size.unwrap_or(header.size);
    // Room for a header block and a sparse map after the offset and for padding at the end.
    let most = (i64::MAX.unsigned_abs() / 2).saturating_sub(offset);
    match u64::try_from(size) {
        Ok(len) if len <= most => Ok(if kind.has_payload() { len } else { 0 }),
        _ => Err(TarError::Size { offset, size }),
    }
}

/// The size that a member without payload declares, if any.
fn declared_size(
    header: &HeaderBlock<'_>,
    pax_size: Option<i64>,
    strict: bool,
) -> Result<Option<i64>, Refusal> {
    match pax_size {
        Some(pax) if strict && pax != header.size => Err(Refusal::PaxSizeWithoutPayload {
            typeflag: header.typeflag,
            pax,
            header: header.size,
        }),
        pax => Ok(Some(pax.unwrap_or(header.size)).filter(|size| *size != 0)),
    }
}

/// The part of an old GNU sparse map that is in the header block, and the real size.
fn old_map(
    header: &HeaderBlock<'_>,
    block: &Block,
    limits: &Limits,
    offset: u64,
) -> Result<(Map, u64), TarError> {
    if header.magic != crate::block::Magic::Gnu {
        let fault = SparseFault::Magic;
        return Err(TarError::Sparse { offset, fault });
    }
    let gnu = Header::from_bytes(block).as_gnu();
    let size = field_number(Field::RealSize, &gnu.realsize, offset)?;
    let real_size = u64::try_from(size).map_err(|_| TarError::Size { offset, size })?;
    let mut regions = Regions::new(limits.max_sparse_regions);
    regions.push_old(&gnu.sparse, offset)?;
    let map = match gnu.isextended {
        [0] => Map::Read(regions),
        _ => Map::Blocks(regions),
    };
    Ok((map, real_size))
}
