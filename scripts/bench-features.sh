#!/usr/bin/env bash
# What features cost: Feast's set-up, packed rows, ingestion, the decision log, the cache. Writes
# loadtest/report/features.md. Called by `make bench-features`; what `scripts/bench_features.py --help` lists may
# follow. Needs an idle machine of two cores or more, redis-server, and perf for the profile of ingestion.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
scripts/triton.sh fetch # ONNX Runtime is a part of it
scripts/feast.sh fetch
cargo build --quiet --locked --release --package gateway --bin gavel
cargo build --quiet --locked --release --package loadtest --bin loadtest
cargo build --quiet --locked --release --package features --example feast_cost
exec scripts/python.sh scripts/bench_features.py "$@"
