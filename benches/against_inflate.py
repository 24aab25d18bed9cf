#!/usr/bin/env python3
"""Indexes of gzip layers: what building one costs against inflating alone, and what they save; as Markdown.

  against_inflate.py [--runs N] [--corpus NAME] [--long BYTES] [--record FILE]

Needs corpora (../interop/corpus/make.sh) and GNU time; builds `src/bin/inflate.rs` and our examples (LAZYOCI_EXAMPLES
names another directory with them). In one process, layer in memory, the ways take turns: inflating, building an index,
inflating by it on one thread and two, each span verified. As whole processes, in turn: `convert` to RAFS v6 without
compression, with `--index` and without. Medians, and medians of the ratios of each turn. A layer of BYTES (0: none), made
by repeating the content of the first corpus as members, goes through a pipe to `index`, whose peak memory is told. FILE
gets what is printed, which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import zlib

from measure import Run, corpus, example, fresh, header, publish, run

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).resolve()


def built():
    command = ["cargo", "build", "--release", "--bin", "inflate"]
    subprocess.run(command, cwd=HERE, stdout=sys.stderr, check=True)
    return TARGET / "release/inflate"


def ways(program, layer, runs):
    """The seconds of each way, by its name, and the lengths that are told first."""
    times, lengths = {}, {}
    for line in run(program, layer, str(runs)).splitlines():
        name, first, *rest = line.split("\t")
        if rest:
            times.setdefault(name, []).append(float(first))
        else:
            lengths[name] = int(first)
    return times, lengths


def ratio(times, others):
    return statistics.median(a / b for a, b in zip(times, others))


def converted(layer, directory, convert, *options):
    return Run(convert, "--to", "rafs-v6", "--compressor", "none", "--threads", "2", *options, layer, directory / "image")


def member(content):
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    return deflate.compress(content) + deflate.flush()


def long_layer(tar, pipe, length):
    """Writes a layer of at least `length` bytes: members of the same content, and the end of the tar."""
    content = tar.read_bytes().rstrip(b"\0")
    content = content.ljust(-len(content) % 512 + len(content), b"\0")
    # Enough of it that windows and headers are like those of a layer.
    once, left = member(content), length
    with open(pipe, "wb") as out:
        while left > 0:
            out.write(once)
            left -= len(once)
        out.write(member(bytes(1024)))


def memory(layer, directory, index, length):
    pipe = directory / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=long_layer, args=(layer, pipe, length), daemon=True)
    writer.start()
    done = Run(index, pipe, directory / "index")
    done.bytes = (directory / "index").stat().st_size
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--corpus", action="append")
    parser.add_argument("--long", type=int, default=7 << 30)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    names = args.corpus or ["packages/full", "debian/peer"]
    program = built()
    convert, which = example("convert")
    index, _ = example("index")
    lines = header(
        "Indexes of gzip layers",
        args.record,
        f"command: `benches/against_inflate.py --runs {args.runs}{''.join(f' --corpus {name}' for name in args.corpus or [])} --long {args.long}`",
        f"ours: {which}; spans of 1 MiB, of zTOCs 4 MiB of the tar",
    )
    for name in names:
        layer = corpus(f"{name}.tar.gz")
        stored = layer.stat().st_size
        times, lengths = ways(program, layer, args.runs)
        alone = times["inflate"]
        lines += ["", f"## {name}, {stored} bytes", "", "| way | s, median | against inflating alone |", "|---|---|---|"]
        for way, seconds in times.items():
            lines.append(f"| {way} | {statistics.median(seconds):.3f} | **{ratio(seconds, alone):.3f}** |")
        lines += ["", *(f"- {what}: {length} bytes, {length / stored:.4%} of the layer" for what, length in lengths.items())]

        def turn(scratch_index):
            return fresh(converted, layer, convert, "--index", scratch_index), fresh(converted, layer, convert)

        def turns(layer, directory):
            made = directory / "index"
            run(index, layer, made)
            turn(made)
            return [turn(made) for _ in range(args.runs)]

        pairs = fresh(turns, layer)
        walls = [[done.wall for done in side] for side in zip(*pairs)]
        seconds = " against ".join(f"{statistics.median(side):.2f} s" for side in walls)
        lines.append(f"- `convert --to rafs-v6 --compressor none`, with `--index` against without: **{ratio(*walls):.3f}** of the wall time ({seconds})")
    if args.long:
        tar = corpus(f"{names[0]}.tar")
        done = fresh(memory, tar, index, args.long)
        lines += ["", f"## A layer of {args.long} bytes and more, through a pipe", ""]
        lines.append(f"- `index`: **{done.peak:.0f} MiB** at most, {done.wall:.0f} s, an index of {done.bytes} bytes")
    publish(lines, args.record)


if __name__ == "__main__":
    main()
