//! Layers: rebuilt byte for byte, read by range, refused when hostile.

use std::process::Command;

use lazyoci::blob_io::{DirectoryOutput, WriterOutput};
use lazyoci::convert::{
    EstargzOptions, RafsOptions, Streaming, TarOptions, recompress, to_estargz, to_rafs, to_tar,
};
use lazyoci::model::{Blame, Fault, Limits};
use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, lazyoci, scratch};

#[test]
fn every_layer_is_rebuilt_byte_for_byte() {
    let layers = [
        "debian/full",
        "debian/peer",
        "packages/full",
        "packages/peer",
        "many/layer",
        "tiny/tree",
    ];
    for corpus in layers.map(Corpus::new) {
        let dir = scratch();
        let expected = sha256(&corpus.tar());
        for form in ["tar", "tar.gz", "tar.zst"] {
            let output = dir.path().join("rebuilt.tar");
            let mut convert = lazyoci("convert");
            convert
                .args(["--to", "tar"])
                .args([&corpus.with(form), &output]);
            let _ = Finished::of(&mut convert).ok();
            assert_eq!(sha256(&output), expected, "{} from {form}", corpus.name);
            std::fs::remove_file(&output).expect("it was just written");
        }
        for (form, tool) in [("tar-gzip", "gzip"), ("tar-zstd", "zstd")] {
            let output = dir.path().join("packed");
            let mut convert = lazyoci("convert");
            convert
                .args(["--to", form])
                .args([&corpus.with("tar.zst"), &output]);
            let _ = Finished::of(&mut convert).ok();
            let pipe = format!("{tool} -dc < '{}' | sha256sum", output.display());
            let sum = Finished::of(Command::new("sh").args(["-c", &pipe])).ok();
            assert_eq!(&sum.text()[..64], expected, "{} as {form}", corpus.name);
            std::fs::remove_file(&output).expect("it was just written");
        }
    }
}

#[test]
fn a_range_costs_the_frames_that_hold_it() {
    let corpus = Corpus::new("debian/full");
    let dir = scratch();
    let output = dir.path().join("image");
    let mut convert = lazyoci("convert");
    convert
        .args(["--to", "rafs-v6"])
        .args([&corpus.tar(), &output]);
    let _ = Finished::of(&mut convert).ok();
    let path = "oddities/sizes/noise-5243003";
    let source = std::fs::read(corpus.dir().join(path)).expect("a file of the corpus");
    let mut cat = lazyoci("cat");
    cat.args(["--stats", "--range", "3145720:16"])
        .arg(output.join("image.boot"))
        .arg(path);
    let read = Finished::of(&mut cat).ok();
    assert_eq!(read.stdout, source[3_145_720..3_145_736]);
    // The range lies in chunks 2 and 3 of 1 MiB, which noise does not compress: two frames, nothing else.
    let stats = read.stderr.lines().last().expect("--stats prints a line");
    assert!(
        stats.ends_with("content: 1 request, 2097152 bytes"),
        "{stats}"
    );
}

/// Peak resident memory of a command in KiB, by GNU time.
fn peak_kib(command: &mut Command) -> u64 {
    let mut timed = Command::new("/usr/bin/time");
    timed
        .args(["-f", "%M"])
        .arg(command.get_program())
        .args(command.get_args());
    let finished = Finished::of(&mut timed).ok();
    let last = finished.stderr.lines().last().expect("time prints a line");
    last.parse().unwrap_or_else(|_| panic!("{last}"))
}

#[test]
fn memory_is_bounded_by_the_pipeline() {
    for (name, inodes, chunks) in [("big/layer", 0, 0), ("many/layer", 151_500, 151_500)] {
        let corpus = Corpus::new(name);
        for form in ["tar", "tar.gz"] {
            let dir = scratch();
            let mut convert = lazyoci("convert");
            convert
                .args(["--to", "rafs-v6", "--threads", "2"])
                .args([&corpus.with(form), &dir.path().join("image")]);
            let peak = peak_kib(&mut convert);
            let bound = (64 << 10) + 300 * (inodes + chunks) / 1024;
            println!("{name} {form}: {peak} KiB, at most {bound}");
            assert!(peak <= bound, "{name} {form}: {peak} KiB, at most {bound}");
        }
    }
}

/// A layer that nobody should unpack is refused with exit code `code` by each of `targets`, which say
/// why and leave nothing.
fn refused(layer: &[u8], targets: &[&str], code: i32, because: &str) {
    let dir = scratch();
    let source = dir.path().join("layer");
    std::fs::write(&source, layer).expect("a new file");
    for to in targets {
        let output = dir.path().join("output");
        let mut convert = lazyoci("convert");
        convert.args(["--to", to]).args([&source, &output]);
        let finished = Finished::of(&mut convert).exits(code);
        let said = &finished.stderr;
        assert!(said.contains(because), "{to}, {because}: {said}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
        assert_eq!(left.len(), 1, "{to}, {because}: left behind: {left:?}");
    }
}

fn python_tar(members: &str) -> Vec<u8> {
    let script = format!(
        "import io,sys,tarfile\nout=io.BytesIO()\nt=tarfile.open(fileobj=out,mode='w',format=tarfile.PAX_FORMAT)\n\
         def add(name,kind=tarfile.REGTYPE,link='',data=b''):\n i=tarfile.TarInfo(name);i.type=kind;i.linkname=link;i.size=len(data)\n t.addfile(i,io.BytesIO(data))\n\
         {members}\nt.close()\nsys.stdout.buffer.write(out.getvalue())"
    );
    Finished::of(Command::new("python3").args(["-c", &script]))
        .ok()
        .stdout
}

const TARGETS: [&str; 3] = ["rafs-v6", "estargz", "tar-gzip"];

#[test]
fn hostile_layers_are_refused() {
    let through_a_link = python_tar("add('a',tarfile.SYMTYPE,'/etc')\nadd('a/passwd',data=b'x')");
    // Compressing the tar anew does not look at the tree.
    refused(&through_a_link, &TARGETS[..2], 3, "symbolic link");

    let layer = python_tar("add('a',data=b'x'*5000)");
    refused(&layer[..3000], &TARGETS, 1, "3000");

    let mut layer = gzip_layer("random.Random(1).randbytes", 2, 6);
    refused(
        &layer[..1_000_000],
        &TARGETS,
        1,
        "is truncated at byte 1000000",
    );
    layer[1_000_000] ^= 0x10;
    refused(&layer, &TARGETS, 1, "corrupt");
}

/// A layer with a file of so many MiB, each of which the Python function `content` gives.
fn gzip_layer(content: &str, mib: u32, level: u32) -> Vec<u8> {
    let script = format!(
        "import gzip,random,sys,tarfile\n\
         out=gzip.GzipFile(fileobj=sys.stdout.buffer,mode='wb',compresslevel={level},mtime=0)\n\
         info=tarfile.TarInfo('file');info.size={mib}<<20\n\
         out.write(info.tobuf())\n\
         for _ in range({mib}): out.write({content}(1<<20))\n\
         out.write(bytes(1024));out.close()"
    );
    let mut python = Command::new("python3");
    Finished::of(python.args(["-c", &script])).ok().stdout
}

/// 512 MiB in half a MB: whoever sets a limit is not made to decode it, whoever sets none needs no memory for it.
#[test]
fn a_gzip_bomb_stops_at_the_limit() {
    let bomb = gzip_layer("bytes", 512, 9);
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let limits = Limits::default().max_layer_len(16 << 20);
    let layer = || Streaming::new(&*bomb).limits(limits.clone());
    let dir = scratch();
    let mut image = DirectoryOutput::create(dir.path().join("image")).expect("a new directory");
    let mut sink = WriterOutput::new(std::io::sink());
    let (rafs, estargz) = (RafsOptions::default(), EstargzOptions::default());
    let tar = TarOptions::default();
    let refusals = [
        to_rafs(layer(), &mut image, &rafs, &mut ()).map(drop),
        to_estargz(layer(), &mut sink, &estargz, &mut ()).map(drop),
        to_tar(layer(), &mut sink, &tar, &mut ()).map(drop),
        recompress(layer(), &mut sink, &tar, &mut ()).map(drop),
    ];
    drop(image);
    for refusal in refusals {
        let error = refusal.expect_err("it is larger than the limit");
        assert_eq!(error.fault(), Fault::Limit, "{error}");
    }
    let left = std::fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(left, 0, "something was left behind");
}

/// Our own indexes, with spans of 1 MiB: windows, digests of spans, and headers of the tar. Of `packages/peer`, whose files
/// are many and short, the headers alone are more than a third of its index.
#[test]
fn indexes_of_gzip_layers_are_short() {
    let dir = scratch();
    let bounds = [
        ("debian/peer", 0.005),
        ("debian/full", 0.005),
        ("packages/full", 0.005),
        ("packages/peer", 0.006),
    ];
    for (name, bound) in bounds {
        let mut index = lazyoci("index");
        index.args(["--json", "--force"]);
        index.arg(Corpus::new(name).with("tar.gz"));
        let report = Finished::of(index.arg(dir.path().join("index")))
            .ok()
            .json();
        let [bytes, windows, layer] = ["bytes", "window_bytes", "layer_bytes"]
            .map(|field| report[field].as_f64().expect("a number"));
        println!(
            "{name}: {:.5}, windows {:.5}",
            bytes / layer,
            windows / layer
        );
        assert!(bytes / layer <= bound, "{name}: {bytes} of {layer}");
        assert!(windows / layer <= 0.005, "{name}: {windows} of {layer}");
    }
}
