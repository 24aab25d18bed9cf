#!/usr/bin/env bash
# Runs images of the registry on loopback lazily in containerd, by the snapshotter that stargz-snapshotter's own Go library
# is: eStargz, with either kind of TOC, and zstd:chunked of its kind.
#
#   stargz.sh run IMAGE COMMAND [ARG...]    runs COMMAND in a container of IMAGE (HOST/REPO:TAG)
#   stargz.sh stop                          stops and removes what a run that was killed has left
#
# Each run has a containerd, a snapshotter and stored files of its own, since a layer with a known DiffID would not be
# fetched again. The program (stargz/main.go) is built from Debian's sources into
# ${LAZYOCI_CACHE:-/var/cache/lazyoci}/stargz-go when it is first needed, which takes minutes. All else lies in
# <cache>/stargz, the sockets in /run/lazyoci-stargz.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

built="$cache/stargz-go"
root="$cache/stargz"
state=/run/lazyoci-stargz
address="$state/containerd.sock"

build() (
    flock 9
    local source="$interop_dir/runtimes/stargz/main.go"
    if ! cmp --quiet "$source" "$built/main.go" || [ ! -x "$built/stargz" ]; then
        rm -rf "$built"
        mkdir -p "$built"
        cp "$source" "$built/new.go"
        "$interop_dir/trixie.sh" env GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE="$built/cache" \
            HOME="$built" go build -o "$built/stargz" "$built/new.go" >&2 || die "the snapshotter cannot be built"
        rm -rf "$built/cache"
        mv "$built/new.go" "$built/main.go"
    fi
) 9>"$cache/.stargz-go.lock"

# await PID SOCKET LOG: waits for a program to listen.
await() {
    local _
    for _ in $(seq 200); do
        [ ! -S "$2" ] || return 0
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$3" >&2
    die "it did not start (log above)"
}

start() {
    mkdir -p "$root/snapshotter" "$state"
    cat >"$root/containerd.toml" <<EOF
version = 2
root = "$root/containerd"
state = "$state/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$address"
[proxy_plugins.stargz]
type = "snapshot"
address = "$state/snapshotter.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$root/opt"
EOF
    setsid "$built/stargz" "$root/snapshotter" "$state/snapshotter.sock" "$1" >"$root/snapshotter.log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/snapshotter.pid"
    await $! "$state/snapshotter.sock" "$root/snapshotter.log"
    setsid containerd --config "$root/containerd.toml" >"$root/containerd.log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/containerd.pid"
    await $! "$address" "$root/containerd.log"
}

# The number in a file may be another process's by now: ours names the folder.
end() {
    local pid
    pid="$(cat "$state/$1.pid" 2>/dev/null)" || return 0
    grep -qsaF "$root/" "/proc/$pid/cmdline" || return 0
    kill "$pid"
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" || true
}

stop() {
    local at
    end containerd
    for at in $(awk -v root="$root/" -v state="$state/" \
        'index($2, root) == 1 || index($2, state) == 1 { print $2 }' /proc/mounts | tac); do
        umount --lazy "$at" || true
    done
    end snapshotter
    rm -rf "$root" "$state"
}

run() {
    [ "$#" -ge 2 ] || misuse "run: an image and a command are needed (see --help)"
    local image="$1"
    shift
    need_root
    need_tools containerd ctr ctr-remote runc flock
    build
    exec 9>"$cache/.stargz.lock"
    flock 9
    stop
    trap stop EXIT
    start "${image%%/*}"
    ctr-remote --address "$address" images rpull --plain-http --snapshotter stargz "$image" >"$root/pull.log" 2>&1 || {
        cat "$root/pull.log" "$root/snapshotter.log" >&2
        die "the image cannot be pulled (logs above)"
    }
    # A layer that the library cannot read is fetched whole instead.
    if grep -q '"remote-snapshot-prepared":"false"' "$root/snapshotter.log"; then
        cat "$root/snapshotter.log" >&2
        die "a layer is not read lazily (log above)"
    fi
    ctr --address "$address" run --rm --snapshotter stargz "$image" "run-$$" "$@"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    run) shift; run "$@" ;;
    stop) exec 9>"$cache/.stargz.lock"; flock 9; stop ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
