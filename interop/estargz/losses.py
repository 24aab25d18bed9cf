#!/usr/bin/env python3
r"""What does not survive in eStargz, taken out of a tree before it is compared.

  losses.py reported DIR LOSSES         what `convert --lossy --json` reported as lost: its array `losses`
  losses.py ctr-remote DIR LAYER.tar    what ctr-remote 0.12 loses or changes of the tree of LAYER.tar, without telling:
      names, link targets and names of xattrs get U+FFFD for each byte that is not UTF-8; times are rounded to whole
      seconds, half up, but those in the second after the epoch become the epoch; a sparse file becomes as many bytes
      of the layer as it is long, from its data on: what comes after it lands in the file
  losses.py leave-out IN.tar OUT.tar NAME...    a layer without these members

Paths are escaped as in our reports (\xff, \n).

DIR is changed: a copy that was unpacked for this, as root.
"""
import codecs
import json
import os
import shutil
import stat
import sys
import tarfile

SECOND = 1_000_000_000
# The years 1 to 9999; the first second of these says in Go that there is no time.
TIMES = (-62_135_596_799, 253_402_300_799)


def unescape(text):
    return codecs.escape_decode(text.encode())[0]


def reported(root, losses):
    for loss in losses:
        path, what = root + unescape(loss["path"]), loss["what"]
        above = os.stat(os.path.dirname(path))
        if what.startswith("extended attribute "):
            status = os.lstat(path)
            os.removexattr(path, unescape(what.split('"')[1]), follow_symlinks=False)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        elif what.startswith("time "):
            seconds = min(max(int(what.split()[1]), TIMES[0]), TIMES[1])
            os.utime(path, (seconds, seconds), follow_symlinks=False)
        elif os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        os.utime(os.path.dirname(path), ns=(above.st_atime_ns, above.st_mtime_ns))


def replaced(text):
    """Each byte that is not part of UTF-8 becomes U+FFFD; Python alone would take several for one."""
    decoded = text.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in decoded).encode()


def rounded(nanoseconds):
    if nanoseconds // SECOND == 0:
        return 0
    return (nanoseconds + SECOND // 2) // SECOND


def read_as_plain(root, layer):
    """Sparse files get the bytes that a reader finds who does not fill in the holes."""
    with tarfile.open(layer) as tar, open(layer, "rb") as raw:
        for member in tar:
            if not member.issparse():
                continue
            # tarfile has read the map, which precedes the data.
            raw.seek(member.offset_data)
            path = root + b"/" + os.fsencode(member.name)
            content = raw.read(member.size)
            assert len(content) == member.size, path
            with open(path, "wb") as file:
                file.write(content)


def leave_out(layer, out, names):
    missing = {unescape(name) for name in names}
    with tarfile.open(layer) as tar, open(layer, "rb") as raw, open(out, "wb") as copy:
        members = tar.getmembers()
        ends = [member.offset for member in members[1:]] + [os.path.getsize(layer)]
        for member, end in zip(members, ends):
            if os.fsencode(member.name) in missing:
                missing.remove(os.fsencode(member.name))
                continue
            raw.seek(member.offset)
            while raw.tell() < end:
                copy.write(raw.read(min(1 << 20, end - raw.tell())))
    assert not missing, missing


def ctr_remote(root, layer):
    times = []
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            times.append((path, rounded(os.lstat(path).st_mtime_ns)))
    read_as_plain(root, layer)
    for path, _ in reversed(times):  # children first
        above, name = os.path.split(path)
        for key in os.listxattr(path, follow_symlinks=False):
            old = os.fsencode(key)
            if replaced(old) != old:
                value = os.getxattr(path, old, follow_symlinks=False)
                os.removexattr(path, old, follow_symlinks=False)
                os.setxattr(path, replaced(old), value, follow_symlinks=False)
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(path)
            if replaced(target) != target:
                assert status.st_nlink == 1 and not os.listxattr(path, follow_symlinks=False), path
                os.unlink(path)
                os.symlink(replaced(target), path)
                os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
        if replaced(name) != name:
            os.rename(path, os.path.join(above, replaced(name)))
    for path, seconds in reversed(times):
        path = root + b"/" + replaced(path[len(root) + 1:])
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def main(arguments):
    match arguments:
        case ["reported", directory, losses]:
            reported(os.fsencode(directory), json.loads(losses))
        case ["ctr-remote", directory, layer]:
            ctr_remote(os.fsencode(directory), layer)
        case ["leave-out", layer, out, *names] if names:
            leave_out(layer, out, names)
        case ["--help" | "-h"]:
            print(__doc__.strip())
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
