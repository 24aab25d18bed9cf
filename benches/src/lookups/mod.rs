//! The lookups, shared by the benchmarks of time and of instructions.

mod dictionary;
mod digests;
mod erofs;
mod estargz;
mod names;
mod rafs_v5;
mod rafs_v6;

use std::fs;
use std::path::Path;

use lazyoci::rafs_format::Version;

use crate::layer::Shape;

pub use dictionary::DictionaryLookups;
pub use digests::Digests;
pub use erofs::Erofs;
pub use estargz::{Estargz, estargz_image, estargz_toc, read_estargz};
pub use names::Names;
pub use rafs_v5::RafsV5;
pub use rafs_v6::RafsV6;

/// How many lookups are done in one go.
pub const COUNT: usize = 1000;

/// The shape of the image that is asked.
pub const SHAPE: Shape = Shape::LOOKUPS;

/// Bytes of its chunks: few, so that files of many chunks are cheap to make.
pub const CHUNK_SIZE: u32 = 4096;

/// Name of the directory with the RAFS v5 image in the directory of images.
const RAFS_V5: &str = "rafs-v5";
/// Name of the directory with the RAFS v6 image there.
const RAFS_V6: &str = "rafs-v6";
/// Name of the plain EROFS image there.
const EROFS: &str = "image.erofs";
/// Name of the eStargz layer there.
const ESTARGZ: &str = "layer.esgz";

/// Writes the images that are asked into `directory`.
///
/// # Panics
/// If they cannot be written.
pub fn prepare(directory: &Path) {
    SHAPE.rafs(Version::V5, &directory.join(RAFS_V5), CHUNK_SIZE);
    SHAPE.rafs(Version::V6, &directory.join(RAFS_V6), CHUNK_SIZE);
    SHAPE.erofs(&directory.join(EROFS), CHUNK_SIZE);
    fs::write(directory.join(ESTARGZ), SHAPE.estargz(CHUNK_SIZE)).expect("there is room");
}
