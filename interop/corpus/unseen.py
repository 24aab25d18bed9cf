#!/usr/bin/env python3
"""What a blob should hold: the chunks of a tar that none of some others has, in the order of the tar.

  unseen.py SIZE [OLD.tar...] NEW.tar BLOB

Compares them, chunks of SIZE bytes, with the first bytes of BLOB, which is not compressed, and fails if one differs. One
JSON object: chunks and bytes of these, of the different ones that another tar has, too, and how many bytes of BLOB come
after them.
"""

import json
import sys

from common import key, pieces


def main():
    if len(sys.argv) < 4 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    size, old, new, blob = int(sys.argv[1]), sys.argv[2:-2], sys.argv[-2], sys.argv[-1]
    known = {key(piece) for path in old for piece in pieces(path, size)}
    met, unseen, seen = set(), [0, 0], [0, 0]
    with open(blob, "rb") as stored:
        for piece in pieces(new, size):
            if (found := key(piece)) in met:
                continue
            met.add(found)
            counts = seen if found in known else unseen
            counts[0] += 1
            counts[1] += len(piece)
            if counts is unseen and stored.read(len(piece)) != piece:
                sys.exit(f"{blob}: not chunk {unseen[0]} of {new} that the others lack, at byte {unseen[1] - len(piece)}")
        behind = len(stored.read())
    print(
        json.dumps(
            {
                "unseen_chunks": unseen[0],
                "unseen_bytes": unseen[1],
                "seen_chunks": seen[0],
                "seen_bytes": seen[1],
                "bytes_behind": behind,
            }
        )
    )


main()
