#!/usr/bin/env python3
"""Tree digest, version 1, of a directory or a mount point.

An implementation of its own, on the Python standard library alone, that shares no code with the Rust crates: the
suite compares the two. Run it as root, otherwise trusted.* xattrs and unreadable files are missed.
"""

import argparse
import hashlib
import os
import stat
import struct
import sys
import tempfile

DOMAIN = b"lazyoci.tree.v1\0"
READ_SIZE = 1 << 20
PROFILES = ("default", "content")

TYPE_LETTERS = {
    stat.S_IFDIR: b"d",
    stat.S_IFREG: b"f",
    stat.S_IFLNK: b"l",
    stat.S_IFCHR: b"c",
    stat.S_IFBLK: b"b",
    stat.S_IFIFO: b"p",
    stat.S_IFSOCK: b"s",
}


def u64(number):
    """Eight bytes, little endian; a negative number in two's complement."""
    return struct.pack("<Q", number & 0xFFFF_FFFF_FFFF_FFFF)


def counted(data):
    return u64(len(data)) + data


def printable(data):
    """One line of ASCII for any bytes, so that dumps can be compared by line."""
    return "".join(chr(b) if 0x21 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in data) or "-"


class Node:
    """One name of an inode, and what lies below it."""

    __slots__ = ("name", "path", "status", "children")

    def __init__(self, name, path, status):
        self.name = name
        self.path = path  # components joined by "/", without leading slash; empty for the root
        self.status = status
        self.children = []


class Walker:
    def __init__(self, top, profile, ignored_xattrs=(), inode_bits=64, now=None, dump=None):
        self.top = top
        self.profile = profile
        self.ignored_xattrs = frozenset(ignored_xattrs)
        self.inode_mask = (1 << inode_bits) - 1
        self.now = now
        self.dump = dump
        self.link_groups = {}  # (st_dev, st_ino) -> sorted paths, for inodes with several names in this tree
        self.content_of_inode = {}  # (st_dev, st_ino) -> content part, so that a second name is not read again

    def digest(self):
        root = self._scan()
        if not stat.S_ISDIR(root.status.st_mode):
            raise NotADirectoryError(os.fsdecode(self.top))
        return self._hash(root).hex()

    def _inode(self, status):
        return status.st_dev, status.st_ino & self.inode_mask

    def _file(self, node):
        return self.top + b"/" + node.path if node.path else self.top

    def _scan(self):
        """Collects all names first: the hard link group of an early name may be decided by a late one."""
        names_of_inode = {}
        root = Node(b"", b"", os.stat(self.top))
        pending = [root]
        while pending:
            node = pending.pop()
            if not stat.S_ISDIR(node.status.st_mode):
                if node.status.st_nlink > 1:
                    key = self._inode(node.status)
                    names_of_inode.setdefault(key, []).append(node.path)
                continue
            for name in sorted(os.listdir(self._file(node))):
                path = node.path + b"/" + name if node.path else name
                child = Node(name, path, os.lstat(self.top + b"/" + path))
                node.children.append(child)
                pending.append(child)
        self.link_groups = {key: min(paths) for key, paths in names_of_inode.items() if len(paths) > 1}
        return root

    def _hash(self, node):
        status = node.status
        letter = TYPE_LETTERS[stat.S_IFMT(status.st_mode)]
        full = self.profile == "default"
        is_root = not node.path
        mode = uid = gid = mtime = major = minor = 0
        group, xattrs = b"", []
        if full:
            mode = 0o777 if letter == b"l" else stat.S_IMODE(status.st_mode)
            uid, gid = status.st_uid, status.st_gid
            mtime = 0 if is_root else status.st_mtime_ns // 1_000_000_000
            if self.now is not None and 0 <= mtime - self.now < 86400:
                mtime = 0
            if letter in b"cb":
                major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
            group = self.link_groups.get(self._inode(status), b"") if letter != b"d" else b""
            xattrs = self._xattrs(node)

        content, shown_content = self._content(node, letter)
        if self.dump is not None:
            shown_xattrs = hashlib.sha256(b"".join(counted(n) + counted(v) for n, v in xattrs)).hexdigest()[:16]
            fields = [
                printable(b"/" + node.path), letter.decode(), f"{mode:04o}", f"{uid}:{gid}", str(mtime),
                f"{major},{minor}", printable(group),
                f"{len(xattrs)}:{shown_xattrs}" if xattrs else "-", shown_content,
            ]
            self.dump.write("\t".join(fields) + "\n")
        if letter == b"d":
            content = u64(len(node.children))
            for child in node.children:
                content += counted(child.name) + self._hash(child)
            node.children = []

        encoded = [DOMAIN, letter, u64(mode), u64(uid), u64(gid), u64(mtime), u64(major), u64(minor), counted(group)]
        encoded.append(u64(len(xattrs)))
        for name, value in xattrs:
            encoded += [counted(name), counted(value)]
        encoded.append(content)
        return hashlib.sha256(b"".join(encoded)).digest()

    def _xattrs(self, node):
        file = self._file(node)
        names = sorted(os.fsencode(name) for name in os.listxattr(file, follow_symlinks=False))
        return [
            (name, os.getxattr(file, name, follow_symlinks=False)) for name in names if name not in self.ignored_xattrs
        ]

    def _content(self, node, letter):
        """The encoded content and how a dump shows it; a directory's is made by the caller."""
        if letter == b"f":
            key = self._inode(node.status)
            several = key in self.link_groups
            content = self.content_of_inode.get(key) if several else None
            if content is None:
                content = self._file_content(node)
                if several:
                    self.content_of_inode[key] = content
            size = struct.unpack("<Q", content[:8])[0]
            return content, f"{size}:{content[8:].hex()}"
        if letter == b"l":
            target = os.readlink(self._file(node))
            shown = printable(target) if len(target) <= 200 else f"{len(target)}:{hashlib.sha256(target).hexdigest()}"
            return counted(target), shown
        return b"", "-"

    def _file_content(self, node):
        digest, size = hashlib.sha256(), 0
        with open(self._file(node), "rb", buffering=0) as file:
            while block := file.read(READ_SIZE):
                digest.update(block)
                size += len(block)
        if size != node.status.st_size:
            raise OSError(f"{printable(node.path)}: st_size is {node.status.st_size}, but {size} bytes were read")
        return u64(size) + digest.digest()


VECTOR_MTIME = 1_600_000_000
VECTOR = {
    "default": "243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8",
    "content": "0d3e2f339c36c5d5f8232fd0ea8d10d3206d2e812699ba3daa54c27b44a8c783",
}


def make_vector_tree(top):
    """The tree of the specification's test vector, which is also the tree of the RAFS golden vectors."""
    os.makedirs(os.path.join(top, "d"))
    for name, content in (("e", b""), ("f", b"hello"), ("z", b"A" * 10_000)):
        with open(os.path.join(top, name), "wb") as file:
            file.write(content)
        os.chmod(os.path.join(top, name), 0o644)
    os.link(os.path.join(top, "f"), os.path.join(top, "d/h"))
    os.symlink("../f", os.path.join(top, "d/l"))
    for directory in ("d", "."):
        os.chmod(os.path.join(top, directory), 0o755)
    for path in ("d/l", "d/h", "d", "e", "f", "z", "."):
        full = os.path.join(top, path)
        os.chown(full, 0, 0, follow_symlinks=False)
        os.utime(full, (VECTOR_MTIME, VECTOR_MTIME), follow_symlinks=False)


def self_test():
    if os.geteuid() != 0:
        sys.exit("walker.py: --self-test must run as root (the vector's owner is 0:0)")
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        top = os.path.join(scratch, "vector")
        make_vector_tree(top)
        for profile in PROFILES:
            found = Walker(os.fsencode(top), profile).digest()
            verdict = "ok" if found == VECTOR[profile] else f"FAILED: expected {VECTOR[profile]}"
            failed += found != VECTOR[profile]
            print(f"{profile}: {found} {verdict}")
        # What the vector does not hold must count too: each change below has to change the default digest.
        def set_xattr(path):
            os.setxattr(path, b"user.k\xff", b"\0\n")
        changes = {
            "mode": ("e", lambda p: os.chmod(p, 0o4711)),
            "owner": ("e", lambda p: os.chown(p, 0, 2**32 - 2)),
            "mtime": ("e", lambda p: os.utime(p, (-5, -5))),
            "xattr": ("e", set_xattr),
            "name": ("e", lambda p: os.rename(p, p + "\n")),
            "link": ("d/h", lambda p: (os.unlink(p), os.link(os.path.join(top, "f"), p + "2"))),
            "device": ("dev", lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 1_000_000))),
        }
        before = VECTOR["default"]
        for what, (path, change) in changes.items():
            change(os.path.join(top, path))
            after = Walker(os.fsencode(top), "default").digest()
            print(f"{what} counts: {'ok' if after != before else 'FAILED'}")
            failed += after == before
            before = after
    sys.exit(1 if failed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=os.fsencode, help="directory or mount point")
    parser.add_argument("--profile", choices=PROFILES, default="default")
    parser.add_argument("--dump", action="store_true", help="print one line per path before the digest: path, type, "
                        "mode, owner, mtime, device, hard link group, xattrs, content; for diff(1)")
    parser.add_argument("--ignore-xattr", action="append", default=[], type=os.fsencode, metavar="NAME",
                        help="leave out an xattr that a mount invents (may be repeated)")
    parser.add_argument("--epoch-since", type=int, metavar="SECONDS",
                        help="take times in the day after SECONDS for 0: nydusd shows a time of 0 as the present")
    parser.add_argument("--inode-bits", type=int, default=64, metavar="N",
                        help="low bits of inode numbers that tell hard links; 56 for a mount by nydusd, which sets a "
                        "higher bit in the numbers that READDIRPLUS returns and not in those of LOOKUP")
    parser.add_argument("--self-test", action="store_true", help="check against the test vector and exit")
    parser.add_argument("--make-vector-tree", metavar="DIR", help="create the test vector's tree in DIR and exit")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
    if arguments.make_vector_tree:
        return make_vector_tree(arguments.make_vector_tree)
    if arguments.directory is None:
        parser.error("DIR is missing")
    sys.setrecursionlimit(20_000)
    dump = sys.stdout if arguments.dump else None
    top = arguments.directory.rstrip(b"/") or b"/"
    digest = Walker(top, arguments.profile, arguments.ignore_xattr, arguments.inode_bits, arguments.epoch_since, dump).digest()
    print(f"tree1:{digest}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"walker.py: {error}")
