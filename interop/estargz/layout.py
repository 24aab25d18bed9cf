#!/usr/bin/env python3
"""OCI image layouts in a tar, for ctr-remote and containerd.

  layout.py make OUT.tar LAYER...    a layout with one image of these layers (tar or tar+gzip, found by content)
  layout.py unmake IN.tar DIR        writes layer blobs as DIR/0, DIR/1, ... and their descriptors as DIR/layers.json
  layout.py toc BLOB                 prints the TOC of an eStargz or zstd:chunked blob as it is
  layout.py tar-split BLOB           prints the tar-split of a zstd:chunked blob as it is

Output depends on the input alone. A layer that ends in an eStargz footer gets its annotations.
"""
import gzip
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tarfile

OCI = "application/vnd.oci.image."
FOOTER_LEN = 51


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def toc_of(blob):
    """The TOC of a blob, found independently of the code under test; None if there is none."""
    footer = blob[-FOOTER_LEN:]
    if footer[10:16] != b"\x1a\0SG\x16\0" or footer[32:38] != b"STARGZ":
        return None
    member = gzip.decompress(blob[int(footer[16:32], 16):-FOOTER_LEN])
    return tarfile.open(fileobj=io.BytesIO(member)).extractfile("stargz.index.json").read()


def zstd_piece(blob, which):
    """The TOC (0) or the tar-split (1) of a zstd:chunked blob, found by its footer."""
    if blob.endswith(b"GNUlInUx"):
        fields = struct.unpack("<7Q", blob[-64:-8])
        offset, stored = fields[4 * which : 4 * which + 2]
    elif blob.endswith(b"GnUlInUx") and which == 0:
        offset, stored = struct.unpack("<2Q", blob[-40:-24])
    else:
        return None
    piece = blob[offset : offset + stored]
    return subprocess.run(["zstd", "-dc"], input=piece, stdout=subprocess.PIPE, check=True).stdout


def estargz_annotations(blob, tar):
    toc = toc_of(blob)
    if toc is None:
        return {}
    return {
        "containerd.io/snapshot/stargz/toc.digest": digest(toc),
        "io.containers.estargz.uncompressed-size": str(len(tar)),
    }


class Layout:
    """A layout with one image."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, data, annotations=None):
        self.blobs[digest(data)] = data
        descriptor = {"mediaType": media_type, "digest": digest(data), "size": len(data)}
        if annotations:
            descriptor["annotations"] = annotations
        return descriptor

    def add_json(self, media_type, document):
        return self.add(media_type, json.dumps(document, sort_keys=True).encode())

    def write(self, out, config, layers):
        config = self.add_json(OCI + "config.v1+json", config)
        manifest = self.add_json(OCI + "manifest.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": layers,
        })
        manifest["platform"] = {"architecture": "amd64", "os": "linux"}
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [manifest]}
        with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
            def put(name, data):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

            put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            put("index.json", json.dumps(index, sort_keys=True).encode())
            for name, data in sorted(self.blobs.items()):
                put("blobs/" + name.replace(":", "/"), data)


def make(out, layers):
    layout = Layout()
    descriptors, diff_ids = [], []
    for path in layers:
        blob = pathlib.Path(path).read_bytes()
        compressed = blob[:2] == b"\x1f\x8b"
        # Not gzip.decompress, which copies what is left for each of thousands of members.
        tar = gzip.open(io.BytesIO(blob)).read() if compressed else blob
        diff_ids.append(digest(tar))
        media_type = OCI + "layer.v1.tar" + ("+gzip" if compressed else "")
        annotations = estargz_annotations(blob, tar) if compressed else None
        descriptors.append(layout.add(media_type, blob, annotations))
    layout.write(out, {
        "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }, descriptors)


def unmake(layout, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(layout) as tar:
        def blob(descriptor):
            data = tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()
            assert digest(data) == descriptor["digest"], descriptor
            return data

        document = json.load(tar.extractfile("index.json"))
        while "manifests" in document:
            document = json.loads(blob(document["manifests"][0]))
        for number, layer in enumerate(document["layers"]):
            (directory / str(number)).write_bytes(blob(layer))
        listing = json.dumps(document["layers"], indent=2, sort_keys=True) + "\n"
        (directory / "layers.json").write_text(listing)


def main(arguments):
    match arguments:
        case ["make", out, *layers] if layers:
            make(out, layers)
        case ["unmake", layout, directory]:
            unmake(layout, directory)
        case ["toc", blob]:
            data = pathlib.Path(blob).read_bytes()
            toc = toc_of(data) or zstd_piece(data, 0)
            sys.stdout.buffer.write(toc if toc is not None else sys.exit(f"{blob}: no footer"))
        case ["tar-split", blob]:
            lines = zstd_piece(pathlib.Path(blob).read_bytes(), 1)
            sys.stdout.buffer.write(lines if lines is not None else sys.exit(f"{blob}: no tar-split"))
        case ["--help" | "-h"]:
            print(__doc__.strip())
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
