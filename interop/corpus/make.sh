#!/usr/bin/env bash
# Makes the corpora of the interop suite in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/corpus, as root; what is there is kept.
#
#   make.sh [NAME...]     makes the corpora named, or all: tiny debian packages big many
#   make.sh --list        prints path, tree digest of what is there
#
# Each is a folder NAME with `VARIANT/` (a real directory), `VARIANT.tar`, `.tar.gz`, `.tar.zst` and `VARIANT.digest`:
#
#   tiny/tree             the tree of the golden vectors: 7 names
#   debian/peer           a Debian root, only what nydus-image 2.2.0 can read
#   debian/full           the same with oddities/ (see oddities.py); sparse files are sparse in the tar too
#   packages/peer,full    the same of a tree of Python wheels and npm packages
#   big/layer             both peers in one layer, some 750 MB in some 27,000 inodes (no directory)
#   many/layer            150,000 small files in 1,500 directories (no directory)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

here="$interop_dir/corpus"
corpus="$cache/corpus"

# stamp FILE...: one word that changes when one of the scripts or pinned lists changes.
stamp() { (cd "$here" && cat "$@" ../lib/common.sh) | sha256sum | cut -d' ' -f1; }
is_made() { [ "$(cat "$corpus/$1/stamp" 2>/dev/null)" = "$2" ]; }
record_digest() { python3 "$interop_dir/walker.py" "$1" >"$1.digest"; }

check_file_system() {
    mkdir -p "$corpus"
    local probe="$corpus/xattr-probe"
    : >"$probe"
    setfattr -n user.probe -v 1 "$probe" && setfattr -n trusted.probe -v 1 "$probe" \
        || die "the file system of $corpus does not hold user.* and trusted.* xattrs"
    rm -f "$probe"
}

make_tiny() {
    local wanted dir
    wanted="$(stamp layer.sh ../walker.py)"
    is_made tiny "$wanted" && return 0
    dir="$(begin "$corpus/tiny")"
    python3 "$interop_dir/walker.py" --make-vector-tree "$dir/tree"
    "$here/layer.sh" "$dir/tree" "$dir/tree.tar"
    record_digest "$dir/tree"
    echo "$wanted" >"$dir/stamp"
    finish "$corpus/tiny"
}

# make_root NAME SCRIPT [LIST]: peer and full of a root that SCRIPT makes. The root itself is kept when only the
# oddities or the packing change.
make_root() {
    local name="$1" script="$2" base wanted dir
    base="$(stamp "${@:2}")"
    wanted="$base $(stamp oddities.py layer.sh)"
    is_made "$name" "$wanted" && return 0
    dir="$(begin "$corpus/$name")"
    if [ "$(cut -d' ' -f1 "$corpus/$name/stamp" 2>/dev/null)" = "$base" ]; then
        mv "$corpus/$name/peer" "$dir/peer"
    else
        say "making the root $name"
        "$here/$script" "$dir/peer"
    fi
    say "packing $name"
    "$here/layer.sh" "$dir/peer" "$dir/peer.tar"
    record_digest "$dir/peer"
    cp --archive "$dir/peer" "$dir/full"
    python3 "$here/oddities.py" "$dir/full"
    "$here/layer.sh" --sparse "$dir/full" "$dir/full.tar"
    record_digest "$dir/full"
    echo "$wanted" >"$dir/stamp"
    finish "$corpus/$name"
}

make_big() {
    local wanted dir
    make_root debian debian.sh
    make_root packages packages.sh packages.txt
    wanted="$(cat "$corpus/debian/stamp" "$corpus/packages/stamp" | sha256sum)"
    is_made big "$wanted" && return 0
    say "packing big"
    dir="$(begin "$corpus/big")"
    mkdir -m 0755 "$dir/layer"
    cp --archive "$corpus/debian/peer" "$dir/layer/debian"
    cp --archive "$corpus/packages/peer" "$dir/layer/packages"
    "$here/layer.sh" --no-check "$dir/layer" "$dir/layer.tar"
    record_digest "$dir/layer"
    rm -rf "$dir/layer"
    echo "$wanted" >"$dir/stamp"
    finish "$corpus/big"
}

make_many() {
    local wanted dir
    wanted="$(stamp many_files.py layer.sh)"
    is_made many "$wanted" && return 0
    say "making many"
    dir="$(begin "$corpus/many")"
    python3 "$here/many_files.py" "$dir/layer"
    "$here/layer.sh" --no-check "$dir/layer" "$dir/layer.tar"
    record_digest "$dir/layer"
    rm -rf "$dir/layer"
    echo "$wanted" >"$dir/stamp"
    finish "$corpus/many"
}

case "${1:-}" in
    --help|-h) help_from_header; exit 0 ;;
    --list) grep -H . "$corpus"/*/*.digest | sed 's/\.digest:/\t/'; exit 0 ;;
esac
need_root
need_tools python3 tar gzip zstd setfattr cp sha256sum
check_file_system
[ "$#" -gt 0 ] || set -- tiny debian packages big many
for name in "$@"; do
    case "$name" in
        tiny) make_tiny ;;
        debian) make_root debian debian.sh ;;
        packages) make_root packages packages.sh packages.txt ;;
        big) make_big ;;
        many) make_many ;;
        *) misuse "unknown corpus: $name (see --help)" ;;
    esac
done
