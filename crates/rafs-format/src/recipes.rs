//! How chunks are stored, as the records in bootstraps of both versions number it.

use image_model::width::usize_from;
use image_model::{BlobIndex, Codec, Decode, Recipe, RecipeId};

use crate::v6::BlobEntry;

/// How chunks of native blobs are stored. A frame's recipe is a position in this list.
const NATIVE_CODECS: [Codec; 3] = [Codec::None, Codec::Lz4Block, Codec::Zstd];

/// The position of the recipe of `codec` in [`native_recipes`].
pub(crate) fn native_recipe(codec: Codec) -> RecipeId {
    RecipeId(match codec {
        Codec::Lz4Block => 1,
        Codec::Zstd => 2,
        // Gzip was refused earlier.
        _ => 0,
    })
}

/// The recipes of native blobs: each chunk is a frame of one codec, and has a digest of its own.
pub(crate) fn native_recipes() -> impl Iterator<Item = Recipe> {
    NATIVE_CODECS.into_iter().map(Recipe::exact)
}

/// The recipe of frames of `codec` in blob number `blob`, whose entry is `entry`: if it is encrypted, one of the two
/// that each blob of version 6 has after [those](native_recipes) of all.
pub(crate) fn recipe_in(entry: &BlobEntry, blob: BlobIndex, codec: Codec) -> RecipeId {
    match entry.is_encrypted() {
        true => encrypted_recipe(blob, codec),
        false => native_recipe(codec),
    }
}

/// The recipe of frames of `codec` in blob number `blob`, which is encrypted.
pub(crate) fn encrypted_recipe(blob: BlobIndex, codec: Codec) -> RecipeId {
    let first = blob.0.saturating_mul(2).saturating_add(NATIVE_COUNT);
    RecipeId(first.saturating_add((codec != Codec::None).into()))
}

/// The recipes of images with these blobs; those of a blob that is not encrypted are the codecs alone.
pub(crate) fn all_recipes(entries: &[BlobEntry]) -> Vec<Recipe> {
    let blobs = entries.iter().flat_map(|entry| {
        [Codec::None, entry.compressor.into()].map(|codec| match entry.xts_key() {
            Some(key) => Decode::Encrypted(key, codec).into(),
            None => Recipe::exact(codec),
        })
    });
    native_recipes().chain(blobs).collect()
}

/// How many recipes images with these blobs have, of frames of which the bootstrap tells.
pub(crate) fn recipe_bound(entries: &[BlobEntry]) -> u32 {
    let blobs = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    blobs.saturating_mul(2).saturating_add(NATIVE_COUNT)
}

/// The recipes of images with these blobs, and of what records say of chunks that only their blobs locate.
pub(crate) fn recorded_recipes(entries: &[BlobEntry]) -> Vec<Recipe> {
    let mut recipes = all_recipes(entries);
    recipes.extend(UNLOCATED_CODECS.map(|codec| Decode::Unlocated(codec).into()));
    recipes
}

/// Of those, after `bound` others, the recipe of chunks that are said to be of `codec`.
pub(crate) fn unlocated_recipe(bound: u32, codec: Codec) -> RecipeId {
    RecipeId(bound.saturating_add((codec != Codec::None).into()))
}

/// Chunks in batches, and in gzip layers.
const UNLOCATED_CODECS: [Codec; 2] = [Codec::None, Codec::Gzip];

/// Number of the first [recipe](unlocated_recipe) of such chunks in a pool of blobs: after those of all blobs.
pub(crate) const UNLOCATED_IN_POOL: u32 = u32::MAX - 1;

const NATIVE_COUNT: u32 = 3;
const _: () = assert!(NATIVE_CODECS.len() == 3);

/// The recipe `id` of a pool of these blobs.
pub(crate) fn recipe_in_pool(entries: &[BlobEntry], id: RecipeId) -> Option<Recipe> {
    match id.0.checked_sub(UNLOCATED_IN_POOL) {
        None => recipe_of(entries, id),
        Some(number) => {
            let codec = UNLOCATED_CODECS.get(usize_from(number))?;
            Some(Decode::Unlocated(*codec).into())
        }
    }
}

/// The recipe `id` of images with these blobs.
pub(crate) fn recipe_of(entries: &[BlobEntry], id: RecipeId) -> Option<Recipe> {
    let Some(number) = id.0.checked_sub(NATIVE_COUNT) else {
        return native_recipes().nth(usize_from(id.0));
    };
    let entry = entries.get(usize_from(number / 2))?;
    let codec = match number % 2 {
        0 => Codec::None,
        _ => entry.compressor.into(),
    };
    Some(Decode::Encrypted(entry.xts_key()?, codec).into())
}
