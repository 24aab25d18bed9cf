#!/usr/bin/env bash
# Pulls and runs images of the registry on loopback by podman and runc, with a storage of its own.
#
#   podman.sh run IMAGE COMMAND [ARG...]    pulls IMAGE (HOST/REPO:TAG) and runs COMMAND in a container of it
#   podman.sh walk IMAGE [OPTION...]        pulls it, and walks the mounted image by walker.py with these options
#   podman.sh stop                          removes all that was stored
#
# Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/podman.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/podman"

run_podman() {
    podman --root "$root/root" --runroot "$root/run" --tmpdir "$root/tmp" --storage-driver overlay \
        --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"
}

pull() {
    need_root
    need_tools podman runc
    run_podman pull --quiet --tls-verify=false "$1" >/dev/null
}

# The limits are some that a container may have anywhere: podman wants more than it may have itself.
run() {
    local image="$1"
    shift
    pull "$image"
    run_podman run --rm --network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "$image" "$@"
}

walk() {
    local image="$1" at status=0
    shift
    pull "$image"
    at="$(run_podman image mount "$image")"
    "$interop_dir/walker.py" "$@" "$at" || status=$?
    run_podman image unmount "$image" >/dev/null
    return "$status"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    run) shift; run "$@" ;;
    walk) shift; walk "$@" ;;
    stop) [ ! -d "$root" ] || { run_podman system reset --force >/dev/null 2>&1 || true; rm -rf "$root"; } ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
