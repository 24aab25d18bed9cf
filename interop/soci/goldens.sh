#!/usr/bin/env bash
# Makes the golden zTOCs of crates/image-read/tests/goldens/soci with soci 0.4.1, of the layer that lies there.
#
#   goldens.sh DIR            writes them into DIR
#   goldens.sh --compare      makes them again and compares with those of the crate
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../lib/common.sh"
committed="$here/../../crates/image-read/tests/goldens/soci"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

make() {
    gzip -dc "$committed/odd.tar.gz" >"$work/odd.tar"
    "$here/ztoc.sh" make "$committed/odd.tar.gz" "$1/odd.ztoc" 30000
    "$here/ztoc.sh" make "$work/odd.tar" "$1/odd-plain.ztoc" 30000
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    --compare)
        make "$work"
        for golden in odd.ztoc odd-plain.ztoc; do
            cmp "$work/$golden" "$committed/$golden" || die "$golden is another one now"
        done
        say "2 zTOCs are those goldens"
        ;;
    *) make "$1" ;;
esac
