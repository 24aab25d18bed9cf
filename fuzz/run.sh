#!/usr/bin/env bash
# Fuzzes every target for some time each, beginning with seeds made from the goldens.
#
#   run.sh SECONDS [TARGET...]
#
# Prints the number of executions of each target, and at last that of all and the time that they took.
# Exits 1 if anything was found: the input is then in fuzz/artifacts/TARGET/, and belongs into
# fuzz/findings/TARGET/ once it is understood.
#
#   JOBS=N    targets that run at the same time (default 2)
#   SEED=N    the same seed in every run, which are nearly alike then
#   ASAN=1    with AddressSanitizer, slower: for the C code of zstd
#
# cargo-fuzz is taken from the path, or built into ${LAZYOCI_CACHE:-/var/cache/lazyoci}/cargo-fuzz.
# Works with a stable compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cargo_fuzz_version=0.13.2
cache="${LAZYOCI_CACHE:-/var/cache/lazyoci}"
export PATH="$PATH:$cache/cargo-fuzz/bin"

case "${1:-}" in
    ''|*[!0-9]*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
seconds=$1
shift

command -v cargo-fuzz >/dev/null || {
    echo "run.sh: building cargo-fuzz $cargo_fuzz_version into $cache/cargo-fuzz" >&2
    cargo install cargo-fuzz --locked --version "$cargo_fuzz_version" --root "$cache/cargo-fuzz" >&2
}

sanitizer=none
if [ -n "${ASAN:-}" ]; then
    sanitizer=address
    export RUSTC_BOOTSTRAP=1
fi
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir .)
[ $# -eq 0 ] || targets=("$@")

cargo run --quiet --example seeds >&2
cargo fuzz build --fuzz-dir . -s "$sanitizer" >&2
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# The time limit is for one input; a hang is a finding.
fuzz() {
    local target=$1 status=0 count start=$SECONDS
    cargo fuzz run --fuzz-dir . -s "$sanitizer" "$target" -- -max_total_time="$seconds" \
        -timeout=20 -rss_limit_mb=2048 -max_len=98304 -print_final_stats=1 -dict=dictionary -seed="${SEED:-0}" \
        >"$logs/$target" 2>&1 || status=$?
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")
    printf '%-17s %12s executions\n' "$target" "$count"
    echo "${count:-0} $((SECONDS - start))" >"$logs/$target.sum"
    [ "$status" = 0 ] || {
        grep -A 3 'panicked at' "$logs/$target" | cut -c1-2000
        grep -v '^#' "$logs/$target" | cut -c1-300 | tail -n 40
        return 1
    }
}
export -f fuzz
export logs seconds sanitizer

status=0
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'fuzz {}' || status=1
cat "$logs"/*.sum | awk '{ count += $1; seconds += $2 }
    END { printf "%-17s %12d executions of %d targets in %d s of target time\n", "total", count, NR, seconds }'
[ "$status" = 0 ] || { echo "run.sh: findings" >&2; exit 1; }
