#!/usr/bin/env bash
# Makes the tree of unpacked Python wheels and npm packages listed, with their sums, in packages.txt.
#
#   packages.sh DIR     creates DIR, which must not exist
#
# Downloads are kept in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/downloads. The tree is the same on every machine.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

mtime=1700000000

case "${1:-}" in --help|-h|"") help_from_header; [ -n "${1:-}" ] && exit 0 || exit 2 ;; esac
tree="$1"
[ ! -e "$tree" ] || die "$tree exists"
need_root
need_tools pip npm python3 tar sha256sum

downloads="$cache/downloads"
mkdir -p "$downloads"

# fetch KIND NAME SUM: the file's path, downloaded unless it is there with this sum.
fetch() {
    local kind="$1" name="$2" sum="$3" file="$downloads/$3" fresh
    if [ ! -e "$file" ]; then
        fresh="$(mktemp -d "$downloads/fetch.XXXXXX")"
        case "$kind" in
            wheel) pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 \
                --python-version 3.11 --implementation cp --dest "$fresh" "$name" >&2 ;;
            npm) (cd "$fresh" && npm pack --silent "$name" >/dev/null) ;;
            *) die "packages.txt: unknown kind $kind" ;;
        esac || die "could not download $kind $name"
        mv "$fresh"/* "$file.fresh"
        rmdir "$fresh"
        echo "$sum  $file.fresh" | sha256sum --check --status || die "$kind $name does not have the sum in packages.txt"
        mv "$file.fresh" "$file"
    fi
    printf '%s\n' "$file"
}

mkdir -p "$tree/site-packages" "$tree/node_modules"
while read -r sum kind name; do
    [ "$sum" != "#" ] || continue
    file="$(fetch "$kind" "$name" "$sum")"
    case "$kind" in
        wheel) python3 - "$file" "$tree/site-packages" <<'PYTHON'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for member in wheel.infolist():
        path = wheel.extract(member, sys.argv[2])
        if not member.is_dir():
            os.chmod(path, 0o755 if member.external_attr >> 16 & 0o100 else 0o644)
PYTHON
            ;;
        npm)
            mkdir -p "$tree/node_modules/${name%@*}"
            tar -xzf "$file" -C "$tree/node_modules/${name%@*}" --strip-components=1 --no-same-owner ;;
    esac
done <"$interop_dir/corpus/packages.txt"

chown -R 0:0 "$tree"
find "$tree" -type d -exec chmod 0755 {} +
find "$tree" -exec touch --no-dereference --date="@$mtime" {} +
