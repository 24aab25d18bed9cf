#!/usr/bin/env bash
# Makes the goldens of RAFS v7, crates/image-read/tests/goldens/v7, with nydus-core 3.0.0-beta.2.
#
#   goldens.sh DIR            writes them into DIR, and prints the digests of their trees, with extended
#                             attributes and (raw) without, by walker.py
#   goldens.sh --compare      makes them again and compares with those of the crate
#
# The program is built into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/nydus-v3. Root is needed.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../lib/common.sh"
committed="$here/../../crates/image-read/tests/goldens/v7"
case "${1:-}" in --help|-h|"") help_from_header; exit 0 ;; esac
need_root
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

make() {
    local built="$cache/nydus-v3"
    cargo build --quiet --release --manifest-path "$here/Cargo.toml" --target-dir "$built" >&2
    local program="$built/release/lazyoci-interop-nydus-v3"
    python3 "$here/tree.py" "$work/tree"
    python3 "$here/tree.py" "$work/plain" plain
    "$program" "$work/tree" "$1" none none 4096 16384
    "$program" "$work/tree" "$1" zstd zstd 8192 8192
    "$program" "$work/tree" "$1" lz4 lz4 16384 4096
    "$program" "$work/plain" "$1" raw raw 8192 8192
    # One of each will do.
    rm "$1"/{none,lz4}{,.flat}.boot "$1/raw.flat.boot"
    python3 "$interop_dir/walker.py" "$work/tree"
    python3 "$interop_dir/walker.py" "$work/plain"
}

if [ "$1" = --compare ]; then
    mkdir "$work/made"
    make "$work/made"
    for golden in "$work/made"/*; do
        cmp "$golden" "$committed/$(basename "$golden")" || die "$(basename "$golden") is another one now"
    done
    say "the goldens of RAFS v7 are the same"
else
    make "$1"
fi
