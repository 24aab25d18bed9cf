//! Reading the members of a tar. The state machine is our own. `tar-core` 0.1, whose field layout
//! it uses, is right for well-formed tars, but differs from other readers where it matters here:
//! mtimes before 1970 and other negative numbers, signed checksums, the priority of a GNU over a
//! PAX name, a lone zero block (skipped), a second `x` header (refused), a PAX record of unreadable
//! length (silently ends the list). It also does not keep the raw header bytes and the padding,
//! which a lossless rebuild needs.

mod content;
mod input;
mod resolve;

use std::io::{self, Read, Seek};

use image_model::Limits;
use image_model::advisory::Oddity;
use image_model::tree::Spans;
use image_model::width::{u64_from, usize_up_to};
use tar_core::GnuExtSparseHeader;
use zerocopy::FromBytes as _;

use crate::block::{BLOCK_LEN, Block, HeaderBlock, odd_number, padding_len};
use crate::entry::{Entry, EntryKind};
use crate::error::{Part, Refusal, TarError};
use crate::layer::{LayerError, LayerStream, StreamOptions};
use crate::pax;
use crate::sparse::{MapReader, Regions, SparseFault};
pub use content::Trailer;
use input::Input;
use resolve::{Extension, Map, Pending, Segment, resolve};

/// Options for reading a tar.
///
/// ```
/// use lazyoci_tar_stream::TarReadOptions;
/// assert!(TarReadOptions::default().lenient(true).lenient);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TarReadOptions {
    /// Follow Go instead of refusing what readers disagree on.
    pub lenient: bool,
    /// Bounds: extension headers ([`max_xattr_len`](Limits::max_xattr_len)), regions of sparse
    /// files, length of symbolic links.
    pub limits: Limits,
}

impl TarReadOptions {
    image_model::setters! {
        lenient: bool,
        limits: Limits,
    }
}

/// Reads the members of a tar in order, from any source of bytes. Memory: one buffer of 256 KiB and
/// the headers of one member. The caller reads payloads ([`read_payload`](Self::read_payload)) or
/// skips them by requesting the next entry. The tar ends with two zero blocks or, as all readers
/// accept, with one or none if the source ends there. What follows is the [`Trailer`]. After an
/// error it only returns [`TarError::Failed`].
#[derive(Debug)]
pub struct TarReader<R> {
    input: Input<R>,
    options: TarReadOptions,
    state: State,
    /// Of the tar as a whole.
    oddities: Vec<Oddity>,
}

#[derive(Debug)]
enum State {
    /// In or after a member: payload bytes not read yet, and padding after them.
    Member {
        left: u64,
        padding: usize,
    },
    /// After the last member.
    End(End),
    Failed,
}

#[derive(Debug)]
struct End {
    offset: u64,
    zero_blocks: u8,
    /// The part of the trailer read so far, and how much of it was handed out.
    raw: Vec<u8>,
    taken: usize,
}

enum Next {
    Entry(Box<Entry>),
    End(End),
}

impl<R: Read> TarReader<LayerStream<R>> {
    /// Reads the tar in the layer `source`, of any compression, within the limits of `options`.
    ///
    /// ```
    /// use lazyoci_tar_stream::{TarReadOptions, TarReader};
    /// let mut tar = TarReader::open_layer(&[0; 1024][..], TarReadOptions::default())?;
    /// assert!(tar.next_entry()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`LayerStream::open`].
    pub fn open_layer(source: R, options: TarReadOptions) -> Result<Self, LayerError> {
        let layer = LayerStream::open(source, &StreamOptions::from(&options.limits))?;
        Ok(Self::new(layer, options))
    }
}

impl<R: Read> TarReader<R> {
    /// Reads the tar in `source`, from its current position on.
    pub fn new(source: R, options: TarReadOptions) -> Self {
        Self::over(Input::new(source), options)
    }

    /// The same over a source that can skip payloads without reading them, such as a plain tar in
    /// a file.
    ///
    /// # Errors
    /// [`io::Error`] if the source cannot tell its length.
    pub fn seekable(source: R, options: TarReadOptions) -> io::Result<Self>
    where
        R: Seek,
    {
        Ok(Self::over(Input::seekable(source)?, options))
    }

    fn over(input: Input<R>, options: TarReadOptions) -> Self {
        let state = State::Member {
            left: 0,
            padding: 0,
        };
        Self {
            input,
            options,
            state,
            oddities: Vec::new(),
        }
    }

    /// Accepted oddities of the tar as a whole, known at its end. Those of a member are in [the
    /// entry](Entry::oddities).
    #[must_use]
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// Offset of the next byte in the tar: of the payload, or of the trailer.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// The next member; skips the rest of the current one's payload. `None` at the end of the
    /// archive.
    ///
    /// # Errors
    /// [`TarError`], with the offset.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let (left, padding) = match self.state {
            State::Member { left, padding } => (left, padding),
            State::End(_) => return Ok(None),
            State::Failed => return Err(TarError::Failed),
        };
        self.state = State::Failed;
        self.input.skip(left)?;
        match self.read_headers(padding)? {
            Next::Entry(entry) => {
                self.state = State::Member {
                    left: entry.payload_len,
                    padding: padding_len(entry.payload_len),
                };
                Ok(Some(*entry))
            }
            Next::End(end) => {
                self.state = State::End(end);
                Ok(None)
            }
        }
    }

    fn read_headers(&mut self, padding: usize) -> Result<Next, TarError> {
        let start = self.input.position();
        let mut raw = Vec::with_capacity(padding.saturating_add(4 * BLOCK_LEN));
        if self.input.append(padding, &mut raw)? < padding {
            let offset = self.input.position();
            self.accept(offset, Refusal::CutPadding, Oddity::CutPadding)?;
        }
        let gap = raw.len();
        let offset = self.input.position();
        let mut pending = Pending::default();
        let mut extensions_len = 0;
        loop {
            let header_offset = self.input.position();
            let at = raw.len();
            let full = self.input.append_block(&mut raw)?;
            if !full || raw[at..] == [0; BLOCK_LEN] {
                let zero_blocks = self.read_end(full, header_offset, &mut raw)?;
                self.check_dangling(&pending)?;
                return Ok(Next::End(End {
                    offset: start,
                    zero_blocks,
                    raw,
                    taken: 0,
                }));
            }
            let block: Block = *raw[at..].first_chunk().expect("a block was appended");
            let header = HeaderBlock::parse(&block, header_offset)?;
            if !self.options.lenient
                && let Some(field) = odd_number(&block)
            {
                return Err(TarError::Refused {
                    offset: header_offset,
                    reason: Refusal::NumberSpelling { field },
                });
            }
            match header.typeflag {
                typeflag @ (b'x' | b'g' | b'L' | b'K') => {
                    let payload = self.read_extension(
                        header.size,
                        header_offset,
                        &mut extensions_len,
                        &mut raw,
                    )?;
                    let extension = Extension {
                        typeflag,
                        offset: header_offset,
                        payload,
                    };
                    self.keep_extension(extension, &raw, &mut pending)?;
                }
                b'X' if !self.options.lenient => {
                    return Err(TarError::Refused {
                        offset: header_offset,
                        reason: Refusal::SunExtension,
                    });
                }
                _ => {
                    let segment = Segment {
                        raw: &raw,
                        offset,
                        header_offset,
                    };
                    let (entry, map) = resolve(segment, &block, &header, &pending, &self.options)?;
                    let mut entry = Entry { raw, gap, ..entry };
                    if entry.kind == EntryKind::HardLink && entry.whiteout().is_some() {
                        entry.oddities.push(Oddity::LinkedWhiteout);
                    }
                    return self.read_map(entry, map).map(|e| Next::Entry(Box::new(e)));
                }
            }
        }
    }

    /// Reads the second end block, if there was a first one; returns how many there are.
    fn read_end(&mut self, first: bool, offset: u64, raw: &mut Vec<u8>) -> Result<u8, TarError> {
        let at = raw.len();
        if !first {
            return Ok(0);
        }
        match self.input.append_block(raw)? {
            false => Ok(1),
            true if raw[at..] == [0; BLOCK_LEN] => Ok(2),
            true => Err(TarError::LoneZeroBlock { offset }),
        }
    }

    fn check_dangling(&mut self, pending: &Pending) -> Result<(), TarError> {
        let Some(&Extension {
            typeflag, offset, ..
        }) = pending.first()
        else {
            return Ok(());
        };
        let oddity = Oddity::DanglingExtension { typeflag };
        self.accept(offset, Refusal::DanglingExtension { typeflag }, oddity)
    }

    /// Refuses the tar at `offset` for `reason`, or notes `oddity` if reading is lenient.
    fn accept(&mut self, offset: u64, reason: Refusal, oddity: Oddity) -> Result<(), TarError> {
        if !self.options.lenient {
            return Err(TarError::Refused { offset, reason });
        }
        self.oddities.push(oddity);
        Ok(())
    }

    /// Appends the payload of an extension header, with its padding, to `raw`; returns its range there.
    fn read_extension(
        &mut self,
        size: i64,
        offset: u64,
        extensions_len: &mut u64,
        raw: &mut Vec<u8>,
    ) -> Result<std::ops::Range<usize>, TarError> {
        let len = u64::try_from(size).map_err(|_| TarError::Size { offset, size })?;
        let limit = self.options.limits.max_xattr_len.into();
        // An empty one costs memory as well.
        *extensions_len = extensions_len.saturating_add(len.max(u64_from(BLOCK_LEN)));
        if *extensions_len > limit {
            return Err(TarError::ExtensionsTooLong {
                offset,
                len: *extensions_len,
                limit,
            });
        }
        let payload = raw.len()..raw.len().saturating_add(usize_up_to(len));
        let with_padding = payload.len().saturating_add(padding_len(len));
        self.input
            .append_exact(with_padding, Part::Extension, raw)?;
        Ok(payload)
    }

    /// Remembers an extension header for the next member.
    fn keep_extension(
        &self,
        mut extension: Extension,
        raw: &[u8],
        pending: &mut Pending,
    ) -> Result<(), TarError> {
        let strict = !self.options.lenient;
        let payload = &raw[extension.payload.clone()];
        let (typeflag, offset) = (extension.typeflag, extension.offset);
        let payload_offset = offset.saturating_add(u64_from(BLOCK_LEN));
        let refused = |reason| Err(TarError::Refused { offset, reason });
        let slot = match typeflag {
            b'g' => {
                if strict && let Some(lost) = pending.first() {
                    let typeflag = lost.typeflag;
                    return refused(Refusal::ExtensionBeforeGlobal { typeflag });
                }
                // Go takes it for the member that they belong to.
                *pending = Pending {
                    global: true,
                    ..Pending::default()
                };
                return pax::check_global(payload, payload_offset, strict);
            }
            b'x' => &mut pending.pax,
            _ => {
                let len = payload.iter().position(|&b| b == 0);
                let len = len.unwrap_or(payload.len());
                extension.payload.end = extension.payload.start.saturating_add(len);
                if strict && extension.payload.is_empty() {
                    return refused(Refusal::EmptyLongName { typeflag });
                }
                match typeflag {
                    b'L' => &mut pending.name,
                    _ => &mut pending.link,
                }
            }
        };
        if slot.replace(extension).is_some() {
            let oddity = Oddity::RepeatedExtension { typeflag };
            if !pending.oddities.contains(&oddity) {
                pending.oddities.push(oddity);
            }
        }
        Ok(())
    }

    /// Reads the rest of a sparse map and determines where the entry's bytes are.
    fn read_map(&mut self, mut entry: Entry, map: Map) -> Result<Entry, TarError> {
        let offset = entry.header_offset;
        let regions = match map {
            Map::None => None,
            Map::Read(regions) => Some(regions),
            Map::Blocks(regions) => Some(self.read_map_blocks(regions, offset, &mut entry.raw)?),
            Map::Payload => Some(self.read_map_of_payload(&mut entry)?),
        };
        entry.payload_offset = self.input.position();
        entry.spans = match regions {
            None => Spans::contiguous(entry.payload_offset, entry.payload_len),
            Some(regions) => {
                if !self.options.lenient {
                    let checked = regions.check_alignment();
                    let checked = checked.and_then(|()| regions.check_end(entry.size));
                    checked.map_err(|reason| TarError::Refused { offset, reason })?;
                }
                regions
                    .spans(entry.size, entry.payload_offset, entry.payload_len)
                    .map_err(|fault| TarError::Sparse { offset, fault })?
            }
        };
        Ok(entry)
    }

    fn read_map_blocks(
        &mut self,
        mut regions: Regions,
        offset: u64,
        raw: &mut Vec<u8>,
    ) -> Result<Regions, TarError> {
        let limit = self.options.limits.max_sparse_regions;
        // Blocks may have fewer pairs than fit, but their number is bounded.
        for _ in 0..=limit / 21 {
            let at = raw.len();
            self.input.append_exact(BLOCK_LEN, Part::SparseMap, raw)?;
            let block: Block = *raw[at..].first_chunk().expect("a block was appended");
            let more = GnuExtSparseHeader::ref_from_bytes(&block)
                .expect("a block is as long as the structure");
            regions.push_old(&more.sparse, offset)?;
            if more.isextended == [0] {
                return Ok(regions);
            }
        }
        let fault = SparseFault::TooMany { limit };
        Err(TarError::Sparse { offset, fault })
    }

    fn read_map_of_payload(&mut self, entry: &mut Entry) -> Result<Regions, TarError> {
        let offset = entry.header_offset;
        let sparse = |fault| TarError::Sparse { offset, fault };
        let mut map = MapReader::new(self.options.limits.max_sparse_regions);
        let mut left = entry.payload_len;
        loop {
            let stored = entry.payload_len;
            left = left
                .checked_sub(u64_from(BLOCK_LEN))
                .ok_or_else(|| sparse(SparseFault::MapTooLong { stored }))?;
            let at = entry.raw.len();
            self.input
                .append_exact(BLOCK_LEN, Part::SparseMap, &mut entry.raw)?;
            let block = entry.raw[at..].first_chunk().expect("a block was appended");
            if map.push(block).map_err(sparse)? {
                entry.payload_len = left;
                return Ok(map.into_regions());
            }
        }
    }
}
