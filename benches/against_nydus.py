#!/usr/bin/env python3
"""Whole-process comparison with nydus-image on the same layer, in turn, and our peak memory.

  against_nydus.py [--runs N] [--corpus NAME] [--record FILE]

Needs the peers and corpora of ../interop (peers.sh, corpus/make.sh) and
`cargo build --release --examples` (LAZYOCI_EXAMPLES names another directory with them). Every run writes to a fresh directory; inputs are read once
before (warm). The two tools alternate, so that a machine that slows down slows both; medians and
the median of the pairwise ratios are printed as Markdown, and written to FILE.
"""

import argparse
import datetime
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("LAZYOCI_CACHE", "/var/cache/lazyoci"))
NYDUS_IMAGE = CACHE / "nydus/bin/nydus-image"
CONVERT = pathlib.Path(os.environ.get("LAZYOCI_EXAMPLES", ROOT / "target/release/examples")) / "convert"


class Run:
    """One finished process: wall and CPU seconds, peak memory in MiB, bytes written."""

    def __init__(self, command, output):
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.monotonic() - start
        if status != 0:
            sys.exit(f"{' '.join(map(str, command))}: status {status}\n{said.decode(errors='replace')}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024
        self.bytes = sum(p.stat().st_size for p in output.rglob("*") if p.is_file())


def ours(layer, output, compressor, threads=2):
    return Run([CONVERT, "--to", "rafs-v6", "--compressor", compressor, "--digester", "blake3",
                "--chunk-size", "1048576", "--threads", str(threads), layer, output / "image"], output)


def theirs(layer, output, compressor):
    (output / "blobs").mkdir()
    name = {"lz4": "lz4_block"}.get(compressor.split(":")[0], compressor.split(":")[0])
    return Run([NYDUS_IMAGE, "create", "--log-level", "error", "-t", "tar-rafs", "-v", "6",
                "--whiteout-spec", "none", "--compressor", name, "--digester", "blake3",
                "--chunk-size", "0x100000", "-D", output / "blobs", "-B", output / "image.boot", layer], output)


def fresh(run, *arguments):
    output = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        return run(arguments[0], output, *arguments[1:])
    finally:
        shutil.rmtree(output)


def row(name, runs):
    def figures(key):
        values = [getattr(run, key) for run in runs]
        return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
    return f"| {name} | {figures('wall')} | {figures('cpu')} | {figures('peak')} | {runs[0].bytes} |"


def compare(layer, runs, lines):
    lines += ["| tool | wall s, median (min–max) | CPU s | peak MiB | bytes written |", "|---|---|---|---|---|"]
    notes = []
    for compressor in ("zstd:3", "lz4", "none"):
        fresh(ours, layer, compressor), fresh(theirs, layer, compressor)
        pairs = [(fresh(ours, layer, compressor), fresh(theirs, layer, compressor)) for _ in range(runs)]
        lines.append(row(f"lazyoci, {compressor}", [a for a, _ in pairs]))
        lines.append(row(f"nydus-image 2.2.0, {compressor}", [b for _, b in pairs]))
        wall = statistics.median(a.wall / b.wall for a, b in pairs)
        size = pairs[0][0].bytes / pairs[0][1].bytes
        notes.append(f"- {compressor}: **{wall:.3f}** of its wall time (median of {runs} pairs), {size:.4f} of its size")
    lines += [""] + notes


def memory(lines):
    lines += ["", "Peak memory of ours, two threads, zstd:3:", "", "| layer | peak MiB |", "|---|---|"]
    for name in ("big/layer.tar", "big/layer.tar.gz", "many/layer.tar"):
        run = fresh(ours, CACHE / "corpus" / name, "zstd:3")
        lines.append(f"| {name}, {(CACHE / 'corpus' / name).stat().st_size} bytes | {run.peak:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--corpus", default="debian/peer")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    layer = CACHE / "corpus" / f"{args.corpus}.tar"
    for needed in (NYDUS_IMAGE, CONVERT, layer):
        if not needed.exists():
            sys.exit(f"missing: {needed}")
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    lines = [
        f"# tar to RAFS v6 against nydus-image 2.2.0, {args.corpus}",
        "",
        f"- date: {datetime.date.today()}, commit {commit}",
        f"- machine: {os.cpu_count()} cores, {cpu}, Linux {platform.release()}",
        f"- command: `benches/against_nydus.py --runs {args.runs} --corpus {args.corpus}`",
        f"- input: {layer.stat().st_size} bytes of tar, warm; 1 MiB chunks, blake3, two threads",
        "",
    ]
    compare(layer, args.runs, lines)
    memory(lines)
    text = "\n".join(lines) + "\n"
    print(text)
    if args.record:
        args.record.write_text(text)


if __name__ == "__main__":
    main()
