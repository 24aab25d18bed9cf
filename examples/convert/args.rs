//! The arguments of `convert`.

use std::fmt::Display;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use lazyoci::convert::{Chunking, PrefetchPolicy};
use lazyoci::frame_codec::Compression;
use lazyoci::model::Limits;
use lazyoci::rafs_format::Version;
use lazyoci::rafs_format::flags::Compat;

use crate::common::open::{OpenArgs, is_stream};
use crate::common::output::OutputArgs;
use crate::common::{self, Failure, whole};

/// Convert a layer, a directory or an image into another format
#[derive(Parser)]
#[command(
    version,
    override_usage = "convert [OPTIONS] --to <FORMAT> <IMAGE>... <OUTPUT>"
)]
pub(crate) struct Args {
    /// Format of the output
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: Target,
    /// IMAGE: a plain or eStargz layer, a RAFS bootstrap or blob, an EROFS image, or a directory; `-` or a pipe for a
    /// plain layer. Several layers, lowest first, become one image; RAFS gets one blob per layer. OUTPUT: for RAFS a
    /// new directory with `image.boot` and `blobs/ID`; otherwise a file, or `-` for stdout; an external TOC goes to the
    /// file OUTPUT.toc beside it. To convert a whole image,
    /// name both as in `oci:DIR:TAG`, `oci-archive:FILE:TAG`, `docker-archive:FILE:REFERENCE` or
    /// `docker://HOST/REPOSITORY:TAG`
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// `none`, `lz4`, `zstd[:LEVEL]` or `gzip[:LEVEL]` (libdeflate) [default: zstd:3; estargz, tar-gzip: gzip:6]
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    pub(crate) compressor: Option<Compression>,
    /// Digest algorithm for chunks (RAFS), or for finding equal chunks (EROFS) [default: blake3]
    #[arg(long)]
    pub(crate) digester: Option<Digester>,
    /// Size of chunks; RAFS: a power of two from 4096 to 16 MiB; EROFS: a power of two, at least 4096 [default:
    /// RAFS and EROFS 1 MiB, eStargz 4 MiB]
    #[arg(long, value_name = "SIZE", value_parser = common::bytes::parse_chunk_size)]
    pub(crate) chunk_size: Option<NonZeroU32>,
    /// How files are cut: `fixed:SIZE` is the same as `--chunk-size SIZE`; eStargz and zstd:chunked a also take `file` (files
    /// of up to 64 MiB stay whole) and `fastcdc:MIN,AVG,MAX` (boundaries that depend on the content)
    #[arg(long, value_name = "RULE", conflicts_with = "chunk_size")]
    pub(crate) chunking: Option<Chunking>,
    /// Fill each frame with at least this many bytes before compression, so that small files share frames [default: 0:
    /// every chunk has its own] (eStargz, zstd:chunked a)
    #[arg(long, value_name = "SIZE", value_parser = common::bytes::parse_u32)]
    pub(crate) min_chunk_size: Option<u32>,
    /// Kind of zstd:chunked: `a`, of stargz-snapshotter, or `b`, of podman, buildah and skopeo [default: b]
    #[arg(long, value_name = "a|b")]
    pub(crate) dialect: Option<Dialect>,
    /// Keep the tar of the layer byte for byte, and so its DiffID (eStargz with external TOC, zstd:chunked a; zstd:chunked
    /// b always does)
    #[arg(long)]
    pub(crate) lossless: bool,
    /// Copy the frames of IMAGE that the output can hold as they are, instead of compressing again (RAFS, eStargz,
    /// zstd:chunked; from one of them, with the same codec)
    #[arg(long)]
    pub(crate) keep_frames: bool,
    /// File with one path per line: what readers fetch first, in this order (RAFS, eStargz, zstd:chunked a)
    #[arg(long, value_name = "FILE")]
    pub(crate) prefetch: Option<PathBuf>,
    /// How the image says what to fetch first: `none`, `fs` (a table of inodes), or `blob` (version 5: how many bytes of
    /// the blob) [default: fs] (RAFS with `--prefetch`)
    #[arg(long, value_name = "POLICY", requires = "prefetch")]
    pub(crate) prefetch_policy: Option<PrefetchPolicy>,
    /// Append the chunks' digests and a table of contents to the blob (RAFS v6)
    #[arg(long)]
    pub(crate) toc: bool,
    /// Put the bootstrap into the blob too (RAFS)
    #[arg(long)]
    pub(crate) inline_meta: bool,
    /// Store every chunk at its block address, so that the kernel can mount bootstrap and blob
    /// (RAFS v6, `--compressor none`)
    #[arg(long)]
    pub(crate) aligned: bool,
    /// Compress files of less than half of N bytes together, up to N at once: a power of two, 4 KiB to the chunk size;
    /// nydus reads it since 2.3 (RAFS v6)
    #[arg(long, value_name = "N", value_parser = common::bytes::parse_chunk_size)]
    pub(crate) batch_size: Option<NonZeroU32>,
    /// Encrypt chunks and chunk information with the key in FILE: 48 bytes, or 96 hexadecimal digits, the key of AES-128-XTS
    /// and an initial vector. OUTPUT/image.boot holds both in clear: whoever has it can read the image (RAFS v6)
    #[arg(long, visible_alias = "encrypt", value_name = "FILE")]
    pub(crate) encrypt_key: Option<PathBuf>,
    /// Release of nydus-image whose RAFS output is reproduced: `2.4` or `2.2` [default: 2.4]
    #[arg(long, value_name = "RELEASE")]
    pub(crate) compat: Option<Compat>,
    /// Refer to the chunks of this RAFS image (a bootstrap, or a blob that contains it; for nydus, a whole nydus image),
    /// or of a dictionary file that `dedup --write-dict` wrote, instead of storing them again; may be repeated, earlier
    /// ones take precedence. For nydus, the `--repository` of a dictionary file is where its blobs are, such as `oci:DIR` or
    /// `docker://HOST/REPOSITORY` (RAFS, nydus)
    #[arg(long, value_name = "IMAGE")]
    pub(crate) chunk_dict: Vec<PathBuf>,
    /// Store chunks of fewer bytes again instead of referring to them (RAFS, nydus with `--chunk-dict`)
    #[arg(long, value_name = "SIZE", value_parser = common::bytes::parse_chunk_size)]
    pub(crate) min_shared: Option<NonZeroU32>,
    /// Refer only to blobs that a dictionary file places in this repository, and to none of images that are named
    /// themselves (RAFS, nydus with `--chunk-dict`)
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) only_repository: Option<String>,
    /// Refer to at most N blobs of other images: those that save most (RAFS, nydus with `--chunk-dict`)
    #[arg(long, value_name = "N")]
    pub(crate) max_shared_blobs: Option<u32>,
    /// Refer to blobs of other images only if at least this percentage of each is used (RAFS, nydus with
    /// `--chunk-dict`)
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) min_used: Option<u8>,
    /// Merge the used chunks of small blobs, and of blobs less than half used, into a new blob; keep the others (RAFS
    /// to the same version of RAFS)
    #[arg(long)]
    pub(crate) compact: bool,
    /// Only write a bootstrap of the other version, over the existing blobs (RAFS to RAFS)
    #[arg(long)]
    pub(crate) keep_blobs: bool,
    /// Enter the layer about every N bytes of its tar, at most 16 MiB; longer spans make less metadata, and longer reads
    /// [default: as nydus-image] (RAFS v6 zran, estargz-ref)
    #[arg(long, value_name = "N", value_parser = common::bytes::parse_chunk_size)]
    pub(crate) zran_span: Option<NonZeroU32>,
    /// Append a dm-verity hash tree, and print its root hash (EROFS)
    #[arg(long)]
    pub(crate) verity: bool,
    /// Write a layer's whiteouts in overlayfs form, so that its image can be a lower directory (EROFS)
    #[arg(long)]
    pub(crate) overlay_whiteouts: bool,
    /// Write the image of a layer to containerd's layer content cache DIR instead of OUTPUT, with
    /// `--overlay-whiteouts`; `--verity` uses the form that containerd reads (EROFS)
    #[arg(long, value_name = "DIR")]
    pub(crate) layer_cache: Option<PathBuf>,
    /// RAFS version [default: 6] (nydus)
    #[arg(long, value_name = "5|6", value_parser = parse_version)]
    pub(crate) fs_version: Option<Version>,
    /// Convert the images for all platforms instead of only one (whole images)
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,
    /// Keep the original beside the nydus image, for clients that cannot run nydus: OUTPUT becomes an index of both, and
    /// OUTPUT-nydus (or OUTPUT-nydus-zran) names the nydus image alone (nydus, whole images to RAFS v6 zran)
    #[arg(long)]
    pub(crate) keep_original: bool,
    /// Leave out what the format cannot carry, and report it
    #[arg(long)]
    pub(crate) lossy: bool,
    /// Threads that digest and compress [default: one per core]; does not affect the output
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    #[command(flatten)]
    pub(crate) outputs: OutputArgs,
}

impl Args {
    /// The size of chunks, or of the longest ones.
    pub(crate) fn chunk_size(&self) -> Option<u32> {
        match self.chunking {
            Some(Chunking::Fixed(size)) => Some(size.get()),
            Some(Chunking::FastCdc { max, .. }) => Some(max),
            Some(_) => Some(Limits::default().max_frame_len),
            None => self.chunk_size.map(NonZeroU32::get),
        }
    }

    pub(crate) fn images(&self) -> &[PathBuf] {
        match &self.layer_cache {
            Some(_) => &self.paths,
            None => self.paths.split_last().map_or(&[], |(_, images)| images),
        }
    }

    pub(crate) fn output(&self) -> &Path {
        if let Some(cache) = &self.layer_cache {
            return cache;
        }
        self.paths.last().map_or(Path::new(""), PathBuf::as_path)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    RafsV5,
    RafsV6,
    RafsV6Zran,
    RafsV6EstargzRef,
    RafsV6Tarfs,
    Erofs,
    Estargz,
    EstargzExternalToc,
    ZstdChunked,
    Tar,
    TarGzip,
    TarZstd,
    Nydus,
    Oci,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    A,
    B,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Digester {
    Blake3,
    Sha256,
}

/// Refuses options that mean nothing for the format, rather than ignoring them.
pub(crate) fn refuse_what_does_not_fit(args: &Args) -> Result<(), Failure> {
    let v6 = args.to == Target::RafsV6;
    let nydus = args.to == Target::Nydus;
    // From one image, not from layout to layout.
    let alone = v6 || args.to == Target::RafsV5;
    let rafs = alone || nydus;
    let external = args.to == Target::EstargzExternalToc;
    let chunked = args.to == Target::ZstdChunked;
    let dialect_a = chunked && args.dialect == Some(Dialect::A);
    let estargz = args.to == Target::Estargz || external || dialect_a;
    let zran = matches!(args.to, Target::RafsV6Zran | Target::RafsV6EstargzRef);
    let tarfs = args.to == Target::RafsV6Tarfs;
    let reference = zran || tarfs;
    let lazy = rafs || estargz;
    let erofs = args.to == Target::Erofs;
    let whole = whole::location(args.output()).is_some();
    for (option, given, fits) in [
        ("--digester", args.digester.is_some(), rafs || erofs),
        (
            "--compressor",
            args.compressor.is_some(),
            !erofs && !reference,
        ),
        (
            "--chunk-size",
            args.chunk_size.is_some(),
            lazy || erofs || reference,
        ),
        ("--zran-span", args.zran_span.is_some(), zran),
        ("--min-chunk-size", args.min_chunk_size.is_some(), estargz),
        ("--dialect", args.dialect.is_some(), chunked),
        ("--lossless", args.lossless, external || chunked),
        (
            "--keep-frames",
            args.keep_frames,
            alone || estargz || chunked,
        ),
        ("--chunking", args.chunking.is_some(), lazy || erofs),
        ("--prefetch", args.prefetch.is_some(), lazy),
        ("--prefetch-policy", args.prefetch_policy.is_some(), rafs),
        ("--toc", args.toc, v6 || nydus),
        ("--inline-meta", args.inline_meta, alone),
        ("--aligned", args.aligned, v6 || nydus),
        ("--batch-size", args.batch_size.is_some(), v6 || nydus),
        ("--encrypt-key", args.encrypt_key.is_some(), v6),
        ("--compat", args.compat.is_some(), rafs || reference),
        ("--chunk-dict", !args.chunk_dict.is_empty(), rafs),
        ("--min-shared", args.min_shared.is_some(), rafs),
        ("--only-repository", args.only_repository.is_some(), rafs),
        ("--max-shared-blobs", args.max_shared_blobs.is_some(), rafs),
        ("--min-used", args.min_used.is_some(), rafs),
        ("--compact", args.compact, alone),
        ("--keep-blobs", args.keep_blobs, alone),
        ("--verity", args.verity, erofs),
        ("--overlay-whiteouts", args.overlay_whiteouts, erofs),
        ("--fs-version", args.fs_version.is_some(), nydus),
        (
            "--keep-original",
            args.keep_original,
            nydus || (zran && whole),
        ),
        ("--all-platforms", args.all_platforms, whole),
        ("--layer-cache", args.layer_cache.is_some(), erofs),
    ] {
        if given && !fits {
            return Err(does_not_fit(args, option));
        }
    }
    if let Some(chunking) = args.chunking
        && !matches!(chunking, Chunking::Fixed(_))
        && !estargz
    {
        let what = format!("--chunking {chunking} does not fit");
        let why = "whose chunks all have one size";
        return Err(Failure::usage(format!("{what} {}, {why}", name(args.to))));
    }
    let (mode, what) = match (args.keep_blobs, args.compact) {
        (true, _) => (
            "--keep-blobs",
            "which leaves blobs and their chunks unchanged",
        ),
        (_, true) => ("--compact", "which leaves chunks unchanged"),
        _ => ("", ""),
    };
    for (option, given) in [
        ("--compact", args.compact && args.keep_blobs),
        ("--compressor", args.compressor.is_some() && args.keep_blobs),
        ("--threads", args.threads.is_some() && args.keep_blobs),
        ("--digester", args.digester.is_some()),
        ("--chunk-size", args.chunk_size.is_some()),
        ("--chunking", args.chunking.is_some()),
        ("--chunk-dict", !args.chunk_dict.is_empty()),
        ("--prefetch", args.prefetch.is_some()),
        ("--toc", args.toc),
        ("--inline-meta", args.inline_meta),
        ("--aligned", args.aligned),
        ("--batch-size", args.batch_size.is_some()),
        ("--encrypt-key", args.encrypt_key.is_some()),
        ("--keep-frames", args.keep_frames),
        ("--lossy", args.lossy && args.compact),
    ] {
        if given && !mode.is_empty() {
            return Err(Failure::usage(format!(
                "{option} cannot be combined with {mode}, {what}"
            )));
        }
    }
    if args.keep_frames && (args.images().len() > 1 || whole) {
        let what = "--keep-frames takes one image, not several layers and no whole image";
        return Err(Failure::usage(what));
    }
    if args.keep_frames && args.min_chunk_size.is_some() {
        let what =
            "--keep-frames cannot be combined with --min-chunk-size: shared frames are made anew";
        return Err(Failure::usage(what));
    }
    if external && is_stream(args.output()) {
        let what = "-: the layer and its TOC are two files and cannot go to stdout";
        return Err(Failure::usage(what));
    }
    for (option, given) in [
        ("--min-shared", args.min_shared.is_some()),
        ("--only-repository", args.only_repository.is_some()),
        ("--max-shared-blobs", args.max_shared_blobs.is_some()),
        ("--min-used", args.min_used.is_some()),
    ] {
        if given && args.chunk_dict.is_empty() {
            let what = format!("{option} needs --chunk-dict");
            return Err(Failure::usage(what));
        }
    }
    if (alone || reference) && is_stream(args.output()) {
        let what = name(args.to);
        return Err(Failure::usage(format!(
            "-: {what} is a directory of several files and cannot go to stdout"
        )));
    }
    Ok(())
}

pub(crate) fn does_not_fit(args: &Args, option: impl Display) -> Failure {
    Failure::usage(format!("{option} does not apply to {}", name(args.to)))
}

pub(crate) fn name(target: Target) -> String {
    let value = target.to_possible_value();
    value.expect("no format is skipped").get_name().into()
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "5" => Ok(Version::V5),
        "6" => Ok(Version::V6),
        _ => Err("expected 5 or 6".into()),
    }
}
