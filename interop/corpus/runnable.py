#!/usr/bin/env python3
"""The lowest layer of an image that runs, below those of stack.py: base.tar.

  runnable.py OUTPUT-DIR

A static busybox, a file with a capability, mount points for what runtimes mount, and 32 MiB that nothing reads when a
container starts. Every run makes another layer: runtimes know layers by their DiffIDs, and would not pull one that
they have.
"""

import io
import os
import sys
import tarfile

BUSYBOX = "/bin/busybox"
TIME = 1_600_000_000
# cap_net_raw=ep, revision 2.
CAP_NET_RAW = "\x01\0\0\x02\0\x20" + "\0" * 14


def main():
    with tarfile.open(os.path.join(sys.argv[1], "base.tar"), "x", format=tarfile.PAX_FORMAT) as tar:
        def add(name, kind, content=b"", mode=0o755, target="", attributes={}):
            member = tarfile.TarInfo(name)
            member.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes.items()}
            member.type, member.mode, member.mtime = kind, mode, TIME
            member.size, member.linkname = len(content), target
            tar.addfile(member, io.BytesIO(content))

        for name in ["bin", "dev", "host", "mnt", "proc", "run", "sys"]:
            add(name, tarfile.DIRTYPE)
        with open(BUSYBOX, "rb") as busybox:
            add("bin/busybox", tarfile.REGTYPE, busybox.read())
        add("bin/sh", tarfile.SYMTYPE, target="busybox")
        add("capable", tarfile.REGTYPE, b"a capability", attributes={"security.capability": CAP_NET_RAW})
        add("unread", tarfile.REGTYPE, os.urandom(32 << 20), 0o644)


if __name__ == "__main__":
    main()
