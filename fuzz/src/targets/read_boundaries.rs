//! Equal results whatever the pieces in which input arrives.

use std::convert::Infallible;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use lazyoci::blob_io::bytes::Bytes;
use lazyoci::chunk_dedup::rollsum::{Part, RollsumChunker};
use lazyoci::chunk_dedup::{Chunker, FastCdc, FixedSize, is_zero};
use lazyoci::estargz_toc::carry::reduce;
use lazyoci::estargz_toc::image::ImageOptions;
use lazyoci::model::{BlobId, ChunkedImage, FileKind, Ino, Limits, Node, Tree};
use lazyoci::rafs_format::v6::{Bootstrap, drop_losses};
use lazyoci::read::{
    FileExtents, FileHandle, FileOrder, Follow, FrameStore, ReadError, ReadOptions, ReadPlan,
    Reader, SharedImage, read_toc, resolve,
};
use lazyoci::tar_stream::{Compression, LayerStream, StreamOptions, TarError, TarReader};
use lazyoci::verify::ExtentBytes;

use super::input::Input;
use super::memory::Memory;
use super::reading::{ByHand, Chance, reader};
use super::same::see;
use super::stargz;
use super::tar::{Pieces, cut, options};
use super::tree::{Pattern, take_tree};
use super::v6::{Choices, encode, store};

/// Lengths of pieces, over and over.
#[derive(Debug, Clone)]
pub(super) struct Lengths {
    list: [usize; 4],
    next: usize,
}

impl Lengths {
    pub(super) fn take(input: &mut Input<'_>) -> Self {
        let mut length = || match input.below(4) {
            0 => usize::from(input.u16()).max(1),
            1 => 512,
            _ => input.below(16) + 1,
        };
        Self {
            list: [length(), length(), length(), length()],
            next: 0,
        }
    }

    pub(super) fn next(&mut self) -> usize {
        self.next = (self.next + 1) % self.list.len();
        self.list[self.next]
    }
}

/// A source that gives no more than it likes at once.
#[derive(Debug)]
pub(super) struct Pieced<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) lengths: Lengths,
}

impl Read for Pieced<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.lengths.next().min(buf.len());
        self.bytes.read(&mut buf[..len])
    }
}

/// Reads the bytes as a layer at once and in pieces; or takes them as choices, stores an image, and
/// reads its files: ranges of them in windows of several sizes, all in one go, by handles, and by plans
/// whose needs are answered in any order.
pub fn read_boundaries(data: &[u8]) {
    let input = &mut Input::new(data);
    let lengths = Lengths::take(input);
    match input.below(3) {
        0 => files(input, lengths),
        1 => chunker(input.rest(), lengths),
        _ => layer(input.rest(), &lengths),
    }
}

fn layer(bytes: &[u8], lengths: &Lengths) {
    let limits = Limits::small();
    for lenient in [false, true] {
        let read = |source: Pieced<'_>, mut lengths: Lengths| {
            let stream = LayerStream::open(source, &StreamOptions::from(&limits))
                .map_err(|error| error.to_string())?;
            let compression = stream.compression().expect("it was opened");
            let reader = TarReader::new(stream, options(lenient));
            Ok((compression, cut(reader, || lengths.next())))
        };
        let at_once = Lengths {
            list: [1 << 16; 4],
            next: 0,
        };
        let source = |lengths: &Lengths| Pieced {
            bytes,
            lengths: lengths.clone(),
        };
        let whole = read(source(&at_once), at_once.clone());
        same_layer(&whole, &read(source(lengths), at_once.clone()));
        same_layer(&whole, &read(source(&at_once), lengths.clone()));
        seekable(bytes, lenient);
    }
}

type ReadLayer = Result<(Compression, (Pieces, Option<TarError>)), String>;

fn same_layer(one: &ReadLayer, other: &ReadLayer) {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(one), Err(other)) => return assert_eq!(one, other),
        _ => panic!("opened or not: {one:?}, {other:?}"),
    };
    let ((compression, (one, error)), (_, (other, other_error))) = (one, other);
    match (error, other_error) {
        // How much a decoder has given when it finds a fault is its own affair.
        (Some(_), Some(_)) if *compression != Compression::None => {
            let mut pairs = one.entries.iter().zip(&other.entries);
            assert!(pairs.all(|(one, other)| one == other));
        }
        _ => {
            assert_eq!(one, other, "pieces count");
            assert_eq!(format!("{error:?}"), format!("{other_error:?}"));
        }
    }
}

/// A source that can skip payloads gives the same entries as one that cannot.
fn seekable(tar: &[u8], lenient: bool) {
    let (read, read_error) = cut(TarReader::new(tar, options(lenient)), || 4096);
    let reader = TarReader::seekable(Cursor::new(tar), options(lenient));
    let (sought, sought_error) = cut(reader.expect("its length is known"), || 4096);
    assert_eq!(read, sought);
    assert_eq!(format!("{read_error:?}"), format!("{sought_error:?}"));

    let skip = |mut reader: TarReader<Cursor<&[u8]>>| {
        let mut entries = Vec::new();
        loop {
            match reader.next_entry() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => return (entries, "None".to_owned()),
                Err(error) => return (entries, format!("Some({error:?})")),
            }
        }
    };
    let (skipped, error) = skip(TarReader::new(Cursor::new(tar), options(lenient)));
    let reader = TarReader::seekable(Cursor::new(tar), options(lenient));
    let (leapt, leap_error) = skip(reader.expect("its length is known"));
    assert_eq!(skipped, leapt);
    assert_eq!(error, leap_error);
    assert!(
        read.entries
            .iter()
            .zip(&skipped)
            .all(|((read, _), skipped)| read == skipped)
    );
}

fn chunker(bytes: &[u8], mut lengths: Lengths) {
    let size = NonZeroU32::new(lengths.next() as u32).unwrap_or(NonZeroU32::MIN);
    let whole = same_cuts(&mut FixedSize::new(size), bytes, &mut lengths);
    assert_eq!(whole.len(), bytes.len().div_ceil(size.get() as usize));
    holes_and_data(bytes, &mut lengths);
    let mut by_content = FastCdc::new(64, 256, 1024).expect("these sizes can be");
    let chunks = same_cuts(&mut by_content, bytes, &mut lengths);
    for (position, chunk) in chunks.iter().enumerate() {
        assert!(chunk.len() <= 1024 && (chunk.len() >= 64 || position + 1 == chunks.len()));
    }
}

/// The chunks of containers/storage are the same in whatever pieces they are fed, zeros as a number or as bytes, and
/// together all bytes.
fn holes_and_data(bytes: &[u8], lengths: &mut Lengths) {
    let cut_into = |length: &mut dyn FnMut() -> usize| {
        let mut chunks = vec![(false, Vec::new())];
        let mut take = |part: Part<'_>| {
            let (hole, chunk) = chunks.last_mut().expect("there is one");
            match part {
                Part::Data(bytes) => chunk.extend_from_slice(bytes),
                Part::Hole(zeros) => {
                    *hole = true;
                    chunk.resize(chunk.len() + zeros as usize, 0);
                }
                Part::End => {
                    assert!(!chunk.is_empty());
                    chunks.push((false, Vec::new()));
                }
            }
            Ok::<_, Infallible>(())
        };
        let (mut chunker, mut at) = (RollsumChunker::default(), 0);
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + length())];
            let Ok(()) = match piece.iter().all(|&byte| byte == 0) {
                true => chunker.feed_zeros(piece.len() as u64, &mut take),
                false => chunker.feed(piece, &mut take),
            };
            at += piece.len();
        }
        let Ok(()) = chunker.end_file(&mut take);
        chunks
    };
    let whole = cut_into(&mut || bytes.len());
    assert_eq!(whole, cut_into(&mut || lengths.next()));
    let all: Vec<u8> = whole.iter().flat_map(|(_, chunk)| chunk).copied().collect();
    assert!(all == bytes);
    let mut holes = whole.iter().filter(|(hole, _)| *hole);
    assert!(holes.all(|(_, chunk)| chunk.len() >= 1024 && is_zero(chunk)));
}

/// The chunks of `bytes`, which are the same in whatever pieces they are fed, and together all of them.
fn same_cuts<'b>(
    chunker: &mut dyn Chunker,
    bytes: &'b [u8],
    lengths: &mut Lengths,
) -> Vec<&'b [u8]> {
    let mut cut_into = |length: &mut dyn FnMut() -> usize| {
        let (mut chunks, mut start, mut at) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + length())];
            match chunker.feed(piece) {
                Some(taken) => {
                    at += taken;
                    assert!(at > start, "no chunk is empty");
                    chunks.push(&bytes[start..at]);
                    start = at;
                }
                None => at += piece.len(),
            }
        }
        chunker.end_file();
        if start < at {
            chunks.push(&bytes[start..at]);
        }
        chunks
    };
    let whole = cut_into(&mut || bytes.len());
    assert_eq!(whole, cut_into(&mut || lengths.next()));
    assert!(whole.concat() == bytes);
    whole
}

fn files(input: &mut Input<'_>, lengths: Lengths) {
    let first = input.u16();
    let ranges = [first.into()].into_iter();
    let ranges: Vec<u64> = ranges.chain((0..5).map(|_| input.u16().into())).collect();
    let (image, tree, blob): (SharedImage, _, _) = match first & 1 {
        0 => {
            let (bootstrap, tree, blob) = rafs(input);
            (Arc::new(bootstrap), tree, blob)
        }
        _ => match estargz(input) {
            Some((image, tree, blob)) => (image, tree, blob),
            None => return,
        },
    };
    let files = Files {
        ranges: ranges
            .windows(2)
            .map(|pair| pair[0]..pair[0] + pair[1])
            .collect(),
        chance: Chance(ranges.iter().fold(0, |sum, range| sum * 31 + range)),
        files: contents(&image, &tree),
        image,
        blob: blob.into(),
        lengths,
    };
    files.read();
}

fn rafs(input: &mut Input<'_>) -> (Bootstrap, Tree<Pattern>, Vec<u8>) {
    let choices = Choices::take(input);
    let tree = take_tree(input);
    let mut stored = store(tree.clone(), &choices);
    drop_losses(&mut stored.bootstrap.image.tree, &mut |_, _| ());
    let bytes =
        encode(&stored.bootstrap, &stored.entries, &choices.layout()).expect("all can be carried");
    let bootstrap =
        Bootstrap::open(bytes.into(), &Limits::default()).expect("it was written by us");
    (bootstrap, tree, stored.blob)
}

/// The same of an eStargz blob, whose frames are longer than what they hold of a file.
fn estargz(input: &mut Input<'_>) -> Option<(Arc<ChunkedImage>, Tree<Pattern>, Vec<u8>)> {
    let choices = stargz::Choices::take(input);
    let mut tree = take_tree(input);
    reduce(&mut tree, &mut |_, _| ());
    tree.drop_unreachable();
    let limits = Limits::default();
    let stored = stargz::store(tree.clone(), &choices, &limits)?;
    let toc = read_toc(&stored.blob.as_slice(), &limits).expect("it was written by us");
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let options = ImageOptions::default().limits(limits);
    let opened = toc.image(id, &options).expect("it was written by us");
    Some((opened.image, tree, stored.blob))
}

/// The files of an image, and what the tree says of their contents.
fn contents(image: &SharedImage, tree: &Tree<Pattern>) -> Vec<(Ino, Vec<u8>)> {
    let seen = see(&**image, &Limits::default()).expect("a sound image answers everything");
    let files = (0..)
        .zip(&seen)
        .filter(|(number, seen)| seen.attributes.kind == FileKind::File && seen.first == *number);
    files
        .map(|(_, seen)| {
            let ino = resolve(&**image, seen.path.as_bytes(), Follow::Never).expect("it is there");
            let inode = tree.resolve(seen.path.as_bytes()).expect("it is there");
            let Node::File { content, .. } = &tree.inode(inode).node else {
                panic!("{} was a file", seen.path);
            };
            (ino, content.bytes())
        })
        .collect()
}

/// Files of an image that are read in all ways that there are.
struct Files {
    image: SharedImage,
    blob: Bytes,
    files: Vec<(Ino, Vec<u8>)>,
    ranges: Vec<Range<u64>>,
    lengths: Lengths,
    chance: Chance,
}

impl Files {
    fn read(mut self) {
        let options = ReadOptions::default()
            .window(self.lengths.next() as u64)
            .gap(self.lengths.next() as u64 % 5000)
            .max_request(self.lengths.next() as u64)
            .cache(self.lengths.next() as u64 * 16)
            .threads(1);
        // Lends the bytes, and copies them.
        let whole = reader(&self.image, self.blob.clone());
        let cut = reader(&self.image, Memory(self.blob.to_vec())).with_options(options);
        self.together(&whole, FileOrder::Stored);
        self.together(&cut, FileOrder::Given);
        for (ino, expected) in std::mem::take(&mut self.files) {
            let mut found = Vec::new();
            let len = whole.read_range(ino, 0..u64::MAX, &mut found);
            assert_eq!(len.expect("the blob is sound"), expected.len() as u64);
            assert!(found == expected, "{ino:?}");
            self.handle(&cut, ino, &expected);
            for range in self.ranges.clone() {
                let end = expected.len().min(range.end as usize);
                let part = &expected[end.min(range.start as usize)..end];
                let mut found = Vec::new();
                cut.read_range(ino, range.clone(), &mut found)
                    .expect("the blob is sound");
                assert!(found == part, "{ino:?}, {range:?}");
                let mut unverified = Vec::new();
                let read = cut.read_range_unverified(ino, range, &mut unverified);
                assert_eq!(read.expect("the blob is sound"), part.len() as u64);
                assert!(unverified == part);
            }
            self.by_hand(cut.options(), ino, &expected);
        }
    }

    /// All files in one go.
    fn together(&self, reader: &Reader, order: FileOrder) {
        let inodes: Vec<Ino> = self.files.iter().map(|(ino, _)| *ino).collect();
        let mut found = vec![Vec::new(); inodes.len()];
        let read = reader.read_all(&inodes, order, &mut |piece, bytes| {
            let content: &mut Vec<u8> = &mut found[piece.tag as usize];
            assert_eq!(piece.file_offset, content.len() as u64);
            match bytes {
                ExtentBytes::Data(bytes) => content.extend(bytes),
                ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
            }
            Ok::<_, ReadError>(())
        });
        read.expect("the blob is sound");
        assert!(
            found
                .iter()
                .eq(self.files.iter().map(|(_, content)| content))
        );
    }

    /// By a handle, in pieces, from somewhere.
    fn handle(&mut self, reader: &Reader, ino: Ino, expected: &[u8]) {
        let mut handle = FileHandle::new(reader.clone(), ino).expect("it is a file");
        let start = self.chance.below(expected.len() + 2);
        let sought = handle.seek(SeekFrom::Start(start as u64));
        assert_eq!(sought.expect("it is near"), start as u64);
        let expected = expected.get(start..).unwrap_or_default();
        let mut found = Vec::new();
        loop {
            let mut piece = vec![0; self.lengths.next()];
            let len = handle.read(&mut piece).expect("the blob is sound");
            found.extend(&piece[..len]);
            // A length of a byte takes long.
            if len == 0 || found.len() > 64 * piece.len() {
                break;
            }
        }
        assert!(expected.starts_with(&found));
        let all = found.len() == expected.len();
        assert!(all || handle.read(&mut [0]).is_ok_and(|len| len == 1));
    }

    /// By plans whose steps are answered in any order: two that share their frames, then one that
    /// does not get everything.
    fn by_hand(&mut self, options: &ReadOptions, ino: Ino, expected: &[u8]) {
        let len = expected.len() as u64;
        let (image, blob) = (&*self.image, &self.blob[..]);
        let frames = Arc::new(FrameStore::new(options.cache));
        let range = |range: &Range<u64>| range.start.min(len)..range.end.min(len);
        let plan = |range: Range<u64>| {
            let start = range.start;
            let wants = FileExtents::new(image, ino, range, 0).expect("it is a file");
            ByHand::new(ReadPlan::new(image, &frames, wants, options), blob, start)
        };
        let part = |range: Range<u64>| &expected[range.start as usize..range.end as usize];
        let [one, other] = [range(&self.ranges[0]), range(&self.ranges[1])];
        let mut plans = [one.clone(), other.clone()].map(|range| plan(range).shared());
        let mut more = [true; 2];
        while more != [false; 2] {
            let now = self.chance.below(2);
            more[now] = more[now] && plans[now].turn(&mut self.chance);
        }
        for (plan, range) in plans.into_iter().zip([one, other]) {
            plan.check(part(range));
        }
        let mut faulty = plan(0..len).faulty();
        while faulty.turn(&mut self.chance) {}
        faulty.check(part(0..len));
    }
}
