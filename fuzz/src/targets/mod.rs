//! What the targets do, without a fuzzer.
//!
//! A target takes any bytes, keeps to small limits, calls everything that there is to call, and panics
//! if something is not as it has to be.

mod chunk_lookup;
mod convert_chunked;
mod convert_image;
mod convert_layer;
mod converted;
mod descriptor;
mod dictionary_file;
mod diff_work;
mod erofs;
mod estargz;
mod estargz_compare;
mod estargz_round_trip;
mod frame_decode;
mod gzip_index;
mod input;
mod layer_stream;
mod layer_tar;
mod lossy;
mod memory;
mod merge;
mod open_image;
mod rafs_blob;
mod rafs_round_trip;
mod read_boundaries;
mod read_work;
mod reading;
mod same;
mod sections;
mod stargz;
mod tar;
mod tar_round_trip;
mod tree;
mod unpack;
mod v5;
mod v5_bootstrap;
mod v6;
mod v6_bootstrap;
mod v7;
mod verify_image;
mod whole_image;
mod zran;
mod zstd_chunked;
mod ztoc;

pub use chunk_lookup::chunk_lookup;
pub use convert_chunked::convert_chunked;
pub use convert_image::convert_image;
pub use convert_layer::convert_layer;
pub use descriptor::descriptor;
pub use dictionary_file::dictionary_file;
pub use diff_work::diff_work;
pub use erofs::{erofs, erofs_round_trip};
pub use estargz::estargz;
pub use estargz_compare::{estargz_agrees, estargz_compare};
pub use estargz_round_trip::estargz_round_trip;
pub use frame_decode::frame_decode;
pub use gzip_index::{gzip_index_build, gzip_index_read};
pub use layer_stream::layer_stream;
pub use layer_tar::layer_tar;
pub use lossy::lossy;
pub use merge::merge;
pub use open_image::open_image;
pub use rafs_blob::rafs_blob;
pub use rafs_round_trip::{v5_round_trip, v6_round_trip};
pub use read_boundaries::read_boundaries;
pub use read_work::read_work;
pub use sections::sections;
pub use tar_round_trip::tar_round_trip;
pub use unpack::unpack;
pub use v5_bootstrap::v5_bootstrap;
pub use v6_bootstrap::v6_bootstrap;
pub use v7::v7;
pub use verify_image::verify_image;
pub use whole_image::whole_image;
pub use zran::zran;
pub use zstd_chunked::{containers_toc, footers, tar_split};
pub use ztoc::{ztoc, ztoc_build};

/// A target by its name.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of the target, of its corpus, and of its folder of findings.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),*];
    };
}

targets![
    chunk_lookup,
    containers_toc,
    convert_chunked,
    convert_image,
    convert_layer,
    descriptor,
    dictionary_file,
    diff_work,
    erofs,
    erofs_round_trip,
    estargz,
    estargz_compare,
    estargz_round_trip,
    footers,
    frame_decode,
    gzip_index_build,
    gzip_index_read,
    layer_stream,
    layer_tar,
    lossy,
    merge,
    open_image,
    rafs_blob,
    read_boundaries,
    read_work,
    sections,
    tar_round_trip,
    tar_split,
    unpack,
    v5_bootstrap,
    v5_round_trip,
    v6_bootstrap,
    v6_round_trip,
    v7,
    verify_image,
    whole_image,
    zran,
    ztoc,
    ztoc_build,
];
