#!/usr/bin/env python3
"""Whole-process comparison with mkfs.erofs on the same tar, in turn, and what a hash tree adds.

  against_mkfs_erofs.py [--runs N] [--corpus NAME] [--record FILE]

Needs the trixie root of ../interop (trixie.sh), corpora (corpus/make.sh) and GNU time; builds our example
(LAZYOCI_EXAMPLES names another directory with it). As root: mkfs.erofs runs in that root, entered before its time
begins. Every run writes to a fresh directory; inputs are read once before (warm). The three take turns, so that a
machine that slows down slows all; medians and the median of the pairwise ratios are printed as Markdown, and
written to FILE, which needs a tree that is committed.
"""

import argparse
import os
import pathlib
import sys

from measure import CACHE, ROOT, Run, corpus, example, fresh, header, publish, ratios, row, run, table

TRIXIE = CACHE / "trixie"


def enter():
    """Makes the paths of this machine known to `mkfs.erofs` in its root; nothing of this shows outside."""
    if "LAZYOCI_ENTERED" not in os.environ:
        run(ROOT / "interop/trixie.sh", "true")
        os.environ["LAZYOCI_ENTERED"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    inside = TRIXIE / CACHE.relative_to("/")
    inside.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", CACHE, inside)


def ours(layer, output, convert, *options):
    done = Run(convert, "--to", "erofs", "--threads", "2", *options, layer, output / "image.erofs")
    done.bytes = (output / "image.erofs").stat().st_size
    return done


def theirs(layer, output):
    done = Run("/usr/sbin/chroot", TRIXIE, "/usr/bin/mkfs.erofs", "--quiet", "--tar=f", output / "image.erofs", layer)
    done.bytes = (output / "image.erofs").stat().st_size
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--corpus", action="append")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    enter()
    names = args.corpus or ["packages/peer", "debian/peer"]
    layers = [corpus(f"{name}.tar") for name in names]
    convert, built = example("convert")
    version = run("chroot", TRIXIE, "/usr/bin/mkfs.erofs", "--version").splitlines()[0]
    tool = " ".join(version.replace("(erofs-utils)", "").split())
    lines = header(
        f"tar to plain EROFS against {tool}",
        args.record,
        f"command: `benches/against_mkfs_erofs.py --runs {args.runs}{''.join(f' --corpus {name}' for name in args.corpus or [])}`",
        f"ours: {built}; chunks of 1 MiB, blake3, two threads",
        "theirs: `mkfs.erofs --tar=f`, no compression",
    )
    for name, layer in zip(names, layers):
        def turn():
            return fresh(ours, layer, convert), fresh(theirs, layer), fresh(ours, layer, convert, "--verity")
        turn()
        turns = [turn() for _ in range(args.runs)]
        plain, made, verity = zip(*turns)
        lines += ["", f"## {name}, {layer.stat().st_size} bytes of tar", "", *table("bytes written")]
        lines += [row("lazyoci", plain), row(tool, made), row("lazyoci, `--verity`", verity), ""]
        lines.append(f"- lazyoci against {tool}: {ratios(list(zip(plain, made)))}")
        lines.append(f"- `--verity` against lazyoci without: {ratios(list(zip(verity, plain)))}")
    publish(lines, args.record)


if __name__ == "__main__":
    main()
