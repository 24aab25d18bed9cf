#!/usr/bin/env python3
"""Unpacks layers onto overlayfs mounts, as containerd does, and mounts what comes of them.

  overlay.py STATE LAYER... MOUNTPOINT

Each LAYER, a tar, the lowest first, is unpacked onto a mount of those below it, so that hard links into lower layers
and whiteouts mean what the kernel makes of them. A LAYER that is a directory is a lower one as it is. Whiteouts hide
what lower layers have, not what the layer has unpacked. A directory that the layer does not describe keeps its time;
one that is made on the way gets the time 0. STATE keeps the layers. An implementation of its own on the Python standard
library, as far as the layers of this suite need it.
"""

import os
import shutil
import subprocess
import sys
import tarfile


def mount(lower, upper, work, at):
    options = f"lowerdir={':'.join(reversed(lower))}"
    if upper:
        options += f",upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, at], check=True)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


class Unpacker:
    def __init__(self, at):
        self.at = at
        self.unpacked = {""}
        self.times = {}

    def touch(self, directory):
        """Remembers the time of a directory that is about to change; makes it if it is missing."""
        path = os.path.join(self.at, directory)
        if directory and not os.path.lexists(path):
            self.touch(os.path.dirname(directory))
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
            self.times[directory] = 0
        self.times.setdefault(directory, os.stat(path).st_mtime_ns)

    def hide(self, directory, name):
        """Hides what a lower layer has."""
        path = os.path.join(directory, name)
        if path not in self.unpacked and os.path.lexists(os.path.join(self.at, path)):
            self.touch(directory)
            remove(os.path.join(self.at, path))

    def member(self, tar, member):
        name = os.path.normpath("/" + member.name).lstrip("/")
        directory, base = os.path.split(name)
        if base == ".wh..wh..opq":
            for child in os.listdir(os.path.join(self.at, directory)):
                self.hide(directory, child)
            return
        if base.startswith(".wh."):
            self.hide(directory, base.removeprefix(".wh."))
            return
        path = os.path.join(self.at, name)
        self.touch(directory)
        if member.isdir():
            if os.path.islink(path) or not os.path.isdir(path):
                remove(path)
                os.mkdir(path)
            self.times[name] = None
        else:
            remove(path)
            self.times.pop(name, None)
        parts = name.split("/")
        self.unpacked.update("/".join(parts[: n + 1]) for n in range(len(parts)))
        if member.islnk():
            os.link(os.path.join(self.at, member.linkname.lstrip("/")), path, follow_symlinks=False)
            return
        if member.isreg():
            with open(path, "xb") as file:
                shutil.copyfileobj(tar.extractfile(member), file)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.isfifo():
            os.mkfifo(path)
        elif member.ischr():
            os.mknod(path, 0o020000, os.makedev(member.devmajor, member.devminor))
        self.describe(member, name)

    def describe(self, member, name):
        path = os.path.join(self.at, name)
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            os.chmod(path, member.mode)
        if member.isdir():
            for attribute in os.listxattr(path, follow_symlinks=False):
                os.removexattr(path, attribute, follow_symlinks=False)
        for key, value in member.pax_headers.items():
            if key.startswith("SCHILY.xattr."):
                value = value.encode("utf-8", "surrogateescape")
                os.setxattr(path, key.removeprefix("SCHILY.xattr."), value, follow_symlinks=False)
        time = int(member.mtime) * 10**9
        if member.isdir():
            self.times[name] = time
        else:
            os.utime(path, ns=(time, time), follow_symlinks=False)

    def finish(self):
        for directory, time in self.times.items():
            path = os.path.join(self.at, directory)
            if os.path.isdir(path) and not os.path.islink(path):
                os.utime(path, ns=(time, time))


def main():
    state, *layers, at = sys.argv[1:]
    below = [os.path.join(state, "empty")]
    os.mkdir(below[0])
    os.chmod(below[0], 0o755)
    os.utime(below[0], (0, 0))
    for number, layer in enumerate(layers):
        if os.path.isdir(layer):
            below.append(layer)
            continue
        upper, work = (os.path.join(state, f"{kind}{number}") for kind in ("layer", "work"))
        os.mkdir(upper)
        shutil.copystat(below[-1], upper)
        os.mkdir(work)
        mount(below, upper, work, at)
        try:
            unpacker = Unpacker(at)
            with tarfile.open(layer, errorlevel=2) as tar:
                for member in tar:
                    unpacker.member(tar, member)
            unpacker.finish()
        finally:
            subprocess.run(["umount", at], check=True)
        below.append(upper)
    mount(below, None, None, at)


if __name__ == "__main__":
    main()
