#!/usr/bin/env python3
"""odd_tree.py DIR: makes the small tree of the `odd-*` goldens in DIR, as root.

It holds what the A.4 tree lacks: xattrs, devices, a FIFO, a long symlink target, odd names, modes and
times, a directory of several blocks, hard links, a file of many chunks, shared chunks and a run of zeros.
"""

import hashlib
import os
import stat
import struct
import sys

MTIME = 1_600_000_000


def noise(length, seed):
    """Bytes that do not compress, the same on every machine."""
    blocks = (hashlib.sha256(struct.pack("<II", seed, n)).digest() for n in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def text(length):
    """Bytes that compress well although no two blocks are equal."""
    return b"".join(b"line %06d of a text that compresses\n" % n for n in range(length // 30))[:length]


def write(path, content, mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def make(top):
    os.makedirs(top)
    os.chdir(os.fsencode(top))

    os.mkdir("dev")
    os.mknod("dev/char", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod("dev/block", stat.S_IFBLK | 0o660, os.makedev(8, 0x12345))  # the minor needs more than eight bits
    os.mknod("dev/fifo", stat.S_IFIFO | 0o600)

    os.mkdir("many")  # some 11 KiB of entries: two full blocks and a tail
    for number in range(60):
        write(f"many/{number:03d}" + "-a-long-name" * 16, b"")

    os.mkdir("names")
    write(b"names/new\nline", b"1")
    write(b"names/not-utf8-\xff\xfe", b"2")
    write(b"names/" + b"n" * 255, b"3")
    write(b"names/!before-dot", b"4")
    os.mkdir("names/empty-directory")

    os.mkdir("data")
    write("data/text", text(200_000))
    write("data/noise", noise(9_000, 1))
    write("data/zeros", bytes(70_000))
    write("data/shares-with-text", text(200_000)[65_536:131_072] + noise(5, 2))
    for size in (1, 4095, 4096, 4097):
        write(f"data/size-{size:04d}", noise(size, 3 + size))

    os.mkdir("links")
    os.link("data/text", "links/hard-1")
    os.link("data/text", "links/hard-2")
    os.symlink("x" * 4000, "links/long")
    os.symlink("../data/text", "links/short")

    os.mkdir("modes", 0o755)
    write("modes/setuid", b"", 0o4755)
    write("modes/setgid", b"", 0o2755)
    os.mkdir("modes/sticky")
    write("modes/owner", b"")
    write("modes/before-1970", b"")
    write("modes/fraction", b"")

    os.mkdir("xattrs")
    attributes = {
        "user": (b"user.key", b"value"),
        "empty-value": (b"user.empty", b""),
        "binary": (b"trusted.binary", b"a\0b\nc\xff"),
        "capability": (b"security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)),
        "large-value": (b"user.large", noise(3000, 9)),
    }
    for name, (key, value) in attributes.items():
        write(f"xattrs/{name}", b"")
        os.setxattr(f"xattrs/{name}", key, value)
    write("xattrs/three", text(5000))
    for key in (b"user.a", b"user.b", b"trusted.c"):
        os.setxattr("xattrs/three", key, b"value of " + key)
    os.mkdir("xattrs/directory")
    os.setxattr("xattrs/directory", b"user.of-a-directory", b"1")
    os.symlink("user", "xattrs/link")
    os.setxattr("xattrs/link", b"trusted.of-a-link", b"1", follow_symlinks=False)

    modes = {b"modes/sticky": 0o1777, b"dev/char": 0o666, b"dev/block": 0o660, b"dev/fifo": 0o600}
    times = {b"modes/before-1970": -86_400 * 10**9, b"modes/fraction": MTIME * 10**9 + 123_456_789}
    for directory, names, files in os.walk(b".", topdown=False):
        for name in files + names:
            path = os.path.relpath(os.path.join(directory, name), b".")
            kind = os.lstat(path).st_mode
            permissions = stat.S_IMODE(kind)
            owner = (2**32 - 2, 2**32 - 2) if path == b"modes/owner" else (0, 0)
            os.chown(path, *owner, follow_symlinks=False)
            if not stat.S_ISLNK(kind):
                os.chmod(path, modes.get(path, 0o755 if stat.S_ISDIR(kind) else permissions))
            time = times.get(path, MTIME * 10**9)
            os.utime(path, ns=(time, time), follow_symlinks=False)
    os.setxattr("xattrs/capability", *attributes["capability"])  # again: chown cleared it
    os.chmod(".", 0o755)
    os.utime(".", (MTIME, MTIME))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if len(sys.argv) == 2 else 2)
    make(sys.argv[1])
