//! With `lazyoci-estargz-toc` alone.

use std::error::Error;
use std::io;
use std::ops::Range;

use lazyoci_estargz_toc::image::ImageOptions;
use lazyoci_estargz_toc::model::walk::Walk;
use lazyoci_estargz_toc::model::{BlobId, Limits, StepMachine as _};
use lazyoci_estargz_toc::open::Opener;

/// Every path of a layer of `len` bytes that is read by ranges, wherever it is.
pub fn list(
    len: u64,
    mut read: impl FnMut(Range<u64>) -> io::Result<Vec<u8>>,
) -> Result<Vec<String>, Box<dyn Error>> {
    let opener = Opener::new(len, &Limits::default());
    let toc = opener.drive(|need| Ok::<_, Box<dyn Error>>(read(need.range)?.into()))?;
    let layer = toc.image(BlobId::new(b"layer")?, &ImageOptions::default())?;
    let mut walk = Walk::new(&*layer.image, &Limits::default());
    let mut paths = Vec::new();
    while let Some(entry) = walk.next_entry() {
        paths.push(entry?.path.to_string());
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_toc_is_read_through_a_source_of_ones_own() {
        let layer = include_bytes!("../../../../crates/estargz-toc/tests/goldens/odd.esgz");
        let mut requests = 0;
        let paths = super::list(layer.len() as u64, |range| {
            requests += 1;
            Ok(layer[range.start as usize..range.end as usize].to_vec())
        });
        assert_eq!(paths.unwrap()[0], "/");
        assert!(requests <= 2, "{requests} requests");
    }
}
