//! What is odd, counted and kept within bounds.

use lazyoci_image_model::advisory::{Advisories, Oddity};

use crate::common::path;

#[test]
fn paths_are_kept_up_to_a_sum() {
    let mut advisories = Advisories::default();
    // A megabyte each.
    let long = path(&vec!["x".repeat(250); 4_000].join("/"));
    for _ in 0..2_000 {
        advisories.add(Some(&long), Oddity::BelowSymlink);
    }
    advisories.add(Some(&path("short")), Oddity::BelowSymlink);
    let mut all = Advisories::default();
    all.append(advisories.clone());
    all.append(advisories);
    assert_eq!(all.count(), 4_002);
    let kept = all.kept().iter().flat_map(|advisory| &advisory.path);
    let lens: Vec<_> = kept.map(|path| path.as_bytes().len()).collect();
    let len = long.as_bytes().len();
    assert_eq!(lens, [len, len, len, len, 5, 5]);
}

#[test]
fn a_thousand_are_kept_and_all_are_counted() {
    let mut many = Advisories::default();
    for _ in 0..2_000 {
        many.add(None, Oddity::NamePrefix);
    }
    assert_eq!((many.count(), many.kept().len()), (2_000, 1_024));
}
