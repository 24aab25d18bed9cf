#!/usr/bin/env bash
# Runs a program of Debian trixie: erofs-utils 1.8, veritysetup, containerd-nydus-grpc (nydus-snapshotter).
#
#   trixie.sh PROGRAM [ARGUMENT...]
#
# A trixie root is made by debootstrap in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/trixie when it is first needed
# (as root). The program sees the cache and the folder for temporary files under their own names.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
case "${1:-}" in --help|-h|"") help_from_header ;; esac
root=$cache/trixie
(
    flock 9
    if [ ! -e "$root/usr/bin/.complete" ]; then
        need_root
        say "making a trixie root in $root"
        rm -rf "$root"
        debootstrap --variant=minbase --include=erofs-utils,cryptsetup-bin,nydus-snapshotter trixie "$root" >&2 \
            || die "missing peer: the tools of trixie (debootstrap failed)"
        touch "$root/usr/bin/.complete"
    fi
) 9>"$cache/.trixie.lock"
export root cache
# Nothing of this shows outside.
exec unshare --mount bash -c '
    for dir in "$cache" /tmp /proc; do
        mkdir -p "$root$dir"
        mount --rbind "$dir" "$root$dir"
    done
    exec chroot "$root" "$@"' bash "$@"
