//! Images of a few megabytes whose paths have gigabytes together: what would list them is refused before
//! that takes memory, or time.

use std::fs;
use std::path::Path;
use std::process::Command;

use lazyoci::blob_io::DirectoryOutput;
use lazyoci::convert::{FileContent, RafsOptions, to_rafs};
use lazyoci::model::{Metadata, Name, Node, Tree};

use crate::{complaint, example, run};

/// Kilobytes of address space, for the program, its libraries and all that it allocates: the paths that
/// these images may hold have a gigabyte.
const MEMORY: &str = "600000";

/// `example`, with little memory.
fn limited(name: &str) -> Command {
    let mut command = Command::new("sh");
    let program = example(name).get_program().to_owned();
    command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh"]);
    command.arg(program);
    // Each arena of glibc takes 64 MiB of addresses.
    command.env("MALLOC_ARENA_MAX", "1");
    command
}

/// An image of 2,500 pipes, each with two names, 2,000 directories deep: paths of half a megabyte.
fn deep(output: &Path, mode: u16) {
    let mut tree = Tree::new(Metadata::implied_directory());
    let mut at = Tree::<FileContent>::ROOT;
    for _ in 0..2_000 {
        let directory = tree.add(Metadata::default(), Node::empty_directory());
        tree.link(at, Name::new([b'd'; 250]).unwrap(), directory)
            .unwrap();
        at = directory;
    }
    for number in 0..2_500 {
        let metadata = Metadata {
            mode,
            ..Metadata::default()
        };
        let pipe = tree.add(metadata, Node::Fifo);
        for first in ["a", "b"] {
            let name = Name::new(format!("{first}{number}").into_bytes()).unwrap();
            tree.link(at, name, pipe).unwrap();
        }
    }
    let mut output = DirectoryOutput::create(output).unwrap();
    to_rafs(tree, &mut output, &RafsOptions::default(), &mut ()).unwrap();
}

#[test]
fn paths_of_gigabytes_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (image, other) = (dir.path().join("image"), dir.path().join("other"));
    deep(&image, 0o644);
    deep(&other, 0o600);
    let bootstrap = fs::metadata(image.join("image.boot")).unwrap();
    assert!(bootstrap.len() < 4 << 20);

    for to in ["tar", "estargz"] {
        let mut convert = limited("convert");
        convert
            .args(["--to", to])
            .arg(&image)
            .arg(dir.path().join(to));
        let said = complaint(&mut convert, 3);
        let why = "the paths of all names have more than 1073741824 bytes\n";
        assert!(said.ends_with(why), "{to}");
        assert!(!dir.path().join(to).exists());
    }
    let said = complaint(limited("diff").args([&image, &other]), 3);
    assert!(said.ends_with("the paths of hard links have more than 1073741824 bytes\n"));
    for options in [&["-R"][..], &["-R", "--json"]] {
        let said = run(limited("ls").args(options).arg(&image), 3);
        let (out, err) = (said.stdout, said.stderr);
        let said = [out, err].concat();
        let said = String::from_utf8(said).unwrap();
        let why = "the paths to list take more than 1073741824 bytes";
        assert!(said.contains(why) && said.len() < 200, "{said}");
    }
    // Where no list is made, there is no limit.
    let count = run(limited("ls").arg(&image), 0);
    assert_eq!(count.stdout.len(), 251);
}
