#!/usr/bin/env python3
"""The layer of the golden zTOCs: one gzip member with a name, whose data are flushed every 9,000 bytes.

  odd_layer.py TAR OUT.tar.gz    TAR is what `../estargz/odd_layer.py` makes

The bytes depend on the version of zlib, so the layer is kept, too.
"""
import struct
import sys
import zlib

if len(sys.argv) != 3:
    sys.exit(__doc__)
with open(sys.argv[1], "rb") as file:
    tar = file.read()
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
out = b"\x1f\x8b\x08\x08" + struct.pack("<LBB", 0, 2, 3) + b"odd.tar\0"
for at in range(0, len(tar), 9_000):
    out += deflate.compress(tar[at : at + 9_000]) + deflate.flush(zlib.Z_SYNC_FLUSH)
out += deflate.flush() + struct.pack("<LL", zlib.crc32(tar), len(tar))
with open(sys.argv[2], "wb") as file:
    file.write(out)
