#!/usr/bin/env python3
"""Whole-process comparison with ctr-remote on the same layer, in turn.

  against_ctr_remote.py [--runs N] [--corpus NAME] [--level N] [--record FILE]

Needs the peers and corpora of ../interop (peers.sh, corpus/make.sh) and GNU time; builds our example
(LAZYOCI_EXAMPLES names another directory with it); run as root. Of ctr-remote only `images convert` is
measured, with as many threads as the machine has cores, at its default level of gzip, 9: the layer is
imported before and exported after. In that time it also reads the layer out of containerd's store and
copies what it made into that, over a socket; keeps what it compressed in temporary files in between;
digests the layer and its tar; and decompresses what it made, to count the bytes. Ours reads the tar and
writes the layer, with its digest, its DiffID and the digest of its TOC. Two processes do theirs: its CPU
seconds are those of ctr-remote and of the containerd that serves it, its peak memory is that of
ctr-remote alone. The two tools alternate, so that a machine that slows down slows both; medians and the
median of the pairwise ratios are printed as Markdown, and written to FILE, which needs a tree that is
committed.
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
STATE = pathlib.Path("/run/lazyoci-containerd")
CTR_REMOTE = ["ctr-remote", "--address", STATE / "containerd.sock", "--namespace", "lazyoci"]


def ours(layer, directory, convert, level):
    output = directory / "ours.tar.gz"
    done = Run(convert, "--to", "estargz", "--compressor", f"libdeflate:{level}", "--threads", str(os.cpu_count()), layer, output)
    done.bytes = output.stat().st_size
    return done


def containerd_cpu():
    """CPU seconds of containerd so far."""
    pid = (STATE / "pid").read_text().strip()
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def theirs(layout, directory):
    name = f"example.org/bench-{time.time_ns()}"
    run(*CTR_REMOTE, "images", "import", "--no-unpack", "--index-name", f"{name}:in", layout)
    before = containerd_cpu()
    done = Run(*CTR_REMOTE, "images", "convert", "--estargz", "--oci", "--all-platforms", f"{name}:in", f"{name}:out",
               env=os.environ | {"GOMAXPROCS": str(os.cpu_count())})
    done.cpu += containerd_cpu() - before
    run(*CTR_REMOTE, "images", "export", "--all-platforms", directory / "theirs.tar", f"{name}:out")
    run(LAYOUT, "unmake", directory / "theirs.tar", directory)
    # What was converted must not be found again.
    run(*CTR_REMOTE, "images", "rm", "--sync", f"{name}:in", f"{name}:out")
    done.bytes = json.loads((directory / "layers.json").read_text())[0]["size"]
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--corpus", default="debian/peer")
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    layer = corpus(f"{args.corpus}.tar")
    convert, built = example("convert")
    run(CTR, "start")
    lines = header(
        f"tar to eStargz against ctr-remote, {args.corpus}",
        args.record,
        f"command: `benches/against_ctr_remote.py --runs {args.runs} --corpus {args.corpus} --level {args.level}`",
        f"ours: {built}",
        f"peers: {'; '.join(run(CTR, 'versions').splitlines())}",
        f"input: {layer.stat().st_size} bytes of tar, warm; 4 MiB chunks; ours by libdeflate, level {args.level}; as many threads as cores",
        "ctr-remote: gzip, level 9, its default; what else it does in that time: see the head of the script",
        "CPU of ctr-remote: its own and containerd's; its peak: its own, without containerd's",
    )
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        layout = work / "layout.tar"
        run(LAYOUT, "make", layout, layer)
        fresh(ours, layer, convert, args.level), fresh(theirs, layout)
        pairs = [(fresh(ours, layer, convert, args.level), fresh(theirs, layout)) for _ in range(args.runs)]
    finally:
        shutil.rmtree(work)
    lines += [
        "",
        *table("bytes of the layer"),
        row("lazyoci", [a for a, _ in pairs]),
        row("ctr-remote", [b for _, b in pairs]),
        "",
        f"- {ratios(pairs)}",
    ]
    publish(lines, args.record)


if __name__ == "__main__":
    main()
