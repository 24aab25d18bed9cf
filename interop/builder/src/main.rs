//! nydus-builder 0.2.0 as a program, for what nydus-image 2.2.0 does not make.
//!
//! ```text
//! builder tarfs CHUNK-SIZE TAR BOOTSTRAP      describes a tar as a tarfs image
//! builder merge LAYER... BOOTSTRAP            merges bootstraps of layers, the lowest first
//! builder check BOOTSTRAP                     loads it with all of its inodes and chunks, and prints how many there are
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nydus_api::ConfigV2;
use nydus_builder::attributes::Attributes;
use nydus_builder::{
    ArtifactStorage, BlobManager, BootstrapManager, BuildContext, Builder, ConversionType,
    Features, Merger, Prefetch, TarballBuilder, Tree, WhiteoutSpec,
};
use nydus_rafs::metadata::{RafsSuper, RafsVersion};
use nydus_utils::{compress, digest};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["tarfs", chunk_size, tar, bootstrap] => tarfs(chunk_size.parse()?, tar, bootstrap),
        ["merge", ref layers @ .., bootstrap] => merge(layers, bootstrap),
        ["check", bootstrap] => check(bootstrap),
        _ => bail!("wrong arguments"),
    }
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
        PathBuf::from(source),
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

fn tarfs(chunk_size: u32, tar: &str, bootstrap: &str) -> Result<()> {
    let kind = ConversionType::TarToTarfs;
    let mut context = context(kind, tar);
    context.set_chunk_size(chunk_size);
    let mut bootstraps = BootstrapManager::new(Some(file(bootstrap)), None);
    let mut blobs = BlobManager::new(digest::Algorithm::Sha256, false);
    TarballBuilder::new(kind).build(&mut context, &mut bootstraps, &mut blobs)?;
    Ok(())
}

fn merge(layers: &[&str], bootstrap: &str) -> Result<()> {
    let mut context = context(ConversionType::TarToRafs, "");
    let layers = layers.iter().map(PathBuf::from).collect();
    let config = Arc::new(ConfigV2::default());
    Merger::merge(
        &mut context,
        None,
        layers,
        None,
        None,
        None,
        None,
        None,
        file(bootstrap),
        None,
        config,
    )?;
    Ok(())
}

fn check(bootstrap: &str) -> Result<()> {
    let config = Arc::new(ConfigV2::default());
    let (image, _) = RafsSuper::load_from_file(bootstrap, config, false)
        .with_context(|| format!("cannot load {bootstrap}"))?;
    let tree = Tree::from_bootstrap(&image, &mut ()).context("cannot load the tree")?;
    let (mut inodes, mut chunks) = (0, 0);
    tree.walk_bfs(true, &mut |tree| {
        inodes += 1;
        chunks += tree.borrow_mut_node().chunks.len();
        Ok(())
    })?;
    println!("{inodes} names, {chunks} chunks");
    Ok(())
}
