#!/usr/bin/env python3
"""Whole-process comparison with nydus-image on the same layer, in turn, and our peak memory.

  against_nydus.py [--runs N] [--corpus NAME] [--fs-version N | --zran] [--record FILE]

With --zran, tar.gz layers are described as they are. Ours stores the layer too, which nydus-image does not; the layer
is not counted in the size.

Needs the peers and corpora of ../interop (peers.sh, corpus/make.sh) and GNU time; builds our example
(LAZYOCI_EXAMPLES names another directory with it). Every run writes to a fresh directory; inputs are
read once before (warm). The two tools alternate, so that a machine that slows down slows both; medians
and the median of the pairwise ratios are printed as Markdown, and written to FILE, which needs a tree
that is committed.
"""

import argparse
import pathlib

from measure import CACHE, Run, example, corpus, fresh, header, needed, publish, ratios, row, table

NYDUS_IMAGE = CACHE / "nydus/bin/nydus-image"
# The release that ../interop/peers.sh builds; the program does not know.
THEIRS = "nydus-image 2.2.0"


def files(directory):
    return sum(p.stat().st_size for p in directory.rglob("*") if p.is_file())


def ours(layer, output, convert, version, compressor):
    run = Run(convert, "--to", f"rafs-v{version}", "--compressor", compressor, "--digester", "blake3",
              "--chunk-size", "1048576", "--threads", "2", layer, output / "image")
    run.bytes = files(output)
    return run


def theirs(layer, output, version, compressor):
    (output / "blobs").mkdir()
    kind = "targz-rafs" if layer.suffix == ".gz" else "tar-rafs"
    name = {"lz4": "lz4_block"}.get(compressor.split(":")[0], compressor.split(":")[0])
    run = Run(NYDUS_IMAGE, "create", "--log-level", "error", "-t", kind, "-v", version,
              "--whiteout-spec", "none", "--compressor", name, "--digester", "blake3",
              "--chunk-size", "0x100000", "-D", output / "blobs", "-B", output / "image.boot", layer)
    run.bytes = files(output)
    return run


def ours_zran(layer, output, convert):
    run = Run(convert, "--to", "rafs-v6-zran", "--threads", "2", layer, output / "image")
    run.bytes = files(output) - layer.stat().st_size
    return run


def theirs_zran(layer, output):
    (output / "blobs").mkdir()
    run = Run(NYDUS_IMAGE, "create", "--log-level", "error", "-t", "targz-ref", "-v", "6",
              "--whiteout-spec", "none", "-D", output / "blobs", "-B", output / "image.boot", layer)
    run.bytes = files(output)
    return run


def compare(name, convert, version, runs, lines):
    lines += table("bytes written")
    notes = []
    for kind, compressor in (("tar", "zstd:3"), ("tar", "lz4"), ("tar", "none"), ("tar.gz", "zstd:3")):
        layer = corpus(f"{name}.{kind}")
        def pair():
            return fresh(ours, layer, convert, version, compressor), fresh(theirs, layer, version, compressor)
        pair()
        pairs = [pair() for _ in range(runs)]
        what = f"{kind}, {compressor}"
        lines.append(row(f"lazyoci, {what}", [a for a, _ in pairs]))
        lines.append(row(f"{THEIRS}, {what}", [b for _, b in pairs]))
        notes.append(f"- {what}: {ratios(pairs)}")
    lines += ["", *notes]


def compare_zran(name, convert, runs, lines):
    lines += table("bytes of bootstrap and metadata")
    layer = corpus(f"{name}.tar.gz")
    def pair():
        return fresh(ours_zran, layer, convert), fresh(theirs_zran, layer)
    pair()
    pairs = [pair() for _ in range(runs)]
    lines.append(row("lazyoci", [a for a, _ in pairs]))
    lines.append(row(THEIRS, [b for _, b in pairs]))
    lines += ["", f"- {ratios(pairs)}"]


def memory(convert, version, lines):
    lines += ["", "Peak memory of ours, two threads, zstd:3:", "", "| layer | peak MiB |", "|---|---|"]
    for name in ("big/layer.tar", "big/layer.tar.gz", "many/layer.tar"):
        layer = corpus(name)
        run = fresh(ours, layer, convert, version, "zstd:3")
        lines.append(f"| {name}, {layer.stat().st_size} bytes | {run.peak:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--corpus", default="debian/peer")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--fs-version", choices=("5", "6"), default="6")
    kind.add_argument("--zran", action="store_true")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    needed(NYDUS_IMAGE)
    lines = zran(args) if args.zran else rafs(args)
    publish(lines, args.record)


def rafs(args):
    layer = corpus(f"{args.corpus}.tar")
    convert, built = example("convert")
    lines = header(
        f"tar to RAFS v{args.fs_version} against {THEIRS}, {args.corpus}",
        args.record,
        f"command: `benches/against_nydus.py --runs {args.runs} --corpus {args.corpus} --fs-version {args.fs_version}`",
        f"ours: {built}",
        f"input: {layer.stat().st_size} bytes of tar, warm; 1 MiB chunks, blake3, two threads",
    )
    lines.append("")
    compare(args.corpus, convert, args.fs_version, args.runs, lines)
    memory(convert, args.fs_version, lines)
    return lines


def zran(args):
    layer = corpus(f"{args.corpus}.tar.gz")
    convert, built = example("convert")
    lines = header(
        f"tar.gz as it is (zran) against {THEIRS}, {args.corpus}",
        args.record,
        f"command: `benches/against_nydus.py --runs {args.runs} --corpus {args.corpus} --zran`",
        f"ours: {built}; it stores the layer, too",
        f"input: {layer.stat().st_size} bytes of tar.gz, warm; two threads",
    )
    lines.append("")
    compare_zran(args.corpus, convert, args.runs, lines)
    return lines


if __name__ == "__main__":
    main()
