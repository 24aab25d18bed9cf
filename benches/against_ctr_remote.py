#!/usr/bin/env python3
"""Whole-process comparison with ctr-remote on the same layer, in turn.

  against_ctr_remote.py [--runs N] [--corpus NAME] [--record FILE]

Needs the peers and corpora of ../interop (peers.sh, corpus/make.sh) and
`cargo build --release --examples`; run as root. Of ctr-remote only `images convert` is timed, with as
many threads as the machine has cores: the layer is imported before and exported after. It is done by
two processes, ctr-remote and containerd, whose CPU seconds are not known; wall seconds are. The two
tools alternate, so that a machine that slows down slows both; medians and the median of the pairwise
ratios are printed as Markdown, and written to FILE.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("LAZYOCI_CACHE", "/var/cache/lazyoci"))
CONVERT = ROOT / "target/release/examples/convert"
CTR = ROOT / "interop/estargz/ctr.sh"
LAYOUT = ROOT / "interop/estargz/layout.py"
CTR_REMOTE = ["ctr-remote", "--address", "/run/lazyoci-containerd/containerd.sock", "--namespace", "lazyoci"]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def timed(*command, **options):
    start = time.monotonic()
    run(*command, **options)
    return time.monotonic() - start


def ours(layer, directory):
    """Wall seconds, bytes."""
    output = directory / "ours.tar.gz"
    wall = timed(CONVERT, "--to", "estargz", "--threads", str(os.cpu_count()), layer, output)
    return wall, output.stat().st_size


def theirs(layout, directory):
    name = f"example.org/bench-{time.time_ns()}"
    run(*CTR_REMOTE, "images", "import", "--no-unpack", "--index-name", f"{name}:in", layout)
    wall = timed(*CTR_REMOTE, "images", "convert", "--estargz", "--oci", "--all-platforms", f"{name}:in", f"{name}:out",
                 env=os.environ | {"GOMAXPROCS": str(os.cpu_count())})
    run(*CTR_REMOTE, "images", "export", "--all-platforms", directory / "theirs.tar", f"{name}:out")
    run(LAYOUT, "unmake", directory / "theirs.tar", directory)
    # What was converted must not be found again.
    run(*CTR_REMOTE, "images", "rm", "--sync", f"{name}:in", f"{name}:out")
    return wall, json.loads((directory / "layers.json").read_text())[0]["size"]


def fresh(measure, source):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        return measure(source, directory)
    finally:
        shutil.rmtree(directory)


def row(name, runs):
    walls = [wall for wall, _ in runs]
    return f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f}–{max(walls):.2f}) | {runs[0][1]} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--corpus", default="debian/peer")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    layer = CACHE / "corpus" / f"{args.corpus}.tar"
    for needed in (CONVERT, layer):
        if not needed.exists():
            sys.exit(f"missing: {needed}")
    run(CTR, "start")
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        layout = work / "layout.tar"
        run(LAYOUT, "make", layout, layer)
        fresh(ours, layer)
        pairs = [(fresh(ours, layer), fresh(theirs, layout)) for _ in range(args.runs)]
    finally:
        shutil.rmtree(work)
    commit = run("git", "-C", ROOT, "describe", "--always", "--dirty").strip()
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    versions = "; ".join(run(CTR, "versions").splitlines())
    wall = statistics.median(a[0] / b[0] for a, b in pairs)
    size = pairs[0][0][1] / pairs[0][1][1]
    text = "\n".join([
        f"# tar to eStargz against ctr-remote, {args.corpus}",
        "",
        f"- date: {datetime.date.today()}, commit {commit}",
        f"- machine: {os.cpu_count()} cores, {cpu}, Linux {platform.release()}",
        f"- command: `benches/against_ctr_remote.py --runs {args.runs} --corpus {args.corpus}`",
        f"- peers: {versions}",
        f"- input: {layer.stat().st_size} bytes of tar, warm; 4 MiB chunks; ours by libdeflate, level 6; as many threads as cores",
        "",
        "| tool | wall s, median (min–max) | bytes of the layer |",
        "|---|---|---|",
        row("lazyoci", [a for a, _ in pairs]),
        row("ctr-remote", [b for _, b in pairs]),
        "",
        f"- **{wall:.3f}** of its wall time (median of {args.runs} pairs), {size:.4f} of its size",
        "",
    ])
    print(text)
    if args.record:
        args.record.write_text(text)


if __name__ == "__main__":
    main()
