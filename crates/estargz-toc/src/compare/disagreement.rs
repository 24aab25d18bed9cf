//! Disagreements between TOC and tar, with both readings.

use std::fmt;

use image_model::{Device, Digest, FileKind, ImagePath, Timestamp, Xattrs};

use crate::landmark::Landmark;

/// A path on which TOC and tar disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The path; the root for what concerns the layer.
    pub path: ImagePath,
    /// What they disagree on.
    pub readings: Readings,
}

/// A value in the TOC and in the tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both<T> {
    /// By the TOC.
    pub toc: T,
    /// By the tar.
    pub tar: T,
}

impl<T> Both<T> {
    pub(super) fn map<U>(&self, convert: impl Fn(&T) -> U) -> Both<U> {
        Both {
            toc: convert(&self.toc),
            tar: convert(&self.tar),
        }
    }
}

/// A difference between TOC and tar at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readings {
    /// Only the TOC has the path.
    OnlyInToc(FileKind),
    /// Only the tar has the path.
    OnlyInTar(FileKind),
    /// Kind of file.
    Kind(Both<FileKind>),
    /// Permission bits.
    Mode(Both<u16>),
    /// Owner.
    Uid(Both<u32>),
    /// Group.
    Gid(Both<u32>),
    /// Time of last modification.
    Mtime(Both<Timestamp>),
    /// Length of the file in bytes.
    Size(Both<u64>),
    /// Device number.
    Device(Both<Device>),
    /// Target of the symbolic link.
    Target(Both<Box<[u8]>>),
    /// Extended attributes.
    Xattrs(Both<Xattrs>),
    /// Content of the file by its SHA-256; `None` if the TOC has none, or the tar's file is sparse.
    Content(Both<Option<Digest>>),
    /// The TOC has the tar's digest of the whole file, but different digests of its chunks.
    ChunkDigests,
    /// The least of the paths that are hard links to the file, including this one; `None` if there
    /// are no others.
    Links(Both<Option<ImagePath>>),
    /// The layer's prefetch landmark.
    Landmark(Both<Option<Landmark>>),
    /// The tar continues after its end, where only some readers look for members.
    BehindEnd,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.readings)
    }
}

impl fmt::Display for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut both = |what: &str, toc: &dyn fmt::Display, tar: &dyn fmt::Display| {
            write!(f, "{what} {toc} in the TOC, {tar} in the tar")
        };
        match self {
            Self::OnlyInToc(kind) => write!(f, "a {kind} in the TOC, nothing in the tar"),
            Self::OnlyInTar(kind) => write!(f, "nothing in the TOC, a {kind} in the tar"),
            Self::Kind(Both { toc, tar }) => both("a", toc, tar),
            Self::Mode(Both { toc, tar }) => both(
                "mode",
                &format_args!("{toc:04o}"),
                &format_args!("{tar:04o}"),
            ),
            Self::Uid(Both { toc, tar }) => both("owner", toc, tar),
            Self::Gid(Both { toc, tar }) => both("group", toc, tar),
            Self::Mtime(times) => {
                let Both { toc, tar } = times.map(|t| {
                    let Timestamp {
                        seconds,
                        nanoseconds,
                    } = t;
                    format!("{seconds} s + {nanoseconds} ns")
                });
                both("mtime", &toc, &tar)
            }
            Self::Size(Both { toc, tar }) => both("size", toc, tar),
            Self::Device(devices) => {
                let Both { toc, tar } = devices.map(|d| format!("{}:{}", d.major, d.minor));
                both("device", &toc, &tar)
            }
            Self::Target(Both { toc, tar }) => both("target", &Quoted(toc), &Quoted(tar)),
            Self::Xattrs(xattrs) => {
                let Both { toc, tar } = xattrs.map(|xattrs| format!("{}", ListOf(xattrs)));
                both("extended attributes", &toc, &tar)
            }
            Self::Content(digests) => {
                let Both { toc, tar } = digests.map(|d| or_none(d.as_ref()));
                both("content", &toc, &tar)
            }
            Self::ChunkDigests => {
                f.write_str("the TOC's digests of its chunks are not those of the tar's bytes")
            }
            Self::Links(links) => {
                let Both { toc, tar } = links.map(|path| or_none(path.as_ref()));
                both("hard link to", &toc, &tar)
            }
            Self::Landmark(landmarks) => {
                let Both { toc, tar } = landmarks.map(|l| or_none(l.map(Landmark::name).as_ref()));
                both("landmark", &toc, &tar)
            }
            Self::BehindEnd => f.write_str("the tar goes on behind its end"),
        }
    }
}

fn or_none<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

struct ListOf<'a>(&'a Xattrs);

impl fmt::Display for ListOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, xattr) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let (name, value) = (xattr.name.escape_ascii(), Quoted(&xattr.value));
            write!(f, "{comma}{name}={value}")?;
        }
        f.write_str("}")
    }
}
