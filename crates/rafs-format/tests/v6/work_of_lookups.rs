//! Opening a bootstrap and looking a path up reads as much as the path's depth times the logarithm of
//! its directories' lengths says, whatever else is there.

use image_model::DigestAlgorithm;

use crate::common::{Store, encode, open, options};
use crate::work::{check_growth, find_innermost, lines_read, nested};

#[test]
fn a_path_is_looked_up_in_logarithmic_time() {
    check_growth(3, &|entries| {
        let store = Store::new(DigestAlgorithm::Sha256, 4096);
        let stored = store.image(nested(entries));
        let bytes = encode(&stored, &options(DigestAlgorithm::Sha256, 4096)).unwrap();
        lines_read(&bytes, &|bytes| find_innermost(&open(bytes).ok()?, entries))
    });
}
