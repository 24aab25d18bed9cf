#!/usr/bin/env bash
# Pulls and runs images of the registry on loopback by containerd 1.6, as Kubernetes does: by its CRI, with
# nydus-snapshotter and nydusd 2.2.0 for nydus images, or with overlayfs for any other.
#
#   containerd.sh start                           starts containerd and nydus-snapshotter, if they do not run yet
#   containerd.sh stop                            stops them and removes all that they stored
#   containerd.sh run nydus|overlayfs IMAGE COMMAND [ARG...]
#                                                 pulls IMAGE (HOST/REPO:TAG) and runs COMMAND in a container of it, which
#                                                 may do everything, and has the root of this machine at /host
#
# Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/runtimes, the sockets in /run/lazyoci-runtimes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/runtimes"
state=/run/lazyoci-runtimes
address="$state/containerd.sock"
snapshotter="$cache/trixie/usr/bin/containerd-nydus-grpc"

# runs NAME: whether the process of that name is ours and there.
runs() { [ -s "$state/$1.pid" ] && grep -qsaF "$root/$1.toml" "/proc/$(cat "$state/$1.pid")/cmdline"; }

write_configurations() {
    # nydusd wants to have more files open than it may.
    cat >"$root/nydusd" <<EOF
#!/bin/sh
command=\$1
shift
exec "$nydusd" "\$command" --rlimit-nofile 0 "\$@"
EOF
    chmod +x "$root/nydusd"
    cat >"$root/nydusd.json" <<EOF
{"device": {"backend": {"type": "registry", "config": {"scheme": "http", "timeout": 10, "connect_timeout": 5}},
            "cache": {"type": "blobcache", "config": {"work_dir": "$root/snapshotter/cache"}}},
 "mode": "direct", "digest_validate": false, "enable_xattr": true, "fs_prefetch": {"enable": false}}
EOF
    cat >"$root/snapshotter.toml" <<EOF
version = 1
root = "$root/snapshotter"
address = "$state/snapshotter.sock"
daemon_mode = "dedicated"
cleanup_on_close = true
[daemon]
nydusd_path = "$root/nydusd"
nydusimage_path = "$nydus_image"
nydusd_config = "$root/nydusd.json"
fs_driver = "fusedev"
recover_policy = "none"
[log]
level = "info"
log_to_stdout = true
EOF
    cat >"$root/containerd.toml" <<EOF
version = 2
root = "$root/containerd"
state = "$state/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$address"
[proxy_plugins.nydus]
type = "snapshot"
address = "$state/snapshotter.sock"
[plugins."io.containerd.grpc.v1.cri"]
disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "nydus"
disable_snapshot_annotations = false
[plugins."io.containerd.internal.v1.opt"]
path = "$root/opt"
EOF
}

# launch NAME PROGRAM SOCKET: starts a program with the configuration of that name, and waits for its socket.
launch() {
    local name="$1" program="$2" socket="$3"
    runs "$name" && return
    rm -f "$socket"
    setsid "$program" --config "$root/$name.toml" >"$root/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/$name.pid"
    for _ in $(seq 200); do
        [ ! -S "$socket" ] || return 0
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$root/$name.log" >&2
    die "$name did not start (log above)"
}

start() {
    need_root
    need_tools containerd ctr runc curl flock
    need_nydus
    "$interop_dir/trixie.sh" true
    mkdir -p "$root/snapshotter" "$state"
    exec 9>"$state.lock"
    flock 9
    runs containerd && return
    write_configurations
    launch snapshotter "$snapshotter" "$state/snapshotter.sock"
    launch containerd containerd "$address"
    for _ in $(seq 100); do
        if ctr --address "$address" version >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    die "containerd does not answer"
}

stop() {
    local name at
    for name in containerd snapshotter; do
        ! runs "$name" || kill "$(cat "$state/$name.pid")"
    done
    sleep 1
    pkill -f -- "--apisock $root/" || true
    for at in $(awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts); do
        umount --lazy "$at" || true
    done
    rm -rf "$root" "$state"
}

# ctr hands no labels to a snapshotter when it pulls; the CRI does, and is asked by hand.
pull_by_cri() {
    python3 - "$1" >"$root/request.$$" <<'PYTHON'
import struct, sys
def field(text):  # field 1 of a message, as protobuf has it; no name is longer than 16,383 bytes
    length = len(text)
    return b"\x0a" + (bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])) + text
message = field(field(sys.argv[1].encode()))
sys.stdout.buffer.write(b"\0" + struct.pack(">I", len(message)) + message)
PYTHON
    local answer
    answer="$(curl --silent --show-error --include --http2-prior-knowledge --unix-socket "$address" \
        --header 'content-type: application/grpc' --header 'te: trailers' --data-binary "@$root/request.$$" \
        http://localhost/runtime.v1.ImageService/PullImage | tr -d '\0')"
    rm -f "$root/request.$$"
    case "$answer" in
        *"grpc-status: 0"*) ;;
        *) die "containerd does not pull $1: $answer" ;;
    esac
}

run() {
    [ "$#" -ge 3 ] || misuse "run: a snapshotter, an image and a command are needed (see --help)"
    local by="$1" image="$2"
    shift 2
    start
    if [ "$by" = nydus ]; then
        pull_by_cri "$image"
    else
        ctr --address "$address" --namespace k8s.io images pull --plain-http --snapshotter "$by" "$image" >/dev/null
    fi
    ctr --address "$address" --namespace k8s.io run --rm --snapshotter "$by" --privileged \
        --mount type=bind,src=/,dst=/host,options=rbind:rprivate "$image" "run-$$" "$@"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    start) start ;;
    stop) stop ;;
    run) shift; run "$@" ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
