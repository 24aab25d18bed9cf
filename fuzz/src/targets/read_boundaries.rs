//! Equal results whatever the pieces in which input arrives.

use std::io::{self, Cursor, Read};
use std::num::NonZeroU32;
use std::sync::Arc;

use lazyoci::chunk_dedup::{Chunker, FixedSize};
use lazyoci::estargz_toc::carry::reduce;
use lazyoci::estargz_toc::image::ImageOptions;
use lazyoci::model::{BlobId, FileKind, Image, Limits, Node, Tree};
use lazyoci::rafs_format::v6::{Bootstrap, drop_losses};
use lazyoci::read::{BlobStore, Follow, Frames, ReadOptions, read_toc, resolve};
use lazyoci::tar_stream::{Compression, LayerStream, TarError, TarReader};

use super::input::Input;
use super::memory::Memory;
use super::same::see;
use super::stargz;
use super::tar::{Pieces, cut, options};
use super::tree::{Pattern, take_tree};
use super::v6::{Choices, encode, store};

/// Lengths of pieces, over and over.
#[derive(Debug, Clone)]
struct Lengths {
    list: [usize; 4],
    next: usize,
}

impl Lengths {
    fn take(input: &mut Input<'_>) -> Self {
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

    fn next(&mut self) -> usize {
        self.next = (self.next + 1) % self.list.len();
        self.list[self.next]
    }
}

/// A source that gives no more than it likes at once.
#[derive(Debug)]
struct Pieced<'a> {
    bytes: &'a [u8],
    lengths: Lengths,
}

impl Read for Pieced<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.lengths.next().min(buf.len());
        self.bytes.read(&mut buf[..len])
    }
}

/// Reads the bytes as a layer at once and in pieces; or takes them as choices, stores an image, and
/// reads ranges of its files in windows of several sizes.
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
            let stream = LayerStream::open(source, &limits).map_err(|error| error.to_string())?;
            let compression = stream.compression();
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
    let cut_into = |length: &mut dyn FnMut() -> usize| {
        let mut chunker = FixedSize::new(size);
        let mut ends = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + length())];
            match chunker.feed(piece) {
                Some(taken) => {
                    at += taken;
                    ends.push(at);
                }
                None => at += piece.len(),
            }
        }
        chunker.end_file();
        ends
    };
    let whole = cut_into(&mut || bytes.len());
    assert_eq!(whole, cut_into(&mut || lengths.next()));
    assert_eq!(whole.len(), bytes.len() / size.get() as usize);
}

fn files(input: &mut Input<'_>, lengths: Lengths) {
    let first = input.u16();
    let ranges = [first.into()].into_iter();
    let ranges: Vec<u64> = ranges.chain((0..5).map(|_| input.u16().into())).collect();
    if first & 1 == 1 {
        return estargz_files(input, lengths, &ranges);
    }
    let choices = Choices::take(input);
    let tree = take_tree(input);
    let mut stored = store(tree.clone(), &choices);
    drop_losses(&mut stored.image.tree, &mut drop);
    let bytes =
        encode(&stored.image, &stored.entries, &choices.layout()).expect("all can be carried");
    let bootstrap =
        Bootstrap::open(bytes.into(), &Limits::default()).expect("it was written by us");
    read_ranges(&bootstrap, &tree, &stored.store(), lengths, &ranges);
}

/// The same of an eStargz blob, whose frames are longer than what they hold of a file.
fn estargz_files(input: &mut Input<'_>, lengths: Lengths, ranges: &[u64]) {
    let choices = stargz::Choices::take(input);
    let mut tree = take_tree(input);
    reduce(&mut tree);
    tree.drop_unreachable();
    let limits = Limits::default();
    let Some(stored) = stargz::store(tree.clone(), &choices, &limits) else {
        return;
    };
    let toc = read_toc(&stored.blob.as_slice(), &limits).expect("it was written by us");
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let options = ImageOptions {
        without_digests: false,
        limits,
    };
    let opened = toc.image(id, &options).expect("it was written by us");
    let blobs = BlobStore::single(Arc::new(Memory(stored.blob)));
    read_ranges(&opened.image, &tree, &blobs, lengths, ranges);
}

/// Reads ranges of every file, which are parts of what the tree says.
fn read_ranges(
    image: &dyn Image,
    tree: &Tree<Pattern>,
    blobs: &BlobStore,
    mut lengths: Lengths,
    ranges: &[u64],
) {
    let options = ReadOptions {
        window: lengths.next() as u64,
        gap: lengths.next() as u64 % 5000,
        max_request: lengths.next() as u64,
        ..ReadOptions::default()
    };
    let mut frames = Frames::new(image, blobs, options);
    let mut whole = Frames::new(image, blobs, ReadOptions::default());
    for seen in see(image, &Limits::default()).expect("a sound image answers everything") {
        if seen.attributes.kind != FileKind::File {
            continue;
        }
        let ino = resolve(image, seen.path.as_bytes(), Follow::Never).expect("it is there");
        let inode = tree.resolve(seen.path.as_bytes()).expect("it is there");
        let Node::File { content, .. } = &tree.inode(inode).node else {
            panic!("{} was a file", seen.path);
        };
        let expected = content.bytes();
        let mut found = Vec::new();
        let len = whole
            .read_range(ino, 0..u64::MAX, &mut found)
            .expect("the blob is sound");
        assert_eq!(len, expected.len() as u64);
        assert!(found == expected, "{}", seen.path);
        for range in ranges.windows(2).map(|pair| pair[0]..pair[0] + pair[1]) {
            let mut found = Vec::new();
            frames
                .read_range(ino, range.clone(), &mut found)
                .expect("the blob is sound");
            let end = expected.len().min(range.end as usize);
            let part = &expected[end.min(range.start as usize)..end];
            assert!(found == part, "{}, {range:?}", seen.path);
            let mut unverified = Vec::new();
            let read = frames.read_range_unverified(ino, range, &mut unverified);
            assert_eq!(read.expect("the blob is sound"), part.len() as u64);
            assert!(unverified == part);
        }
    }
}
