//! What a conversion did, and what it could not carry.

use chunk_dedup::Refusal;
use estargz_toc::carry::Uncarried;
use image_model::advisory::Advisories;
use image_model::{Device, ImagePath, Limits, Timestamp};
use rafs_format::layout::CannotCarry;

use crate::ConvertError;

/// What a conversion did. Contains no times: equal conversions give equal reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Distinct inodes of the tree written; for a recompressed layer, its members.
    pub inodes: u64,
    /// Bytes of file content that were read, including holes.
    pub content_bytes: u64,
    /// Bytes that were written.
    #[cfg_attr(feature = "serde", serde(rename = "written_bytes"))]
    pub bytes_out: u64,
    /// Chunks, where the target has any.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub chunks: ChunkCounts,
    /// What the target could not carry and the caller allowed to lose, in the order of the source; as
    /// much of it as [`Limits::max_report_len`](image_model::Limits::max_report_len) allows.
    pub losses: Vec<Loss>,
    /// Further losses, which are not listed.
    pub losses_untold: u64,
    /// Inodes whose time has a fraction of a second, which the metadata of the target have no place for:
    /// they say the second in which it is. Nothing is refused for that, as no digest of a tree tells.
    pub cut_times: u64,
    /// Oddities of the source, which were read as the runtimes read them.
    pub advisories: Advisories,
    /// Paths to fetch first that do not exist, in the order of the options.
    pub missed: Vec<ImagePath>,
    /// Bytes that the losses in the list take.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) losses_len: u64,
}

/// What a loss takes besides its path.
pub(crate) const LOSS_LEN: u64 = size_of::<Loss>() as u64;

impl Report {
    /// What conversions of the layers of one image did, all together. Losses are listed as far as `limits`
    /// leave room for them. Of paths that were to be fetched first those are missed that no layer has.
    ///
    /// ```
    /// use image_model::Limits;
    /// use lazyoci_image_convert::Report;
    /// let mut layer = Report::default();
    /// layer.inodes = 3;
    /// assert_eq!(Report::sum([layer.clone(), layer], &Limits::default()).inodes, 6);
    /// ```
    pub fn sum(reports: impl IntoIterator<Item = Self>, limits: &Limits) -> Self {
        let mut reports = reports.into_iter();
        let mut sum = reports.next().unwrap_or_default();
        for report in reports {
            sum.add(report, limits);
        }
        sum
    }

    fn add(&mut self, other: Self, limits: &Limits) {
        self.inodes += other.inodes;
        self.content_bytes = self.content_bytes.saturating_add(other.content_bytes);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.chunks.add(other.chunks);
        self.losses_untold += other.losses_untold;
        for loss in other.losses {
            self.list(loss, limits);
        }
        self.cut_times += other.cut_times;
        self.advisories.append(other.advisories);
        self.missed.retain(|path| other.missed.contains(path));
    }

    /// Lists a loss if there is room for it.
    fn list(&mut self, loss: Loss, limits: &Limits) {
        self.losses_len = (self.losses_len)
            .saturating_add(loss.path.as_bytes().len() as u64)
            .saturating_add(LOSS_LEN);
        match self.losses_len > limits.max_report_len {
            true => self.losses_untold += 1,
            false => self.losses.push(loss),
        }
    }

    /// Takes note of a loss where losses are allowed, else refuses it.
    pub(crate) fn lose(
        &mut self,
        path: impl FnOnce() -> ImagePath,
        what: LossKind,
        allowed: &Allowed<'_>,
    ) -> Result<(), ConvertError> {
        let Allowed {
            lossy,
            limits,
            target,
        } = *allowed;
        if !lossy {
            let loss = Loss { path: path(), what };
            return Err(ConvertError::NotCarried { target, loss });
        }
        if self.losses_len >= limits.max_report_len {
            self.losses_untold += 1;
            return Ok(());
        }
        let path = path();
        self.list(Loss { path, what }, limits);
        Ok(())
    }
}

/// What may be lost, and how much of it is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    pub(crate) lossy: bool,
    pub(crate) limits: &'a Limits,
    /// What the target is called.
    pub(crate) target: &'static str,
}

/// How many chunks went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ChunkCounts {
    /// Written to a blob.
    #[cfg_attr(feature = "serde", serde(rename = "stored_chunks"))]
    pub stored: u64,
    /// Of those: of content that a later entry of the layer replaced, or a layer above it hides, so that no
    /// file uses them.
    #[cfg_attr(feature = "serde", serde(rename = "dead_chunks"))]
    pub dead: u64,
    /// Found equal to a chunk that is stored already.
    #[cfg_attr(feature = "serde", serde(rename = "deduplicated_chunks"))]
    pub deduplicated: u64,
    /// Found in the blobs of a [chunk dictionary](crate::RafsOptions::dictionary), each counted once.
    #[cfg_attr(feature = "serde", serde(rename = "reused_chunks"))]
    pub reused: u64,
    /// Stored bytes of the chunks that were written.
    pub stored_bytes: u64,
    /// Plain bytes of the deduplicated chunks.
    pub deduplicated_bytes: u64,
    /// Plain bytes of the chunks of a dictionary.
    pub reused_bytes: u64,
    /// Written, though a dictionary has them: they are shorter than its
    /// [policy](chunk_dedup::Policy::min_chunk) asks for.
    #[cfg_attr(feature = "serde", serde(rename = "short_chunks"))]
    pub short: u64,
    /// Plain bytes of the short chunks.
    pub short_bytes: u64,
    /// Written, though a dictionary has them: in blobs that its [policy](chunk_dedup::Policy) rules out.
    #[cfg_attr(feature = "serde", serde(rename = "refused_chunks"))]
    pub refused: u64,
    /// Plain bytes of the refused chunks.
    pub refused_bytes: u64,
    /// Written as the frames that the [source](crate::Source::keep_frames) has.
    #[cfg_attr(feature = "serde", serde(rename = "copied_chunks"))]
    pub copied: u64,
    /// Stored bytes of those frames.
    pub copied_bytes: u64,
    /// Stored bytes of all that was compressed, what is no chunk too.
    pub compressed_bytes: u64,
}

impl ChunkCounts {
    fn add(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_add);
    }

    /// What was counted after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    /// Each count with that of `other`.
    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            stored: of(self.stored, other.stored),
            dead: of(self.dead, other.dead),
            deduplicated: of(self.deduplicated, other.deduplicated),
            reused: of(self.reused, other.reused),
            stored_bytes: of(self.stored_bytes, other.stored_bytes),
            deduplicated_bytes: of(self.deduplicated_bytes, other.deduplicated_bytes),
            reused_bytes: of(self.reused_bytes, other.reused_bytes),
            short: of(self.short, other.short),
            short_bytes: of(self.short_bytes, other.short_bytes),
            refused: of(self.refused, other.refused),
            refused_bytes: of(self.refused_bytes, other.refused_bytes),
            copied: of(self.copied, other.copied),
            copied_bytes: of(self.copied_bytes, other.copied_bytes),
            compressed_bytes: of(self.compressed_bytes, other.compressed_bytes),
        }
    }

    /// Counts why a chunk of `len` bytes is stored again.
    pub(crate) fn refuse(&mut self, refusal: Option<Refusal>, len: u32) {
        let (chunks, bytes) = match refusal {
            Some(Refusal::Short) => (&mut self.short, &mut self.short_bytes),
            Some(_) => (&mut self.refused, &mut self.refused_bytes),
            None => return,
        };
        *chunks += 1;
        *bytes = bytes.saturating_add(len.into());
    }
}

/// Something that the target format or file system cannot represent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[error("{path:#}: {what}")]
pub struct Loss {
    /// Which inode, by the first of its names.
    pub path: ImagePath,
    /// What of it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub what: LossKind,
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(what: &LossKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

/// What is lost, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LossKind {
    /// RAFS cannot represent it. Devices and symbolic links are left out completely, and a hard link that version 5
    /// does not support becomes a copy.
    #[error(transparent)]
    Rafs(#[from] CannotCarry),
    /// An eStargz TOC cannot represent it.
    #[error(transparent)]
    Estargz(#[from] Uncarried),
    /// A socket, which a tar cannot store: it is left out.
    #[error("sockets cannot be stored")]
    Socket,
    /// A directory with the name of a whiteout, or a whiteout of nothing, which layers cannot have: it
    /// is left out, a directory with all below.
    #[error("name is reserved for whiteouts")]
    Whiteout,
    /// An extended attribute whose name readers of tars do not find, or not alike.
    #[error(
        "extended attribute \"{}\": its name cannot be stored in a tar",
        image_model::name::Brief(name)
    )]
    XattrName {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A tar member of a type that is not a file, such as a volume label: it is left out.
    #[error("tar member of type {typeflag:#04x} is not a file")]
    Member {
        /// The type.
        typeflag: u8,
    },
    /// A device that the caller may not create: it is left out.
    #[error("device {}:{}: only root can create devices", device.major, device.minor)]
    Device {
        /// Its number.
        device: Device,
    },
    /// A time that the file system cannot hold: it keeps another one.
    #[error("modification time {} is stored by the file system as {}", time.seconds, kept)]
    Time {
        /// The time in the image.
        time: Timestamp,
        /// Seconds since 1970 that the file system has instead.
        kept: i64,
    },
    /// An extended attribute that the file system, or the rights of the caller, do not allow.
    #[error(
        "extended attribute {}: {}",
        image_model::name::Brief(name),
        std::io::Error::from_raw_os_error(*errno)
    )]
    Xattr {
        /// Its name.
        name: Box<[u8]>,
        /// The operating system's error number.
        errno: i32,
    },
}
