#!/usr/bin/env bash
# Packs a directory into a layer tar with GNU tar, and checks that the tar holds the whole tree.
#
#   layer.sh [--sparse] [--no-check] DIR LAYER.tar     makes LAYER.tar, LAYER.tar.gz and LAYER.tar.zst
#
# PAX, numeric owners, every xattr, names sorted as bytes, no member for the root, no access and change times: the same
# tree gives the same bytes. With --sparse, files with holes become PAX sparse members (version 1.0). The check unpacks
# the tar beside itself with GNU tar and compares tree digests.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

options=() check=yes
while :; do
    case "${1:-}" in
        --help|-h|"") help_from_header; [ -n "${1:-}" ] && exit 0 || exit 2 ;;
        --sparse) options+=(--sparse --sparse-version=1.0) ;;
        --no-check) check=no ;;
        *) break ;;
    esac
    shift
done
[ "$#" = 2 ] || misuse "expected DIR LAYER.tar (see --help)"
tree="$1" layer="$(realpath -m "$2")"
need_root
need_tools tar gzip zstd find sort unshare python3

# GNU tar writes its process id into the names of sparse members; in a process namespace of its own that is always 1.
(cd "$tree" && find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z \
    | LC_ALL=C nice unshare --pid --fork --kill-child tar --create --file="$layer" --format=pax \
        --pax-option='delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f' --xattrs --xattrs-include='*' \
        --numeric-owner --no-recursion "${options[@]}" --null --files-from=-)

if [ "$check" = yes ]; then
    unpacked="$layer.unpacked"
    rm -rf "$unpacked"; mkdir -m 0755 "$unpacked"
    trap 'rm -rf "$unpacked"' EXIT
    tar --extract --file="$layer" --directory="$unpacked" --xattrs --xattrs-include='*' --numeric-owner \
        --same-owner --preserve-permissions --delay-directory-restore --warning=no-timestamp
    before="$(python3 "$interop_dir/walker.py" "$tree")" after="$(python3 "$interop_dir/walker.py" "$unpacked")"
    [ "$before" = "$after" ] || die "$layer does not hold $tree: $before when packed, $after when unpacked"
fi
nice gzip --no-name --keep --force "$layer"
nice zstd --quiet --force -T1 "$layer" -o "$layer.zst"
