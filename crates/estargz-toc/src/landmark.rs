//! Landmarks: two reserved names at the root that say what to fetch ahead of time.

use image_model::{ImagePath, Node};

/// What a layer says about fetching ahead of time.
///
/// A landmark is a regular file at the root of the archive with the single byte [`BYTE`](Self::BYTE)
/// as content, and nothing else set in its tar header. It is no file of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Landmark {
    /// `.prefetch.landmark`: what lies in front of it is worth fetching at once.
    Prefetch,
    /// `.no.prefetch.landmark`: nothing is. It wins where both are there.
    NoPrefetch,
}

impl Landmark {
    /// The content of a landmark.
    pub const BYTE: u8 = 0x0f;

    /// The landmark called `path`.
    #[must_use]
    pub fn of(path: &ImagePath) -> Option<Self> {
        [Self::Prefetch, Self::NoPrefetch]
            .into_iter()
            .find(|landmark| path.as_bytes() == landmark.name().as_bytes())
    }

    /// Whether `path` lies below what is called as a landmark is, which is a directory then.
    #[must_use]
    pub fn is_above(path: &ImagePath) -> bool {
        [Self::Prefetch, Self::NoPrefetch].iter().any(|landmark| {
            let rest = path.as_bytes().strip_prefix(landmark.name().as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"/"))
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefetch => ".prefetch.landmark",
            Self::NoPrefetch => ".no.prefetch.landmark",
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(self) -> ImagePath {
        ImagePath::clean(self.name().as_bytes()).expect("it is a name")
    }

    /// What it is, for a tar header.
    #[must_use]
    pub const fn node() -> Node<()> {
        Node::File {
            size: 1,
            content: (),
        }
    }
}
