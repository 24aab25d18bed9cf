//! Names of directory entries: validated bytes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// Maximum length of a name on Linux, in bytes (`NAME_MAX`).
pub const MAX_NAME_LEN: usize = 255;

/// Why some bytes are not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No bytes at all.
    #[error("a name must not be empty")]
    Empty,
    /// `.` or `..`, which every directory already has.
    #[error("a name must not be `.` or `..`")]
    Dots,
    /// A `/` or NUL at this offset.
    #[error("a name must not contain byte {byte:#04x} (at {offset})")]
    Byte {
        /// The offending byte.
        byte: u8,
        /// Its offset in the name.
        offset: usize,
    },
    /// Longer than [`MAX_NAME_LEN`].
    #[error("a name must have at most {MAX_NAME_LEN} bytes, but this one has {len}")]
    TooLong {
        /// Length in bytes.
        len: usize,
    },
}

/// A borrowed, valid name: 1 to [`MAX_NAME_LEN`] bytes, none of them `/` or NUL, neither `.` nor `..`.
///
/// Names order by their bytes, as every format here sorts them.
///
/// ```
/// use lazyoci_image_model::NameRef;
/// assert_eq!(NameRef::new(b"caf\xe9")?.as_bytes(), b"caf\xe9");
/// assert!(NameRef::new(b"a/b").is_err());
/// # Ok::<(), lazyoci_image_model::name::NameError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// Checks `bytes` and borrows them as a name.
    ///
    /// # Errors
    /// [`NameError`] with the rule that the bytes break.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NameError> {
        Self::check_len(bytes)?;
        match end_of_name(bytes) {
            Some(offset) => Err(NameError::Byte {
                byte: bytes[offset],
                offset,
            }),
            None => Ok(Self(bytes)),
        }
    }

    /// Checks everything except the individual bytes.
    fn check_len(bytes: &[u8]) -> Result<(), NameError> {
        match bytes {
            [] => Err(NameError::Empty),
            b"." | b".." => Err(NameError::Dots),
            _ if bytes.len() > MAX_NAME_LEN => Err(NameError::TooLong { len: bytes.len() }),
            _ => Ok(()),
        }
    }

    /// Splits `path` at its first `/` into what is before it, which may not be a valid name, and what is after it.
    ///
    /// ```
    /// use lazyoci_image_model::NameRef;
    /// use lazyoci_image_model::name::NameError;
    ///
    /// let (usr, rest) = NameRef::split_first(b"usr/../bin");
    /// assert_eq!(usr?.as_bytes(), b"usr");
    /// assert_eq!(NameRef::split_first(rest), (Err(NameError::Dots), &b"bin"[..]));
    /// # Ok::<(), NameError>(())
    /// ```
    pub fn split_first(path: &'a [u8]) -> (Result<Self, NameError>, &'a [u8]) {
        let end = end_of_name(path);
        let (name, rest) = match end.map(|end| (end, path[end])) {
            None => (path, &[][..]),
            Some((end, b'/')) => (&path[..end], &path[end + 1..]),
            // NUL, which does not end the name.
            Some((offset, byte)) => {
                let rest = path[offset..].iter().position(|&b| b == b'/');
                let rest = rest.map_or(&[][..], |slash| &path[offset + slash + 1..]);
                return (Err(NameError::Byte { byte, offset }), rest);
            }
        };
        (Self::check_len(name).map(|()| Self(name)), rest)
    }

    /// The name's bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// An owned copy.
    #[must_use]
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }
}

/// Where the first `/` or NUL of `bytes` is. Eight bytes are looked at in one go: names are too short for more.
fn end_of_name(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
    // The lowest bit that is set is the highest one of the first byte that is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word) | zeros(word ^ SLASHES);
        if found != 0 {
            return Some(position * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let found = rest.iter().position(|&b| b == b'/' || b == 0)?;
    Some(words.len() * 8 + found)
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Shows UTF-8 unchanged and everything else escaped, on one line.
impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.0)
    }
}

/// An owned, valid name; see [`NameRef`] for the rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks and takes `bytes`.
    ///
    /// # Errors
    /// [`NameError`] with the rule that the bytes break.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, NameError> {
        let bytes = bytes.into();
        NameRef::new(&bytes)?;
        Ok(Self(bytes))
    }

    /// The name's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same name, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }
}

/// The bytes of the text.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text.as_bytes())
    }
}

/// Lets maps keyed by names be searched with plain bytes.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.0)
    }
}

/// Bytes of names and values for messages, escaped by [`u8::escape_ascii`]; long ones are cut to the first
/// [`LEN`](Self::LEN) bytes and the length, so that an image cannot make a message arbitrarily long.
///
/// ```
/// use lazyoci_image_model::name::Brief;
/// assert_eq!(Brief(b"caf\xe9").to_string(), r"caf\xe9");
/// let long = Brief(&[b'a'; 5_000]).to_string();
/// assert!(long.ends_with("aaa... (5000 bytes)") && long.len() < 1_100);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Brief<'a>(pub &'a [u8]);

impl Brief<'_> {
    /// Bytes that are shown.
    pub const LEN: usize = 1024;
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..Self::LEN) {
            Some(start) if start.len() < self.0.len() => {
                write!(f, "{}... ({} bytes)", start.escape_ascii(), self.0.len())
            }
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

/// Writes bytes for people: UTF-8 text unchanged; control characters, backslashes and everything
/// that is not UTF-8 escaped, so that a name stays on one line and no two names look alike.
pub(crate) fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_any_byte_but_slash_and_nul() {
        for byte in 0..=255u8 {
            let bytes = [b'a', byte];
            let expected = match byte {
                0 | b'/' => Err(NameError::Byte { byte, offset: 1 }),
                _ => Ok(()),
            };
            assert_eq!(NameRef::new(&bytes).map(|_| ()), expected);
        }
    }

    /// Bytes beside them that differ in one bit count for nothing, wherever the eight begin that are looked at at once.
    #[test]
    fn the_first_slash_or_nul_ends_a_name() {
        for fill in [b'a', b'.', b'0', b'\x01', b'\x80', b'\xaf', b'\xff'] {
            for len in 0..20 {
                assert_eq!(end_of_name(&vec![fill; len]), None);
                for (end, byte) in (0..len).flat_map(|end| [(end, b'/'), (end, 0)]) {
                    for behind in [0x01, b'.', b'0', b'/', 0] {
                        let mut bytes = vec![fill; len];
                        bytes[end] = byte;
                        bytes[end + 1..].fill(behind);
                        assert_eq!(end_of_name(&bytes), Some(end), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn invalid_names_are_told_apart() {
        assert_eq!(NameRef::new(b""), Err(NameError::Empty));
        assert_eq!(NameRef::new(b"."), Err(NameError::Dots));
        assert_eq!(NameRef::new(b".."), Err(NameError::Dots));
        assert!(NameRef::new(b"...").is_ok());
        assert!(NameRef::new(&[b'x'; 255]).is_ok());
        assert_eq!(
            NameRef::new(&[b'x'; 256]),
            Err(NameError::TooLong { len: 256 })
        );
    }

    #[test]
    fn text_is_a_name() {
        assert_eq!("caf\u{e9}".parse(), Name::new(*b"caf\xc3\xa9"));
        assert_eq!("..".parse::<Name>(), Err(NameError::Dots));
    }

    #[test]
    fn display_keeps_one_line() {
        let name = Name::new(*b"a\n\\\xff\xc3\xa9").unwrap();
        assert_eq!(name.to_string(), "a\\n\\\\\\xffé");
    }
}
