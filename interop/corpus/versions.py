#!/usr/bin/env python3
"""Two versions of an image as tars: first.tar, and second.tar, which has its files and two more.

  versions.py DIR

The bytes are the same everywhere.
"""

import io
import pathlib
import random
import sys
import tarfile

TIME = 1_600_000_000


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), TIME
    tar.addfile(member, io.BytesIO(content))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    chance = random.Random(5)
    shared = {f"shared/{number}": chance.randbytes(700_000 * number) for number in range(1, 5)}
    shared["shared/text"] = b"all work and no play makes a dull image\n" * 50_000
    new = {"before": chance.randbytes(50_000), "behind": chance.randbytes(3_000_000)}
    for name, files in [
        ("first.tar", {**shared, "old": chance.randbytes(900_000)}),
        ("second.tar", {"before": new["before"], **shared, "behind": new["behind"]}),
    ]:
        with tarfile.open(directory / name, "w", format=tarfile.PAX_FORMAT) as tar:
            root = tarfile.TarInfo("shared")
            root.type, root.mode, root.mtime = tarfile.DIRTYPE, 0o755, TIME
            tar.addfile(root)
            for path, content in files.items():
                add(tar, path, content)


main()
