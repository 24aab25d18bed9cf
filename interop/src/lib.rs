//! What the interop tests share: our examples, the peers, the corpora, mounts and the tree walker.
//!
//! Everything here panics with the name of what is missing or failed; nothing is skipped.

pub mod conversions;
pub mod corpus;
pub mod judge;
pub mod mount;
pub mod readers;
pub mod registry;
pub mod run;
pub mod runnable;

pub use corpus::Corpus;
pub use mount::Mount;
pub use registry::{Registry, Request};
pub use run::{Finished, lazyoci, nydus_image, script, tool};
pub use runnable::Runnable;

use std::path::{Path, PathBuf};

/// The folder of this package.
#[must_use]
pub fn interop_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where peers and corpora are kept, outside the source tree.
#[must_use]
pub fn cache_dir() -> PathBuf {
    std::env::var_os("LAZYOCI_CACHE").map_or_else(|| "/var/cache/lazyoci".into(), PathBuf::from)
}

/// A scratch directory in the cache, on the same file system as the corpora; gone when dropped.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("interop-")
        .tempdir_in(cache_dir())
        .unwrap_or_else(|e| panic!("no scratch directory in {}: {e}", cache_dir().display()))
}
