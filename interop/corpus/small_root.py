#!/usr/bin/env python3
"""A small Debian root as tars: of another release than the corpus, and versions of it.

  small_root.py DIR [VERSIONS]

DIR gets 0.tar: the files of the packages of priority `required` and `important` in the trixie root, which
`trixie.sh true` makes; and 1.tar up to VERSIONS, in each of which a fifth of the packages, another one each time, is
upgraded: all of their files change in a few bytes, and some have more of them than before. The same root gives the same
bytes.
"""

import hashlib
import io
import os
import pathlib
import stat
import sys
import tarfile

TIME = 1_700_000_000
ROOT = pathlib.Path(os.environ.get("LAZYOCI_CACHE", "/var/cache/lazyoci")) / "trixie"
DPKG = ROOT / "var/lib/dpkg"


def packages():
    """The lists of paths of the packages, by name."""
    for package in sorted((DPKG / "status").read_text().split("\n\n")):
        lines = [line.split(": ", 1) for line in package.splitlines() if ": " in line and not line.startswith(" ")]
        fields = dict(lines)
        if fields.get("Priority") not in ("required", "important") or "installed" not in fields["Status"].split():
            continue
        name = fields["Package"]
        lists = [DPKG / "info" / f"{name}{suffix}.list" for suffix in ("", f":{fields['Architecture']}")]
        found = next(path for path in lists if path.exists())
        yield name, [path.lstrip("/") for path in found.read_text().splitlines() if path not in ("", "/.")]


def upgraded(content, path, version):
    """The content with some bytes of its middle replaced; every third file gets more bytes, too."""
    new = hashlib.sha256(f"{path} {version}".encode()).digest()
    middle = len(content) // 2
    kept = middle if new[0] % 3 == 0 else middle + len(new)
    return content[:middle] + new + content[kept:]


def members(changes):
    """Path, package, and content after so many upgrades, each path once."""
    owners = {}
    for number, (_, paths) in enumerate(packages()):
        for path in paths:
            owners.setdefault(path, number)
            while path := os.path.dirname(path):
                owners.setdefault(path, number)
    for path in sorted(owners):
        where = ROOT / path
        if not os.path.lexists(where):
            continue
        about = where.lstat()
        # Links of the merged /usr are real directories in the lists of old packages.
        if any((ROOT / above).is_symlink() for above in pathlib.PurePath(path).parents):
            continue
        member = tarfile.TarInfo(path)
        member.mode, member.mtime = stat.S_IMODE(about.st_mode), TIME
        if stat.S_ISDIR(about.st_mode):
            member.type = tarfile.DIRTYPE
            yield member, None
        elif stat.S_ISLNK(about.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, os.readlink(where)
            yield member, None
        elif stat.S_ISREG(about.st_mode):
            content = where.read_bytes()
            for version in range(1, changes + 1):
                if content and owners[path] % 5 == version % 5:
                    content = upgraded(content, path, version)
            member.size = len(content)
            yield member, io.BytesIO(content)


def main():
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    directory, versions = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 0
    if not (DPKG / "status").exists():
        sys.exit(f"missing peer: {ROOT} (run trixie.sh true)")
    for version in range(versions + 1):
        with tarfile.open(directory / f"{version}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            for member, content in members(version):
                tar.addfile(member, content)


main()
