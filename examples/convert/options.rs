//! The library's options, from the arguments.

use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;

use lazyoci::chunk_dedup::Policy;
use lazyoci::convert::{
    ChunkDictionary, Chunking, EstargzOptions, RafsOptions, TarOptions, ZstdChunkedDialect,
    ZstdChunkedOptions,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{DigestAlgorithm, ImagePath, XtsKey};
use lazyoci::rafs_format::{BlobPool, Version};

use crate::args::{Args, Dialect, Digester, Target, does_not_fit};
use crate::common::bootstrap::Named;
use crate::common::{self, Failure};

pub(crate) fn rafs_options(args: &Args, version: Version) -> Result<RafsOptions, Failure> {
    let defaults = RafsOptions::default();
    let compression = match args.compressor {
        Some(compression) => compression,
        None if args.aligned => Compression::None,
        None => defaults.compression,
    };
    let digest = digest(args, defaults.digest);
    Ok(RafsOptions::default()
        .version(version)
        .compression(compression)
        .digest(digest)
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
        .compat(args.compat.unwrap_or_default())
        .aligned(args.aligned)
        .batch_size(args.batch_size.map_or(0, NonZeroU32::get))
        .key(args.encrypt_key.as_deref().map(key).transpose()?)
        .toc(args.toc)
        .inline_meta(args.inline_meta)
        .prefetch(prefetch_list(args)?)
        .prefetch_policy(args.prefetch_policy.unwrap_or_default())
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads)))
}

/// The key in a file, and the initial vector behind it.
fn key(path: &Path) -> Result<XtsKey, Failure> {
    let of = |failure: Failure| failure.of(path.display());
    let content = fs::read(path).map_err(|error| of(Failure::usage(error)))?;
    let bytes = match <[u8; 48]>::try_from(&content[..]) {
        Ok(bytes) => Some(bytes),
        Err(_) => from_hex(content.trim_ascii()),
    };
    let wrong = "a key file has 48 bytes, or 96 hexadecimal digits";
    let bytes = bytes.ok_or_else(|| of(Failure::usage(wrong)))?;
    let (mut key, mut iv) = ([0; 32], [0; 16]);
    key.copy_from_slice(&bytes[..32]);
    iv.copy_from_slice(&bytes[32..]);
    let weak = "both halves of a key must differ";
    XtsKey::new(key, iv).ok_or_else(|| of(Failure::usage(weak)))
}

/// The bytes that `digits` are.
fn from_hex(digits: &[u8]) -> Option<[u8; 48]> {
    let mut bytes = [0; 48];
    let (pairs, rest) = digits.as_chunks::<2>();
    // Numbers may begin with a sign.
    let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
    if pairs.len() != bytes.len() || !rest.is_empty() || !are_digits {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

pub(crate) fn digest(args: &Args, default: DigestAlgorithm) -> DigestAlgorithm {
    match args.digester {
        Some(Digester::Blake3) => DigestAlgorithm::Blake3,
        Some(Digester::Sha256) => DigestAlgorithm::Sha256,
        None => default,
    }
}

pub(crate) fn threads(args: &Args, default: usize) -> usize {
    args.threads.map_or(default, NonZeroUsize::get)
}

/// The chunks that need not be stored.
pub(crate) fn dictionary(args: &Args) -> Result<Option<ChunkDictionary>, Failure> {
    if args.chunk_dict.is_empty() {
        return Ok(None);
    }
    let mut dictionary = ChunkDictionary::default();
    let mut pool = BlobPool::default();
    for path in &args.chunk_dict {
        let of = |failure: Failure| failure.of(path.display());
        if let Some(file) = common::dictionary::open(path)? {
            // What came before is asked before.
            let both = dictionary.and_pool(std::mem::take(&mut pool));
            let both = both.and_then(|dictionary| dictionary.and_file(file));
            dictionary = both.map_err(|error| of(error.into()))?;
            continue;
        }
        let image = Named::open(path, &args.open)?;
        let added = pool.add(image.bootstrap(), image.own_blob.as_ref());
        added.map_err(|error| of(error.into()))?;
    }
    let dictionary = dictionary.and_pool(pool)?;
    Ok(Some(dictionary.policy(&policy(args))))
}

/// Which chunks of a dictionary are worth sharing.
pub(crate) fn policy(args: &Args) -> Policy {
    Policy::default()
        .min_chunk(args.min_shared.map_or(0, NonZeroU32::get))
        .origin(args.only_repository.clone())
        .max_blobs(args.max_shared_blobs)
        .min_used(args.min_used.unwrap_or(0))
}

pub(crate) fn prefetch_list(args: &Args) -> Result<Vec<ImagePath>, Failure> {
    let file = args.prefetch.as_deref();
    file.map_or_else(|| Ok(Vec::new()), common::prefetch::read)
}

pub(crate) fn estargz_options(args: &Args) -> Result<EstargzOptions, Failure> {
    let defaults = EstargzOptions::default();
    Ok(EstargzOptions::default()
        .compression(gzip(args)?)
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
        .content_defined(content_defined(args))
        .min_chunk_size(args.min_chunk_size.unwrap_or_default())
        .external_toc(args.to == Target::EstargzExternalToc)
        .lossless(args.lossless)
        .prefetch(prefetch_list(args)?)
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads)))
}

/// Minimum and average of chunks that the content decides about.
fn content_defined(args: &Args) -> Option<(u32, u32)> {
    match args.chunking {
        Some(Chunking::FastCdc { min, avg, .. }) => Some((min, avg)),
        _ => None,
    }
}

pub(crate) fn zstd_chunked_options(args: &Args) -> Result<ZstdChunkedOptions, Failure> {
    let defaults = ZstdChunkedOptions::default();
    let compression = match args.compressor {
        None => defaults.compression,
        Some(compression @ Compression::Zstd { .. }) => compression,
        Some(compression) => return Err(compressor_does_not_fit(args, compression)),
    };
    let dialect = match args.dialect {
        Some(Dialect::A) => ZstdChunkedDialect::Stargz,
        Some(Dialect::B) | None => ZstdChunkedDialect::Containers,
    };
    Ok(ZstdChunkedOptions::default()
        .dialect(dialect)
        .compression(compression)
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
        .min_chunk_size(args.min_chunk_size.unwrap_or_default())
        .content_defined(content_defined(args))
        .lossless(args.lossless && dialect == ZstdChunkedDialect::Stargz)
        .prefetch(prefetch_list(args)?)
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads)))
}

/// The gzip encoder that the examples have, at the level asked for.
pub(crate) fn gzip(args: &Args) -> Result<Compression, Failure> {
    match args.compressor {
        None => Ok(Compression::Libdeflate { level: 6 }),
        Some(Compression::Gzip { level } | Compression::Libdeflate { level }) => {
            Ok(Compression::Libdeflate { level })
        }
        Some(compression) => Err(compressor_does_not_fit(args, compression)),
    }
}

pub(crate) fn compressor_does_not_fit(args: &Args, compression: Compression) -> Failure {
    does_not_fit(args, format_args!("--compressor {compression}"))
}

pub(crate) fn tar_options(args: &Args) -> Result<TarOptions, Failure> {
    let compression = match (args.to, args.compressor) {
        (Target::TarGzip, _) | (Target::Oci, None) => gzip(args)?,
        (Target::Oci, Some(Compression::None)) => Compression::None,
        (Target::Oci, Some(compression @ Compression::Zstd { .. })) => compression,
        (Target::Oci, Some(_)) => gzip(args)?,
        (Target::TarZstd, None) => Compression::Zstd { level: 3 },
        (Target::TarZstd, Some(compression @ Compression::Zstd { .. })) => compression,
        (Target::Tar, None | Some(Compression::None)) => Compression::None,
        (_, Some(compression)) => return Err(compressor_does_not_fit(args, compression)),
        (_, None) => Compression::None,
    };
    let options = TarOptions::default().compression(compression);
    let default_threads = options.threads;
    Ok(options
        .lossy(args.lossy)
        .threads(threads(args, default_threads)))
}
