#!/usr/bin/env python3
"""Whole-process comparison with `nydus-image merge` on the same bootstraps of layers, in turn.

  against_nydus_merge.py [--runs N] [--record FILE]

Makes ten layers of 20,000 inodes each, in directories of which every second one is in all layers, and
converts each to RAFS v6 and v5; what is measured is the merge of their bootstraps. Needs nydus-image
(../interop/peers.sh) and GNU time; builds our examples. The two tools alternate; medians and the median
of the pairwise ratios are printed as Markdown, and written to FILE, which needs a tree that is committed.
"""

import argparse
import io
import pathlib
import shutil
import tarfile
import tempfile

from measure import CACHE, Run, example, fresh, header, needed, publish, ratios, row, run, table

NYDUS_IMAGE = CACHE / "nydus/bin/nydus-image"
LAYERS, DIRECTORIES, FILES = 10, 200, 99


def add(tar, name, kind, content=b""):
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mtime = kind, len(content), 1
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    tar.addfile(member, io.BytesIO(content))


def make(path, layer):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("./", "shared", f"only{layer}"):
            add(tar, name, tarfile.DIRTYPE)
        for number in range(DIRECTORIES):
            directory = f"{('shared', f'only{layer}')[number % 2]}/d{number:03}"
            add(tar, directory, tarfile.DIRTYPE)
            for file in range(FILES):
                text = f"{layer} {number} {file}".encode() * 20
                add(tar, f"{directory}/{layer}-{file:02}", tarfile.REGTYPE, text)


def bootstraps(directory, convert, version):
    """The bootstraps of the layers, each called as its blob: nydus-image takes the name from there."""
    found = []
    for layer in range(LAYERS):
        tar, image = directory / "layer.tar", directory / "image"
        make(tar, layer)
        run(convert, "--to", f"rafs-v{version}", "--compat", "2.2", tar, image)
        blob, = (image / "blobs").iterdir()
        found.append((image / "image.boot").rename(directory / f"{blob.name}"))
        shutil.rmtree(image)
    return found


def ours(layers, output, merge):
    done = Run(merge, *layers, output / "merged")
    done.bytes = (output / "merged/image.boot").stat().st_size
    return done


def theirs(layers, output):
    done = Run(NYDUS_IMAGE, "merge", "--log-level", "error", "-B", output / "image.boot", *layers)
    done.bytes = (output / "image.boot").stat().st_size
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    needed(NYDUS_IMAGE)
    (convert, built), (merge, _) = example("convert"), example("merge")
    lines = header(
        "merging bootstraps against nydus-image 2.2.0",
        args.record,
        f"command: `benches/against_nydus_merge.py --runs {args.runs}`",
        f"ours: {built}",
        f"input: {LAYERS} bootstraps of {3 + DIRECTORIES * (FILES + 1)} inodes each, warm",
    )
    lines += ["", *table("bytes written")]
    notes = []
    for version in (6, 5):
        with tempfile.TemporaryDirectory(dir=CACHE) as directory:
            layers = bootstraps(pathlib.Path(directory), convert, version)
            def pair():
                return fresh(ours, layers, merge), fresh(theirs, layers)
            pair()
            pairs = [pair() for _ in range(args.runs)]
        lines.append(row(f"lazyoci, v{version}", [a for a, _ in pairs]))
        lines.append(row(f"nydus-image 2.2.0, v{version}", [b for _, b in pairs]))
        notes.append(f"- v{version}: {ratios(pairs)}")
    publish([*lines, "", *notes], args.record)


if __name__ == "__main__":
    main()
