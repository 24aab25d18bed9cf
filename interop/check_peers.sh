#!/usr/bin/env bash
# Proves that the peers and the walker agree before anything of ours is judged by them: nydus-image packs a corpus, nydusd
# and the kernel mount it, and every mount must have the tree digest of the source directory.
#
#   check_peers.sh [NAME...]     goldens, corpora tiny, odd, packages, debian (default: all)
#
# goldens mounts the committed images with nydusd; odd is the tree of the odd goldens, packed anew.
# For the kernel the blob cache that nydusd leaves after every file was read serves as the device.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case "${1:-}" in --help|-h) help_from_header; exit 0 ;; esac
need_root
need_nydus
[ "$#" -gt 0 ] || set -- goldens tiny odd packages debian
work="$(mktemp -d "$cache/check-peers.XXXXXX")"
mounted=""
clean_up() {
    if [ -n "$mounted" ]; then "$interop_dir/mount/mount.sh" umount "$mounted" || true; fi
    rm -rf "$work"
}
trap clean_up EXIT
failed=0

walk() { nice python3 "$interop_dir/walker.py" "$@"; }

# judge WHAT MOUNTPOINT [WALKER-OPTION...]: the digest of the mount against the source's; then unmounts.
judge() {
    local found options=("${@:3}")
    mounted="$2"
    found="$(walk "${options[@]}" "$2")" || found="unreadable"
    if [ "$found" = "$expected" ]; then
        say "ok: $1"
    else
        say "FAILED: $1: $found, the source has $expected"
        diff <(walk --dump "$source_dir") <(walk --dump "${options[@]}" "$2") | head -20 >&2 || true
        failed=1
    fi
    "$interop_dir/mount/mount.sh" umount "$2"
    mounted=""
}

# check NAME TYPE INPUT COMPRESSOR: one image of one corpus through all mounts.
check() {
    local what="$1 $2 $4" image="$work/image" blob start=$SECONDS
    rm -rf "$image"; mkdir -p "$image/blobs"
    nice "$nydus_image" create --log-level error -t "$2" -v 6 --compressor "$4" --digester sha256 \
        -B "$image/image.boot" -D "$image/blobs" "$3" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "$what: nydus-image failed"; }
    "$nydus_image" check --log-level error -B "$image/image.boot" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "$what: nydus-image check failed"; }
    say "made: $what ($((SECONDS - start)) s)"
    "$interop_dir/mount/mount.sh" nydusd "$image/image.boot" "$image/blobs" "$work/fuse"
    judge "$what by nydusd" "$work/fuse" --inode-bits 56
    blob="$(basename "$image"/blobs/*)"
    "$interop_dir/mount/mount.sh" erofs-files "$image/image.boot" "$work/fuse.state/cache/$blob.blob.data" "$work/files"
    judge "$what by the kernel, files" "$work/files"
    "$interop_dir/mount/mount.sh" erofs-loop "$image/image.boot" "$work/fuse.state/cache/$blob.blob.data" "$work/loop"
    judge "$what by the kernel, loop devices" "$work/loop"
}

check_goldens() {
    local golden tree image
    python3 "$interop_dir/walker.py" --make-vector-tree "$work/a4-tree"
    python3 "$interop_dir/goldens/odd_tree.py" "$work/odd-tree"
    (cd "$interop_dir/goldens" && sha256sum --check --quiet SHA256SUMS) || die "the goldens are not those of SHA256SUMS"
    for golden in "$interop_dir"/goldens/*/; do
        golden="$(basename "$golden")"
        # nydusd knows no tarfs images, batches nor encrypted blobs, and the tree of an eStargz is no directory of ours; the
        # tests read these goldens.
        case "$golden" in *-tarfs*|*-batch*|*-encrypted*|*-estargz-ref) continue ;; esac
        source_dir="$work/${golden%%-*}-tree"
        expected="$(walk "$source_dir")"
        rm -rf "$work/golden"
        cp -r "$interop_dir/goldens/$golden" "$work/golden"
        # nydusd finds the bootstrap in the only blob that has one inside, and writes it beside that blob.
        image="$work/golden/image.boot"
        [ -e "$image" ] || image="$(grep -l --binary-files=text -E 'image\.boot' "$work"/golden/blobs/*)"
        "$interop_dir/mount/mount.sh" nydusd "$image" "$work/golden/blobs" "$work/fuse"
        judge "$golden by nydusd" "$work/fuse" --inode-bits 56
    done
}

for name in "$@"; do
    case "$name" in
        goldens) check_goldens; continue ;;
        tiny) variant=tree ;;
        odd) variant=odd; python3 "$interop_dir/goldens/odd_tree.py" "$work/odd" ;;
        packages|debian) variant=peer ;;
        *) misuse "unknown corpus: $name (see --help)" ;;
    esac
    source_dir="$cache/corpus/$name/$variant"
    [ "$name" != odd ] || source_dir="$work/odd"
    [ -d "$source_dir" ] || die "missing corpus: $name (run corpus/make.sh)"
    expected="$(walk "$source_dir")"
    check "$name" dir-rafs "$source_dir" zstd
    if [ "$name" != odd ]; then
        check "$name" tar-rafs "$source_dir.tar" none
        check "$name" targz-rafs "$source_dir.tar.gz" lz4_block
    fi
done
[ "$failed" = 0 ] || die "some mounts differ from their source"
say "all mounts agree with their sources"
