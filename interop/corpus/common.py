#!/usr/bin/env python3
"""What tars have in common, counted by whole files and by chunks of one size: one JSON object.

  common.py SIZE TAR...

For the files, and for chunks of SIZE bytes: bytes of all, of different ones, and of each tar those that are different,
that another tar has, too, and that none before it has.
"""

import hashlib
import json
import sys
import tarfile


def chunks(path, size):
    """Digest and length of each chunk of each file; whole files for size 0."""
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isreg() or member.size == 0:
                continue
            content = tar.extractfile(member).read()
            step = size or len(content)
            for start in range(0, len(content), step):
                chunk = content[start : start + step]
                yield hashlib.sha256(chunk).digest(), len(chunk)


def count(paths, size):
    everything = [list(chunks(path, size)) for path in paths]
    sets = [set(found) for found in everything]
    length = lambda found: sum(length for _, length in found)
    images = []
    for index, own in enumerate(sets):
        others = set().union(*(s for other, s in enumerate(sets) if other != index))
        before = set().union(*sets[:index])
        images.append(
            {
                "distinct_bytes": length(own),
                "shared_bytes": length(own & others),
                "added_bytes": length(own - before),
            }
        )
    return {
        "all_bytes": sum(length(found) for found in everything),
        "distinct_bytes": length(set().union(*sets)),
        "images": images,
    }


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    size, paths = int(sys.argv[1]), sys.argv[2:]
    print(json.dumps([count(paths, 0), count(paths, size)]))


if __name__ == "__main__":
    main()
