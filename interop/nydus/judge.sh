#!/usr/bin/env bash
# Makes and reads images of modes that nydus-image 2.2.0 does not know, by the crates nydus-builder 0.2.0, nydus-rafs 0.4.1
# and nydus-storage 0.7.2:
#
#   judge.sh pack DIR OUTPUT [--compressor C] [--digester D] [--chunk-size N] [--batch-size N] [--encrypt] [--inline] [--toc]
#   judge.sh read BOOTSTRAP BLOBS
#   judge.sh tarfs CHUNK-SIZE TAR BOOTSTRAP
#   judge.sh merge LAYER... BOOTSTRAP
#   judge.sh check BOOTSTRAP
#
# `pack` does what `nydus-image create -t dir-rafs -v 6` of that release does; `read` reads every file as nydusd reads it,
# and prints a line for each name as `walker.py --dump` does; `tarfs` describes a tar that the kernel mounts; `merge` makes
# one bootstrap of several, the lowest layer first; `check` loads all inodes and chunks of one, and prints how many there
# are. The program is built into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/nydus-crates when it is first needed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
case "${1:-}" in ""|--help|-h) help_from_header; exit 0 ;; esac

built=$cache/nydus-crates
source=$interop_dir/nydus
sources=("$source"/Cargo.* "$source"/src/*)
wanted="$(cat "${sources[@]}" | sha256sum)"
mkdir -p "$cache"
(
    flock 9
    if [ ! -x "$built/judge" ] || [ "$(cat "$built/sources" 2>/dev/null)" != "$wanted" ]; then
        say "building the judge into $built (some minutes)"
        # With Debian's libssl, and its own target directory, so that it does not depend on where this is called from.
        OPENSSL_NO_VENDOR=1 CARGO_TARGET_DIR="$cache/nydus-crates-build" \
            nice cargo build --quiet --locked --manifest-path "$source/Cargo.toml" >&2 \
            || die "missing peer: the judge of nydus modes (cargo build failed)"
        mkdir -p "$built"
        cp "$cache/nydus-crates-build/debug/lazyoci-interop-nydus" "$built/judge"
        printf '%s\n' "$wanted" >"$built/sources"
        rm -rf "$cache/nydus-crates-build"
    fi
) 9>"$cache/.nydus-crates.lock"

exec "$built/judge" "$@"
