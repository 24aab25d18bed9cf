#!/usr/bin/env bash
# Runs ctr-remote (stargz-snapshotter) on a containerd of its own, which shares nothing with any other.
#
#   ctr.sh start                          starts containerd, if it does not run yet
#   ctr.sh stop                           stops it and removes all that it stored
#   ctr.sh convert IN.tar OUT.tar [FLAG...]  an OCI layout to one with eStargz layers; flags of `ctr-remote images convert`,
#                                         `--zstdchunked` among them for layers of that kind; with
#                                         `--estargz-external-toc` the image of the TOCs becomes OUT.tar.toc, and both
#                                         images together OUT.tar.both
#   ctr.sh get-toc-digest BLOB [FLAG...]  the TOC digest that ctr-remote finds in a layer; with `--zstdchunked` in one of
#                                         that kind
#   ctr.sh dump-toc BLOB                  its TOC, indented anew
#   ctr.sh run IN.tar COMMAND [ARG...]    unpacks an OCI layout as containerd does and runs a command in a container of it
#   ctr.sh versions                       one line for each peer
#
# Layouts are made and read by layout.py. Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/containerd; the socket
# is in /run/lazyoci-containerd (LAZYOCI_CONTAINERD=NAME takes NAME in place of `containerd`, for one beside it). What a
# command stored is removed when it ends; commands wait for each other. GOMAXPROCS is 1 unless it is set: with more,
# ctr-remote makes other blobs. With LAZYOCI_TRIXIE=1 it is ctr-remote 0.14 of the trixie root that talks to containerd.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

instance="${LAZYOCI_CONTAINERD:-containerd}${LAZYOCI_TRIXIE:+-trixie}"
root="$cache/$instance"
# The trixie root has its own /run.
state="${LAZYOCI_TRIXIE:+$cache/run}"
state="${state:-/run}/lazyoci-$instance"
address="$state/containerd.sock"
pid_file="$state/pid"
namespace=lazyoci

ctr_remote() {
    local command=(ctr-remote --address "$address")
    if [ -n "${LAZYOCI_TRIXIE:-}" ]; then
        command=("$(dirname "${BASH_SOURCE[0]}")/../trixie.sh" ctr-remote --address "$address")
    fi
    GOMAXPROCS="${GOMAXPROCS:-1}" "${command[@]}" --namespace "$namespace" "$@"
}

# The number in the file may be another process's by now.
runs() { [ -s "$pid_file" ] && grep -qsaF "$root/config.toml" "/proc/$(cat "$pid_file")/cmdline"; }

start() {
    need_root
    need_tools containerd ctr-remote flock
    mkdir -p "$state"
    exec 9>"$state.lock"
    flock 9
    if runs; then return; fi
    mkdir -p "$root"
    # No CRI, no network; snapshots are plain directories, so that no overlay mount is needed. Garbage is collected
    # only where `images rm --sync` asks for it, never under a conversion or below a blob just ingested: not a moment
    # after the start either.
    cat >"$root/config.toml" <<EOF
version = 2
root = "$root/root"
state = "$state/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$address"
[plugins."io.containerd.gc.v1.scheduler"]
mutation_threshold = 0
deletion_threshold = 0
startup_delay = "0s"
EOF
    # Detached from this shell's files: a caller that reads our output would otherwise wait for it.
    setsid containerd --config "$root/config.toml" >"$root/log" 2>&1 </dev/null 9>&- &
    echo $! >"$pid_file"
    for _ in $(seq 100); do
        if ctr_remote version >/dev/null 2>&1; then return; fi
        kill -0 $! 2>/dev/null || break
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

# named: a name for images that is used once, or LAZYOCI_IMAGE, and forgotten with all that only they hold when the
# script ends.
named() {
    name="${LAZYOCI_IMAGE:-example.org/$$-$(date +%s%N)}"
    trap forget EXIT
}

forget() { ctr_remote images rm --sync "$name:out" "$name:out-esgztoc" "$name:in" >/dev/null 2>&1 || true; }

convert() {
    [ "$#" -ge 2 ] || misuse "convert: an input and an output are needed (see --help)"
    local input="$1" output="$2"
    shift 2
    start
    named
    ctr_remote images import --no-unpack --index-name "$name:in" "$input" >/dev/null
    [[ " $* " == *" --zstdchunked "* ]] || set -- --estargz "$@"
    ctr_remote images convert --oci --all-platforms "$@" "$name:in" "$name:out" >/dev/null
    ctr_remote images export --all-platforms "$output" "$name:out"
    if [[ " $* " == *" --estargz-external-toc "* ]]; then
        ctr_remote images export --all-platforms "$output.toc" "$name:out-esgztoc"
        ctr_remote images export --all-platforms "$output.both" "$name:out" "$name:out-esgztoc"
    fi
}

# toc BLOB [FLAG...]: get-toc-digest on a blob that is in the store only for that.
toc() {
    [ "$#" -ge 1 ] || misuse "a blob is needed (see --help)"
    start
    digest="sha256:$(sha256sum <"$1" | cut -d' ' -f1)"
    trap 'ctr_remote content rm "$digest" >/dev/null' EXIT
    ctr_remote content ingest --expected-digest "$digest" "ingest-$digest" <"$1" >/dev/null
    ctr_remote images get-toc-digest "${@:2}" "$digest"
}

run_container() {
    [ "$#" -ge 2 ] || misuse "run: a layout and a command are needed (see --help)"
    local input="$1"
    shift
    start
    named
    ctr_remote images import --snapshotter native --index-name "$name:in" "$input" >/dev/null
    ctr_remote run --rm --snapshotter native "$name:in" "run-$$" "$@"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    start|stop) "$1" ;;
    convert) shift; convert "$@" ;;
    get-toc-digest) toc "${@:2}" ;;
    dump-toc) toc "${@:2}" --dump-toc ;;
    run) shift; run_container "$@" ;;
    versions)
        dpkg-query -W -f '${Package} ${Version}\n' stargz-snapshotter containerd runc
        containerd --version
        ;;
    *) misuse "unknown command: $1 (see --help)" ;;
esac
