#!/usr/bin/env bash
# Makes the goldens of crates/estargz-toc/tests/goldens with ctr-remote.
#
#   goldens.sh DIR            writes them into DIR
#   goldens.sh --compare      makes them again and compares with those of the crate
#
# Each golden is a blob NAME.esgz and its TOC NAME.toc.json, byte for byte as it lies in the blob.
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

goldens() {
    # The parent directories of data/exact have no entry of their own: ctr-remote does not find it.
    printf '{"path": "dev/null"}\n{"path": "/etc/passwd"}\n{"path": "data/exact"}\n' >"$work/record.json"
    golden "$1" vector-0.12 vector
    golden "$1" odd utf8
    golden "$1" odd-chunk-1000 utf8 --estargz-chunk-size 1000
    golden "$1" odd-prefetch utf8 --estargz-record-in "$work/record.json"
    GOMAXPROCS=4 golden "$1" odd-parts utf8
    golden "$1" bytes bytes
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
