//! How much work reading is.

use std::sync::Arc;

use lazyoci::blob_io::bytes::Bytes;
use lazyoci::model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use lazyoci::model::{
    Blame, Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, DigestAlgorithm, Fault,
    Frame, FrameId, Ino, Limits, Metadata, Name, Node, Recipe, RecipeId, Tree,
};
use lazyoci::read::{BlobStore, FileOrder, ReadError, ReadOptions, Reader};
use lazyoci::verify;

use super::input::Input;

/// Decoded bytes of every frame.
const FRAME_LEN: u32 = 1024;

/// Most files of an image.
const MAX_FILES: usize = 512;

/// Takes choices of an image, whose files lie in few frames or nowhere, and reads all of it with little
/// room: what is refused is refused before anything is read, and decoding is in proportion to what is
/// stored and handed out.
pub fn read_work(data: &[u8]) {
    let input = &mut Input::new(data);
    let limits = Limits::default()
        .max_content_len(1 << 17)
        .max_hole_len(1 << 16)
        .max_repeat_len(1 << 12);
    let options = ReadOptions::default()
        .threads(1)
        .window(input.one_of(&[1, 1024, 4096]))
        .cache(0)
        .keep(input.one_of(&[0, 1024, 4096]))
        .limits(limits.clone());
    let order = match input.flag() {
        true => FileOrder::Stored,
        false => FileOrder::Given,
    };
    let made = Made::take(input);
    let (declared, files) = (made.declared, made.files.clone());
    let blobs = BlobStore::single(Arc::new(made.blob));
    let reader = Reader::new(Arc::new(made.image), blobs, options);
    let mut handed_out = 0;
    let read = reader.read_all(&files, order, &mut |_, bytes| {
        handed_out += bytes.len();
        Ok::<_, ReadError>(())
    });

    let Declared { len, stored, .. } = declared;
    let decoded = reader.frames().decoded() * u64::from(FRAME_LEN);
    assert!(handed_out <= limits.max_content_len);
    let earned = (stored + handed_out) * 16 + u64::from(FRAME_LEN);
    assert!(
        decoded <= stored + earned,
        "{decoded} bytes decoded of {stored} for {handed_out}"
    );
    let too_much = len > limits.max_content_len
        || len.saturating_sub(64 * stored) > limits.max_hole_len
        || declared.repeated > limits.max_repeat_len;
    match read {
        Ok(()) => {
            assert!(!too_much, "{declared:?} was read");
            assert_eq!(handed_out, len);
        }
        Err(error @ ReadError::TooMuch { .. }) => {
            let may_be = declared.repeated + declared.zeros > limits.max_repeat_len;
            assert!(too_much || may_be, "{declared:?}: {error}");
            assert_eq!((handed_out, decoded), (0, 0), "{error}");
        }
        Err(error) => {
            assert!(!too_much, "{declared:?} was read");
            assert_eq!(error.fault(), Fault::Limit, "{error:?}");
        }
    }
}

/// What an image says that its files hold.
#[derive(Debug, Clone, Copy, Default)]
struct Declared {
    /// Bytes of all files.
    len: u64,
    /// Bytes of the frames that hold them.
    stored: u64,
    /// Bytes of them beyond 8 times their frame.
    repeated: u64,
    /// The same of the frame of zeros, which may count or not.
    zeros: u64,
}

struct Made {
    image: ChunkedImage,
    blob: Bytes,
    files: Vec<Ino>,
    declared: Declared,
}

impl Made {
    /// Frame `n` holds the byte `n` alone.
    fn take(input: &mut Input<'_>) -> Self {
        let frames = 1 + input.below(8) as u32;
        let vouched = input.flag();
        // Frames are decoded for next to nothing then.
        let short = input.flag();
        let mut tree: Tree<ChunkRange> = Tree::new(Metadata::implied_directory());
        let mut parts = ChunkedParts {
            recipes: vec![Recipe::exact(Codec::None)],
            blobs: vec![Blob::new(BlobId::new(b"fuzz").expect("it is a name"))],
            ..ChunkedParts::default()
        };
        parts.frames = (0..frames)
            .map(|index| Frame {
                blob: BlobIndex(0),
                offset: u64::from(index * FRAME_LEN),
                stored_len: FRAME_LEN,
                len: FRAME_LEN,
                recipe: RecipeId(0),
            })
            .collect();
        let mut used = vec![0u64; frames as usize];
        let mut declared = Declared::default();
        let mut files = Vec::new();
        while !input.is_empty() && files.len() < MAX_FILES {
            let frame = input.below(frames as usize + 1) as u32;
            let offset_in_frame = u32::from(input.byte());
            let len = match input.byte() {
                len if short => 1 + u32::from(len % 4),
                0 => FRAME_LEN - offset_in_frame,
                len => u32::from(len),
            };
            let chunk = (frame < frames).then(|| {
                used[frame as usize] += u64::from(len);
                let bytes = vec![frame as u8; len as usize];
                let digest = verify::digest(DigestAlgorithm::Sha256, &bytes);
                parts.chunks.push(Chunk {
                    digest: vouched.then(|| digest.expect("it is built in")),
                    len,
                    crc32c: None,
                    frame: FrameId(frame),
                    offset_in_frame,
                });
                ChunkId::new(parts.chunks.len() as u32 - 1)
            });
            let size = match chunk {
                Some(_) => u64::from(len),
                None => u64::from(len) * 64,
            };
            declared.len += size;
            let start = parts.extents.len() as u32;
            parts.extents.push(ChunkExtent {
                file_offset: 0,
                chunk,
            });
            let content = ChunkRange {
                start,
                end: start + 1,
            };
            let inode = tree.add(Metadata::default(), Node::File { size, content });
            let name = Name::new(files.len().to_string().into_bytes()).expect("it is a number");
            tree.link(Tree::<ChunkRange>::ROOT, name, inode)
                .expect("the root is a directory");
            files.push(Ino(inode.index() as u64));
        }
        for (frame, &used) in used.iter().enumerate() {
            let beyond = used.saturating_sub(8 * u64::from(FRAME_LEN));
            declared.stored += u64::from(FRAME_LEN) * u64::from(used > 0);
            match frame {
                0 if vouched => declared.zeros += beyond,
                _ => declared.repeated += beyond,
            }
        }
        let byte = |at| (at / FRAME_LEN) as u8;
        Self {
            image: ChunkedImage::new(tree, parts).expect("it fits together"),
            blob: (0..frames * FRAME_LEN).map(byte).collect::<Vec<_>>().into(),
            files,
            declared,
        }
    }
}
