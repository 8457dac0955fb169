#!/usr/bin/env bash
# Real parts broken under a steady load, a verdict each, and loadtest/report/chaos.md. Called by `make chaos`; what
# follows goes to the program, e.g. --only redis or --list. Mounting the small disk of disk-full takes root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/test-deps.sh
cargo build --locked --release --package gateway --bin gavel
cargo build --locked --release --package loadtest --bin loadtest
exec "${CARGO_TARGET_DIR:-target}/release/loadtest" chaos "$@"
