#!/usr/bin/env python3
"""Whole-image conversion from registry to registry against skopeo and nydus-image, in turn.

  against_registry.py [--runs N] [--record FILE]

The image is the Debian root of ../interop (corpus/make.sh) as three gzip layers, in a docker-registry on loopback
(../interop/runtimes/registry.sh). Ours is one `convert --to nydus`. Theirs is `skopeo copy` out of the registry,
`nydus-image create` for each layer, `nydus-image merge`, and `skopeo copy` of the nydus image into the registry; what packs
the bootstrap and writes the documents in between is not counted. Both compress with zstd, in chunks of 1 MiB. Needs the
peers (../interop/peers.sh) and GNU time; builds our example; run as root. The two alternate, each run into a repository of
its own; medians and the median of the pairwise ratios are printed as Markdown, and written to FILE, which needs a tree that
is committed.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import tarfile
import tempfile

from measure import CACHE, ROOT, Run, corpus, example, fresh, header, needed, publish, ratios, row, run, table

NYDUS_IMAGE = CACHE / "nydus/bin/nydus-image"
REGISTRY = ROOT / "interop/runtimes/registry.sh"
SOURCE = "bench/source:v1"
# What each layer of the image holds; the first has everything else.
LAYERS = ([], ["usr/lib"], ["usr/share"])


class Sum:
    """Processes that ran one after the other, as one."""

    def __init__(self, runs):
        self.wall = sum(run.wall for run in runs)
        self.cpu = sum(run.cpu for run in runs)
        self.peak = max(run.peak for run in runs)
        self.bytes = None


def push_source(host):
    """Puts the image into the registry, unless it is there; the bytes of its layers."""
    root = corpus("debian/peer")
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        directory = pathlib.Path(directory)
        run("umoci", "init", "--layout", "layout", cwd=directory)
        run("umoci", "new", "--image", "layout:v1", cwd=directory)
        elsewhere = [f"--exclude=./{path}" for paths in LAYERS for path in paths]
        for number, paths in enumerate(LAYERS):
            what = [f"./{path}" for path in paths] or [*elsewhere, "."]
            layer = f"{number}.tar"
            run("tar", "--create", "--file", layer, "--sort=name", "--xattrs", "--directory", root, *what, cwd=directory)
            run("umoci", "raw", "add-layer", "--image", "layout:v1", layer, cwd=directory)
        run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", "oci:layout:v1", f"docker://{host}/{SOURCE}", cwd=directory)
        blobs = (directory / "layout/blobs/sha256").iterdir()
        return sum(blob.stat().st_size for blob in blobs)


def uploaded(host, repository):
    """Bytes of the layers of an image in the registry."""
    manifest = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/{repository}:v1"))
    return sum(layer["size"] for layer in manifest["layers"])


def ours(host, directory, convert):
    repository = repository_of("ours", directory)
    done = Run(convert, "--to", "nydus", "--plain-http", "--threads", "2", f"docker://{host}/{SOURCE}",
               f"docker://{host}/{repository}:v1")
    done.bytes = uploaded(host, repository)
    return done


def repository_of(side, directory):
    """A repository that no other run has; not every name of a directory is one of a repository."""
    return f"{side}/{hashlib.sha256(directory.name.encode()).hexdigest()[:16]}"


def put(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def theirs(host, directory):
    repository = repository_of("theirs", directory)
    source, layout, boots = directory / "source", directory / "layout", directory / "boots"
    (layout / "blobs/sha256").mkdir(parents=True)
    boots.mkdir()
    runs = [Run("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{host}/{SOURCE}", f"oci:{source}:v1")]
    index = json.loads((source / "index.json").read_text())
    blob = lambda digest: source / "blobs/sha256" / digest.removeprefix("sha256:")
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(manifest["config"]["digest"]).read_text())
    bootstraps = []
    for number, layer in enumerate(manifest["layers"]):
        bootstrap = boots / str(number)
        runs.append(Run(NYDUS_IMAGE, "create", "--log-level", "error", "-t", "targz-rafs", "--fs-version", "6",
                        "--compressor", "zstd", "--chunk-size", "0x100000", "-B", bootstrap, "-D", layout / "blobs/sha256",
                        blob(layer["digest"])))
        made = {path for path in (layout / "blobs/sha256").iterdir()} - {path for path, _ in bootstraps}
        # nydus-image takes the id of the blob from the name of the bootstrap.
        made, = made
        bootstraps.append((made, bootstrap.rename(boots / made.name)))
    merged = directory / "image.boot"
    runs.append(Run(NYDUS_IMAGE, "merge", "--log-level", "error", "-B", merged, *(bootstrap for _, bootstrap in bootstraps)))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(merged, "image/image.boot")
    layers = [{
        "mediaType": "application/vnd.oci.image.layer.nydus.blob.v1", "digest": f"sha256:{path.name}",
        "size": path.stat().st_size, "annotations": {"containerd.io/snapshot/nydus-blob": "true"},
    } for path, _ in bootstraps]
    diff_ids = [layer["digest"] for layer in layers] + [f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"]
    layers.append({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put(layout, gzip.compress(packed.getvalue(), mtime=0)),
        "annotations": {"containerd.io/snapshot/nydus-bootstrap": "true", "containerd.io/snapshot/nydus-fs-version": "6"},
    })
    config["rootfs"]["diff_ids"] = diff_ids
    config.pop("history", None)
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", **put(layout, json.dumps(config).encode())}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}
    manifest = {"mediaType": manifest["mediaType"], **put(layout, json.dumps(manifest).encode())}
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    runs.append(Run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{host}/{repository}:v1"))
    done = Sum(runs)
    done.bytes = uploaded(host, repository)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    needed(NYDUS_IMAGE)
    convert, built = example("convert")
    host = run(REGISTRY, "start")
    try:
        source = push_source(host)
        lines = header(
            "Registry to registry against skopeo and nydus-image 2.2.0",
            args.record,
            f"command: `benches/against_registry.py --runs {args.runs}`",
            f"ours: {built}",
            f"peers: {run('skopeo', '--version')}, nydus-image 2.2.0, docker-registry on loopback",
            f"input: debian/peer as three gzip layers, {source} bytes; RAFS v6, zstd, chunks of 1 MiB",
            "theirs: the sum of pull, create per layer, merge and push; the largest peak of these",
        )
        def pair():
            return fresh(ours, host, convert), fresh(theirs, host)
        pair()
        pairs = [pair() for _ in range(args.runs)]
    finally:
        run(REGISTRY, "stop")
    lines += ["", *table("bytes of the layers")]
    lines.append(row("lazyoci", [a for a, _ in pairs]))
    lines.append(row("skopeo and nydus-image", [b for _, b in pairs]))
    publish([*lines, "", f"- {ratios(pairs)}"], args.record)


if __name__ == "__main__":
    main()
