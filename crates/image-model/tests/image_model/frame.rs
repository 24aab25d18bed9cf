//! Recipes: how frames become plain, and what vouches for them.

use lazyoci_image_model::{
    BlobIndex, Codec, Decode, Digest, DigestAlgorithm, Frame, Recipe, RecipeId, Vouched,
};

#[test]
fn a_recipe_says_how_much_of_a_frame_is_wanted() {
    for codec in [Codec::None, Codec::Lz4Block, Codec::Zstd, Codec::Gzip] {
        let (exact, prefix) = (Recipe::exact(codec), Recipe::prefix(codec));
        assert_eq!(exact.decode, Decode::Exact(codec));
        assert_eq!(prefix.decode, Decode::Prefix(codec));
        assert_ne!(exact, prefix);
        for recipe in [exact, prefix] {
            assert_eq!(recipe.decode.codec(), codec);
            assert_eq!(recipe.vouched, Vouched::Nothing);
            assert_eq!(Recipe::from(recipe.decode.clone()), recipe);
        }
    }
}

#[test]
fn what_vouches_is_part_of_a_recipe() {
    let digest = Digest::new(DigestAlgorithm::Sha256, [1; 32]);
    let plain = Recipe::prefix(Codec::Gzip);
    for vouched in [Vouched::Stored(digest), Vouched::Decoded(digest)] {
        let recipe = plain.clone().vouched(vouched);
        assert_eq!(recipe.vouched, vouched);
        assert_eq!(recipe.decode, plain.decode);
        assert_ne!(recipe, plain);
        assert_eq!(recipe.vouched(Vouched::Nothing), plain);
    }
    assert_ne!(Vouched::Stored(digest), Vouched::Decoded(digest));
}

#[test]
fn frames_end_where_they_can() {
    let frame = Frame {
        blob: BlobIndex(0),
        offset: u64::MAX - 4,
        stored_len: 4,
        len: 9,
        recipe: RecipeId(0),
    };
    assert_eq!(frame.stored_end(), Some(u64::MAX));
    let longer = Frame {
        stored_len: 5,
        ..frame
    };
    assert_eq!(longer.stored_end(), None);
}
