#!/usr/bin/env python3
"""mount2.py FSTYPE SOURCE TARGET [OPTIONS]: a read-only mount by mount(2), as root.

mount(8) puts a plain file on a loop device first, and EROFS then wants loop devices for `device=` too. The system call
takes plain files for both, on kernels that mount files (6.12 and later).
"""

import ctypes
import os
import sys

MS_RDONLY = 1


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2)
    kind, source, target, options = (os.fsencode(a) for a in (sys.argv[1:] + [""])[:4])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source, target, kind, ctypes.c_ulong(MS_RDONLY), options) != 0:
        error = os.strerror(ctypes.get_errno())
        sys.exit(f"mount2.py: error: mount {os.fsdecode(kind)} {os.fsdecode(source)}: {error} (the kernel's log may say more)")


if __name__ == "__main__":
    main()
