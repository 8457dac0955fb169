#!/usr/bin/env bash
# Gavel beside the bare pipe and direct calls, on real servers; the report goes to loadtest/report/.
# Called by `make bench` and `make bench-quick`; what `loadtest bench --help` lists may follow. Needs an idle machine.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
scripts/triton.sh fetch
cargo build --quiet --locked --release --package gateway --bin gavel
cargo build --quiet --locked --release --package loadtest
exec "${CARGO_TARGET_DIR:-target}/release/loadtest" bench "$@"
