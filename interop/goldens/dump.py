#!/usr/bin/env python3
"""Prints every structure of a RAFS v6 image with its offset.

  dump.py BOOTSTRAP [BLOB...]     a bootstrap and its data blobs, in the order of the blob table
  dump.py --blob-only BLOB...     blobs that hold their bootstrap

Reads the bytes by the layout of the format and checks nothing; it shares no code with nydus or with the crates. It
makes the readable dumps beside the goldens.
"""

import hashlib
import os
import struct
import subprocess
import sys

COMPRESSORS = {0: "none", 1: "lz4_block", 2: "gzip", 3: "zstd"}
DIGESTERS = {0: "blake3", 1: "sha256"}
XATTR_PREFIXES = {1: b"user.", 2: b"system.posix_acl_access", 3: b"system.posix_acl_default", 4: b"trusted.", 6: b"security."}
LAYOUTS = {0: "plain", 2: "inline", 4: "chunks"}


def shown(data, limit=80):
    text = "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in data[:limit])
    return text if len(data) <= limit else f"{text}... ({len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]})"


def line(at, what, **fields):
    print(f"{at:#08x} {what}: " + " ".join(f"{key}={value}" for key, value in fields.items()))


class Bootstrap:
    def __init__(self, data):
        self.data = data
        magic, _, compat, self.block_bits, _, self.root_nid, inos, _, _, blocks, meta, _ = struct.unpack_from(
            "<IIIBBHQQIIII", data, 1024)
        incompat, _, devices, slot = struct.unpack_from("<IHHH", data, 1024 + 80)
        self.block = 1 << self.block_bits
        self.meta = meta * self.block
        line(1024, "superblock", magic=f"{magic:#x}", compat=f"{compat:#x}", block_bits=self.block_bits,
             root_nid=self.root_nid, inos=inos, blocks=blocks, meta_blkaddr=meta, incompat=f"{incompat:#x}",
             devices=devices, devt_slotoff=slot)
        (flags, self.blob_table, blob_size, self.chunk_size, self.chunk_table, chunk_size, prefetch,
         prefetch_size) = struct.unpack_from("<QQIIQQQI", data, 1152)
        line(1152, "extended superblock", flags=f"{flags:#x}", blob_table=f"{self.blob_table:#x}+{blob_size}",
             chunk_size=self.chunk_size, chunk_table=f"{self.chunk_table:#x}+{chunk_size}",
             prefetch_table=f"{prefetch:#x}+{prefetch_size}")
        for number in range(devices):
            at = slot * 128 + number * 128
            tag, count, mapped = struct.unpack_from("<64sII", data, at)
            line(at, f"device {number}", tag=tag.rstrip(b"\0").decode(), blocks=count, mapped_blkaddr=mapped)
        self.blobs = [self._blob(self.blob_table + 256 * n, n) for n in range(blob_size // 256)]
        for number in range(prefetch_size // 4):
            line(prefetch + 4 * number, f"prefetch {number}", nid=struct.unpack_from("<I", data, prefetch + 4 * number)[0])
        self._inode(self.root_nid, b"/", set())
        for number in range(chunk_size // 80):
            at = self.chunk_table + 80 * number
            digest, blob, flags, stored, plain, stored_at, plain_at, file_at, index, crc = struct.unpack_from(
                "<32sIIIIQQQII", data, at)
            line(at, f"chunk {number}", digest=digest.hex(), blob=blob, index=index, flags=f"{flags:#x}",
                 compressed=f"{stored_at}+{stored}", uncompressed=f"{plain_at}+{plain}", file_offset=file_at, crc=f"{crc:#x}")

    def _blob(self, at, number):
        (name, index, chunk_size, chunks, compressor, digester, features, stored, plain, toc_size, ci_compressor, ci_at,
         ci_stored, ci_plain, toc_digest, meta_digest, meta_size, iv, cipher) = struct.unpack_from(
            "<64sIIIIIIQQIIQQQ32s32sQQI", self.data, at)
        line(at, f"blob {number}", id=name.rstrip(b"\0").decode(), index=index, chunk_size=chunk_size, chunks=chunks,
             compressor=COMPRESSORS.get(compressor, compressor), digester=DIGESTERS.get(digester, digester),
             features=f"{features:#x}", compressed_size=stored, uncompressed_size=plain, toc_size=toc_size,
             ci=f"{ci_at}+{ci_stored}", ci_uncompressed_size=ci_plain, ci_compressor=COMPRESSORS.get(ci_compressor),
             toc_digest=toc_digest.hex(), meta_digest=meta_digest.hex(), meta_size=meta_size, cipher=cipher)
        return {"chunks": chunks, "ci": (ci_at, ci_stored, ci_plain), "compressor": ci_compressor, "features": features}

    def _inode(self, nid, path, seen):
        data, at = self.data, self.meta + 32 * nid
        form, xattr_count, mode = struct.unpack_from("<HHH", data, at)
        layout = LAYOUTS.get(form >> 1 & 7, form >> 1 & 7)
        if form & 1:
            size, word, ino, uid, gid, mtime, nsec, nlink = struct.unpack_from("<QIIIIqII", data, at + 8)
            inode_size = 64
        else:
            nlink, size, _, word, ino, uid, gid = struct.unpack_from("<HIIIIHH", data, at + 6)
            mtime = nsec = 0
            inode_size = 32
        xattr_size = 12 + 4 * (xattr_count - 1) if xattr_count else 0
        again = " (again)" if nid in seen else ""
        line(at, f"inode {shown(path)}{again}", nid=nid, ino=ino, layout=layout, mode=f"{mode:o}", size=size, word=f"{word:#x}",
             owner=f"{uid}:{gid}", mtime=f"{mtime}.{nsec:09}", nlink=nlink, xattr_icount=xattr_count)
        if nid in seen:
            return
        seen.add(nid)
        self._xattrs(at + inode_size, xattr_size)
        kind, tail_at = mode & 0o170000, at + inode_size + xattr_size
        if kind == 0o100000:
            first = (tail_at + 7) & ~7
            for number in range(-(-size // self.chunk_size)):
                low, blob, high, block = struct.unpack_from("<HBBI", data, first + 8 * number)
                line(first + 8 * number, f"  record {number}", blob=blob - 1, index=low | high << 16, block=block)
        elif kind in (0o040000, 0o120000):
            whole = size if layout == "plain" else size // self.block * self.block
            content = data[word * self.block:word * self.block + whole] if whole else b""
            content += data[tail_at:tail_at + size - whole]
            if kind == 0o120000:
                print(f"           target: {shown(content)}")
            else:
                self._directory(content, nid, path, seen)

    def _xattrs(self, at, size):
        end = at + size
        at += 12
        while at < end:
            name_size, index, value_size = struct.unpack_from("<BBH", self.data, at)
            name = XATTR_PREFIXES.get(index, b"?") + self.data[at + 4:at + 4 + name_size]
            value = self.data[at + 4 + name_size:at + 4 + name_size + value_size]
            line(at, "  xattr", name=shown(name), value=shown(value))
            at += (4 + name_size + value_size + 3) & ~3

    def _directory(self, content, nid, path, seen):
        children = []
        for start in range(0, len(content), self.block):
            block = content[start:start + self.block]
            count = struct.unpack_from("<H", block, 8)[0] // 12
            offsets = [struct.unpack_from("<H", block, 12 * n + 8)[0] for n in range(count)] + [len(block)]
            for number in range(count):
                child, _, kind = struct.unpack_from("<QHB", block, 12 * number)
                name = block[offsets[number]:offsets[number + 1]].rstrip(b"\0")
                print(f"           entry {shown(name)}: nid={child} type={kind} block={start // self.block}")
                if name not in (b".", b".."):
                    children.append((child, name))
        for child, name in children:
            self._inode(child, path.rstrip(b"/") + b"/" + name, seen)


def dump_sections(data):
    """Walks the tar headers from the end, as the sections of a blob with TOC or inlined metadata are found."""
    end, sections = len(data), []
    while end >= 512 and data[end - 512 + 257:end - 512 + 262] == b"ustar":
        header = data[end - 512:end]
        name = header[:100].rstrip(b"\0").decode()
        size = int(header[124:135], 8)
        sections.append((end - 512 - size, name, size, end - 512))
        end -= 512 + size
    for start, name, size, header_at in reversed(sections):
        line(start, f"section {name}", size=size, tar_header=f"{header_at:#x}")
        if name == "rafs.blob.toc":
            for at in range(start, start + size, 128):
                flags, _, entry, digest, offset, stored, plain = struct.unpack_from("<II16s32sQQQ", data, at)
                line(at, "  toc entry", name=entry.rstrip(b"\0").decode(), flags=flags, digest=digest.hex(),
                     compressed=f"{offset}+{stored}", uncompressed_size=plain)
        if name == "blob.digest":
            for at in range(start, start + size, 32):
                line(at, "  digest", value=data[at:at + 32].hex())
    return {name: data[start:start + size] for start, name, size, _ in sections}


def dump_chunk_info(data, blob):
    ci_at, stored, plain = blob["ci"]
    header = ci_at + stored
    fields = struct.unpack_from("<IIIIQQQQQI", data, header)
    line(header, "chunk information header", magic=f"{fields[0]:#x}", features=f"{fields[1]:#x}", compressor=fields[2],
         entries=fields[3], offset=fields[4], compressed_size=fields[5], uncompressed_size=fields[6],
         contexts=f"{fields[7]}+{fields[8]}", context_count=fields[9])
    content = data[ci_at:ci_at + stored]
    if blob["compressor"] == 3:
        content = subprocess.run(["zstd", "-dcq"], input=content, stdout=subprocess.PIPE, check=True).stdout
    elif blob["compressor"] != 0:
        print(f"{ci_at:#08x} chunk information: {stored} bytes of {COMPRESSORS[blob['compressor']]}, not decoded here")
        return
    width = 24 if blob["features"] & 4 else 16
    for number in range(blob["chunks"]):
        words = struct.unpack_from(f"<{width // 8}Q", content, number * width)
        shown_words = " ".join(f"{word:#018x}" for word in words)
        print(f"           chunk information {number}: {shown_words}")


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if len(sys.argv) >= 2 else 2)
    blobs = [open(path, "rb").read() for path in sys.argv[2:]]
    if sys.argv[1] == "--blob-only":
        for path, data in zip(sys.argv[2:], blobs):
            print(f"# blob {os.path.basename(path)}, {len(data)} bytes")
            sections = dump_sections(data)
            bootstrap = sections.get("image.boot")
            if bootstrap and bootstrap[:4] == b"\x28\xb5\x2f\xfd":
                bootstrap = subprocess.run(["zstd", "-dcq"], input=bootstrap, stdout=subprocess.PIPE, check=True).stdout
            if bootstrap:
                print(f"# inlined bootstrap, {len(bootstrap)} bytes when decompressed")
                table = Bootstrap(bootstrap).blobs
                for blob in table:
                    print("# blob's chunk information")
                    dump_chunk_info(data, blob)
        return
    bootstrap = open(sys.argv[1], "rb").read()
    print(f"# bootstrap, {len(bootstrap)} bytes")
    table = Bootstrap(bootstrap).blobs
    for path, data, blob in zip(sys.argv[2:], blobs, table):
        print(f"# blob {os.path.basename(path)}, {len(data)} bytes")
        dump_sections(data)
        dump_chunk_info(data, blob)


if __name__ == "__main__":
    main()
