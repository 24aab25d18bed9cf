#!/usr/bin/env bash
# Builds an image from a Containerfile with a real builder, from a base in the registry on loopback into it.
#
#   builders.sh build BUILDER BASE IMAGE CONTEXT    BUILDER: buildah, podman, umoci, docker-legacy, docker-buildkit;
#                                                   BASE and IMAGE: HOST/REPO:TAG; CONTEXT: a folder with a Containerfile
#   builders.sh archive IMAGE FILE                  `docker save` of an image that docker built
#   builders.sh load FILE                           `docker load` of an archive
#   builders.sh stop                                ends dockerd, and removes all that was stored
#
# umoci knows no Containerfile: each RUN of it is done in a chroot, and packed as a layer. buildah and podman 5.4 are those of
# trixie; docker 20.10 is Debian's docker.io, which is only unpacked. Everything lies
# in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/builders.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/builders"
docker="$cache/docker"
address="$root/docker.sock"
# No container may have more than the builders themselves may.
limits=(--ulimit nofile=4096:4096 --ulimit nproc=4096:4096)

runs() { grep -qsaF "$root" "/proc/$(cat "$root/dockerd.pid" 2>/dev/null || echo none)/cmdline"; }

unpack_docker() {
    [ ! -e "$docker/usr/sbin/dockerd" ] || return 0
    local at
    at="$(begin "$docker")"
    (cd "$at" && apt-get download -qq docker.io 2>/dev/null) || die "missing peer: docker.io (apt-get download failed)"
    dpkg -x "$at"/docker.io_*.deb "$at"
    rm "$at"/docker.io_*.deb
    finish "$docker"
}

start_docker() {
    exec 9>"$cache/.builders.lock"
    flock 9
    unpack_docker
    ! runs || return 0
    "$interop_dir/runtimes/containerd.sh" start 9>&-
    echo '{}' >"$root/daemon.json"
    PATH="$PATH:$docker/usr/bin" setsid "$docker/usr/sbin/dockerd" --config-file "$root/daemon.json" \
        --bridge=none --iptables=false --ip6tables=false --containerd /run/lazyoci-runtimes/containerd.sock \
        --data-root "$root/docker" --exec-root "$root/exec" --pidfile "$root/dockerd.pid" --group root \
        --host "unix://$address" >"$root/dockerd.log" 2>&1 </dev/null 9>&- &
    for _ in $(seq 300); do
        if run_docker version >/dev/null 2>&1; then flock --unlock 9; return 0; fi
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$root/dockerd.log" >&2
    die "dockerd did not start (log above)"
}

run_docker() { "$docker/usr/bin/docker" --host "unix://$address" "$@"; }

by_docker() {
    start_docker
    DOCKER_BUILDKIT="$1" run_docker build --quiet --network host --no-cache --build-arg "BASE=$2" --tag "$3" \
        --file "$4/Containerfile" "$4" >/dev/null
    run_docker push --quiet "$3" >/dev/null
}

by_buildah() {
    local tool="$1"
    shift
    local storage=(--root "$root/containers" --runroot "$root/run" --storage-driver overlay)
    [ "$tool" = buildah ] || storage+=(--runtime runc --cgroup-manager cgroupfs --events-backend none)
    "$interop_dir/trixie.sh" "$tool" "${storage[@]}" build --quiet --isolation chroot --network host "${limits[@]}" \
        --tls-verify=false --layers --no-cache --build-arg "BASE=$1" --tag "$2" "$3" >/dev/null
    "$interop_dir/trixie.sh" "$tool" "${storage[@]}" push --quiet --tls-verify=false "$2"
}

by_umoci() {
    local at line
    at="$(mktemp -d "$root/umoci-XXXXXX")"
    skopeo copy --quiet --src-tls-verify=false "docker://$1" "oci:$at/layout:built"
    umoci unpack --image "$at/layout:built" "$at/bundle" 2>/dev/null
    # Without -r: a backslash at the end of a line continues it.
    # shellcheck disable=SC2162
    while read line; do
        case "$line" in "RUN "*) ;; *) continue ;; esac
        mount --bind /proc "$at/bundle/rootfs/proc"
        chroot "$at/bundle/rootfs" /bin/sh -c "${line#RUN }" </dev/null || { umount "$at/bundle/rootfs/proc"; return 1; }
        umount "$at/bundle/rootfs/proc"
        umoci repack --refresh-bundle --image "$at/layout:built" "$at/bundle" 2>/dev/null
    done <"$3/Containerfile"
    skopeo copy --quiet --dest-tls-verify=false "oci:$at/layout:built" "docker://$2"
    rm -rf "$at"
}

build() {
    need_root
    mkdir -p "$root"
    case "$1" in
        buildah|podman) by_buildah "$@" ;;
        umoci) need_tools umoci skopeo; by_umoci "${@:2}" ;;
        docker-legacy) by_docker 0 "${@:2}" ;;
        docker-buildkit) by_docker 1 "${@:2}" ;;
        *) misuse "unknown builder: $1 (see --help)" ;;
    esac
}

stop() {
    if runs; then
        kill "$(cat "$root/dockerd.pid")"
        for _ in $(seq 100); do runs || break; sleep 0.1; done
    fi
    local at
    for at in $(awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts); do
        umount --lazy "$at" || true
    done
    rm -rf "$root"
}

case "${1:-}:$#" in
    --help:*|-h:*|:*) help_from_header ;;
    build:5) build "${@:2}" ;;
    archive:3) mkdir -p "$root"; start_docker; run_docker save --output "$3" "$2" ;;
    load:2) mkdir -p "$root"; start_docker; run_docker load --quiet --input "$2" >/dev/null ;;
    stop:1) stop ;;
    *) misuse "wrong arguments (see --help)" ;;
esac
