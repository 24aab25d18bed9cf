//! Where a chunk is stored.

use image_model::{BlobId, Codec, Decode, Digest, Frame, Recipe, Vouched};

/// Where a chunk is stored: its frame, and what formats want to know besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The frame that holds the chunk. Blobs are those of the dictionary, recipes those of [`recipes`].
    pub frame: Frame,
    /// First byte of the chunk in the decoded frame.
    pub offset_in_frame: u32,
    /// Position among the chunks of its blob.
    pub index: u32,
    /// First byte in the decoded address space of its blob.
    pub address: u64,
}

/// A chunk and its place: what a dictionary consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Digest of the plain bytes.
    pub digest: Digest,
    /// Plain bytes.
    pub len: u32,
    /// Where they are stored.
    pub placement: Placement,
}

/// A blob that a dictionary refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Name of the blob.
    pub id: BlobId,
    /// Where it can be found: a repository, or nothing.
    pub origin: String,
    /// What the format says of the blob, in its own encoding.
    pub detail: Vec<u8>,
}

impl BlobRecord {
    /// A blob of which only the name is known.
    ///
    /// ```
    /// use image_model::BlobId;
    /// use lazyoci_chunk_dedup::BlobRecord;
    /// let blob = BlobRecord::new(BlobId::new(b"ab12")?).origin("library/debian");
    /// assert_eq!((blob.origin.as_str(), blob.detail.len()), ("library/debian", 0));
    /// # Ok::<(), image_model::blob::BlobIdError>(())
    /// ```
    #[must_use]
    pub fn new(id: BlobId) -> Self {
        Self {
            id,
            origin: String::new(),
            detail: Vec::new(),
        }
    }

    /// The same blob, found in the repository `origin`.
    #[must_use]
    pub fn origin(self, origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            ..self
        }
    }

    /// The same blob, of which the format says `detail`.
    #[must_use]
    pub fn detail(self, detail: impl Into<Vec<u8>>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }
}

/// Codecs by their numbers on disk.
const CODECS: [Codec; 4] = [Codec::None, Codec::Lz4Block, Codec::Zstd, Codec::Gzip];

/// Number of recipes.
pub(crate) const RECIPES: u32 = 8;

/// How chunks of a dictionary are stored: [`Placement::frame`] counts recipes as they come here. First the
/// frames of exactly one codec, then those of which only the beginning is wanted.
///
/// ```
/// use image_model::{Codec, Recipe};
/// let recipes: Vec<Recipe> = lazyoci_chunk_dedup::recipes().collect();
/// assert_eq!(recipes[2], Recipe::exact(Codec::Zstd));
/// assert_eq!(recipes[7], Recipe::prefix(Codec::Gzip));
/// ```
pub fn recipes() -> impl Iterator<Item = Recipe> {
    let exact = CODECS.into_iter().map(Recipe::exact);
    exact.chain(CODECS.into_iter().map(Recipe::prefix))
}

/// The number of a recipe; `None` for those that a dictionary cannot state: frames with a digest of their own.
#[must_use]
pub fn recipe_number(recipe: &Recipe) -> Option<u32> {
    if recipe.vouched != Vouched::Nothing {
        return None;
    }
    let number = |codec| CODECS.iter().position(|&known| known == codec);
    let number = match recipe.decode {
        Decode::Exact(codec) => number(codec)?,
        Decode::Prefix(codec) => number(codec)? + CODECS.len(),
        _ => return None,
    };
    u32::try_from(number).ok()
}
