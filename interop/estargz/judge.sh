#!/usr/bin/env bash
# Has stargz-snapshotter's own Go library open a layer and compare every file and chunk with its digests.
#
#   judge.sh [--shared|--open] inline|external|zstd LAYER TOC-DIGEST [TOC]
#
# Prints the number of files and chunks. With --open it opens the layer, and prints nothing. --shared is for layers whose files share members, which the library reads, but
# whose TOC it does not check as a whole. The program is built from Debian's sources (judge/main.go) into
# ${LAZYOCI_CACHE:-/var/cache/lazyoci}/judge when it is first needed. Layers lie in the cache or in /tmp.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
case "${1:-}" in --help|-h|"") help_from_header ;; esac

built=$cache/judge
source=$interop_dir/estargz/judge/main.go
(
    flock 9
    if ! cmp --quiet "$source" "$built/main.go"; then
        rm -rf "$built"
        mkdir -p "$built"
        cp "$source" "$built/new.go"
        "$interop_dir/trixie.sh" env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$built/cache" HOME="$built" \
            go build -o "$built/judge" "$built/new.go" >&2 || die "the judge cannot be built"
        rm -rf "$built/cache"
        mv "$built/new.go" "$built/main.go"
    fi
) 9>"$cache/.judge.lock"
# It is linked against trixie's C library.
exec "$interop_dir/trixie.sh" "$built/judge" "$@"
