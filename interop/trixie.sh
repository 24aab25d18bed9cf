#!/usr/bin/env bash
# Runs a program of Debian trixie: erofs-utils 1.8, veritysetup, nydus-snapshotter, podman 5, buildah, skopeo 1.18,
# ctr-remote 0.14, soci 0.4, and Go with the sources of stargz-snapshotter and containers/storage.
#
#   trixie.sh PROGRAM [ARGUMENT...]
#
# A trixie root is made by debootstrap in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/trixie when it is first needed, and
# packages that were added to the list below are installed into it (as root). The program sees the cache and the folder
# for temporary files under their own names, and the folder that it is called in, if that is in one of them. It gets
# mounts of its own, with this root as theirs: podman and buildah need no more.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
case "${1:-}" in --help|-h|"") help_from_header ;; esac
packages=(
    ca-certificates erofs-utils cryptsetup-bin nydus-snapshotter
    podman buildah skopeo runc netavark stargz-snapshotter soci-snapshotter
    golang-go golang-github-containerd-stargz-snapshotter-dev golang-github-containers-storage-dev
)
root=$cache/trixie
(
    flock 9
    if [ ! -e "$root/usr/bin/.complete" ]; then
        need_root
        say "making a trixie root in $root"
        rm -rf "$root"
        debootstrap --variant=minbase trixie "$root" >&2 || die "missing peer: a root of trixie (debootstrap failed)"
        : >"$root/usr/bin/.complete"
    fi
    if [ "$(cat "$root/usr/bin/.complete")" != "${packages[*]}" ]; then
        need_root
        say "installing into the trixie root: ${packages[*]}"
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
        chmod +x "$root/usr/sbin/policy-rc.d"
        DEBIAN_FRONTEND=noninteractive chroot "$root" sh -ec '
            apt-get update -q
            apt-get install -qy --no-install-recommends "$@"
            apt-get clean' sh "${packages[@]}" >&2 || die "missing peer: the tools of trixie (apt-get failed)"
        echo "${packages[*]}" >"$root/usr/bin/.complete"
    fi
) 9>"$cache/.trixie.lock"
export root cache
# Nothing of this shows outside. The root is a mount of its own, since podman remounts `/`.
exec unshare --mount --propagation private bash -c '
    here=$PWD
    mount --rbind "$root" "$root"
    for dir in "$cache" /tmp /proc /sys /dev; do
        mkdir -p "$root$dir"
        mount --rbind "$dir" "$root$dir"
    done
    cd "$root"
    mkdir -p run/old-root
    pivot_root . run/old-root
    umount --lazy /run/old-root
    cd "$here" 2>/dev/null || cd /
    exec "$@"' bash "$@"
