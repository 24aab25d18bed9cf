# Shared by the scripts of this folder; source it, do not run it.
# Everything that is built or downloaded lives in the cache, outside the source tree.

interop_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${LAZYOCI_CACHE:-/var/cache/lazyoci}"
nydus_version=2.2.0
nydus_image="$cache/nydus/bin/nydus-image"
nydusd="$cache/nydus/bin/nydusd"

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "error: $*"; exit 1; }
misuse() { say "$*"; exit 2; }

need_root() { [ "$(id -u)" = 0 ] || die "must run as root (device nodes, owners, trusted.* xattrs, mounts)"; }

# need_tools NAME...: fails with the name of the first program that is missing.
need_tools() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "missing program: $tool (run peers.sh)"
    done
}

need_nydus() {
    [ -x "$nydus_image" ] || die "missing peer: nydus-image $nydus_version (run peers.sh)"
    [ -x "$nydusd" ] || die "missing peer: nydusd $nydus_version (run peers.sh)"
}

# help_from_header: prints the comment block at the top of the calling script, which may have left the directory
# from which it was called.
help_from_header() {
    local script=$0
    [ -f "$script" ] || script=$OLDPWD/$0
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$script"
}

# A directory that appears whole or not at all: build in "$(begin DIR)", then finish DIR.
begin() { rm -rf "$1.partial"; mkdir -p "$1.partial"; printf '%s\n' "$1.partial"; }
finish() { rm -rf "$1"; mv "$1.partial" "$1"; }
