"""Writes the tar of the tree that all goldens hold."""
import io
import sys
import tarfile

out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT)


def add(name, kind=tarfile.REGTYPE, data=b"", mode=0o644, **more):
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime, member.size = kind, mode, 1600000000, len(data)
    xattrs = more.pop("xattrs", {})
    member.pax_headers = {"SCHILY.xattr." + key: value for key, value in xattrs.items()}
    for key, value in more.items():
        setattr(member, key, value)
    out.addfile(member, io.BytesIO(data))


noise = bytes((n * n * 31 + n // 7) & 0xFF for n in range(10000))
add("./", tarfile.DIRTYPE, mode=0o755)
add("d/", tarfile.DIRTYPE, mode=0o1777, uid=70000, gid=12)
for number in range(12):
    add(f"d/{number:03}-{'n' * 20}", data=b"", xattrs={"user.common": "the same"})
add("d/fifo", tarfile.FIFOTYPE)
add("d/null", tarfile.CHRTYPE, devmajor=1, devminor=300)
add("d/loop", tarfile.BLKTYPE, devmajor=7, devminor=1, mode=0o660, gid=6)
add("e", data=b"")
add("f", data=b"hello\n", xattrs={"user.one": "1", "security.two": "22", "user.long.prefix.three": "333"})
add("g", tarfile.LNKTYPE, linkname="f")
add("l", tarfile.SYMTYPE, linkname="../f", mode=0o777)
add("m", tarfile.SYMTYPE, linkname="x" * 700, mode=0o777)
add("n", data=noise)
add("o", data=noise[:4096])
add("p", data=noise[:4095])
add("s", data=b"begin" + bytes(12283) + b"end")
add("t", data=noise[:4096] + noise[:4096] + noise[8192:9000])
add("z", data=bytes(8192))
out.close()
