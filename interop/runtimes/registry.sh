#!/usr/bin/env bash
# A registry of Debian's docker-registry on loopback, which forgets everything when it is stopped.
#
#   registry.sh start     starts it, if it does not run yet, and prints HOST:PORT
#   registry.sh stop      stops it and removes all that it stored
#   registry.sh log       prints its access log: one line for each request, with status and bytes of the answer
#
# Everything lies in ${LAZYOCI_CACHE:-/var/cache/lazyoci}/registry. LAZYOCI_REGISTRY_PORT is its port, 5599 unless set.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

root="$cache/registry"
host="127.0.0.1:${LAZYOCI_REGISTRY_PORT:-5599}"

runs() { [ -s "$root/pid" ] && grep -qsaF "$root/config.yml" "/proc/$(cat "$root/pid")/cmdline"; }

start() {
    need_tools docker-registry curl flock
    mkdir -p "$root"
    exec 9>"$cache/.registry.lock"
    flock 9
    if ! runs; then
        cat >"$root/config.yml" <<EOF
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: "$root/data"}, delete: {enabled: true}}
http: {addr: "$host", secret: loopback}
EOF
        setsid docker-registry serve "$root/config.yml" >"$root/log" 2>&1 </dev/null 9>&- &
        echo $! >"$root/pid"
        for _ in $(seq 100); do
            if curl --silent --fail --output /dev/null "http://$host/v2/"; then break; fi
            kill -0 $! 2>/dev/null || { tail -20 "$root/log" >&2; die "docker-registry did not start (log above)"; }
            sleep 0.1
        done
    fi
    echo "$host"
}

stop() {
    ! runs || kill "$(cat "$root/pid")"
    rm -rf "$root"
}

case "${1:-}" in
    --help|-h|"") help_from_header ;;
    start) start ;;
    stop) stop ;;
    log) grep -E '"(GET|HEAD|POST|PUT|PATCH|DELETE) /v2/' "$root/log" || true ;;
    *) misuse "unknown argument: $1 (see --help)" ;;
esac
