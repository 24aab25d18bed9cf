#!/usr/bin/env python3
"""Looking up chunks in dictionaries against the one of the crate nydus-builder, in one process; as Markdown.

  against_nydus_dictionary.py [--record FILE] [CHUNKS...]

CHUNKS are sizes of dictionaries, multiples of 10,000; default: 10^5, 10^6 and 10^7, which needs 8 GiB of memory.
Needs libssl-dev and pkg-config; builds the package nydus/. FILE gets what is printed, which needs a tree that is
committed.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from measure import header, publish, run

HERE = pathlib.Path(__file__).resolve().parent / "nydus"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chunks", type=int, nargs="*", metavar="CHUNKS")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    sizes = [str(count) for count in args.chunks or (100_000, 1_000_000, 10_000_000)]
    lines = header(
        "Dictionaries against nydus-builder 0.2.0",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/against_nydus_dictionary.py {' '.join(sizes)}`",
        "each digest is asked once, in random order, with its length, and its place is read; then as many that are not there",
        "found only: whether it is there, not its place",
        "each way to ask takes 10,000 chunks in its turn, none of which another one has just asked; medians of these turns",
        "bytes an entry: of the file, or of memory",
    )
    environment = {**os.environ, "OPENSSL_NO_VENDOR": "1"}
    build = ["cargo", "build", "--release", "--locked", "--bin", "dictionaries"]
    subprocess.run(build, cwd=HERE, env=environment, stdout=sys.stderr, check=True)
    publish([*lines, "", run(TARGET / "release/dictionaries", *sizes)], args.record)


if __name__ == "__main__":
    main()
