//! What a conversion takes and reports is bounded, whatever the source declares.

use blob_io::MemoryOutput;
use image_model::{Blame, Fault, InodeId, Limits, Metadata, Name, Node, Timestamp, Tree};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, FileContent, RafsOptions, Report, Streaming, TarOptions,
    to_estargz, to_rafs, to_tar,
};

use crate::support::Tar;

type Files = Tree<FileContent<'static>>;

/// `count` inodes that no format can carry, 50 KB deep.
fn deep(count: u32, node: &Node<()>, nanoseconds: u32) -> Files {
    let mut tree = Tree::new(Metadata::default());
    let mut at = InodeId::ROOT;
    for _ in 0..200 {
        let below = tree.add(Metadata::default(), Node::empty_directory());
        let name = Name::new([b'd'; 250]).unwrap();
        tree.link(at, name, below).unwrap();
        at = below;
    }
    for index in 0..count {
        let mtime = Timestamp {
            seconds: 0,
            nanoseconds,
        };
        let metadata = Metadata {
            mtime,
            ..Metadata::default()
        };
        let node = match node {
            Node::Socket => Node::Socket,
            _ => Node::Fifo,
        };
        let inode = tree.add(metadata, node);
        let name = Name::new(index.to_string().into_bytes()).unwrap();
        tree.link(at, name, inode).unwrap();
    }
    tree
}

/// Losses are listed up to the limit, and counted beyond.
fn check(report: &Report, count: u64) {
    let paths = report.losses.iter().map(|loss| loss.path.as_bytes().len());
    let len = paths.sum::<usize>() as u64;
    let limit = Limits::default().max_report_len;
    assert!(len <= limit && len > limit / 2, "{len} bytes of paths");
    assert_eq!(report.losses.len() as u64 + report.losses_untold, count);
}

#[test]
fn losses_in_deep_directories_are_counted_beyond_the_limit() {
    let mut output = MemoryOutput::default();
    let sockets = || deep(1_000, &Node::Socket, 0);
    let tar = TarOptions::default().lossy(true);
    check(
        &to_tar(sockets(), &mut output, &tar, &mut ())
            .unwrap()
            .report,
        1_000,
    );
    let mut output = MemoryOutput::default();
    let estargz = EstargzOptions::default().lossy(true);
    let done = to_estargz(sockets(), &mut output, &estargz, &mut ()).unwrap();
    check(&done.report, 1_000);
    let mut output = MemoryOutput::default();
    let rafs = RafsOptions::default().lossy(true);
    let times = deep(1_000, &Node::Fifo, 1_000_000_000);
    let done = to_rafs(times, &mut output, &rafs, &mut ()).unwrap();
    check(&done.report, 1_000);
}

/// A tar with one sparse file of `size` bytes, without data.
fn hole(size: u64) -> Vec<u8> {
    sparse_tar(size, &[(size, b"")])
}

/// A tar with one sparse file of `size` bytes, `regions` of it with data: PAX, GNU's form 1.0.
pub(crate) fn sparse_tar(size: u64, regions: &[(u64, &[u8])]) -> Vec<u8> {
    let size = size.to_string();
    let fields = [
        ("major", "1"),
        ("minor", "0"),
        ("name", "hole"),
        ("realsize", &size),
    ];
    let mut records = Vec::new();
    for (key, value) in fields {
        let record = format!(" GNU.sparse.{key}={value}\n");
        // All have lengths of two digits.
        records.extend(format!("{}{record}", record.len() + 2).into_bytes());
    }
    let mut tar = Tar::new().file("PaxHeaders/hole", &records).finish();
    tar.truncate(tar.len() - 1024);
    tar[156] = b'x';
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|&b| u32::from(b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut map = format!("{}\n", regions.len()).into_bytes();
    for (start, data) in regions {
        map.extend(format!("{start}\n{}\n", data.len()).into_bytes());
    }
    map.resize(map.len().next_multiple_of(512), 0);
    map.extend(regions.iter().flat_map(|(_, data)| *data));
    tar.extend(Tar::new().file("GNUSparseFile.0/hole", &map).finish());
    tar
}

#[test]
fn a_hole_makes_no_more_chunk_records_than_its_limit_allows() {
    let limits = Limits::default();
    let convert = |size| {
        let tar = hole(size);
        let mut output = MemoryOutput::default();
        let source = Streaming::new(&tar[..]);
        to_rafs(source, &mut output, &RafsOptions::default(), &mut ())
    };
    let chunks = convert(limits.max_hole_len).unwrap().report.chunks;
    assert_eq!(
        chunks.stored + chunks.deduplicated,
        limits.max_hole_len >> 20
    );
    for size in [limits.max_hole_len + 1, 1 << 42, 1 << 62] {
        let error = convert(size).unwrap_err();
        assert!(matches!(error, ConvertError::Entry(_)), "{error}");
        assert_eq!(error.fault(), Fault::Limit);
        let tar = hole(size);
        let mut output = MemoryOutput::default();
        let options = EstargzOptions::default();
        let refused = to_estargz(Streaming::new(&tar[..]), &mut output, &options, &mut ());
        assert_eq!(refused.unwrap_err().fault(), Fault::Limit);
    }
}
