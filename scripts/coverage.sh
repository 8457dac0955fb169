#!/usr/bin/env bash
# All tests again with their line coverage, a table by crate, and the files in .cache/coverage/. Called by
# `make coverage`; it builds everything anew under target/llvm-cov-target, minutes on two cores.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
PINS=$ROOT/scripts/tools/coverage.txt
VENV=$ROOT/.cache/coverage/venv

say() { printf 'coverage: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# cargo llvm-cov needs llvm-cov and llvm-profdata of the LLVM that the compiler is built on.
require_llvm() {
  [ -n "${LLVM_COV:-}" ] || [ -x "$(rustc --print target-libdir)/../bin/llvm-cov" ] ||
    rustup component add llvm-tools >&2 ||
    die "the compiler's LLVM tools are missing: rustup component add llvm-tools, or set LLVM_COV and LLVM_PROFDATA"
}

scripts/test-deps.sh
require_llvm
[ -x "$VENV/bin/python" ] || scripts/python.sh -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --no-deps -r "$PINS" >&2 ||
  die "pip could not install scripts/tools/coverage.txt (its message is above)"
export PATH=$VENV/bin:$PATH
cargo llvm-cov --workspace --locked --ignore-run-fail --json --summary-only --output-path .cache/coverage/summary.json
scripts/python.sh scripts/coverage_table.py .cache/coverage/summary.json
