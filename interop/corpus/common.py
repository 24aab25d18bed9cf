#!/usr/bin/env python3
"""What tars have in common, counted by whole files and by chunks of one size: one JSON object.

  common.py SIZE TAR...

For the files, and for chunks of SIZE bytes: number and bytes of all, of different ones, and of each tar those that are
different, that another tar has, too, and that none before it has.
"""

import hashlib
import json
import sys
import tarfile


def pieces(path, size):
    """Each chunk of each file; whole files for size 0."""
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isreg() or member.size == 0:
                continue
            content = tar.extractfile(member).read()
            step = size or len(content)
            for start in range(0, len(content), step):
                yield content[start : start + step]


def key(piece):
    """Digest and length of a chunk."""
    return hashlib.sha256(piece).digest(), len(piece)


def counted(**found):
    """Number and bytes of what was found, by name."""
    figures = {}
    for name, chunks in found.items():
        figures[f"{name}_chunks"] = len(chunks)
        figures[f"{name}_bytes"] = sum(length for _, length in chunks)
    return figures


def count(paths, size):
    everything = [[key(piece) for piece in pieces(path, size)] for path in paths]
    sets = [set(found) for found in everything]
    images = []
    for index, own in enumerate(sets):
        others = set().union(*(s for other, s in enumerate(sets) if other != index))
        before = set().union(*sets[:index])
        images.append(counted(distinct=own, shared=own & others, added=own - before))
    all_chunks = [chunk for found in everything for chunk in found]
    return {**counted(all=all_chunks, distinct=set().union(*sets)), "images": images}


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    size, paths = int(sys.argv[1]), sys.argv[2:]
    print(json.dumps([count(paths, 0), count(paths, size)]))


if __name__ == "__main__":
    main()
