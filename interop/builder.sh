#!/usr/bin/env bash
# Runs the crate nydus-builder 0.2.0, which makes what nydus-image 2.2.0 does not.
#
#   builder.sh tarfs CHUNK-SIZE TAR BOOTSTRAP      describes a tar as a tarfs image
#   builder.sh merge LAYER... BOOTSTRAP            merges bootstraps of layers, the lowest first
#   builder.sh check BOOTSTRAP                     loads it with all of its inodes and chunks, and prints how many there are
#
# The program (builder/) is built into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/builder when it is first needed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
case "${1:-}" in --help|-h|"") help_from_header; exit 0 ;; esac

built=$cache/builder
source=$interop_dir/builder
(
    flock 9
    if ! cmp --quiet "$source/src/main.rs" "$built/main.rs" || ! cmp --quiet "$source/Cargo.lock" "$built/Cargo.lock"; then
        say "building nydus-builder 0.2.0 into $built (some minutes)"
        rm -rf "$built"
        mkdir -p "$built"
        # OpenSSL is Debian's.
        OPENSSL_NO_VENDOR=1 CARGO_TARGET_DIR="$built/target" nice cargo build --quiet --locked \
            --manifest-path "$source/Cargo.toml" >&2 || die "nydus-builder cannot be built"
        mv "$built/target/debug/lazyoci-interop-builder" "$built/builder"
        rm -rf "$built/target"
        cp "$source/src/main.rs" "$source/Cargo.lock" "$built/"
    fi
) 9>"$cache/.builder.lock"
exec "$built/builder" "$@"
