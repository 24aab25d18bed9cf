#!/usr/bin/env bash
# Runs ctr-remote (stargz-snapshotter) on a containerd of its own, which shares nothing with any other.
#
#   ctr.sh start                          starts containerd, if it does not run yet
#   ctr.sh stop                           stops it and removes all that it stored
#   ctr.sh convert IN.tar OUT.tar [FLAG...]  an OCI layout to one with eStargz layers; flags of `ctr-remote images convert`
#   ctr.sh get-toc-digest BLOB            the TOC digest that ctr-remote finds in a layer
#   ctr.sh dump-toc BLOB                  its TOC, indented anew
#   ctr.sh run IN.tar COMMAND [ARG...]    unpacks an OCI layout as containerd does and runs a command in a container of it
#   ctr.sh versions                       one line for each peer
#
# Layouts are made and read by layout.py. Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/containerd; the socket
# is in /run/lazyoci-containerd. GOMAXPROCS is 1 unless it is set: with more, ctr-remote makes other blobs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/containerd"
state=/run/lazyoci-containerd
address="$state/containerd.sock"
pid_file="$state/pid"
namespace=lazyoci

ctr_remote() { GOMAXPROCS="${GOMAXPROCS:-1}" ctr-remote --address "$address" --namespace "$namespace" "$@"; }

runs() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }

start() {
    need_root
    need_tools containerd ctr-remote
    if runs; then return; fi
    mkdir -p "$root" "$state"
    # No CRI, no network; snapshots are plain directories, so that no overlay mount is needed.
    cat >"$root/config.toml" <<EOF
version = 2
root = "$root/root"
state = "$state/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$address"
EOF
    # Detached from this shell's files: a caller that reads our output would otherwise wait for it.
    setsid containerd --config "$root/config.toml" >"$root/log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    for _ in $(seq 100); do
        if ctr_remote version >/dev/null 2>&1; then return; fi
        runs || break
        sleep 0.1
    done
    tail -20 "$root/log" >&2
    die "containerd did not start (log above)"
}

stop() {
    if runs; then
        local pid
        pid="$(cat "$pid_file")"
        kill "$pid"
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        ! kill -0 "$pid" 2>/dev/null || die "containerd (process $pid) does not end"
    fi
    rm -rf "$root" "$state"
}

convert() {
    [ "$#" -ge 2 ] || misuse "convert: an input and an output are needed (see --help)"
    start
    # Names are never used again: what loses its name is collected in the background, now and then together with
    # what a conversion is about to use.
    local input="$1" output="$2" name="example.org/$$-$(date +%s%N)"
    shift 2
    ctr_remote images import --no-unpack --index-name "$name:in" "$input" >/dev/null
    ctr_remote images convert --estargz --oci --all-platforms "$@" "$name:in" "$name:out" >/dev/null
    ctr_remote images export --all-platforms "$output" "$name:out"
}

ingest() {
    local digest
    digest="sha256:$(sha256sum <"$1" | cut -d' ' -f1)"
    if ! ctr_remote content ls -q | grep -qx "$digest"; then
        ctr_remote content ingest --expected-digest "$digest" "ingest-$digest" <"$1" >/dev/null
    fi
    printf '%s\n' "$digest"
}

run_container() {
    [ "$#" -ge 2 ] || misuse "run: a layout and a command are needed (see --help)"
    start
    local input="$1" name="example.org/$$-$(date +%s%N):run"
    shift
    ctr_remote images import --snapshotter native --index-name "$name" "$input" >/dev/null
    ctr_remote run --rm --snapshotter native "$name" "run-$$" "$@"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    start|stop) "$1" ;;
    convert) shift; convert "$@" ;;
    get-toc-digest) start; ctr_remote images get-toc-digest "$(ingest "$2")" ;;
    dump-toc) start; ctr_remote images get-toc-digest --dump-toc "$(ingest "$2")" ;;
    run) shift; run_container "$@" ;;
    versions)
        dpkg-query -W -f '${Package} ${Version}\n' stargz-snapshotter containerd runc
        containerd --version
        ;;
    *) misuse "unknown command: $1 (see --help)" ;;
esac
