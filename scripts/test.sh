#!/usr/bin/env bash
# All checks and tests, on real servers. Called by `make test`; under 20 minutes on two cores from a clean clone.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
. scripts/steps.sh
. scripts/lint.sh

contract() {
  scripts/python.sh crates/gateway/tests/contract/run.py "${CARGO_TARGET_DIR:-target}/debug/gavel" "$(tool schemathesis)" --no-color
}

scripts/test-deps.sh
lint_steps
step tests cargo test --workspace --locked --no-fail-fast
step check cargo run --quiet --locked --package gateway --bin gavel -- check
step contract contract
step make-run scripts/python.sh scripts/run_test.py
summary
