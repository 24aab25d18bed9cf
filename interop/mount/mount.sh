#!/usr/bin/env bash
# Mounts an image with a real implementation, and unmounts it.
#
#   mount.sh nydusd BOOTSTRAP BLOB_DIR MOUNTPOINT           FUSE by nydusd 2.2.0; BOOTSTRAP may be a blob that holds it
#   mount.sh nydusd-validating BOOTSTRAP BLOB_DIR MOUNTPOINT   the same, every digest of metadata and data checked (RAFS v5)
#   mount.sh erofs-files BOOTSTRAP [DEVICE...] MOUNTPOINT   the kernel, by mount(2) with plain files
#   mount.sh erofs-loop BOOTSTRAP [DEVICE...] MOUNTPOINT    the kernel, by mount(8) with loop devices
#   mount.sh overlay LAYER... MOUNTPOINT                    tar layers or directories, the lowest first, by overlayfs
#   mount.sh umount MOUNTPOINT                              whichever it was; nydusd has ended when this returns
#
# DEVICEs are uncompressed blobs in the order of the bootstrap's device table. MOUNTPOINT is created if it is missing.
# Beside it, MOUNTPOINT.state keeps the log, configuration and blob cache of nydusd (MOUNTPOINT.state/cache holds
# ID.blob.data, the uncompressed blob once everything was read) or the loop devices; it stays after umount and is
# replaced by the next mount.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

seconds_to_wait=30

# start_state MOUNTPOINT: the mount point, and an empty state folder beside it.
start_state() {
    mkdir -p "$1"
    ! mountpoint --quiet "$1" || die "$1 is a mount point already"
    state="$(realpath "$1").state"
    rm -rf "$state"
    mkdir -p "$state"
}

# mount_nydusd HOW BOOTSTRAP BLOB_DIR MOUNTPOINT
mount_nydusd() {
    local how="$1" bootstrap="$2" blobs="$3" at="$4" pid tick
    need_nydus
    [ -e /dev/fuse ] || die "/dev/fuse is missing"
    start_state "$at"
    mkdir "$state/cache"
    # Data are checked by the newer form of the configuration only.
    python3 - "$how" "$(realpath "$blobs")" "$state/cache" >"$state/config" <<'PYTHON'
import json, sys
how, blobs, cache = sys.argv[1:]
if how == "nydusd-validating":
    print(f"""version = 2
[backend]
type = "localfs"
[backend.localfs]
dir = {json.dumps(blobs)}
[cache]
type = "blobcache"
validate = true
[cache.filecache]
work_dir = {json.dumps(cache)}
[rafs]
mode = "direct"
validate = true
enable_xattr = true""")
    sys.exit()
print(json.dumps({
    "device": {
        "backend": {"type": "localfs", "config": {"dir": blobs}},
        "cache": {"type": "blobcache", "config": {"work_dir": cache}},
    },
    "mode": "direct", "digest_validate": False, "iostats_files": False, "enable_xattr": True,
    "fs_prefetch": {"enable": False},
}))
PYTHON
    # The log goes to a file; standard output too, so that a caller that captures ours does not wait for nydusd's end.
    "$nydusd" --config "$state/config" --bootstrap "$bootstrap" --mountpoint "$at" --rlimit-nofile 0 \
        --log-level warn --log-file "$state/nydusd" >"$state/nydusd.out" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$state/nydusd.pid"
    for tick in $(seq $((seconds_to_wait * 10))); do
        mountpoint --quiet "$at" && ls "$at" >/dev/null 2>&1 && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill "$pid" 2>/dev/null || true
    cat "$state"/nydusd.out "$state"/nydusd.log >&2 2>/dev/null || true
    die "nydusd did not mount $bootstrap at $at"
}

mount_files() {
    local bootstrap="$1" at="${*: -1}" options="" device
    for device in "${@:2:$#-2}"; do options+=",device=$(realpath "$device")"; done
    start_state "$at"
    python3 "$interop_dir/mount/mount2.py" erofs "$(realpath "$bootstrap")" "$at" "${options#,}"
}

mount_loop() {
    local bootstrap="$1" at="${*: -1}" options="ro" device loop
    need_tools losetup mount
    start_state "$at"
    : >"$state/loops"
    for device in "${@:2:$#-2}"; do
        loop="$(losetup --find --show --read-only "$device")" || { detach; die "no loop device for $device"; }
        echo "$loop" >>"$state/loops"
        options+=",device=$loop"
    done
    loop="$(losetup --find --show --read-only "$bootstrap")" || { detach; die "no loop device for $bootstrap"; }
    echo "$loop" >>"$state/loops"
    mount -t erofs -o "$options" "$loop" "$at" || { detach; die "the kernel did not mount $bootstrap"; }
}

detach() {
    local loop
    while read -r loop; do losetup --detach "$loop"; done <"$state/loops"
    rm "$state/loops"
}

mount_overlay() {
    local at="${*: -1}"
    start_state "$at"
    python3 "$interop_dir/mount/overlay.py" "$state" "${@:1:$#-1}" "$at"
}

unmount() {
    local at="$1" pid tick
    state="$(realpath "$at").state"
    mountpoint --quiet "$at" || die "$at is not mounted"
    umount "$at"
    if [ -e "$state/loops" ]; then detach; fi
    if [ -e "$state/nydusd.pid" ]; then
        pid="$(cat "$state/nydusd.pid")"
        rm "$state/nydusd.pid"
        for tick in $(seq $((seconds_to_wait * 10))); do
            kill -0 "$pid" 2>/dev/null || return 0
            if [ "$tick" = 20 ]; then kill "$pid" 2>/dev/null || true; fi
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        die "nydusd ($pid) did not end when $at was unmounted"
    fi
}

what="${1:-}"
shift || true
case "$what" in --help|-h) help_from_header; exit 0 ;; esac
need_root
case "$what:$#" in
    nydusd:3|nydusd-validating:3) mount_nydusd "$what" "$@" ;;
    erofs-files:[2-9]|erofs-files:[1-9][0-9]*) mount_files "$@" ;;
    erofs-loop:[2-9]|erofs-loop:[1-9][0-9]*) mount_loop "$@" ;;
    overlay:[2-9]) mount_overlay "$@" ;;
    umount:1) unmount "$1" ;;
    *) misuse "wrong arguments (see --help)" ;;
esac
