//! Plain tars as images that the kernel mounts.

use std::path::Path;
use std::sync::Arc;

use nydus_api::ConfigV2;
use nydus_builder::attributes::Attributes;
use nydus_builder::{
    ArtifactStorage, BlobManager, BootstrapManager, BuildContext, Builder, ConversionType,
    Features, Merger, Prefetch, TarballBuilder, Tree, WhiteoutSpec,
};
use nydus_rafs::metadata::{RafsSuper, RafsVersion};
use nydus_utils::{compress, digest};

use crate::Fallible;

/// Describes `tar` as a tarfs image.
pub(crate) fn describe(chunk_size: &str, tar: &str, bootstrap: &str) -> Fallible<()> {
    let kind = ConversionType::TarToTarfs;
    let mut context = context(kind, tar);
    context.set_chunk_size(chunk_size.parse()?);
    let mut bootstraps = BootstrapManager::new(Some(file(bootstrap)), None);
    let mut blobs = BlobManager::new(digest::Algorithm::Sha256, false);
    TarballBuilder::new(kind).build(&mut context, &mut bootstraps, &mut blobs)?;
    Ok(())
}

/// Merges bootstraps of layers, the lowest first.
pub(crate) fn merge(layers: &[&str], bootstrap: &str) -> Fallible<()> {
    let mut context = context(ConversionType::TarToRafs, "");
    let layers = layers.iter().map(Into::into).collect();
    let config = Arc::new(ConfigV2::default());
    let target = file(bootstrap);
    Merger::merge(
        &mut context,
        None,
        layers,
        None,
        None,
        None,
        None,
        None,
        target,
        None,
        config,
    )?;
    Ok(())
}

/// Loads a bootstrap with all of its inodes and chunks, and prints how many there are.
pub(crate) fn check(bootstrap: &Path) -> Fallible<()> {
    let config = Arc::new(ConfigV2::default());
    let (image, _) = RafsSuper::load_from_file(bootstrap, config, false)?;
    let tree = Tree::from_bootstrap(&image, &mut ())?;
    let (mut inodes, mut chunks) = (0, 0);
    tree.walk_bfs(true, &mut |tree| {
        inodes += 1;
        chunks += tree.borrow_mut_node().chunks.len();
        Ok(())
    })?;
    println!("{inodes} names, {chunks} chunks");
    Ok(())
}

fn context(kind: ConversionType, source: &str) -> BuildContext {
    let mut context = BuildContext::new(
        String::new(),
        false,
        0,
        compress::Algorithm::None,
        digest::Algorithm::Sha256,
        true,
        WhiteoutSpec::Oci,
        kind,
        source.into(),
        Prefetch::default(),
        None,
        None,
        false,
        Features::new(),
        false,
        Attributes::default(),
    );
    context.set_fs_version(RafsVersion::V6);
    context
}

fn file(path: &str) -> ArtifactStorage {
    ArtifactStorage::SingleFile(path.into())
}
