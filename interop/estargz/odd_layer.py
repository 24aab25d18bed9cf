#!/usr/bin/env python3
"""A small layer tar with one of everything that eStargz carries: odd_layer.py OUT.tar [vector|holes|utf8|bytes]

vector is the input of the published test vectors of the format, holes the same with a file that has runs of zeros, for
those of containers/storage; utf8 (default) has only names that a TOC can carry;
bytes adds names that it cannot. Output depends on the arguments alone.
"""
import io
import sys
import tarfile

TIME = 1600000000


def member(name, kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def data(length, seed):
    """Bytes that compress a little."""
    state, out = seed, bytearray()
    while len(out) < length:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(97 + (state >> 16) % 20)
    return bytes(out)


def vector():
    yield member("d/", tarfile.DIRTYPE, mtime=TIME), b""
    yield member("d/a", uid=1000, gid=1000, mtime=TIME), b"hello"
    yield member("e"), b""
    yield member("l", tarfile.SYMTYPE, linkname="d/a", mode=0o777), b""
    yield member("h", tarfile.LNKTYPE, linkname="d/a"), b""


def holes():
    for info, content in vector():
        yield info, content
        if info.name == "e":
            yield member("z"), b"ab" + bytes(1024) + b"cd" + bytes(1023) + b"e"


def utf8():
    xattrs = {"SCHILY.xattr.user.text": "value", "SCHILY.xattr.user.ünï": "é\nline"}
    yield member("./", tarfile.DIRTYPE, mode=0o1777, uid=3, gid=4, mtime=TIME), b""
    yield member("./etc/", tarfile.DIRTYPE, uid=0, uname="root", gname="root", mtime=TIME, pax_headers=dict(xattrs)), b""
    yield member("./etc/passwd", uname="root", gname="root", mtime=TIME + 0.75), data(300, 1)
    yield member("./etc/empty", uname="root", gname="wheel"), b""
    yield member("./etc/.wh.gone"), b""
    yield member("./etc/opaque/", tarfile.DIRTYPE), b""
    yield member("./etc/opaque/.wh..wh..opq"), b""
    yield member("bin/tool", mode=0o6755, uid=1000, gid=3000000000, mtime=-1000, pax_headers=dict(xattrs)), data(10_000, 2)
    yield member("bin/tool-link", tarfile.LNKTYPE, linkname="bin/tool"), b""
    yield member("bin/chain", tarfile.LNKTYPE, linkname="./bin/tool-link"), b""
    yield member("bin/sym", tarfile.SYMTYPE, linkname="../etc/<&>\u2028 passwd", mode=0o777, mtime=1.5), b""
    yield member("bin/early", tarfile.LNKTYPE, linkname="data/exact"), b""
    yield member("dev/", tarfile.DIRTYPE), b""
    yield member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666), b""
    yield member("dev/sda", tarfile.BLKTYPE, devmajor=8, devminor=65536), b""
    yield member("dev/pipe", tarfile.FIFOTYPE, mtime=4102444800), b""
    yield member("long/" + "x" * 200 + "/" + "y" * 250, mtime=TIME), data(4096, 3)
    yield member("data/exact", mtime=TIME), data(4096, 4)
    yield member("data/twice", mtime=TIME), data(8192, 5)
    yield member("data/zeros", mtime=TIME), bytes(20_000)
    yield member("data/new\nline\tand \"quotes\" \\ \x08\x0c\x7f", mtime=TIME), data(5, 6)


def not_utf8():
    yield from utf8()
    # surrogateescape: these become single bytes
    yield member("bytes/caf\udce9", mtime=TIME), data(20, 7)
    yield member("bytes/link", tarfile.SYMTYPE, linkname="caf\udce9", mtime=TIME), b""


def main(out, which="utf8"):
    members = {"vector": vector, "holes": holes, "utf8": utf8, "bytes": not_utf8}[which]()
    form = tarfile.USTAR_FORMAT if which in ("vector", "holes") else tarfile.PAX_FORMAT
    if which == "bytes":
        form = tarfile.GNU_FORMAT
    with tarfile.open(out, "w", format=form, errors="surrogateescape") as tar:
        for info, content in members:
            info.size = len(content)
            if form == tarfile.GNU_FORMAT:
                info.pax_headers = {}
                info.mtime = int(info.mtime)
            tar.addfile(info, io.BytesIO(content))


if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    help_wanted = sys.argv[1:2] in (["-h"], ["--help"])
    print(__doc__.strip(), file=sys.stdout if help_wanted else sys.stderr)
    sys.exit(0 if help_wanted else 2)
main(*sys.argv[1:])
