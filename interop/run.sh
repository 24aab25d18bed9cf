#!/usr/bin/env bash
# The interop suite: installs the peers, makes the corpora, proves the peers, and tests ours against them.
# Root is needed. Prints the time of every part.
set -euo pipefail
cd "$(dirname "$0")"

part() {
    local start=$SECONDS
    echo "== interop: $*" >&2
    "$@"
    echo "== interop: $1 took $((SECONDS - start)) s" >&2
}

part ./peers.sh
part ./corpus/make.sh
part python3 walker.py --self-test
part ./check_peers.sh goldens tiny
part cargo build --quiet --release --examples --manifest-path ../Cargo.toml
part cargo test --release --manifest-path Cargo.toml -- --test-threads 2
