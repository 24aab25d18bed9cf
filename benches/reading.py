#!/usr/bin/env python3
"""Reading whole images: verification against bare frames, one thread against several; as Markdown.

  reading.py [--runs N] [--corpus NAME] [--record FILE]

Needs a corpus of ../interop (corpus/make.sh); builds `src/bin/reading.rs`. FILE gets what is printed,
which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from measure import corpus, header, publish, run

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--corpus", default="debian/peer")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    layer = corpus(f"{args.corpus}.tar")
    lines = header(
        f"Reading images, {args.corpus}",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/reading.py --runs {args.runs} --corpus {args.corpus}`",
        f"input: {layer.stat().st_size} bytes of tar, as RAFS v6 with 1 MiB chunks, zstd:3, blake3; warm",
    )
    subprocess.run(["cargo", "build", "--release", "--bin", "reading"], cwd=HERE, stdout=sys.stderr, check=True)
    measured = run(TARGET / "release/reading", "--runs", str(args.runs), layer)
    publish([*lines, "", measured], args.record)


if __name__ == "__main__":
    main()
