#!/usr/bin/env python3
"""The layer stream of this tree against that of another one; as Markdown.

  stream.py --before TREE [--runs N] [--record FILE]

TREE is a checkout of this repository; `src/bin/stream.rs` of this one is copied there, and built in both.
The two alternate. FILE gets what is printed, which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from measure import header, publish, run

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).resolve()
BIN = pathlib.Path("src/bin/stream.rs")


def build(benches, program):
    """Builds the program of one tree; what both depend on is built once."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    command = ["cargo", "build", "--release", "--bin", "stream"]
    subprocess.run(command, cwd=benches, env=environment, stdout=sys.stderr, check=True)
    return shutil.copy(TARGET / "release/stream", TARGET / program)


def measure(program, times):
    """Adds the megabytes a second of each form of the layer."""
    for line in run(program).splitlines():
        name, length, micros = line.split("\t")
        times.setdefault(name, []).append(int(length) / int(micros))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    other = args.before.resolve() / "benches"
    commit = run("git", "-C", other, "rev-parse", "--short=7", "HEAD").strip()
    lines = header(
        "The layer stream, before and after",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/stream.py --before TREE --runs {args.runs}`, TREE at {commit}",
        "input: a generated layer in memory, read by 256 KiB",
    )
    if other != HERE:
        shutil.copy(HERE / BIN, other / BIN)
    before, after = build(other, "stream-before"), build(HERE, "stream-after")
    old, new = {}, {}
    for _ in range(args.runs):
        measure(before, old)
        measure(after, new)
    lines += ["", "| layer | before MB/s | after MB/s | after / before |", "|---|---|---|---|"]
    for name in old:
        ratio = statistics.median(b / a for a, b in zip(old[name], new[name]))
        medians = (f"{statistics.median(speeds[name]):,.0f}" for speeds in (old, new))
        lines.append(f"| {name} | {' | '.join(medians)} | {ratio:.3f} |")
    publish(lines, args.record)


if __name__ == "__main__":
    main()
