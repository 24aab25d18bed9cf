#!/usr/bin/env python3
"""Dictionary files of many chunks, built and merged, and the forms in memory: time, memory, bytes; as Markdown.

  dictionary.py [--chunks N] [--held N] [--record FILE]

Chunks are generated: N in files, and --held in memory. Takes some 130 bytes of disk for each, in the folder for temporary files, for a while.
FILE gets what is printed, which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

from measure import header, publish, run

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000_000)
    parser.add_argument("--held", type=int, default=10_000_000)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    lines = header(
        "Dictionaries, built and merged",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/dictionary.py --chunks {args.chunks} --held {args.held}`",
        "chunks: generated in the same process, 64 MiB of memory for entries, the others in a temporary file",
        "peak memory: with the pages of mapped files, which merging reads from",
        "bytes an entry: of the file, or of memory that the form in memory takes",
    )
    lines += ["", "| | s | peak MiB | chunks | bytes an entry |", "|---|---|---|---|---|"]
    subprocess.run(["cargo", "build", "--release", "--bin", "dictionary"], cwd=HERE, stdout=sys.stderr, check=True)

    def tell(what, *arguments):
        seconds, peak, chunks, size = run(TARGET / "release/dictionary", *map(str, arguments)).split("\t")
        lines.append(f"| {what} | {seconds} | {peak} | {chunks} | {int(size) / int(chunks):.2f} |")

    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "whole")
        tell("build", "build", 0, args.chunks, file)
        file.unlink()
        for share in (40, 20, 10):
            part = args.chunks // share
            files = [pathlib.Path(directory, f"{share}-{number}") for number in range(3)]
            tell("build", "build", 0, part, files[0])
            tell("build", "build", part, 2 * part, files[1])
            tell("merge these two", "merge", *files)
            for file in files:
                file.unlink()
    for form, what in (("HashMap", "`HashMap`"), ("list", "in memory"), ("image", "an image as a dictionary")):
        tell(what, "hold", form, args.held)
    publish(lines, args.record)


if __name__ == "__main__":
    main()
