//! Finding the parts of a blob, without doing I/O.

use std::ops::Range;

use bytes::Bytes;
use erofs_format::{DecodeError, Superblock};
use frame_codec::Decoder;
use image_model::width::{u64_from, usize_up_to};
use image_model::{BlobIndex, Codec, Digest, Limits, Need, Object, Step, StepMachine};
use verify::CheckError;

use super::BLOCK;
use super::error::{At, V7Error, limit};
use super::footer::Footer;
use super::groups::Groups;

/// Bytes of a bootstrap that tell how long it is.
const HEAD: usize = 1024 + Superblock::LEN;

/// The block size of a bootstrap, as a binary logarithm.
const BLOCK_SIZES: (&[u8], &str) = (&[12], "12");

/// No zstd frame expands further: a block of 128 KiB can take four bytes.
const MAX_RATIO: u64 = 1 << 16;

/// What a blob holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenedBlob {
    /// Where its parts are.
    pub footer: Footer,
    /// The bootstrap, not compressed, if it was wanted and there is one. It is unverified until
    /// [`check`](Self::check) succeeds.
    pub bootstrap: Option<Bytes>,
    /// Its groups; `None` of a raw device.
    pub groups: Option<Groups>,
}

impl OpenedBlob {
    /// Compares the bootstrap with its expected digest.
    ///
    /// # Errors
    /// [`CheckError`] if the digest differs.
    pub fn check(&self, expected: &Digest) -> Result<(), CheckError> {
        verify::check(expected, self.bootstrap.as_deref().unwrap_or_default())
    }
}

/// Finds what a blob of version 7 holds. It asks for ranges, and is given bytes; the caller does the I/O in its own
/// way, and sees to it that no range is longer than [`Limits::max_metadata_len`].
///
/// ```
/// use bytes::Bytes;
/// use image_model::{BlobIndex, Limits, StepMachine};
/// use lazyoci_rafs_format::v7::{Opener, V7Error};
///
/// # let blob = Bytes::from_static(include_bytes!("../../tests/goldens/v7-zstd.blob"));
/// let opener = Opener::device(BlobIndex(1), blob.len() as u64, &Limits::default());
/// let opened = opener.drive(|need| {
///     Ok::<_, V7Error>(blob.slice(need.range.start as usize..need.range.end as usize))
/// })?;
/// assert!(opened.footer.has_bootstrap());
/// assert_eq!(opened.groups.map(|groups| groups.chunk_count()), Some(12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Opener {
    object: Object,
    len: u64,
    limits: Limits,
    stage: Stage,
    bootstrap: Option<Bytes>,
}

#[derive(Debug, Clone)]
enum Stage {
    Footer,
    Bootstrap(Footer),
    Metadata(Footer),
}

impl Opener {
    /// Starts on a blob of `len` bytes that is the file that is opened.
    #[must_use]
    pub fn blob(len: u64, limits: &Limits) -> Self {
        Self::starting(Object::Opened, len, limits)
    }

    /// Starts on blob number `index` of an image, which has `len` bytes. A bootstrap in it is not asked for.
    #[must_use]
    pub fn device(index: BlobIndex, len: u64, limits: &Limits) -> Self {
        Self::starting(Object::Blob(index), len, limits)
    }

    fn starting(object: Object, len: u64, limits: &Limits) -> Self {
        Self {
            object,
            len,
            limits: limits.clone(),
            stage: Stage::Footer,
            bootstrap: None,
        }
    }

    /// Where the footer is.
    fn footer(&self) -> Range<u64> {
        self.len.saturating_sub(u64_from(Footer::LEN))..self.len
    }

    fn need(&self, range: Range<u64>) -> Step<OpenedBlob> {
        let object = self.object;
        Step::Need(Need { object, range })
    }

    /// What comes after the bootstrap.
    fn metadata(&mut self, footer: Footer) -> Step<OpenedBlob> {
        if footer.metadata.is_empty() {
            return self.done(footer, None);
        }
        let range = footer.metadata.clone();
        self.stage = Stage::Metadata(footer);
        self.need(range)
    }

    fn done(&mut self, footer: Footer, groups: Option<Groups>) -> Step<OpenedBlob> {
        Step::Done(OpenedBlob {
            footer,
            bootstrap: self.bootstrap.take(),
            groups,
        })
    }
}

impl StepMachine for Opener {
    type Found = OpenedBlob;
    type Error = V7Error;

    /// # Errors
    /// [`V7Error::Truncated`] if the blob is shorter than a footer.
    fn start(&mut self) -> Result<Step<OpenedBlob>, V7Error> {
        let len = u64_from(Footer::LEN);
        if self.len < len {
            return Err(V7Error::Truncated {
                structure: "footer",
                offset: 0,
                len,
                available: self.len,
            });
        }
        self.stage = Stage::Footer;
        self.bootstrap = None;
        Ok(self.need(self.footer()))
    }

    /// # Errors
    /// Those of [`Footer::read`] and [`Groups::decode`]; [`V7Error::Checksum`], [`V7Error::Bootstrap`] and others if
    /// the bootstrap is damaged; [`V7Error::Limit`].
    fn supply(&mut self, bytes: Bytes) -> Result<Step<OpenedBlob>, V7Error> {
        match self.stage.clone() {
            Stage::Footer => {
                given("footer", &self.footer(), &bytes)?;
                let raw = bytes.first_chunk().expect("as many were asked for");
                let footer = Footer::read(raw, self.len)?;
                if self.object == Object::Opened && footer.has_bootstrap() {
                    let range = footer.bootstrap.clone();
                    self.stage = Stage::Bootstrap(footer);
                    return Ok(self.need(range));
                }
                Ok(self.metadata(footer))
            }
            Stage::Bootstrap(footer) => {
                given("bootstrap", &footer.bootstrap, &bytes)?;
                self.bootstrap = Some(bootstrap(&footer, &bytes, &self.limits)?);
                Ok(self.metadata(footer))
            }
            Stage::Metadata(footer) => {
                given("blob metadata", &footer.metadata, &bytes)?;
                let groups = Groups::decode(bytes, footer.data.clone(), &self.limits)?;
                Ok(self.done(footer, Some(groups)))
            }
        }
    }
}

/// Refuses bytes that are not as many as `range`.
fn given(piece: &'static str, range: &Range<u64>, bytes: &Bytes) -> Result<(), V7Error> {
    let expected = range.end.saturating_sub(range.start);
    let found = u64_from(bytes.len());
    match expected == found {
        true => Ok(()),
        false => Err(V7Error::Given {
            piece,
            expected,
            found,
        }),
    }
}

/// The bootstrap that is `stored` in a blob. How long it is, its superblock tells.
fn bootstrap(footer: &Footer, stored: &Bytes, limits: &Limits) -> Result<Bytes, V7Error> {
    let (expected, found) = (verify::crc32c(stored), footer.bootstrap_crc32);
    if expected != found {
        return Err(V7Error::Checksum {
            structure: "bootstrap",
            expected,
            found,
        });
    }
    let Some(frame_len) = footer.bootstrap_frame_len else {
        return Ok(stored.clone());
    };
    let frame = &stored[..usize_up_to(frame_len).min(stored.len())];
    let mut decoder = Decoder::new();
    let mut head = [0; HEAD];
    decoder
        .decode_prefix(Codec::Zstd, frame, &mut head)
        .map_err(V7Error::Bootstrap)?;
    let at = At::new("bootstrap", footer.bootstrap.start);
    let superblock = Superblock::read(&head, BLOCK_SIZES).map_err(DecodeError::from)?;
    if superblock.feature_incompat & Superblock::INCOMPAT_COMPRESSION != 0 {
        // It counts the blocks of devices, too.
        return Err(at.unsupported("files compressed by EROFS"));
    }
    let blocks = superblock.blocks;
    let len = u64::from(blocks).saturating_mul(BLOCK);
    limit("bytes of metadata", len, limits.max_metadata_len)?;
    let rule = "blocks that the zstd frame can decode to";
    let fits = len <= frame_len.saturating_mul(MAX_RATIO);
    at.require(fits, "blocks", blocks, rule)?;
    let mut plain = vec![0; usize_up_to(len)];
    decoder
        .decode(Codec::Zstd, frame, &mut plain)
        .map_err(V7Error::Bootstrap)?;
    Ok(plain.into())
}
