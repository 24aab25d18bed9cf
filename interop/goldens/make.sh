#!/usr/bin/env bash
# Makes the goldens of this folder again with nydus-image 2.2.0, and of modes that it does not know with nydus-builder
# 0.2.0, to see in git what changes.
#
#   make.sh             makes all; fails unless every file has the sum recorded in SHA256SUMS
#   make.sh --update    makes all and records new sums
#
# Each golden NAME is a folder: image.boot (unless inlined), blobs/ID, dump.txt. COMMANDS.md lists the command of each.
# a4.tar.gz, the A.4 tree as a layer, and the tar in it, is an input: it stays as it is, since another gzip makes other bytes.
# vector1.esgz is a golden of crates/estargz-toc.
# nydus-image keeps xattrs in a hash map, so the bootstraps of `odd-*` come out in a random order of xattrs: these are
# built until the recorded sum appears.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

here="$interop_dir/goldens"
update=no
case "${1:-}" in
    "") ;;
    --update) update=yes ;;
    --help|-h) help_from_header; exit 0 ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
need_root
need_nydus
need_tools python3 zstd sha256sum

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 "$interop_dir/walker.py" --make-vector-tree "$work/a4"
python3 "$here/odd_tree.py" "$work/odd"

if [ ! -e "$here/a4.tar.gz" ]; then
    [ "$update" = yes ] || die "a4.tar.gz is missing"
    "$interop_dir/corpus/layer.sh" "$work/a4" "$work/a4.tar"
    cp "$work/a4.tar.gz" "$here/"
fi
layer_id="$(sha256sum <"$here/a4.tar.gz" | cut -d' ' -f1)"
gzip -dc "$here/a4.tar.gz" >"$work/a4.tar"
tar_id="$(sha256sum <"$work/a4.tar" | cut -d' ' -f1)"
esgz="$interop_dir/../crates/estargz-toc/tests/goldens/vector1.esgz"
esgz_id="$(sha256sum <"$esgz" | cut -d' ' -f1)"

cat >"$work/COMMANDS.md" <<EOF
# Goldens made by nydus-image $nydus_version

Trees: \`a4\` (walker.py --make-vector-tree), $(python3 "$interop_dir/walker.py" "$work/a4");
\`odd\` (odd_tree.py), $(python3 "$interop_dir/walker.py" "$work/odd").

| golden | command | blob made |
|---|---|---|
EOF

# One file of `odd` has three xattrs, so one build in six has the recorded order.
tries=200

has_recorded_sums() {
    (cd "$work/out" && grep -s " $1/" "$here/SHA256SUMS" | grep -v -e '/dump.txt$' -e "/$layer_id$" -e "/$tar_id$" -e "/$esgz_id$" | sha256sum --check --status 2>/dev/null)
}

# inlined_bootstrap BLOB: the bootstrap in front of the tar header that ends the blob, which says its length in octal.
inlined_bootstrap() {
    local len
    len="$(tail -c 388 "$1" | head -c 11)"
    head -c -512 "$1" | tail -c "$((8#$len))"
}

# build NAME TREE OPTIONS...: makes the golden NAME below $work/out.
build() {
    local name="$1" tree="$2"; shift 2
    local out="$work/out/$name" where=(-B image.boot -D blobs) try input="$work/$tree"
    case "$tree" in
        a4.tar.gz) input="$here/$tree" ;;
        vector1.esgz) input="$esgz" ;;
    esac
    case " $* " in *" --blob-inline-meta "*) where=(-D blobs) ;; esac
    for try in $(seq "$tries"); do
        rm -rf "$out"; mkdir -p "$out/blobs"
        (cd "$out" && "$nydus_image" create --log-level error "$@" "${where[@]}" "$input" >"$work/log" 2>&1) \
            || { cat "$work/log" >&2; die "nydus-image could not make $name"; }
        has_recorded_sums "$name" && break
        [ "$tree" = odd ] && [ "$try" -lt "$tries" ] && continue
        [ "$update" = yes ] || die "$name: not the recorded sums, after $try builds"
        break
    done
    local blobs=("$out"/blobs/*)
    case " $* " in
        *" 5 "*" --blob-inline-meta "*)
            inlined_bootstrap "${blobs[0]}" >"$work/inlined.boot"
            "$nydus_image" check --log-level error -v -B "$work/inlined.boot" ;;
        *" --blob-inline-meta "*) python3 "$here/dump.py" --blob-only "${blobs[@]}" ;;
        *" 5 "*) "$nydus_image" check --log-level error -v -B "$out/image.boot" ;;
        *) python3 "$here/dump.py" "$out/image.boot" "${blobs[@]}" ;;
    esac >"$out/dump.txt"
    printf '| %s | `nydus-image create %s %s %s` | %s |\n' "$name" "$*" "${where[*]}" "$tree" \
        "$(basename "${blobs[0]}")" >>"$work/COMMANDS.md"
    case "$tree" in
        a4.tar) cp "$input" "$out/blobs/$tar_id" ;;
        a4.tar.gz) cp "$input" "$out/blobs/$layer_id" ;;
        vector1.esgz) cp "$input" "$out/blobs/$esgz_id" ;;
    esac
}

# pack NAME TREE OPTIONS...: the same by nydus-builder 0.2.0, of what nydus-image 2.2.0 does not know.
pack() {
    local name="$1" tree="$2"; shift 2
    local out="$work/out/$name" try blobs
    for try in $(seq "$tries"); do
        rm -rf "$out"
        "$interop_dir/nydus/judge.sh" pack "$work/$tree" "$out" "$@" || die "the judge could not make $name"
        has_recorded_sums "$name" && break
        [ "$tree" = odd ] && [ "$try" -lt "$tries" ] && [ "$update" = no ] && continue
        [ "$update" = yes ] || die "$name: not the recorded sums, after $try builds"
        break
    done
    blobs=("$out"/blobs/*)
    case " $* " in
        *" --encrypt "*) python3 "$here/dump.py" "$out/image.boot" ;;
        *) python3 "$here/dump.py" "$out/image.boot" "${blobs[@]}" ;;
    esac >"$out/dump.txt"
    printf '| %s | `nydus/judge.sh pack %s OUTPUT %s` | %s |\n' "$name" "$tree" "$*" "$(basename "${blobs[0]}")" \
        >>"$work/COMMANDS.md"
}

for digester in sha256 blake3; do
    for compressor in none lz4_block zstd; do
        build "a4-v6-$compressor-$digester" a4 -t dir-rafs -v 6 --compressor $compressor --digester $digester
    done
done
for digester in sha256 blake3; do
    for compressor in none lz4_block zstd; do
        build "a4-v5-$compressor-$digester" a4 -t dir-rafs -v 5 --compressor $compressor --digester $digester
    done
done
build a4-v5-zstd-sha256-inline a4 -t dir-rafs -v 5 --compressor zstd --digester sha256 --blob-inline-meta
build odd-v5-zstd-sha256-4k odd -t dir-rafs -v 5 --compressor zstd --digester sha256 --chunk-size 0x1000
build odd-v5-lz4_block-blake3-64k odd -t dir-rafs -v 5 --compressor lz4_block --digester blake3 --chunk-size 0x10000
for compressor in none zstd; do
    build "a4-v6-$compressor-sha256-toc" a4 -t dir-rafs -v 6 --compressor $compressor --digester sha256 --features blob-toc
    build "a4-v6-$compressor-sha256-inline" a4 -t dir-rafs -v 6 --compressor $compressor --digester sha256 --blob-inline-meta
    build "a4-v6-$compressor-sha256-inline-toc" a4 -t dir-rafs -v 6 --compressor $compressor --digester sha256 \
        --blob-inline-meta --features blob-toc
done
build odd-v6-zstd-sha256-4k odd -t dir-rafs -v 6 --compressor zstd --digester sha256 --chunk-size 0x1000
build odd-v6-lz4_block-blake3-64k odd -t dir-rafs -v 6 --compressor lz4_block --digester blake3 --chunk-size 0x10000

build a4-v6-tar-ref a4.tar -t targz-ref -v 6
build a4-v6-zran a4.tar.gz -t targz-ref -v 6
build a4-v6-zran-inline-toc a4.tar.gz -t targz-ref -v 6 --blob-inline-meta --features blob-toc

pack a4-v6-zstd-sha256-batch a4 --compressor zstd --batch-size 4096
pack a4-v6-none-blake3-batch-toc a4 --compressor none --digester blake3 --batch-size 32768 --toc
pack odd-v6-lz4_block-sha256-batch odd --compressor lz4_block --chunk-size 65536 --batch-size 65536

# keep NAME TREE OPTIONS...: an encrypted one stays as it is, as its key was random; without it, one is made.
keep() {
    local name="$1"
    [ -d "$here/$name" ] || { pack "$@"; return; }
    cp -r "$here/$name" "$work/out/"
    grep -F "| $name |" "$here/COMMANDS.md" >>"$work/COMMANDS.md"
}
keep a4-v6-zstd-sha256-encrypted a4 --compressor zstd --encrypt
keep a4-v6-lz4_block-blake3-encrypted-batch-toc a4 --compressor lz4_block --digester blake3 --encrypt --batch-size 32768 --toc
# build_tarfs NAME CHUNK-SIZE: the golden NAME below $work/out, which the kernel reads with the tar as its device.
build_tarfs() {
    local name="$1" chunk_size="$2" out="$work/out/$1"
    mkdir -p "$out/blobs"
    "$interop_dir/nydus/judge.sh" tarfs "$chunk_size" "$work/a4.tar" "$out/image.boot"
    python3 "$here/dump.py" "$out/image.boot" >"$out/dump.txt"
    cp "$work/a4.tar" "$out/blobs/$tar_id"
    printf '| %s | `nydus/judge.sh tarfs %s a4.tar image.boot` | none: %s is a4.tar |\n' \
        "$name" "$chunk_size" "$tar_id" >>"$work/COMMANDS.md"
}

build_tarfs a4-v6-tarfs 1048576
build_tarfs a4-v6-tarfs-4k 4096
build vector1-v6-estargz-ref vector1.esgz -t estargz-ref -v 6

(cd "$work/out" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum) >"$work/SHA256SUMS"
if [ "$update" = no ]; then
    diff -u "$here/SHA256SUMS" "$work/SHA256SUMS" >&2 || die "the goldens differ from SHA256SUMS"
fi
find "$here" -mindepth 1 -maxdepth 1 -type d \( -name 'a4-*' -o -name 'odd-*' -o -name 'vector1-*' \) -exec rm -rf {} +
cp -r "$work/out/." "$here/"
cp "$work/SHA256SUMS" "$work/COMMANDS.md" "$here/"
say "$(find "$work/out" -mindepth 1 -maxdepth 1 | wc -l) goldens made"
