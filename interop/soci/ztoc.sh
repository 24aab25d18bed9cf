#!/usr/bin/env bash
# Has soci 0.4.1 of Debian trixie index a layer, on a containerd of its own.
#
#   ztoc.sh make LAYER OUTPUT [SPAN_SIZE]   the zTOC of a layer, gzip or plain; spans of 4 MiB of its tar by default
#   ztoc.sh stop                            stops containerd and removes all that it and soci stored
#
# Times in zTOCs are in the zone of whoever makes them: here it is UTC. Commands wait for each other.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

export LAZYOCI_CONTAINERD=soci LAZYOCI_TRIXIE=1
here="$interop_dir"
address="$cache/run/lazyoci-soci-trixie/containerd.sock"
store="$cache/trixie/var/lib/soci-snapshotter-grpc"

in_trixie() { TZ=UTC "$here/trixie.sh" "$@"; }

forget() {
    ctr --address "$address" --namespace lazyoci images rm --sync "$name" >/dev/null 2>&1 || true
    rm -rf "$work" "$store"
}

make() {
    [ "$#" -ge 2 ] || misuse "make: a layer and an output are needed (see --help)"
    local layer="$1" output="$2" span="${3:-4194304}"
    need_tools ctr python3 flock
    mkdir -p "$cache/run"
    exec 8>"$cache/run/soci.lock"
    flock 8
    "$here/estargz/ctr.sh" start 8>&-
    work="$(mktemp -d)"
    name="example.org/$$-$(date +%s%N):soci"
    trap forget EXIT
    python3 "$here/estargz/layout.py" make "$work/layout.tar" "$layer"
    ctr --address "$address" --namespace lazyoci images import --no-unpack --index-name "$name" "$work/layout.tar" >/dev/null
    rm -rf "$store"
    mkdir -p "$store"
    in_trixie soci --address "$address" --namespace lazyoci create --min-layer-size 0 --span-size "$span" "$name" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; die "soci create failed"; }
    python3 - "$store/content/blobs/sha256" "$output" <<'EOF'
import json, pathlib, shutil, sys
blobs, output = pathlib.Path(sys.argv[1]), sys.argv[2]
for blob in blobs.iterdir():
    data = blob.read_bytes()
    if data.startswith(b"{") and (layers := json.loads(data).get("layers")):
        shutil.copy(blobs / layers[0]["digest"].removeprefix("sha256:"), output)
        break
else:
    sys.exit("soci has stored no index")
EOF
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    make) make "${@:2}" ;;
    stop) "$here/estargz/ctr.sh" stop; rm -rf "$store" ;;
    *) misuse "unknown command: $1 (see --help)" ;;
esac
