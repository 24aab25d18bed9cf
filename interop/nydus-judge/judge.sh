#!/usr/bin/env bash
# Has nydus-rafs 0.4.1 and nydus-storage 0.7.2 read every file of a RAFS image.
#
#   judge.sh BOOTSTRAP BLOBS CACHE
#
# Prints a line for each regular file, in the order of paths: SHA-256, size, path. CACHE is an empty directory. The program
# is built into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/nydus-judge when it is first needed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
case "${1:-}" in --help|-h|"") help_from_header; exit 0 ;; esac

source=$interop_dir/nydus-judge
built=$cache/nydus-judge
sums() { (cd "$source" && sha256sum Cargo.toml Cargo.lock src/main.rs); }
(
    flock 9
    if [ "$(sums)" != "$(cat "$built/sums" 2>/dev/null)" ]; then
        rm -rf "$built"
        mkdir -p "$built"
        # OpenSSL of Debian: building its own takes minutes.
        OPENSSL_NO_VENDOR=1 cargo build --quiet --release --locked --manifest-path "$source/Cargo.toml" \
            --target-dir "$built/target" >&2 || die "the judge cannot be built"
        mv "$built/target/release/lazyoci-interop-nydus-judge" "$built/judge"
        rm -rf "$built/target"
        sums >"$built/sums"
    fi
) 9>"$cache/.nydus-judge.lock"
exec "$built/judge" "$@"
