#!/usr/bin/env python3
"""Makes the tree of the goldens of RAFS v7 in a new directory: tree.py DIR [plain]; plain: without extended attributes.
Root is needed."""
import os
import random
import stat
import sys

TIME = 1_600_000_000


def main(root, plain=""):
    os.umask(0)
    os.mkdir(root, 0o755)
    noise = random.Random(1)
    path = lambda *names: os.path.join(root, *names)

    def write(name, content, mode=0o644):
        with open(path(name), "wb") as file:
            file.write(content)
        os.chmod(path(name), mode)

    os.mkdir(path("d"), 0o755)
    os.mkdir(path("many"), 0o1777)
    write("f", b"hello")
    os.link(path("f"), path("d/h"))
    os.symlink("../f", path("d/l"))
    os.symlink("long/" * 60, path("d/long"))
    write("e", b"")
    write("z", b"A" * 20_000)
    write("zeros", bytes(10_000))
    write("hole", b"front" + bytes(20_000) + b"back")
    write("noise", bytes(noise.choices(range(256), k=9_000)))
    write("words", b" ".join(noise.choices([b"lazy", b"image", b"chunk", b"group"], k=2_000)))
    write("d/small", b"small" * 30, 0o4755)
    write("d/xattrs", b"with attributes", 0o600)
    if not plain:
        os.setxattr(path("d/xattrs"), "user.a", b"1")
        os.setxattr(path("d/xattrs"), "user.b", b"\0two\n")
        os.setxattr(path("d/xattrs"), "trusted.c", b"")
    for number in range(90):
        write(f"many/{number:03}-{'n' * 40}", b"")
    os.mknod(path("null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mkfifo(path("fifo"), 0o640)
    os.chown(path("noise"), 70_000, 80_000)
    os.chown(path("words"), 1_000, 2_000)
    for directory, directories, files in os.walk(root, topdown=False):
        for name in files + directories:
            os.utime(os.path.join(directory, name), (TIME, TIME), follow_symlinks=False)
    os.utime(path("words"), ns=(0, TIME * 10**9 + 123_456_789))
    os.utime(path("noise"), (5, 5))
    # What Nydus 3 makes of it.
    os.utime(root, (0, 0))


main(*sys.argv[1:])
