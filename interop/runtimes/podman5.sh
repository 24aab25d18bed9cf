#!/usr/bin/env bash
# Pulls images of the registry on loopback partially, by the podman 5 of Debian trixie, into a storage of its own.
#
#   podman5.sh pull IMAGE...                 pulls them one after the other (HOST/REPO:TAG)
#   podman5.sh walk IMAGE [OPTION...]        walks the mounted image by walker.py with these options
#   podman5.sh run IMAGE COMMAND [ARG...]    runs COMMAND in a container of it, by runc
#   podman5.sh stop                          removes all that was stored
#
# Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/podman5. Podman pulls partially only where that is enabled in
# its configuration, and says nothing otherwise: the registry's log tells.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/podman5"

configure() {
    need_root
    mkdir -p "$root/tmp"
    # A boolean fails: the value is a text.
    cat >"$root/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$root/root"
runroot = "$root/run"
[storage.options.pull_options]
enable_partial_images = "true"
END
}

in_trixie() {
    "$interop_dir/trixie.sh" env CONTAINERS_STORAGE_CONF="$root/storage.conf" TMPDIR="$root/tmp" HOME=/root \
        PODMAN_IGNORE_CGROUPSV1_WARNING=1 "$@"
}

run_podman() {
    in_trixie podman --tmpdir "$root/tmp" --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"
}

pull() {
    local image
    configure
    for image in "$@"; do
        run_podman pull --quiet --tls-verify=false "$image" >/dev/null
    done
}

# The mount is seen by what runs beside podman alone.
walk() {
    local image="$1"
    shift
    configure
    cp "$interop_dir/walker.py" "$root/walker.py"
    in_trixie sh -ec '
        podman="podman --tmpdir $1/tmp --runtime runc --cgroup-manager cgroupfs --events-backend none"
        at=$($podman image mount "$2")
        tar -C "$at" --xattrs --xattrs-include="*" --numeric-owner -cf "$1/image.tar" .
        $podman image unmount "$2" >/dev/null' sh "$root" "$image"
    rm -rf "$root/image"
    mkdir "$root/image"
    tar -C "$root/image" -p --xattrs --xattrs-include='*' --numeric-owner -xf "$root/image.tar"
    "$interop_dir/walker.py" "$@" "$root/image"
}

run() {
    local image="$1"
    shift
    configure
    run_podman run --rm --pull never --network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "$image" "$@"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    pull) shift; pull "$@" ;;
    walk) shift; walk "$@" ;;
    run) shift; run "$@" ;;
    stop) [ ! -d "$root" ] || { configure; run_podman system reset --force >/dev/null 2>&1 || true; rm -rf "$root"; } ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
