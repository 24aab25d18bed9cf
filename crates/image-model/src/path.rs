//! Paths inside an image.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::name::{Brief, NameError, NameRef, write_escaped};

/// A path inside an image, cleaned lexically at the root: components joined by `/`, no leading or
/// trailing slash, no `.`, no `..`. The root is the empty path. Cleaning is what containerd does
/// with a tar member's name (Go's `path.Clean("/" + name)`): `..` never leaves the root, repeated
/// and trailing slashes are dropped. Symbolic links are not resolved.
///
/// ```
/// use lazyoci_image_model::ImagePath;
/// assert_eq!(ImagePath::clean(b"./usr//lib/../bin/")?.as_bytes(), b"usr/bin");
/// assert_eq!(ImagePath::clean(b"../../etc")?.as_bytes(), b"etc");
/// assert!(ImagePath::clean(b"/")?.is_root());
/// # Ok::<(), lazyoci_image_model::path::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ImagePath(Vec<u8>);

/// A component of a path is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid path component at byte {offset}")]
pub struct PathError {
    /// Offset of the component in the path as given, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub source: NameError,
}

impl ImagePath {
    /// The root directory.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Cleans `raw`, which may be relative, absolute, or try to climb above the root.
    ///
    /// # Errors
    /// [`PathError`] if a component contains NUL or is too long.
    pub fn clean(raw: &[u8]) -> Result<Self, PathError> {
        let mut path = Self(Vec::with_capacity(raw.len()));
        let mut offset = 0;
        for component in raw.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    path.pop();
                }
                _ => {
                    let name =
                        NameRef::new(component).map_err(|source| PathError { offset, source })?;
                    path.push(name);
                }
            }
            offset += component.len() + 1;
        }
        Ok(path)
    }

    /// The joined components; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = NameRef<'_>> {
        self.0
            .split(|&b| b == b'/')
            .filter_map(|component| NameRef::new(component).ok())
    }

    /// Appends one component.
    pub fn push(&mut self, name: NameRef<'_>) {
        if !self.is_root() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name.as_bytes());
    }

    /// Removes the last component; false at the root.
    pub fn pop(&mut self) -> bool {
        let popped = !self.is_root();
        let keep = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        self.0.truncate(keep);
        popped
    }

    /// This path with one more component.
    #[must_use]
    pub fn join(&self, name: NameRef<'_>) -> Self {
        let mut path = Self(Vec::with_capacity(self.0.len() + 1 + name.as_bytes().len()));
        path.0.extend_from_slice(&self.0);
        path.push(name);
        path
    }

    /// The parent directory of this path and the name in it; `None` at the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, NameRef<'_>)> {
        if self.is_root() {
            return None;
        }
        let (parent, name) = match self.0.iter().rposition(|&b| b == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&[][..], &self.0[..]),
        };
        let name = NameRef::new(name).expect("components were checked when they were pushed");
        Some((Self(parent.to_vec()), name))
    }

    /// The joined components of the parent directory; empty also for the root.
    pub(crate) fn parent_bytes(&self) -> &[u8] {
        let slash = self.0.iter().rposition(|&b| b == b'/');
        &self.0[..slash.unwrap_or(0)]
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn last(&self) -> Option<NameRef<'_>> {
        let start = self
            .0
            .iter()
            .rposition(|&b| b == b'/')
            .map_or(0, |at| at + 1);
        NameRef::new(&self.0[start..]).ok()
    }

    /// Walk order of paths: component by component, each as bytes. The type's own order compares
    /// the joined bytes, where `a-b` comes before `a/b`.
    #[must_use]
    pub fn walk_order(&self, other: &Self) -> Ordering {
        let slash = |byte: &u8| *byte == b'/';
        self.0.split(slash).cmp(other.0.split(slash))
    }

    /// Number of components; 0 for the root.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.components().count()
    }
}

/// Like [`clean`](ImagePath::clean): any text without NUL is a path, if its components are not too long. Escapes of a
/// displayed path are not undone.
///
/// ```
/// use lazyoci_image_model::ImagePath;
/// let path: ImagePath = "/etc/os-release".parse()?;
/// assert_eq!(path.to_string(), "/etc/os-release");
/// # Ok::<(), lazyoci_image_model::path::PathError>(())
/// ```
impl FromStr for ImagePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::clean(text.as_bytes())
    }
}

/// With a leading slash, escaped like a name. `{path}` is the whole path. `{path:#}` is for
/// messages: a path longer than [`Brief::LEN`](crate::name::Brief::LEN) is cut to its first bytes
/// and its length.
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        match self.0.get(..Brief::LEN) {
            Some(start) if f.alternate() && start.len() < self.0.len() => {
                write_escaped(f, start)?;
                write!(f, "... ({} bytes)", self.0.len())
            }
            _ => write_escaped(f, &self.0),
        }
    }
}

/// As displayed: what is not UTF-8 is escaped.
#[cfg(feature = "serde")]
impl serde::Serialize for ImagePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_follows_go() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b".", b""),
            (b"./", b""),
            (b"/", b""),
            (b"a", b"a"),
            (b"./a", b"a"),
            (b"/a", b"a"),
            (b"a/", b"a"),
            (b"a//b", b"a/b"),
            (b"a/./b", b"a/b"),
            (b"../a", b"a"),
            (b"a/../b", b"b"),
            (b"a/../../../b/c", b"b/c"),
            (b"..gitme", b"..gitme"),
            // The cases of containers/storage.
            (b"..", b""),
            (b"foo/../..", b""),
            (b"/foo/../..", b""),
            (b"../", b""),
            (b"/../", b""),
            (b"/.", b""),
            (b"/foo/bar/../baz", b"foo/baz"),
            (b"/foo/bar/../../baz", b"baz"),
            (b"/././foo", b"foo"),
            (b"./foo/bar/../..", b""),
            (b"foo/..", b""),
            (b"//foo//bar", b"foo/bar"),
            (b"foo/bar//baz/..", b"foo/bar"),
            (b"../..", b""),
            (b".././..", b""),
            (b"../../.", b""),
            (b"/../../foo", b"foo"),
            (b"../foo/bar/../baz", b"foo/baz"),
            (b"../.././/.//../foo/./../bar/..", b""),
            (b"a/../.././/.//../foo/./../bar/..", b""),
        ];
        for (raw, clean) in cases {
            assert_eq!(ImagePath::clean(raw).unwrap().as_bytes(), *clean);
        }
    }

    #[test]
    fn text_is_a_path() {
        let path: ImagePath = "/usr//lib/../caf\u{e9}".parse().unwrap();
        assert_eq!(path.as_bytes(), "usr/caf\u{e9}".as_bytes());
        assert_eq!("a/b\0".parse::<ImagePath>().unwrap_err().offset, 2);
    }

    #[test]
    fn a_bad_component_is_located() {
        assert_eq!(
            ImagePath::clean(b"ab/c\0"),
            Err(PathError {
                offset: 3,
                source: NameError::Byte { byte: 0, offset: 1 }
            })
        );
    }

    #[test]
    fn push_pop_split() {
        let mut path = ImagePath::clean(b"a/b").unwrap();
        let (parent, name) = path.split_last().unwrap();
        assert_eq!((parent.as_bytes(), name.as_bytes()), (&b"a"[..], &b"b"[..]));
        assert_eq!(path.depth(), 2);
        assert!(path.pop() && path.pop() && !path.pop());
        assert_eq!(path, ImagePath::root());
        assert_eq!(path.split_last(), None);
        assert_eq!(path.last(), None);
    }

    #[test]
    fn the_order_of_a_walk_is_not_that_of_the_bytes() {
        let in_walk_order = [&b""[..], b"a", b"a/b", b"a/b/c", b"a/c", b"a-b", b"b"];
        let paths = in_walk_order.map(|raw| ImagePath::clean(raw).unwrap());
        for (i, a) in paths.iter().enumerate() {
            for (j, b) in paths.iter().enumerate() {
                assert_eq!(a.walk_order(b), i.cmp(&j));
            }
        }
        assert!(paths[2] > paths[5]);
    }
}
