#!/usr/bin/env python3
"""Whole-process comparison with stargz-snapshotter's Go library: a layer opened by its table of contents, in turn.

  against_go_toc.py [--runs N] [--entries N] [--record FILE]

Needs ../interop (trixie.sh, estargz/judge.sh) and GNU time; builds our examples (LAZYOCI_EXAMPLES names another directory
with them). Both open the same eStargz layer, check the digest of its TOC, and decode it: the library by
../interop/estargz/judge/main.go `--open`, which ends there; ours by `ls` of one directory. The
two alternate; medians and the median of the pairwise ratios are printed as Markdown, and written to FILE, which needs a
tree that is committed.
"""

import argparse
import io
import json
import pathlib
import shutil
import tarfile
import tempfile

from measure import CACHE, ROOT, Run, example, header, needed, publish, ratios, row, run, table

JUDGE = ROOT / "interop/estargz/judge.sh"


def make(path, entries):
    """A tar of that many small files, a hundred to a directory, of which none is like another."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(entries):
            if number % 100 == 0:
                member = tarfile.TarInfo(f"directory-{number // 100:05}")
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
                continue
            content = b"%d\n" % number
            member = tarfile.TarInfo(f"directory-{number // 100:05}/file-{number % 100:02}")
            member.size, member.mtime = len(content), 1_600_000_000
            tar.addfile(member, io.BytesIO(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    (convert, built), (listed, _) = example("convert"), example("ls")
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        tar, layer = work / "layer.tar", work / "layer.tar.gz"
        make(tar, args.entries)
        made = json.loads(run(convert, "--json", "--to", "estargz", tar, layer))
        digest = made["toc_digest"]
        # Builds it, and shows that it reads the layer.
        run(JUDGE, "--open", "inline", layer, digest)
        judge = needed(CACHE / "judge/judge")
        # Linked against another C library than this machine's, it runs on either.
        theirs_command = [judge, "--open", "inline", layer, digest]

        def ours():
            done = Run(listed, layer, "directory-00000")
            done.bytes = layer.stat().st_size
            return done

        def theirs():
            done = Run(*theirs_command)
            done.bytes = layer.stat().st_size
            return done

        ours(), theirs()
        pairs = [(ours(), theirs()) for _ in range(args.runs)]
        lines = header(
            f"a TOC of {args.entries} entries against stargz-snapshotter's Go library",
            args.record,
            f"command: `benches/against_go_toc.py --runs {args.runs} --entries {args.entries}`",
            f"ours: `ls` of a directory, {built}",
            "peer: " + run(ROOT / "interop/trixie.sh", "dpkg-query", "--show", "--showformat", "${Package} ${Version}, ",
                           "golang-github-containerd-stargz-snapshotter-dev", "golang-go").rstrip(", "),
            "whole processes: start, footer, TOC decompressed, digested and decoded; ours lists a directory, too",
        )
        lines += [
            "",
            *table("bytes of the layer"),
            row("lazyoci", [a for a, _ in pairs]),
            row("Go", [b for _, b in pairs]),
            "",
            f"- {ratios(pairs)}",
        ]
    finally:
        shutil.rmtree(work)
    publish(lines, args.record)


if __name__ == "__main__":
    main()
