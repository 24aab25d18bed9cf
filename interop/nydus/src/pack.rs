//! A directory as an image.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use nydus_builder::attributes::Attributes;
use nydus_builder::{
    ArtifactStorage, BlobManager, BootstrapManager, BuildContext, Builder, ConversionType,
    DirectoryBuilder, Features, Prefetch, PrefetchPolicy, WhiteoutSpec,
};
use nydus_rafs::metadata::RafsVersion;
use nydus_storage::device::BlobFeatures;
use nydus_storage::meta::BatchContextGenerator;
use nydus_utils::{compress, digest};

use crate::Fallible;

/// Writes `dir` to `output`, as `nydus-image create` of that release does with these options.
pub(crate) fn pack(dir: &Path, output: &Path, options: &[&str]) -> Fallible<()> {
    let (mut compressor, mut digester) = (compress::Algorithm::Zstd, digest::Algorithm::Sha256);
    let (mut chunk_size, mut batch_size) = (1 << 20, 0);
    let (mut encrypt, mut inline, mut features) = (false, false, Features::new());
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().copied().ok_or("a value is missing");
        match *option {
            "--compressor" => compressor = value()?.parse()?,
            "--digester" => digester = value()?.parse()?,
            "--chunk-size" => chunk_size = value()?.parse()?,
            "--batch-size" => batch_size = value()?.parse()?,
            "--encrypt" => encrypt = true,
            "--inline" => inline = true,
            "--toc" => features = Features::try_from("blob-toc")?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let blobs = output.join("blobs");
    fs::create_dir_all(&blobs)?;
    let mut context = BuildContext::new(
        String::new(),
        true,
        0,
        compressor,
        digester,
        true,
        WhiteoutSpec::None,
        ConversionType::DirectoryToRafs,
        dir.to_owned(),
        Prefetch::new(PrefetchPolicy::None)?,
        Some(ArtifactStorage::FileDir((blobs, String::new()))),
        None,
        inline,
        features,
        encrypt,
        Attributes::default(),
    );
    context.set_fs_version(RafsVersion::V6);
    context.set_chunk_size(chunk_size);
    context.set_batch_size(batch_size);
    if batch_size > 0 {
        let batches = BatchContextGenerator::new(batch_size)?;
        context.blob_batch_generator = Some(Mutex::new(batches));
        context.blob_features |= BlobFeatures::BATCH | BlobFeatures::CHUNK_INFO_V2;
    }
    if encrypt {
        context.blob_features |= BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2;
    }
    let bootstrap = (!inline).then(|| ArtifactStorage::SingleFile(output.join("image.boot")));
    let mut bootstraps = BootstrapManager::new(bootstrap, None);
    let mut blobs = BlobManager::new(digester, false);
    DirectoryBuilder::new().build(&mut context, &mut bootstraps, &mut blobs)?;
    // A bootstrap of files that are stored elsewhere, of which there are none.
    let external = output.join("image.external");
    if external.exists() {
        fs::remove_file(external)?;
    }
    Ok(())
}
