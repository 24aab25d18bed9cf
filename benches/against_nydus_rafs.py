#!/usr/bin/env python3
"""Opening bootstraps and looking up paths and chunks against the crate nydus-rafs, in one process; as Markdown.

  against_nydus_rafs.py [--runs N] [--corpus NAME]... [--record FILE]

Needs corpora of ../interop (corpus/make.sh), valgrind, libssl-dev and pkg-config; builds the package nydus/.
FILE gets what is printed, which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from measure import corpus, header, publish, run

HERE = pathlib.Path(__file__).resolve().parent / "nydus"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=51)
    parser.add_argument("--corpus", action="append")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    names = args.corpus or ["debian/peer", "many/layer"]
    layers = [corpus(f"{name}.tar") for name in names]
    if not shutil.which("valgrind"):
        sys.exit("missing: valgrind")
    lines = header(
        "Look-ups against nydus-rafs 0.4.1",
        args.record,
        run("rustc", "--version"),
        f"command: `benches/against_nydus_rafs.py --runs {args.runs}{''.join(f' --corpus {name}' for name in args.corpus or [])}`",
        "images: ours, chunks of 64 KiB; both libraries map the bootstrap, which is in the page cache, and answered every question alike",
        "each run opens the bootstrap and asks for other files; the libraries take turns; medians, and the median of the ratios",
        "instructions: of one run, by callgrind",
    )
    environment = {**os.environ, "OPENSSL_NO_VENDOR": "1"}
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE, env=environment, stdout=sys.stderr, check=True)
    program = TARGET / "release/lazyoci-benches-nydus"
    for name, layer in zip(names, layers):
        lines += ["", f"# {name}, {layer.stat().st_size} bytes of tar", "", run(program, layer, str(args.runs))]
    publish(lines, args.record)


if __name__ == "__main__":
    main()
