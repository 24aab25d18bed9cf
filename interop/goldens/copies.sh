#!/usr/bin/env bash
# Compares the goldens that crates keep as copies, so that their tests need nothing outside the crate, with those of
# this folder, and the eStargz ones of other crates with those of crates/estargz-toc. Without arguments.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
case "${1:-}" in "") ;; --help|-h) help_from_header; exit 0 ;; *) misuse "unknown argument: $1 (see --help)" ;; esac

crates="$interop_dir/../crates"
goldens="$interop_dir/goldens"
compared=0

# same COPY ORIGINAL
same() {
    [ -e "$2" ] || die "$1 is a copy of nothing: $2 is missing"
    cmp "$1" "$2" || die "$1 is not the golden $2"
    compared=$((compared + 1))
}

for copy in "$crates"/rafs-format/tests/goldens/*; do
    name="$(basename "$copy")"
    case "$name" in
        README.md) ;;
        v7-*) same "$copy" "$crates/image-read/tests/goldens/v7/${name#v7-}" ;;
        *.boot) same "$copy" "$goldens/${name%.boot}/image.boot" ;;
        *.blob) same "$copy" "$(echo "$goldens/${name%.blob}"/blobs/*)" ;;
        *) die "$copy: of what is it a copy?" ;;
    esac
done
while read -r copy; do
    same "$crates/image-read/tests/goldens/$copy" "$goldens/$copy"
done < <(cd "$crates/image-read/tests/goldens" && find . -type f -not -name README.md -not -path './estargz/*' -not -path './soci/*' -not -path './v7/*')
for copy in "$crates"/image-read/tests/goldens/estargz/*; do
    same "$copy" "$crates/estargz-toc/tests/goldens/$(basename "$copy")"
done
copy="$crates/soci-ztoc/tests/goldens/odd-plain.ztoc"
same "$copy" "$crates/image-read/tests/goldens/soci/odd-plain.ztoc"
copy="$crates/gzip-index/tests/goldens/odd.tar.gz"
same "$copy" "$crates/image-read/tests/goldens/soci/odd.tar.gz"
say "$compared copies are those goldens"
