#!/usr/bin/env python3
"""oddities.py DIR: adds the directory DIR/oddities, full of what real trees hold rarely and formats get wrong.

Hard links with many names and to a symlink, devices with large numbers, FIFOs, capabilities, ACLs, binary xattrs,
xattrs on directories and links, newlines and foreign bytes in names, long names and targets, sparse files, sizes around
chunk boundaries, a large and a deep directory, special modes, large owners, times before 1970 and with fractions,
duplicate content. Needs root and a file system with user.*, trusted.* and security.* xattrs. The same on every machine.
"""

import hashlib
import os
import stat
import struct
import sys

MTIME = 1_600_000_000
SECOND = 1_000_000_000
KIB, MIB = 1 << 10, 1 << 20
UNDEFINED_ID = 2**32 - 1


def noise(length, seed):
    """Bytes that do not compress, the same on every machine."""
    return hashlib.shake_128(struct.pack("<I", seed)).digest(length)


def text(length, seed):
    """Bytes that compress well although no two chunks are equal."""
    width = len(b"%08d %08d some text that compresses\n" % (0, 0))
    lines = (b"%08d %08d some text that compresses\n" % (seed, n) for n in range(length // width + 1))
    return b"".join(lines)[:length]


def write(path, content=b"", mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def write_sparse(path, size, pieces):
    with open(path, "wb") as file:
        for offset, content in pieces:
            file.seek(offset)
            file.write(content)
        file.truncate(size)


def acl(*entries):
    """The value of a system.posix_acl_* xattr: (tag, permissions, id) each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def hard_links():
    # No device or FIFO with two names: GNU tar packs these as two separate members.
    os.mkdir("hard-links")
    write("hard-links/many-000", text(5000, 1))
    for number in range(1, 100):
        os.link("hard-links/many-000", f"hard-links/many-{number:03d}")
    os.symlink("many-000", "hard-links/symlink")
    os.link("hard-links/symlink", "hard-links/symlink-again", follow_symlinks=False)
    write("hard-links/zz-first-in-another-directory", b"its least name is elsewhere")
    os.mkdir("hard-links/aa")
    os.link("hard-links/zz-first-in-another-directory", "hard-links/aa/name")
    write("hard-links/empty")
    os.link("hard-links/empty", "hard-links/empty-again")


def devices():
    os.mkdir("devices")
    for name, kind, major, minor in (
        ("null", stat.S_IFCHR, 1, 3),
        ("char-5-0", stat.S_IFCHR, 5, 0),
        ("minor-256", stat.S_IFCHR, 10, 256),
        ("minor-largest", stat.S_IFCHR, 240, (1 << 20) - 1),
        ("major-largest", stat.S_IFBLK, (1 << 12) - 1, 7),
        ("both-largest", stat.S_IFBLK, (1 << 12) - 1, (1 << 20) - 1),
        ("disk", stat.S_IFBLK, 8, 0),
    ):
        os.mknod(f"devices/{name}", kind | 0o600, os.makedev(major, minor))
    os.mkfifo("devices/fifo")


def xattrs():
    os.mkdir("xattrs")
    values = {
        "plain": (b"user.key", b"value"),
        "empty-value": (b"user.empty", b""),
        "nul": (b"user.nul", b"a\0b\0\0"),
        "newline": (b"user.newline", b"first\nsecond\n"),
        "all-bytes": (b"trusted.bytes", bytes(range(256))),
        "foreign-name": (b"user.\xff\xfe-name", b"1"),
        "long-name": (b"user." + b"n" * 250, b"1"),
        "large-value": (b"user.large", noise(3000, 2)),
        "acl": (b"system.posix_acl_access", acl((1, 6, UNDEFINED_ID), (2, 4, 1000), (4, 4, UNDEFINED_ID),
                                               (16, 4, UNDEFINED_ID), (32, 4, UNDEFINED_ID))),
        "capability": (b"security.capability", struct.pack("<5I", 0x0200_0001, 1 << 10, 0, 0, 0)),
        # The same capability for one user namespace (revision 3): its root is user 1000.
        "capability-of-a-namespace": (b"security.capability", struct.pack("<6I", 0x0300_0001, 1 << 10, 0, 0, 0, 1000)),
    }
    for name in values:
        write(f"xattrs/{name}", b"", 0o644)
    write("xattrs/many", b"content")
    for number in range(20):
        os.setxattr("xattrs/many", b"user.%02d" % number, b"value %d" % number)
    os.setxattr("xattrs/many", b"trusted.one", b"1")
    os.mkdir("xattrs/directory")
    os.setxattr("xattrs/directory", b"user.directory", b"\0\n")
    os.setxattr("xattrs/directory", b"trusted.directory", b"x")
    os.mkdir("xattrs/default-acl")
    os.setxattr("xattrs/default-acl", b"system.posix_acl_default",
                acl((1, 7, UNDEFINED_ID), (4, 5, UNDEFINED_ID), (32, 5, UNDEFINED_ID)))
    os.symlink("plain", "xattrs/link")
    os.setxattr("xattrs/link", b"trusted.of-a-link", b"1", follow_symlinks=False)
    os.mkfifo("xattrs/fifo")
    os.setxattr("xattrs/fifo", b"trusted.of-a-fifo", b"1")
    write("xattrs/two-names", b"shared")
    os.setxattr("xattrs/two-names", b"user.shared", b"by both names")
    os.link("xattrs/two-names", "xattrs/two-names-again")
    return {f"xattrs/{name}".encode(): pair for name, pair in values.items()}


def names():
    os.mkdir("names")
    odd = [b"new\nline", b"tab\tand space ", b"not-utf8-\xff\xfe\x80", b"back\\slash", b"quote\"'", b"-dash", b"...",
           b"..two", b"colon:equals=", b"\x01control\x7f", "Größe-日本-\U0001f980".encode(), "e\u0301".encode(), "\u00e9".encode(),
           b"n" * 255, b"\xf0" * 255, b"percent%41", b"*glob?[a]", b"a", b"a.b", b"a-b", b"a b", b"A", b" "]
    for number, name in enumerate(odd):
        write(b"names/" + name, b"%d" % number)
    os.mkdir(b"names/directory\n\xff")
    write(b"names/directory\n\xff/file")
    os.mkdir(b"names/" + b"d" * 255)
    write(b"names/" + b"d" * 255 + b"/" + b"f" * 255)
    os.symlink(b"t" * 4000, "names/long-target")
    os.symlink(b"target\n\xff", b"names/odd-target")
    os.symlink(b"/absolute/../target/", b"names/absolute-target")
    write(b"names/" + b"p" * 99)  # around the 100 bytes of a tar header's name
    write(b"names/" + b"p" * 100)
    os.symlink(b"t" * 100, "names/target-of-100")
    os.symlink(b"t" * 101, "names/target-of-101")


def sizes():
    os.mkdir("sizes")
    for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB + 123):
        write(f"sizes/noise-{size}", noise(size, size & 0xFFFF | 0x10000))
        write(f"sizes/text-{size}", text(size, size))
    write("sizes/zeros", bytes(2 * MIB + 5))
    os.mkdir("duplicates")
    for number in range(3):
        write(f"duplicates/file-{number}", noise(3 * MIB, 3 * MIB & 0xFFFF | 0x10000))
    write("duplicates/chunk-aligned-part", noise(3 * MIB, 3 * MIB & 0xFFFF | 0x10000)[MIB:2 * MIB] + b"tail")
    write("duplicates/repeated-chunk", noise(MIB, 5) * 3)


def sparse():
    os.mkdir("sparse")
    write_sparse("sparse/only-a-hole", 3 * MIB, [])
    write_sparse("sparse/hole-first", 2 * MIB + 10, [(2 * MIB, b"0123456789")])
    write_sparse("sparse/hole-last", 2 * MIB + 10, [(0, b"0123456789")])
    write_sparse("sparse/large", 64 * MIB, [(40 * MIB + 1, b"here")])
    write_sparse("sparse/many-holes", 200 * 64 * KIB, [(n * 64 * KIB, noise(4096, 100 + n)) for n in range(0, 200, 2)])
    write_sparse(b"sparse/" + b"s" * 240 + b"\n\xff", MIB, [(MIB - 1, b"x")])


def directories():
    os.mkdir("large-directory")
    for number in range(5000):
        write(f"large-directory/entry-{number:05d}", b"%d" % number if number % 10 == 0 else b"")
    path = "deep"
    os.mkdir(path)
    for level in range(1, 61):
        path += f"/level-{level:02d}"
        os.mkdir(path)
    write(path + "/bottom", b"reached")
    os.mkdir("empty-directory")


def attributes():
    os.mkdir("attributes")
    modes, owners, times = {}, {}, {}
    for mode in (0o4755, 0o2755, 0o1644, 0o6711, 0o7777, 0o0000, 0o0400):
        name = f"attributes/mode-{mode:04o}"
        write(name)
        modes[name] = mode
    for mode in (0o1777, 0o2775, 0o0000):
        name = f"attributes/directory-{mode:04o}"
        os.mkdir(name)
        modes[name] = mode
    for owner in ((1000, 1000), (65534, 65534), (2**21, 2**21 - 1), (2**31, 2**31), (2**32 - 2, 2**32 - 2)):
        name = f"attributes/owner-{owner[0]}-{owner[1]}"
        write(name)
        owners[name] = owner
    for name, time in (
        ("epoch", 0), ("before-1970", -86_400 * SECOND), ("before-1970-fraction", -SECOND - SECOND // 2),
        ("just-before-1970", -1), ("fraction", MTIME * SECOND + 123_456_789), ("half", MTIME * SECOND + SECOND // 2),
        ("nine-tenths", MTIME * SECOND + 999_999_999), ("after-2038", 2**32 * SECOND), ("year-1910", -1_893_456_000 * SECOND),
    ):
        write(f"attributes/time-{name}")
        times[f"attributes/time-{name}"] = time
    os.mkdir("attributes/directory-time-fraction")
    times["attributes/directory-time-fraction"] = MTIME * SECOND + 5
    return modes, owners, times


def settle(values, modes, owners, times):
    """Sets owners, modes and times of everything, children first, and last the xattrs that chown and chmod change."""
    for directory, directories_in, files in os.walk(b".", topdown=False):
        for name in files + directories_in:
            path = os.path.relpath(os.path.join(directory, name), b".")
            status = os.lstat(path)
            shown = os.fsdecode(path)
            os.chown(path, *owners.get(shown, (0, 0)), follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                default = 0o755 if stat.S_ISDIR(status.st_mode) else stat.S_IMODE(status.st_mode)
                os.chmod(path, modes.get(shown, default))
            if path in values:
                os.setxattr(path, *values[path])
            time = times.get(shown, MTIME * SECOND)
            os.utime(path, ns=(time, time), follow_symlinks=False)
    os.chmod(".", 0o755)
    os.utime(".", (MTIME, MTIME))


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if len(sys.argv) == 2 else 2)
    os.umask(0o022)
    top = os.path.join(sys.argv[1], "oddities")
    os.mkdir(top)
    os.chdir(top)
    hard_links()
    devices()
    values = xattrs()
    names()
    sizes()
    sparse()
    directories()
    settle(values, *attributes())


if __name__ == "__main__":
    main()
