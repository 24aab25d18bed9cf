#!/usr/bin/env python3
"""Whole-process comparison of zstd:chunked with ctr-remote 0.14 (dialect A) or skopeo 1.18 (dialect B), in turn.

  against_zstd_chunked.py a|b [--runs N] [--corpus NAME] [--level N] [--record FILE]

Needs the peers and corpora of ../interop (peers.sh, trixie.sh, corpus/make.sh) and GNU time; builds our example
(LAZYOCI_EXAMPLES names another directory with it); run as root. Of ctr-remote `images convert --zstdchunked` is measured,
at its default level, with the CPU seconds of the containerd that serves it; the layer is imported before and exported
after. Of skopeo a copy of a layout whose layer is a plain tar is measured, into a layout with `--dest-compress-format
zstd:chunked`: it reads and digests the layer, makes a temporary copy of the tar, compresses, and writes the blob. Ours
reads the tar and writes the layer. The two tools alternate; medians and the median of the pairwise ratios are printed as
Markdown, and written to FILE, which needs a tree that is committed.
"""

import argparse
import json
import os
import pathlib
import shutil
import tempfile
import time

from measure import CACHE, ROOT, Run, example, corpus, fresh, header, publish, ratios, row, run, table

CTR = ROOT / "interop/estargz/ctr.sh"
LAYOUT = ROOT / "interop/estargz/layout.py"
TRIXIE = ROOT / "interop/trixie.sh"
STATE = CACHE / "run/lazyoci-containerd-trixie"
IN_TRIXIE = os.environ | {"LAZYOCI_TRIXIE": "1", "GOMAXPROCS": str(os.cpu_count())}
CTR_REMOTE = [TRIXIE, "ctr-remote", "--address", STATE / "containerd.sock", "--namespace", "lazyoci"]


def ours(layer, directory, convert, dialect, level):
    output = directory / "ours.tar.zst"
    done = Run(convert, "--to", "zstd-chunked", "--dialect", dialect, "--compressor", f"zstd:{level}",
               "--threads", str(os.cpu_count()), layer, output)
    done.bytes = output.stat().st_size
    return done


def containerd_cpu():
    """CPU seconds of containerd so far."""
    pid = (STATE / "pid").read_text().strip()
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ctr_remote(layout, directory):
    name = f"example.org/bench-{time.time_ns()}"
    run(*CTR_REMOTE, "images", "import", "--no-unpack", "--index-name", f"{name}:in", layout, env=IN_TRIXIE)
    before = containerd_cpu()
    done = Run(*CTR_REMOTE, "images", "convert", "--zstdchunked", "--oci", "--all-platforms", f"{name}:in", f"{name}:out",
               env=IN_TRIXIE)
    done.cpu += containerd_cpu() - before
    run(*CTR_REMOTE, "images", "export", "--all-platforms", directory / "theirs.tar", f"{name}:out", env=IN_TRIXIE)
    run(LAYOUT, "unmake", directory / "theirs.tar", directory)
    # What was converted must not be found again.
    run(*CTR_REMOTE, "images", "rm", "--sync", f"{name}:in", f"{name}:out", env=IN_TRIXIE)
    done.bytes = json.loads((directory / "layers.json").read_text())[0]["size"]
    return done


def skopeo(layout, directory):
    policy = directory / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    output = directory / "theirs"
    done = Run(TRIXIE, "skopeo", "--policy", policy, "--tmpdir", directory, "copy", "--quiet", "--dest-compress",
               "--dest-compress-format", "zstd:chunked", f"oci-archive:{layout}", f"oci:{output}:v1")
    done.bytes = max(blob.stat().st_size for blob in (output / "blobs/sha256").iterdir())
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dialect", choices=["a", "b"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--corpus", default="debian/peer")
    parser.add_argument("--level", type=int, help="of ours [default: 3 for a, 6 for b, whose sizes are the peers']")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    level = args.level or {"a": 3, "b": 6}[args.dialect]
    layer = corpus(f"{args.corpus}.tar")
    convert, built = example("convert")
    packages = {"a": ["stargz-snapshotter"], "b": ["skopeo"]}[args.dialect]
    peer = run(TRIXIE, "dpkg-query", "--show", "--showformat", "${Package} ${Version}", *packages)
    theirs = {"a": ctr_remote, "b": skopeo}[args.dialect]
    name = {"a": "ctr-remote 0.14 --zstdchunked", "b": "skopeo 1.18 zstd:chunked copy"}[args.dialect]
    if args.dialect == "a":
        run(CTR, "start", env=IN_TRIXIE)
    lines = header(
        f"tar to zstd:chunked, dialect {args.dialect.upper()}, against {name}, {args.corpus}",
        args.record,
        f"command: `benches/against_zstd_chunked.py {args.dialect} --runs {args.runs} --corpus {args.corpus} --level {level}`",
        f"ours: {built}",
        f"peer: {peer}, at its default level",
        f"input: {layer.stat().st_size} bytes of tar, warm; ours by zstd, level {level}; as many threads as cores",
        "what else the peer does in that time: see the head of the script",
    )
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        layout = work / "layout.tar"
        run(LAYOUT, "make", layout, layer)
        pairs = [(fresh(ours, layer, convert, args.dialect, level), fresh(theirs, layout)) for _ in range(args.runs)]
    finally:
        shutil.rmtree(work)
    lines += [
        "",
        *table("bytes of the layer"),
        row("lazyoci", [a for a, _ in pairs]),
        row(name, [b for _, b in pairs]),
        "",
        f"- {ratios(pairs)}",
    ]
    publish(lines, args.record)


if __name__ == "__main__":
    main()
