#!/usr/bin/env python3
"""Reads tars by Python's tarfile, or by libarchive, which is what bsdtar is made of.

usage: reader.py tarfile|libarchive < PATHS     (as reader.go)
"""
import ctypes
import hashlib
import json
import sys
import tarfile


def entry(name, kind, link, mode, uid, gid, seconds, nanos, major, minor, size, sha256, xattrs):
    return {
        "name": name.hex(), "type": kind, "link": link.hex(), "mode": mode & 0o7777, "uid": uid, "gid": gid,
        "seconds": seconds, "nanos": nanos, "major": major, "minor": minor, "size": size, "sha256": sha256,
        "xattrs": {key.hex(): value.hex() for key, value in xattrs.items()},
    }


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def by_tarfile(path, entries):
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape", errorlevel=2) as tar:
        for member in tar:
            kind = member.type.decode("latin-1")
            content = b""
            if member.isreg() or member.type not in tarfile.SUPPORTED_TYPES:
                kind = "0" if member.isreg() else kind
                source = tar.fileobj if member.sparse is None else None
                if source is None:
                    content = tar.extractfile(member).read()
                else:
                    at = source.tell()
                    source.seek(member.offset_data)
                    content = source.read(member.size)
                    source.seek(at)
                if len(content) != member.size:
                    raise tarfile.ReadError("unexpected end of data")
            prefix = "SCHILY.xattr."
            xattrs = {
                raw(key.removeprefix(prefix)): raw(value)
                for key, value in member.pax_headers.items() if key.startswith(prefix)
            }
            seconds = int(member.mtime // 1)
            nanos = round((member.mtime - seconds) * 1_000_000_000)
            entries.append(entry(
                raw(member.name), kind, raw(member.linkname), member.mode, member.uid, member.gid, seconds, nanos,
                member.devmajor, member.devminor, len(content), hashlib.sha256(content).hexdigest(), xattrs))


class Libarchive:
    OK, EOF, WARN = 0, 1, -20

    def __init__(self):
        self.lib = ctypes.CDLL("libarchive.so.13")
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, *arguments in [
            ("archive_read_new", pointer),
            ("archive_read_support_format_tar", ctypes.c_int, pointer),
            ("archive_read_open_filename", ctypes.c_int, pointer, text, ctypes.c_size_t),
            ("archive_read_next_header", ctypes.c_int, pointer, ctypes.POINTER(pointer)),
            ("archive_read_data", ctypes.c_ssize_t, pointer, pointer, ctypes.c_size_t),
            ("archive_read_free", ctypes.c_int, pointer),
            ("archive_error_string", text, pointer),
            ("archive_entry_pathname", text, pointer),
            ("archive_entry_hardlink", text, pointer),
            ("archive_entry_symlink", text, pointer),
            ("archive_entry_filetype", ctypes.c_uint, pointer),
            ("archive_entry_perm", ctypes.c_uint, pointer),
            ("archive_entry_uid", ctypes.c_int64, pointer),
            ("archive_entry_gid", ctypes.c_int64, pointer),
            ("archive_entry_mtime", ctypes.c_int64, pointer),
            ("archive_entry_mtime_nsec", ctypes.c_long, pointer),
            ("archive_entry_rdevmajor", ctypes.c_uint64, pointer),
            ("archive_entry_rdevminor", ctypes.c_uint64, pointer),
            ("archive_entry_size", ctypes.c_int64, pointer),
            ("archive_entry_xattr_reset", ctypes.c_int, pointer),
            ("archive_entry_xattr_next", ctypes.c_int, pointer, ctypes.POINTER(text), ctypes.POINTER(pointer),
             ctypes.POINTER(ctypes.c_size_t)),
        ]:
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments

    def xattrs(self, item):
        found = {}
        name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
        self.lib.archive_entry_xattr_reset(item)
        while self.lib.archive_entry_xattr_next(item, name, value, size) == self.OK:
            found[name.value] = ctypes.string_at(value.value, size.value) if size.value else b""
        return found

    def __call__(self, path, entries):
        lib = self.lib
        archive = lib.archive_read_new()
        try:
            self.read(archive, path, entries)
        finally:
            lib.archive_read_free(archive)

    def fail(self, archive):
        raise tarfile.ReadError((self.lib.archive_error_string(archive) or b"failed").decode("latin-1"))

    def read(self, archive, path, entries):
        lib = self.lib
        lib.archive_read_support_format_tar(archive)
        if lib.archive_read_open_filename(archive, path.encode(), 10240) != self.OK:
            self.fail(archive)
        item = ctypes.c_void_p()
        buffer = ctypes.create_string_buffer(65536)
        kinds = {0o100000: "0", 0o120000: "2", 0o020000: "3", 0o060000: "4", 0o040000: "5", 0o010000: "6"}
        while True:
            status = lib.archive_read_next_header(archive, item)
            if status == self.EOF:
                return
            if status not in (self.OK, self.WARN):
                self.fail(archive)
            hardlink = lib.archive_entry_hardlink(item)
            kind = "1" if hardlink is not None else kinds.get(lib.archive_entry_filetype(item), "?")
            digest, size = hashlib.sha256(), 0
            while kind == "0":
                length = lib.archive_read_data(archive, buffer, len(buffer))
                if length < 0:
                    self.fail(archive)
                if length == 0:
                    break
                digest.update(buffer.raw[:length])
                size += length
            entries.append(entry(
                lib.archive_entry_pathname(item) or b"", kind, hardlink or lib.archive_entry_symlink(item) or b"",
                lib.archive_entry_perm(item), lib.archive_entry_uid(item), lib.archive_entry_gid(item),
                lib.archive_entry_mtime(item), lib.archive_entry_mtime_nsec(item), lib.archive_entry_rdevmajor(item),
                lib.archive_entry_rdevminor(item), size, digest.hexdigest(), self.xattrs(item)))


def main():
    read = {"tarfile": lambda: by_tarfile, "libarchive": Libarchive}[sys.argv[1]]()
    for line in sys.stdin:
        entries, error = [], ""
        try:
            read(line.rstrip("\n"), entries)
        except Exception as failure:  # whatever a reader fails with, it fails
            error = f"{type(failure).__name__}: {failure}"
        print(json.dumps({"entries": entries, "error": error}))


main()
