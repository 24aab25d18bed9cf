//! Losses, listed up to a limit.

use lazyoci::blob_io::MemoryOutput;
use lazyoci::convert::{
    ConvertError, EstargzOptions, FileContent, RafsOptions, Report, Source, TarOptions, to_estargz,
    to_rafs, to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blame, Fault, Limits, Tree};
use lazyoci::rafs_format::Version;

use super::input::Input;
use super::tree::{Pattern, take_tree};

/// Takes a limit and choices of a tree, and converts that to every format, where anything may be lost:
/// with any limit the same is written, the list of losses is the start of the whole list and within the
/// limit, and all losses are counted.
pub fn lossy(data: &[u8]) {
    let input = &mut Input::new(data);
    let limit = u64::from(input.u16() % 8192);
    let tree = take_tree(input);
    for target in [Target::Tar, Target::Estargz, Target::V5, Target::V6] {
        let all = convert(&tree, target, u64::MAX);
        let some = convert(&tree, target, limit);
        match (all, some) {
            (Ok(all), Ok(some)) => compare(&all, &some, limit),
            (Err(all), Err(some)) => {
                assert_eq!(all.to_string(), some.to_string());
                let allowed = matches!(all.fault(), Fault::Unsupported | Fault::Limit);
                assert!(allowed, "nothing is wrong with the tree, but: {all:?}");
            }
            (all, some) => panic!("it depends on the limit: {all:?}, {some:?}"),
        }
    }
}

fn compare(all: &Converted, some: &Converted, limit: u64) {
    assert!(all.bytes == some.bytes, "the limit changes the image");
    let (all, some) = (&all.report, &some.report);
    assert_eq!(all.losses_untold, 0);
    let told = some.losses.len();
    assert_eq!(told as u64 + some.losses_untold, all.losses.len() as u64);
    assert!(all.losses.starts_with(&some.losses));
    let paths = some.losses.iter().map(|loss| loss.path.as_bytes().len());
    let len = paths.sum::<usize>() + size_of_val(&some.losses[..]);
    assert!(len as u64 <= limit, "{len} bytes of losses");
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Tar,
    Estargz,
    V5,
    V6,
}

#[derive(Debug)]
struct Converted {
    /// Every object that was written.
    bytes: Vec<Vec<u8>>,
    report: Report,
}

fn convert(
    tree: &Tree<Pattern>,
    target: Target,
    max_report_len: u64,
) -> Result<Converted, ConvertError> {
    let content = |_, _, content: Pattern| Ok(FileContent::from(content.bytes()));
    let tree: Result<_, ConvertError> = tree.clone().try_map(content);
    let source = Source::from(tree?).with_limits(Limits::default().max_report_len(max_report_len));
    let output = &mut MemoryOutput::default();
    let rafs = |version| {
        RafsOptions::default()
            .version(version)
            .compression(Compression::None)
            .chunk_size(1 << 20)
            .lossy(true)
            .threads(1)
    };
    let report = match target {
        Target::Tar => {
            let options = TarOptions::default().lossy(true);
            to_tar(source, output, &options, &mut ())?.report
        }
        Target::Estargz => {
            let options = EstargzOptions::default().lossy(true).threads(1);
            to_estargz(source, output, &options, &mut ())?.report
        }
        Target::V5 => to_rafs(source, output, &rafs(Version::V5), &mut ())?.report,
        Target::V6 => to_rafs(source, output, &rafs(Version::V6), &mut ())?.report,
    };
    let bytes = output.objects().iter().map(|object| object.bytes.to_vec());
    Ok(Converted {
        bytes: bytes.collect(),
        report,
    })
}
