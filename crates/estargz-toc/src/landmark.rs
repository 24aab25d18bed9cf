//! Landmarks: two reserved names at the root that say what to fetch ahead of time.

use image_model::{ImagePath, Node};

/// A layer's instruction about prefetching. A landmark is a regular file at the root of the archive with the single
/// byte [`BYTE`](Self::BYTE) as content, and nothing else set in its tar header. It is not a file of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Landmark {
    /// `.prefetch.landmark`: everything before it is worth prefetching.
    Prefetch,
    /// `.no.prefetch.landmark`: nothing is. It wins if both are present.
    NoPrefetch,
}

impl Landmark {
    /// The content of a landmark.
    pub const BYTE: u8 = 0x0f;

    /// The landmark named `path`.
    #[must_use]
    pub fn of(path: &ImagePath) -> Option<Self> {
        [Self::Prefetch, Self::NoPrefetch]
            .into_iter()
            .find(|landmark| path.as_bytes() == landmark.name().as_bytes())
    }

    /// Whether `path` is below a directory named like a landmark.
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

    /// Its node, for a tar header.
    #[must_use]
    pub const fn node() -> Node<()> {
        Node::File {
            size: 1,
            content: (),
        }
    }
}
