//! Attributes of an inode.

use std::fmt;
use std::time::{Duration, SystemTime};

/// The seven kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
}

impl FileKind {
    /// The file type bits of `st_mode` (`S_IFMT` part).
    #[must_use]
    pub const fn mode_bits(self) -> u16 {
        match self {
            Self::Fifo => 0o010_000,
            Self::CharDevice => 0o020_000,
            Self::Directory => 0o040_000,
            Self::BlockDevice => 0o060_000,
            Self::File => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::Socket => 0o140_000,
        }
    }

    /// The kind given by the type bits of `mode`, if they are valid.
    #[must_use]
    pub const fn from_mode(mode: u16) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o010_000 => Self::Fifo,
            0o020_000 => Self::CharDevice,
            0o040_000 => Self::Directory,
            0o060_000 => Self::BlockDevice,
            0o100_000 => Self::File,
            0o120_000 => Self::Symlink,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }

    /// The letter of the tree digest and of `find -printf %y`: `d f l c b p s`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Directory => 'd',
            Self::File => 'f',
            Self::Symlink => 'l',
            Self::CharDevice => 'c',
            Self::BlockDevice => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        })
    }
}

/// A point in time: seconds since 1970 (floored, may be negative) and nanoseconds past them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds past `seconds`, 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self {
        seconds: 0,
        nanoseconds: 0,
    };

    /// A time of whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }
}

/// Exact: no system stores finer times.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use lazyoci_image_model::Timestamp;
/// let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_millis(500);
/// let time = Timestamp::from(before_1970);
/// assert_eq!((time.seconds, time.nanoseconds), (-1, 500_000_000));
/// assert_eq!(SystemTime::try_from(time)?, before_1970);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        // A clock with 64 bits of seconds has no times beyond those.
        let seconds = |since: Duration| i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: seconds(since),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let whole = seconds(before).saturating_neg();
                match before.subsec_nanos() {
                    0 => Self::from_seconds(whole),
                    nanoseconds => Self {
                        seconds: whole.saturating_sub(1),
                        nanoseconds: 1_000_000_000 - nanoseconds,
                    },
                }
            }
        }
    }
}

/// A time beyond the range of this system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time {} seconds from 1970 is beyond the range of this system's clock", time.seconds)]
pub struct TimeOutOfRange {
    /// The time.
    pub time: Timestamp,
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = TimeOutOfRange;

    fn try_from(time: Timestamp) -> Result<Self, TimeOutOfRange> {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = match time.seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
            _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        };
        let fraction = Duration::from_nanos(time.nanoseconds.into());
        let exact = whole.and_then(|whole| whole.checked_add(fraction));
        exact.ok_or(TimeOutOfRange { time })
    }
}

/// A device number, unpacked: formats pack it in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// One extended attribute: full name (`user.mime_type`) and value, both bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// Full name with its namespace; never empty, no NUL.
    pub name: Box<[u8]>,
    /// Value: any bytes, including NUL and newline.
    pub value: Box<[u8]>,
}

/// Extended attributes, sorted by name as bytes, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Xattrs(Box<[Xattr]>);

/// Extended attributes with an unusable name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XattrError {
    /// An empty name, or one that contains NUL.
    #[error("attribute name {name:?} is empty or contains NUL")]
    Name {
        /// The name.
        name: Box<[u8]>,
    },
    /// The same name twice.
    #[error("attribute {name:?} appears twice")]
    Duplicate {
        /// The name.
        name: Box<[u8]>,
    },
}

impl Xattrs {
    /// Sorts `list` by name.
    ///
    /// # Errors
    /// [`XattrError`] on an empty name, a NUL in a name, or a repeated name.
    pub fn new(list: impl IntoIterator<Item = Xattr>) -> Result<Self, XattrError> {
        let mut list: Vec<Xattr> = list.into_iter().collect();
        list.sort();
        if let Some(bad) = list
            .iter()
            .find(|x| x.name.is_empty() || x.name.contains(&0))
        {
            return Err(XattrError::Name {
                name: bad.name.clone(),
            });
        }
        match list.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(XattrError::Duplicate {
                name: pair[0].name.clone(),
            }),
            None => Ok(Self(list.into())),
        }
    }

    /// The attributes in order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Xattr> {
        self.0.iter()
    }

    /// Number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the attribute `name`.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.0.binary_search_by(|x| (*x.name).cmp(name)).ok()?;
        Some(&self.0[found].value)
    }
}

impl<'a> IntoIterator for &'a Xattrs {
    type Item = &'a Xattr;
    type IntoIter = std::slice::Iter<'a, Xattr>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Permissions, owner, time and extended attributes of an inode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// The low 12 bits of `st_mode`: set-id, sticky and permission bits. No file type bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// The attributes of a directory that a layer only implies: 0755, owner 0:0, time 0.
    #[must_use]
    pub fn implied_directory() -> Self {
        Self {
            mode: 0o755,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattr(name: &[u8], value: &[u8]) -> Xattr {
        Xattr {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn kinds_and_mode_bits_agree() {
        for bits in 0..16u16 {
            let mode = bits << 12 | 0o7777;
            if let Some(kind) = FileKind::from_mode(mode) {
                assert_eq!(kind.mode_bits(), mode & 0o170_000);
            }
        }
        assert_eq!(FileKind::from_mode(0o644), None);
    }

    #[test]
    fn times_are_those_of_the_system() {
        let epoch = SystemTime::UNIX_EPOCH;
        let times = [
            (0, 0, epoch),
            (1, 500, epoch + Duration::new(1, 500)),
            (-1, 0, epoch - Duration::new(1, 0)),
            (-2, 999_999_999, epoch - Duration::new(1, 1)),
        ];
        for (seconds, nanoseconds, of_system) in times {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(Timestamp::from(of_system), time);
            assert_eq!(SystemTime::try_from(time), Ok(of_system));
        }
        for seconds in [i64::MIN, i64::MAX] {
            let time = Timestamp {
                seconds,
                nanoseconds: 999_999_999,
            };
            // Whatever the clock of the system has room for comes back as it was.
            match SystemTime::try_from(time) {
                Ok(of_system) => assert_eq!(Timestamp::from(of_system), time),
                Err(error) => assert_eq!(error, TimeOutOfRange { time }),
            }
        }
    }

    #[test]
    fn xattrs_are_sorted_and_searched() {
        let xattrs = Xattrs::new([xattr(b"user.b", b"2\0\n"), xattr(b"user.a", b"")]).unwrap();
        assert_eq!(&*xattrs.iter().next().unwrap().name, b"user.a");
        assert_eq!(xattrs.value(b"user.b"), Some(&b"2\0\n"[..]));
        assert_eq!(xattrs.value(b"user.c"), None);
    }

    #[test]
    fn bad_xattrs_are_refused() {
        assert_eq!(
            Xattrs::new([xattr(b"a", b"1"), xattr(b"a", b"2")]),
            Err(XattrError::Duplicate {
                name: (*b"a").into()
            })
        );
        assert_eq!(
            Xattrs::new([xattr(b"", b"1")]),
            Err(XattrError::Name { name: [].into() })
        );
    }
}
