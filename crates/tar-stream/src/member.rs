//! The effect of entries on a file tree.

use image_model::layer::Whiteout;
use image_model::name::Brief;
use image_model::path::PathError;
use image_model::tree::Spans;
use image_model::width::usize_from;
use image_model::{Blame, Device, Fault, ImagePath, Limits, Metadata, Node};

use crate::block::Field;
use crate::entry::{Entry, EntryKind};

/// An entry in terms of the model, for a [`LayerBuilder`](image_model::layer::LayerBuilder).
/// Whiteouts are ordinary members here: the builder keeps them as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A file of any kind but a hard link.
    Node {
        /// Its path.
        path: ImagePath,
        /// Permissions, owner, time, extended attributes.
        metadata: Metadata,
        /// Kind and content.
        node: Node<Spans>,
    },
    /// A hard link to another file, whose attributes apply.
    HardLink {
        /// The name.
        path: ImagePath,
        /// A path of the other file, from the root.
        target: ImagePath,
    },
}

impl Member {
    /// The path of the member.
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        let (Self::Node { path, .. } | Self::HardLink { path, .. }) = self;
        path
    }
}

/// An entry that cannot be part of a file tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid tar member \"{}\" at byte {offset}", Brief(path))]
pub struct MemberError {
    /// First byte of the member's own header block, from the start of the tar.
    pub offset: u64,
    /// Its name, not cleaned.
    pub path: Box<[u8]>,
    /// What is wrong with it.
    #[source]
    pub reason: MemberFault,
}

/// Why an entry cannot be part of a file tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberFault {
    /// A component of its path is not a valid name.
    #[error("invalid path")]
    Path(#[source] PathError),
    /// A component of the hard link's target is not a valid name.
    #[error("invalid hard link target")]
    Target(#[source] PathError),
    /// An owner, group or device number that is negative or beyond 32 bits.
    #[error("{field} {value} is negative or beyond 32 bits")]
    Number {
        /// Which number.
        field: Field,
        /// Its value.
        value: i64,
    },
    /// A symbolic link with an empty target.
    #[error("the target of the symbolic link is empty")]
    EmptySymlink,
    /// A symbolic link whose target is too long.
    #[error("a symbolic link with a target of {len} bytes; the limit is {limit}")]
    SymlinkTooLong {
        /// Length of the target in bytes.
        len: usize,
        /// [`Limits::max_symlink_len`].
        limit: u32,
    },
    /// A kind of member that is not a file.
    #[error("members of type {typeflag:#04x} are not files")]
    Kind {
        /// The type.
        typeflag: u8,
    },
}

impl Blame for MemberError {
    fn fault(&self) -> Fault {
        match self.reason {
            MemberFault::Path(_)
            | MemberFault::Target(_)
            | MemberFault::Number { .. }
            | MemberFault::EmptySymlink => Fault::Corrupt,
            MemberFault::SymlinkTooLong { .. } => Fault::Limit,
            MemberFault::Kind { .. } => Fault::Unsupported,
        }
    }
}

impl Entry {
    /// What the name of this entry hides in lower layers; `None` for a plain file. It takes effect
    /// only if the entry is not a directory.
    #[must_use]
    pub fn whiteout(&self) -> Option<Whiteout<'_>> {
        let mut components = self.path.rsplit(|&b| b == b'/');
        let last = components.find(|component| !matches!(*component, b"" | b"."))?;
        Whiteout::of(last)
    }

    /// The entry in terms of the model.
    ///
    /// The path is cleaned at the root, as containerd does; so is the target of a hard link, since
    /// it starts at the root too. The attributes of a hard link do not count and are not checked. A
    /// hard link that is a [whiteout](Self::whiteout) becomes an empty file: only its name counts.
    ///
    /// # Errors
    /// [`MemberError`] with path and offset.
    pub fn into_member(self, limits: &Limits) -> Result<Member, MemberError> {
        let offset = self.header_offset;
        let (path, member) = match ImagePath::clean(&self.path) {
            Ok(path) => (self.path.clone(), self.member_at(path, limits)),
            Err(source) => (self.path, Err(MemberFault::Path(source))),
        };
        member.map_err(|reason| MemberError {
            offset,
            path: path.into(),
            reason,
        })
    }

    fn member_at(self, path: ImagePath, limits: &Limits) -> Result<Member, MemberFault> {
        let node = match self.kind {
            EntryKind::File => Node::File {
                size: self.size,
                content: self.spans,
            },
            // Nobody looks at the target of a whiteout, nor at its attributes.
            EntryKind::HardLink if self.whiteout().is_some() => {
                return Ok(Member::Node {
                    path,
                    metadata: Metadata::default(),
                    node: Node::File {
                        size: 0,
                        content: Spans::default(),
                    },
                });
            }
            EntryKind::HardLink => {
                let target = ImagePath::clean(&self.link_target).map_err(MemberFault::Target)?;
                return Ok(Member::HardLink { path, target });
            }
            EntryKind::Symlink => Node::Symlink(symlink(self.link_target, limits)?),
            EntryKind::CharDevice => Node::CharDevice(device(self.devmajor, self.devminor)?),
            EntryKind::BlockDevice => Node::BlockDevice(device(self.devmajor, self.devminor)?),
            EntryKind::Directory => Node::empty_directory(),
            EntryKind::Fifo => Node::Fifo,
            EntryKind::Other(typeflag) => return Err(MemberFault::Kind { typeflag }),
        };
        let metadata = Metadata {
            mode: self.mode,
            uid: narrow(Field::Uid, self.uid)?,
            gid: narrow(Field::Gid, self.gid)?,
            mtime: self.mtime,
            xattrs: self.xattrs,
        };
        Ok(Member::Node {
            path,
            metadata,
            node,
        })
    }
}

fn symlink(target: Vec<u8>, limits: &Limits) -> Result<Box<[u8]>, MemberFault> {
    let (len, limit) = (target.len(), limits.max_symlink_len);
    match len {
        0 => Err(MemberFault::EmptySymlink),
        _ if len > usize_from(limit) => Err(MemberFault::SymlinkTooLong { len, limit }),
        _ => Ok(target.into()),
    }
}

fn device(major: i64, minor: i64) -> Result<Device, MemberFault> {
    Ok(Device {
        major: narrow(Field::DevMajor, major)?,
        minor: narrow(Field::DevMinor, minor)?,
    })
}

fn narrow(field: Field, value: i64) -> Result<u32, MemberFault> {
    u32::try_from(value).map_err(|_| MemberFault::Number { field, value })
}
