#!/usr/bin/env bash
# Makes the goldens anew with mkfs.erofs 1.8.6 (erofs-utils of Debian trixie, by interop/trixie.sh), as root.
# Every command stands here; `tree.tar` is what all images hold. The dumps beside them are written by the tests of
# this crate if UPDATE_GOLDENS is set.
set -euo pipefail
cd "$(dirname "$0")"
mkfs="../../../../interop/trixie.sh mkfs.erofs"
work=${WORK:-$(mktemp -d)}
python3 tree.py > tree.tar
rm -rf "$work/tree" "$work"/*.erofs "$work/blob"
mkdir -p "$work/tree"
tar -x -p --xattrs --xattrs-include='*' --numeric-owner -f tree.tar -C "$work/tree"
cp tree.tar "$work/tree.tar"
uuid=-U00000000-0000-0000-0000-000000000001
make() { # NAME OPTIONS...
    local name=$1
    shift
    $mkfs --quiet $uuid -T 1600000000 --all-time "$@"
    cp "$work/$name.erofs" "$name.erofs"
}
t=$work/tree
make plain -Enoinline_data "$work/plain.erofs" "$t"
make inline "$work/inline.erofs" "$t"
make extended -Eforce-inode-extended -Enoinline_data "$work/extended.erofs" "$t"
make shared-xattrs -x1 "$work/shared-xattrs.erofs" "$t"
make xattr-prefix --xattr-prefix=user.long.prefix. "$work/xattr-prefix.erofs" "$t"
make blocks-512 -b512 "$work/blocks-512.erofs" "$t"
make chunks --chunksize=4096 "$work/chunks.erofs" "$t"
touch "$work/blob"
make blobdev --chunksize=4096 --blobdev="$work/blob" "$work/blobdev.erofs" "$t"
cp "$work/blob" blobdev.blob
make tar-f --tar=f "$work/tar-f.erofs" "$work/tree.tar"
make tar-i --tar=i "$work/tar-i.erofs" "$work/tree.tar"
make lz4 -zlz4 "$work/lz4.erofs" "$t"
make lz4-fragments -zlz4 -C65536 -Efragments,dedupe "$work/lz4-fragments.erofs" "$t"
ls -l ./*.erofs
