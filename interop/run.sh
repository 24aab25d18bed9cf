#!/usr/bin/env bash
# The interop suite: installs the peers, makes the corpora, proves the peers, makes the goldens again, and tests ours
# against all of them. Root is needed. Prints the time of every part.
#
#   run.sh              everything
#   run.sh [ARG...]     only the tests, with these arguments of `cargo test`: `run.sh --test estargz -- gnu_tar`
#
# The daemons that the tests start are stopped at the end, and what they stored is removed.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh

part() {
    local start=$SECONDS
    echo "== interop: $*" >&2
    "$@"
    echo "== interop: $1 took $((SECONDS - start)) s" >&2
}

# What tests have started.
stop_all() {
    local script
    for script in estargz/ctr.sh runtimes/builders.sh runtimes/containerd.sh runtimes/podman.sh runtimes/podman5.sh \
        runtimes/stargz.sh runtimes/registry.sh soci/ztoc.sh; do
        "./$script" stop
    done
}

case "${1:-}" in --help|-h) help_from_header; exit 0 ;; esac
need_root
if [ "$#" = 0 ]; then
    part ./peers.sh
    part ./corpus/make.sh
    part python3 walker.py --self-test
    part ./goldens/make.sh
    part ./goldens/copies.sh
    part ./check_peers.sh goldens tiny
fi
trap stop_all EXIT
[ "$#" != 0 ] || part ./estargz/goldens.sh --compare
[ "$#" != 0 ] || part ./soci/goldens.sh --compare
part cargo build --quiet --release --examples --manifest-path ../Cargo.toml
if [ "$#" = 0 ]; then set -- -- --test-threads 2; fi
part cargo test --release --manifest-path Cargo.toml "$@"
