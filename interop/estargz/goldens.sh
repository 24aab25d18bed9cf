#!/usr/bin/env bash
# Makes the goldens of crates/estargz-toc/tests/goldens with ctr-remote and skopeo.
#
#   goldens.sh DIR            writes them into DIR
#   goldens.sh --compare      makes them again and compares with those of the crate
#
# Each golden is a blob NAME.esgz (or NAME.tar.zst: zstd:chunked) and its TOC NAME.toc.json, byte for byte as it lies in
# the blob. Layers of containers/storage have a NAME.tar-split, and an external TOC is the blob NAME.toc.gz; NAME.oci.tar has
# the image of such a layer and that of its TOC.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../lib/common.sh"
committed="$here/../../crates/estargz-toc/tests/goldens"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# golden OUT NAME SOURCE [FLAG...]: one layer through ctr-remote.
golden() {
    local out="$1" name="$2" source="$3"
    shift 3
    "$here/odd_layer.py" "$work/layer.tar" "$source"
    "$here/layout.py" make "$work/in.tar" "$work/layer.tar"
    "$here/ctr.sh" convert "$work/in.tar" "$work/out.tar" "$@"
    "$here/layout.py" unmake "$work/out.tar" "$work/out"
    cp "$work/out/0" "$out/$name.esgz"
    "$here/layout.py" toc "$out/$name.esgz" >"$out/$name.toc.json"
}

# chunked OUT NAME SOURCE: the same as zstd:chunked of stargz-snapshotter.
chunked() {
    "$here/odd_layer.py" "$work/layer.tar" "$3"
    "$here/layout.py" make "$work/in.tar" "$work/layer.tar"
    "$here/ctr.sh" convert "$work/in.tar" "$work/out.tar" --zstdchunked
    "$here/layout.py" unmake "$work/out.tar" "$work/out"
    cp "$work/out/0" "$1/$2.tar.zst"
    "$here/layout.py" toc "$1/$2.tar.zst" >"$1/$2.toc.json"
}

# containers OUT NAME SOURCE: one layer through skopeo 1.18, as zstd:chunked of containers/storage. Times are in the
# zone of the machine unless one is named.
containers() {
    rm -rf "$work/layout"
    "$here/odd_layer.py" "$work/layer.tar" "$3"
    "$here/layout.py" make "$work/in.tar" "$work/layer.tar"
    TZ=UTC "$here/../trixie.sh" skopeo copy --quiet --insecure-policy --dest-compress-format zstd:chunked \
        "oci-archive:$work/in.tar" "oci:$work/layout:x"
    tar -C "$work/layout" -cf "$work/out.tar" oci-layout index.json blobs
    "$here/layout.py" unmake "$work/out.tar" "$work/out"
    cp "$work/out/0" "$1/$2.tar.zst"
    "$here/layout.py" toc "$1/$2.tar.zst" >"$1/$2.toc.json"
    "$here/layout.py" tar-split "$1/$2.tar.zst" >"$1/$2.tar-split"
}

# pushed NAME SOURCE: the same by buildah and by podman 5, which unpack the layer first, has to have the same bytes.
pushed() {
    local tool
    mkdir -p "$work/storage"
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/root"\nrunroot = "%s/run"\n' "$work/storage" "$work/storage" \
        >"$work/storage/storage.conf"
    "$here/odd_layer.py" "$work/layer.tar" "$2"
    "$here/layout.py" make "$work/in.tar" "$work/layer.tar"
    for tool in buildah podman; do
        rm -rf "$work/layout"
        "$here/../trixie.sh" env TZ=UTC CONTAINERS_STORAGE_CONF="$work/storage/storage.conf" TMPDIR="$work/storage" \
            HOME="$work/storage" PODMAN_IGNORE_CGROUPSV1_WARNING=1 sh -ec '
                id=$("$1" pull --quiet "oci-archive:$2/in.tar")
                "$1" push --quiet --compression-format zstd:chunked "$id" "oci:$2/layout:x"
                "$1" rmi --force "$id"' sh "$tool" "$work" >/dev/null
        tar -C "$work/layout" -cf "$work/out.tar" oci-layout index.json blobs
        "$here/layout.py" unmake "$work/out.tar" "$work/out"
        cmp "$work/out/0" "$1" || die "$tool makes another blob than $1"
    done
}

# external OUT NAME SOURCE: eStargz and its TOC, which is another blob; and both images in one layout, as ctr-remote calls
# them.
external() {
    "$here/odd_layer.py" "$work/layer.tar" "$3"
    "$here/layout.py" make "$work/in.tar" "$work/layer.tar"
    LAZYOCI_IMAGE="example.org/$2" "$here/ctr.sh" convert "$work/in.tar" "$work/out.tar" --estargz-external-toc
    "$here/layout.py" unmake "$work/out.tar" "$work/out"
    "$here/layout.py" unmake "$work/out.tar.toc" "$work/toc"
    cp "$work/out/0" "$1/$2.esgz"
    cp "$work/toc/0" "$1/$2.toc.gz"
    cp "$work/out.tar.both" "$1/$2.oci.tar"
}

goldens() {
    # The parent directories of data/exact have no entry of their own: ctr-remote does not find it.
    printf '{"path": "dev/null"}\n{"path": "/etc/passwd"}\n{"path": "data/exact"}\n' >"$work/record.json"
    golden "$1" vector-0.12 vector
    golden "$1" odd utf8
    golden "$1" odd-chunk-1000 utf8 --estargz-chunk-size 1000
    golden "$1" odd-prefetch utf8 --estargz-record-in "$work/record.json"
    GOMAXPROCS=4 golden "$1" odd-parts utf8
    golden "$1" bytes bytes
    chunked "$1" odd-a-0.12 utf8
    export LAZYOCI_TRIXIE=1
    golden "$1" vector1 vector
    chunked "$1" vector-a vector
    chunked "$1" odd-a utf8
    external "$1" vector-external vector
    "$here/ctr.sh" stop
    unset LAZYOCI_TRIXIE
    containers "$1" vector-b holes
    pushed "$1/vector-b.tar.zst" holes
    containers "$1" odd-b utf8
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    --compare)
        mkdir "$work/new"
        goldens "$work/new"
        for file in "$work"/new/*; do
            cmp "$file" "$committed/$(basename "$file")" || die "not as committed: $(basename "$file")"
        done
        ;;
    *) goldens "$1" ;;
esac
