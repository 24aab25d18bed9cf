#!/usr/bin/env python3
"""Three layers whose image needs all that one layer can do to another: lower.tar, middle.tar, upper.tar.

  stack.py [--plain|--mergeable] OUTPUT-DIR

Whiteouts, also in the lowest layer and of what is not there, opaque directories, replaced kinds (directory, symbolic
link, directory again), hard links into lower layers, and directories that a layer only implies.

With --plain, layers that a bootstrap can hold by itself, and that nydus-image 2.2.0 merges rightly: every directory is
described, hard links stay in their layers, no whiteout is in the lowest one, and no directory is replaced twice.

With --mergeable, the three layers without hard links into lower ones: all that bootstraps can be made of one by one.
"""

import io
import os
import random
import sys
import tarfile

TIME = 1_600_000_000


def layer(path, entries):
    with tarfile.open(path, "x", format=tarfile.PAX_FORMAT) as tar:
        for number, (name, kind, *rest) in enumerate(entries):
            member = tarfile.TarInfo(name)
            member.type = kind
            member.mtime = TIME + number
            member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            content = None
            for value in rest:
                if isinstance(value, bytes):
                    content, member.size = io.BytesIO(value), len(value)
                elif isinstance(value, str):
                    member.linkname = value
                else:
                    for field, to in value.items():
                        setattr(member, field, to)
            tar.addfile(member, content)


def plain(output):
    noise = random.Random(2).randbytes
    directory, file, link, symlink = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    long = noise(2_500_000)
    root = ("./", directory, {"mode": 0o755})
    layer(os.path.join(output, "lower.tar"), [
        root,
        ("etc", directory),
        ("etc/passwd", file, b"root"),
        ("etc/shadow", file, b"secret", {"mode": 0o600}),
        ("opaque", directory),
        ("opaque/below", file, b"hidden"),
        ("same", file, long),
        ("turns", symlink, "etc"),
        ("goes", directory),
        ("goes/with", file, b"all"),
    ])
    layer(os.path.join(output, "middle.tar"), [
        root,
        ("etc", directory, {"mode": 0o711}),
        ("etc/.wh.shadow", file, b""),
        ("etc/new", file, long),
        # containerd gives a file the time of its last link.
        ("etc/new2", link, "etc/new", {"mtime": TIME + 3}),
        ("opaque", directory),
        ("opaque/.wh..wh..opq", file, b""),
        ("opaque/above", file, noise(10)),
        ("turns", file, b"a file"),
    ])
    layer(os.path.join(output, "upper.tar"), [
        root,
        (".wh.goes", file, b""),
        ("top", file, noise(1_100_000)),
    ])


def main():
    if sys.argv[1] == "--plain":
        return plain(sys.argv[2])
    mergeable = sys.argv[1] == "--mergeable"
    output = sys.argv[-1]
    noise = random.Random(1).randbytes
    directory, file, link, symlink = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    long, longer = noise(1_500_000), noise(3_000_001)
    layer(os.path.join(output, "lower.tar"), [
        ("./", directory, {"mode": 0o755}),
        ("etc", directory),
        ("etc/passwd", file, b"root"),
        ("etc/motd", file, b"hello", {"mode": 0o4755, "uid": 12, "gid": 34}),
        ("etc/motd2", link, "etc/motd"),
        ("tmp", directory, {"mode": 0o1777}),
        ("tmp/long", file, long),
        ("usr/lib/implied", file, b"its directories are described nowhere"),
        ("opaque", directory, {"pax_headers": {"SCHILY.xattr.user.below": "seen"}}),
        ("opaque/below", file, b"hidden"),
        ("opaque/sub/deep", file, b"hidden"),
        ("turns", directory),
        ("turns/into", file, b"a link"),
        ("file", file, b"becomes a directory"),
        ("pipe", tarfile.FIFOTYPE),
        ("null", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3, "mode": 0o666}),
        ("empty", file, b""),
        ("link", symlink, "etc"),
        ("twice", directory),
        ("twice/old", file, b"goes"),
        (".wh.nothing", file, b""),
    ])
    layer(os.path.join(output, "middle.tar"), [
        ("etc/.wh.passwd", file, b""),
        *([] if mergeable else [("etc/again", link, "etc/motd")]),
        ("tmp/new", file, longer),
        ("opaque/.wh..wh..opq", file, b""),
        ("opaque/above", file, long),
        ("turns", symlink, "etc"),
        ("file", directory, {"mode": 0o700}),
        ("file/inside", file, b"a directory now"),
        (".wh.twice", file, b""),
        ("twice", directory, {"mode": 0o711}),
        ("twice/new", file, b"stays"),
        ("usr/lib", directory, {"mode": 0o750, "pax_headers": {"SCHILY.xattr.user.now": "described"}}),
    ])
    layer(os.path.join(output, "upper.tar"), [
        ("turns", directory),
        ("turns/back", file, longer),
        *([] if mergeable else [("kept", link, "opaque/above")]),
        ("opaque/.wh.above", file, b""),
        (".wh.link", file, b""),
        ("etc/.wh.motd2", file, b""),
        (".wh.absent", file, b""),
        ("pipe", file, b"no pipe"),
        ("new/made/on/the/way", file, noise(5000)),
    ])


if __name__ == "__main__":
    main()
