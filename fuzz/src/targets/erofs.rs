//! EROFS images that are not RAFS, and trees to EROFS and back.

use std::sync::Arc;

use lazyoci::blob_io::WriterOutput;
use lazyoci::bytes::Bytes;
use lazyoci::convert::{ErofsOptions, FileContent, to_erofs};
use lazyoci::erofs_format::ErofsImage;
use lazyoci::model::{Blame as _, DigestAlgorithm, Limits};
use lazyoci::read::{NoBlobs, OpenOptions, VerifyOptions, open_source};

use super::input::Input;
use super::same::see;
use super::tree::take_tree;

/// Opens the bytes as an image, asks it everything, checks and prints it; nothing that is read of it is
/// wrong if the check finds nothing. The same without the checksum, which fuzzers do not find.
pub fn erofs(data: &[u8]) {
    look_at(data);
    let mut unsealed = data.to_vec();
    if let Some([checksum, compat]) = unsealed
        .get_mut(1028..1036)
        .map(|b| b.as_chunks_mut::<4>().0)
        && compat[0] & 1 != 0
    {
        compat[0] &= !1;
        *checksum = [0; 4];
        look_at(&unsealed);
    }
}

fn look_at(data: &[u8]) {
    let limits = Limits::small();
    let image = match ErofsImage::open(Bytes::copy_from_slice(data), &limits) {
        Ok(image) => image,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let mut found = 0;
    let summary = image.check(&mut |finding| {
        found += 1;
        let _ = (finding.to_string(), finding.what.fault());
    });
    assert_eq!(summary.findings, found);
    let mut dump = String::new();
    image.dump(&mut dump).expect("a string takes all text");
    let seen = see(&image, &limits);
    let few =
        summary.names < limits.max_inodes.into() && summary.extents < limits.max_chunks.into();
    assert!(
        found > 0 || !few || seen.is_some(),
        "nothing was found wrong"
    );
}

/// Writes an arbitrary tree: what cannot be carried is left out, the rest comes back, and the bytes do
/// not depend on the threads.
pub fn erofs_round_trip(data: &[u8]) {
    let input = &mut Input::new(data);
    let options = ErofsOptions::default()
        .chunk_size(input.one_of(&[4096, 8192, 1 << 20]))
        .digest(DigestAlgorithm::Sha256)
        .verity(input.flag())
        .lossy(true);
    let tree = take_tree(input);
    let write = |threads| {
        let tree = tree
            .clone()
            .map(|_, _, pattern| FileContent::from(pattern.bytes()));
        let mut bytes = Vec::new();
        let mut output = WriterOutput::new(&mut bytes);
        let options = options.clone().threads(threads);
        to_erofs(tree, &mut output, &options, &mut ()).expect("losses are allowed");
        bytes
    };
    let bytes = write(1);
    assert!(write(3) == bytes, "other bytes by other threads");
    let image = Arc::new(Bytes::from(bytes));
    let image = open_source(image, None, NoBlobs, &OpenOptions::default());
    let image = image.expect("it was written by us");
    let mut tell = |finding| panic!("wrong: {finding}");
    let verified = image.verify(&VerifyOptions::default(), &mut (), &mut tell);
    verified.expect("nobody cancels");
    let seen = see(image.image(), &Limits::default());
    seen.expect("a sound image answers everything");
}
