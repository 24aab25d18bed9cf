//! How much of a bootstrap an answer depends on.

use image_model::image::ChunkRange;
use image_model::{FileKind, Image, Ino, Metadata, Name, Node, Tree};

/// Directories above what [`nested`] has in the middle.
pub(crate) const DEPTH: usize = 3;

/// What is spoilt at once: what a processor fetches at once.
const LINE: usize = 64;

/// A name in the middle of each directory of `entries`, another one in each.
fn middle(entries: usize) -> Name {
    name(entries / 3)
}

fn name(number: usize) -> Name {
    Name::new(format!("entry-{number:06}").into_bytes()).unwrap()
}

/// Directories in one another, each of `entries`.
pub(crate) fn nested(entries: usize) -> Tree<ChunkRange> {
    let mut tree = Tree::new(Metadata::implied_directory());
    let mut directory = Tree::<ChunkRange>::ROOT;
    for _ in 0..DEPTH {
        let mut below = directory;
        for number in 0..entries {
            let node = match name(number) == middle(entries) {
                true => Node::empty_directory(),
                false => Node::Fifo,
            };
            let child = tree.add(Metadata::implied_directory(), node);
            tree.link(directory, name(number), child).unwrap();
            if name(number) == middle(entries) {
                below = child;
            }
        }
        directory = below;
    }
    tree
}

/// Finds the innermost directory of [`nested`].
pub(crate) fn find_innermost(image: &dyn Image, entries: usize) -> Option<Ino> {
    (0..DEPTH).try_fold(image.root(), |directory, _| {
        let found = image.lookup_kind(directory, middle(entries).as_ref());
        let (ino, kind) = found.ok()??;
        (kind == FileKind::Directory).then_some(ino)
    })
}

/// How many lines of `bytes` the answer of `ask`, opening included, depends on: those of which it
/// notices that they are spoilt in one of two ways.
pub(crate) fn lines_read(bytes: &[u8], ask: &dyn Fn(&[u8]) -> Option<Ino>) -> usize {
    let expected = ask(bytes);
    assert!(expected.is_some());
    let mut spoilt = bytes.to_vec();
    let starts = (0..bytes.len()).step_by(LINE);
    let noticed = starts.filter(|&start| {
        let line = start..bytes.len().min(start + LINE);
        let differs = [0x00, 0xff].map(|byte| {
            spoilt[line.clone()].fill(byte);
            ask(&spoilt) != expected
        });
        spoilt[line.clone()].copy_from_slice(&bytes[line]);
        differs.contains(&true)
    });
    noticed.count()
}

/// Checks that the lines read grow as the logarithm of `entries` does, and no faster than `each` for
/// each halving of a directory; `read` encodes [`nested`] and counts.
pub(crate) fn check_growth(each: usize, read: &dyn Fn(usize) -> usize) {
    let (few, many) = (32, 1024);
    let (of_few, of_many) = (read(few), read(many));
    println!("{of_few} lines of {few} entries, {of_many} of {many}");
    let halvings = DEPTH * (many / few).ilog2() as usize;
    assert!(of_many > of_few);
    assert!(of_many - of_few <= each * halvings, "{of_few}, {of_many}");
    // Opening, and the inodes on the way.
    assert!(of_few <= 16 + DEPTH * (4 + each * 5), "{of_few}");
}
