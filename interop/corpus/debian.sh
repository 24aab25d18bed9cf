#!/usr/bin/env bash
# Makes the Debian root of the corpus: bookworm minbase with a compiler, Python, git and a few packages more.
#
#   debian.sh DIR     creates DIR, which must not exist
#
# What an installation leaves behind that differs from run to run (logs, caches, the host's name, random ids) is
# removed and times are clamped, so that the same package versions give the same tree. Which versions these are is
# listed in DIR/var/lib/dpkg/status; the mirror serves the current ones of the stable release.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

suite=bookworm
includes=ca-certificates,git,gcc,iputils-ping,openssh-client,python3
latest_mtime=1700000000

case "${1:-}" in --help|-h|"") help_from_header; [ -n "${1:-}" ] && exit 0 || exit 2 ;; esac
root="$1"
[ ! -e "$root" ] || die "$root exists"
need_root
PATH="$PATH:/usr/sbin:/sbin"
need_tools debootstrap

packages="$cache/debootstrap"
mkdir -p "$packages"
# The day of the last password change is written into /etc/shadow; SOURCE_DATE_EPOCH fixes it.
SOURCE_DATE_EPOCH=$latest_mtime nice debootstrap --variant=minbase --cache-dir="$packages" --include="$includes" \
    "$suite" "$root" >"$root.log" 2>&1 || die "debootstrap failed, see $root.log"
rm -f "$root.log"

# Left by the installation: differs from run to run, or tells about the machine.
find "$root/var/log" "$root/var/cache" "$root/var/lib/apt/lists" "$root/tmp" "$root/run" -mindepth 1 -delete
rm -f "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id "$root"/var/lib/dpkg/*-old "$root"/etc/*- \
    "$root"/var/lib/systemd/random-seed
printf 'localhost\n' >"$root/etc/hostname"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
find "$root" \( -name '*.pyc' -o -type s \) -delete
find "$root" -newermt "@$latest_mtime" -print0 | xargs -0 touch --no-dereference --date="@$latest_mtime"
chmod 0755 "$root"
