//! Every byte of a small bootstrap, changed.

use std::ops::ControlFlow;

use bytes::Bytes;
use image_model::walk::Walk;
use image_model::{ExtentSource, FileKind, Image, Limits};
use lazyoci_rafs_format::v6::Bootstrap;

use crate::common::A4;

/// What a reader would see: every path with everything that decides about content.
fn content(bootstrap: &Bootstrap) -> Option<String> {
    let mut seen = String::new();
    let mut walk = Walk::new(bootstrap, &Limits::small());
    while let Some(entry) = walk.next_entry() {
        let entry = entry.ok()?;
        seen += &format!("{} {:?}\n", entry.path, entry.attributes.kind);
        match entry.attributes.kind {
            FileKind::File => {
                let extents = bootstrap.extents(entry.ino, 0..u64::MAX, &mut |extent| {
                    // A digest that was changed is found when the content is read.
                    let ExtentSource::Chunk { frame, digest, .. } = extent.source else {
                        return ControlFlow::Break(());
                    };
                    let Ok(frame) = bootstrap.frame(frame) else {
                        return ControlFlow::Break(());
                    };
                    seen += &format!("{} {digest:?} {frame:?}\n", extent.file_offset);
                    ControlFlow::Continue(())
                });
                extents.ok()?;
            }
            FileKind::Symlink => {
                let target = bootstrap.symlink_target(entry.ino).ok()?;
                seen += &format!("{}\n", target.escape_ascii());
            }
            _ => {}
        }
    }
    Some(seen)
}

/// No change makes a decoder panic. What changes content unnoticed, by loader, access and check alike,
/// is what only the digest of the bootstrap can vouch for: names, link targets, and digests of chunks,
/// which are found to be wrong when the chunk is read.
#[test]
fn every_flipped_byte_is_noticed_where_it_can_be() {
    let sound = Bootstrap::open(Bytes::from_static(A4), &Limits::small()).unwrap();
    let expected = content(&sound).unwrap();
    let mut unnoticed = Vec::new();
    for offset in 0..A4.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bytes = A4.to_vec();
            bytes[offset] ^= mask;
            let Ok(bootstrap) = Bootstrap::open(Bytes::from(bytes), &Limits::small()) else {
                continue;
            };
            let mut dump = String::new();
            bootstrap.dump(&mut dump).unwrap();
            let refused = bootstrap.to_chunked().is_err();
            let found = bootstrap.check(&mut |_| ()).findings > 0;
            if !refused && !found && content(&bootstrap).as_ref() != Some(&expected) {
                unnoticed.push(offset);
            }
        }
    }
    unnoticed.dedup();
    let beyond_checks = [
        0x1050..0x1051, // which digest algorithm the blob has
        0x308d..0x308f, // names of the root: `f`, `z`
        0x3213..0x3215, // names of `d`: `h`, `l`
        0x3260..0x3264, // target of `d/l`
        0x4000..0x4020, // digest of the first chunk
        0x4050..0x4070, // digest of the second chunk
    ];
    assert_eq!(
        unnoticed,
        beyond_checks.into_iter().flatten().collect::<Vec<_>>()
    );
}
