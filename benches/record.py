#!/usr/bin/env python3
"""Runs the benchmarks of this folder and prints their medians as Markdown.

  record.py [--quick] [--no-instructions] [--record FILE] [BENCH...]

BENCH is the name of a file in benches/; default: all. --quick stops as soon as a figure is roughly
known. Instructions of lookups are counted with valgrind. FILE gets what is printed, which needs a tree
that is committed.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

from measure import header, publish, run

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def time(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def rate(throughput, nanoseconds):
    """Bytes a second, or time for each element."""
    (unit, amount), = throughput.items() if throughput else ((None, 0),)
    match unit:
        case "Bytes":
            return f"{amount / nanoseconds * 1e3:,.0f} MB/s"
        case "Elements":
            return f"{time(nanoseconds / amount)} each"
        case _:
            return ""


def benchmarks(started):
    """What criterion left since `started`: group, name, median in ns, throughput."""
    for path in sorted((TARGET / "criterion").rglob("new/benchmark.json")):
        if path.stat().st_mtime < started:
            continue
        about = json.loads(path.read_text())
        median = json.loads(path.with_name("estimates.json").read_text())["median"]["point_estimate"]
        name = " ".join(filter(None, (about["function_id"], about["value_str"])))
        yield about["group_id"], name, median, about["throughput"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("bench", nargs="*")
    args = parser.parse_args()
    if not args.no_instructions and not shutil.which("valgrind"):
        sys.exit("missing: valgrind (or --no-instructions)")

    flags = (" --quick" if args.quick else "") + (" --no-instructions" if args.no_instructions else "")
    lines = header(
        "Benchmarks",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/record.py{flags}{''.join(' ' + name for name in args.bench)}`",
    )
    arguments = [part for name in args.bench for part in ("--bench", name)] or ["--benches"]
    quick = ["--", "--quick"] if args.quick else []
    started = datetime.datetime.now().timestamp()
    subprocess.run(["cargo", "bench", *arguments, *quick], cwd=HERE, stdout=sys.stderr, check=True)

    last = None
    for group, name, median, throughput in benchmarks(started):
        if group != last:
            lines += ["", f"## {group}", "", "| | median | |", "|---|---|---|"]
            last = group
        lines.append(f"| {name} | {time(median)} | {rate(throughput, median)} |")
    if not args.no_instructions:
        counts = run("cargo", "run", "--quiet", "--release", "--bin", "lookups", cwd=HERE)
        lines += ["", "## instructions", "", counts]
    publish(lines, args.record)


if __name__ == "__main__":
    main()
