//! Members of tars as files of a zTOC, and back.

use bytes::Bytes;
use image_model::layer::Whiteout;
use image_model::metadata::Xattr;
use image_model::tree::Spans;
use image_model::{Device, ImagePath, Limits, Metadata, Node, Xattrs};
use soci_ztoc::{FileMetadata, FileType, PaxRecord};
use tar_stream::block::Field;
use tar_stream::{Entry, EntryKind, Member, MemberError, MemberFault, TarError};

use crate::layer::{LayerImageError, LayerIndexError, Unlisted};

/// An entry as a zTOC lists it.
pub(super) fn file(entry: &Entry) -> Result<FileMetadata, LayerIndexError> {
    let unlisted = |reason| LayerIndexError::Unlisted {
        offset: entry.offset,
        reason,
    };
    let kind = match entry.kind {
        EntryKind::File => FileType::Regular,
        EntryKind::HardLink => FileType::HardLink,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::CharDevice => FileType::CharDevice,
        EntryKind::BlockDevice => FileType::BlockDevice,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::Other(typeflag) => return Err(unlisted(Unlisted::Kind { typeflag })),
    };
    if entry.is_sparse {
        return Err(unlisted(Unlisted::Sparse));
    }
    if entry.has_global() {
        return Err(unlisted(Unlisted::Global));
    }
    let bytes = Bytes::copy_from_slice;
    let records = entry.pax_records().into_iter().map(|record| PaxRecord {
        key: bytes(record.key),
        value: bytes(record.value),
    });
    // The reference writer keeps the low 32 bits, too.
    let id = |number: i64| (number & i64::from(u32::MAX)) as u32;
    Ok(FileMetadata::new(bytes(&entry.path), kind)
        .offset(entry.payload_offset)
        .size(entry.size)
        .link_target(bytes(&entry.link_target))
        .mode(entry.raw_mode)
        .uid(id(entry.uid))
        .gid(id(entry.gid))
        .uname(bytes(&entry.uname))
        .gname(bytes(&entry.gname))
        .modified(entry.mtime)
        .devmajor(entry.devmajor)
        .devminor(entry.devminor)
        .records(records.collect()))
}

/// Whether both say the same; times may be written in several ways.
pub(super) fn is_same(a: &FileMetadata, b: &FileMetadata) -> bool {
    let times = (a.time(), b.time());
    let same_time = match times {
        (Some(a), Some(b)) => a == b,
        _ => a.mod_time == b.mod_time,
    };
    same_time && a.clone().mod_time(b.mod_time.clone()) == *b
}

/// A file of a zTOC in terms of the model.
pub(super) fn member(file: &FileMetadata, limits: &Limits) -> Result<Member, LayerImageError> {
    let path =
        ImagePath::clean(&file.name).map_err(|source| invalid(file, MemberFault::Path(source)))?;
    let node = match file.kind {
        FileType::Regular => Node::File {
            size: file.size,
            content: Spans::contiguous(file.offset, file.size),
        },
        FileType::HardLink if Whiteout::at(&path).is_some() => {
            return Ok(Member::Node {
                path,
                metadata: Metadata::default(),
                node: Node::File {
                    size: 0,
                    content: Spans::default(),
                },
            });
        }
        FileType::HardLink => {
            let target = ImagePath::clean(&file.link_target);
            let target = target.map_err(|source| invalid(file, MemberFault::Target(source)))?;
            return Ok(Member::HardLink { path, target });
        }
        FileType::Symlink => Node::Symlink(symlink(file, limits)?),
        FileType::CharDevice => Node::CharDevice(device(file)?),
        FileType::BlockDevice => Node::BlockDevice(device(file)?),
        FileType::Directory => Node::empty_directory(),
        FileType::Fifo => Node::Fifo,
    };
    let (offset, metadata) = (file.offset, metadata(file, limits)?);
    match metadata {
        Some(metadata) => Ok(Member::Node {
            path,
            metadata,
            node,
        }),
        None => Err(LayerImageError::Time { offset, path }),
    }
}

fn invalid(file: &FileMetadata, reason: MemberFault) -> LayerImageError {
    LayerImageError::Member(MemberError {
        offset: file.offset,
        path: file.name[..].into(),
        reason,
    })
}

/// `None` without a time.
fn metadata(file: &FileMetadata, limits: &Limits) -> Result<Option<Metadata>, LayerImageError> {
    let len = file
        .xattrs()
        .map(|(name, value)| (name.len() + value.len()) as u64);
    let (len, limit) = (len.sum::<u64>(), u64::from(limits.max_xattr_len));
    if len > limit {
        let offset = file.offset;
        return Err(TarError::ExtensionsTooLong { offset, len, limit }.into());
    }
    let xattrs = file.xattrs().map(|(name, value)| Xattr {
        name: name.into(),
        value: value.into(),
    });
    let xattrs = Xattrs::new(xattrs).map_err(|source| TarError::Xattr {
        offset: file.offset,
        source,
    })?;
    Ok(file.time().map(|mtime| Metadata {
        // The bits of the type are the kind's.
        mode: (file.mode & 0o7777) as u16,
        uid: file.uid,
        gid: file.gid,
        mtime,
        xattrs,
    }))
}

fn symlink(file: &FileMetadata, limits: &Limits) -> Result<Box<[u8]>, LayerImageError> {
    let (len, limit) = (file.link_target.len(), limits.max_symlink_len);
    match len {
        0 => Err(invalid(file, MemberFault::EmptySymlink)),
        _ if len > limit as usize => Err(invalid(file, MemberFault::SymlinkTooLong { len, limit })),
        _ => Ok(file.link_target[..].into()),
    }
}

fn device(file: &FileMetadata) -> Result<Device, LayerImageError> {
    let narrow = |field, value| {
        u32::try_from(value).map_err(|_| invalid(file, MemberFault::Number { field, value }))
    };
    Ok(Device {
        major: narrow(Field::DevMajor, file.devmajor)?,
        minor: narrow(Field::DevMinor, file.devminor)?,
    })
}
