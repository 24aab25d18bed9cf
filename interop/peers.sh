#!/usr/bin/env bash
# Installs every real tool that the interop suite runs against, or fails with the name of what is missing.
#
#   peers.sh            install what is missing, then check everything
#   peers.sh --check    check only, install nothing
#   peers.sh --paths    print NAME=PATH lines of the peers
#
# Debian packages go where apt puts them; nydus 2.2.0 is built with cargo into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/nydus.
# Running it again costs nothing. A peer that cannot be had is an error, never a skipped test.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# package:program, one program per package that proves it is there
packages=(
    debootstrap:debootstrap erofs-utils:mkfs.erofs attr:setfattr libcap2-bin:setcap fuse3:fusermount3
    python3:python3 golang-go:go libarchive-tools:bsdtar skopeo:skopeo umoci:umoci zstd:zstd lz4:lz4 jq:jq xz-utils:xz
    tar:tar gzip:gzip util-linux:losetup mount:mount diffutils:cmp python3-pip:pip npm:npm
    stargz-snapshotter:ctr-remote containerd:containerd runc:runc time:/usr/bin/time
    docker-registry:docker-registry podman:podman busybox-static:busybox curl:curl procps:pkill
    gcc:gcc g++:g++ make:make cmake:cmake perl:perl pkg-config:pkg-config
)

# What has no program: OpenSSL, with which the judge on nydus's crates is built.
has_openssl() { pkg-config --exists openssl 2>/dev/null; }

installed() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

install_packages() {
    local pair missing=()
    for pair in "${packages[@]}"; do
        installed "${pair#*:}" || missing+=("${pair%%:*}")
    done
    has_openssl || missing+=(libssl-dev)
    [ "${#missing[@]}" -gt 0 ] || return 0
    need_root
    say "installing Debian packages: ${missing[*]}"
    apt-get update -qq || die "apt-get update failed, wanted: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 \
        || die "apt-get could not install: ${missing[*]}"
}

# The programs built by cargo say "Version: unknown"; cargo's own record names the version.
nydus_is_there() {
    grep -qs "^\"nydus-rs $nydus_version " "$cache/nydus/.crates.toml" && [ -x "$nydus_image" ] && [ -x "$nydusd" ]
}

install_nydus() {
    nydus_is_there && return 0
    installed cargo || die "missing peer: nydus $nydus_version (cargo, which builds it, is missing)"
    say "building nydus $nydus_version into $cache/nydus (some minutes)"
    mkdir -p "$cache"
    # Its own target directory, so that the result does not depend on where this is called from.
    CARGO_TARGET_DIR="$cache/nydus-build" nice cargo install --locked --force "nydus-rs@$nydus_version" --root "$cache/nydus" >&2 \
        || die "missing peer: nydus $nydus_version (cargo install failed)"
    rm -rf "$cache/nydus-build"
}

check() {
    local pair bad=0
    for pair in "${packages[@]}"; do
        installed "${pair#*:}" || { say "missing peer: ${pair#*:} (Debian package ${pair%%:*})"; bad=1; }
    done
    has_openssl || { say "missing peer: OpenSSL's headers (Debian package libssl-dev)"; bad=1; }
    nydus_is_there || { say "missing peer: nydus-image and nydusd $nydus_version in $cache/nydus/bin"; bad=1; }
    python3 -c 'import os; os.listxattr' 2>/dev/null || { say "missing peer: a python3 with os.listxattr"; bad=1; }
    return "$bad"
}

case "${1:-}" in
    --help|-h) help_from_header ;;
    --check) check ;;
    --paths) printf 'nydus-image=%s\nnydusd=%s\n' "$nydus_image" "$nydusd" ;;
    "") install_packages; install_nydus; check; say "all peers are there" ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
