#!/usr/bin/env bash
# Our loader and two that we did not write, in turn, on the same servers; loadtest/report/agreement.md says whether they
# agree. Called by `make bench-agree`; what `loadtest agree --help` lists may follow. Needs an idle machine.
#
# wrk is Debian's; NVIDIA's perf_analyzer is in the wheel of its Python client, pinned (scripts/agree/requirements.txt),
# unpacked under .cache/agree/, and needs Debian's libb64.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOME_DIR=$ROOT/.cache/agree
PERF_ANALYZER=$HOME_DIR/perf_analyzer

say() { printf 'bench-agree: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

. "$ROOT/scripts/apt.sh"

packages() {
  command -v wrk >/dev/null || echo wrk
  [ -n "$(find /usr/lib /usr/local/lib -name 'libb64.so.0d' -print -quit 2>/dev/null)" ] || echo libb64-0d
}

# A program that finds its libraries, whatever the caller's environment.
fetch_perf_analyzer() {
  local wheels=$HOME_DIR/wheels unpacked=$HOME_DIR/unpacked program libraries wheel
  [ ! -x "$PERF_ANALYZER" ] || return 0
  say "perf_analyzer, about 16 MB"
  rm -rf "$unpacked"
  "$ROOT/scripts/python.sh" -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
    --dest "$wheels" -r "$ROOT/scripts/agree/requirements.txt" >&2 ||
    die "pip could not fetch scripts/agree/requirements.txt (its message is above): is the package index reachable?"
  for wheel in "$wheels"/*.whl; do "$ROOT/scripts/python.sh" -m zipfile -e "$wheel" "$unpacked"; done
  program=$(find "$unpacked" -name perf_analyzer -type f)
  libraries=$(dirname "$(find "$unpacked" -name 'libcudart.so.*')")
  chmod +x "$program"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$program" >"$PERF_ANALYZER.new"
  chmod +x "$PERF_ANALYZER.new"
  mv "$PERF_ANALYZER.new" "$PERF_ANALYZER"
}

cd "$ROOT"
scripts/triton.sh supported
# shellcheck disable=SC2046 # a list of names
install_packages $(packages)
fetch_perf_analyzer
scripts/triton.sh fetch
cargo build --quiet --locked --release --package gateway --bin gavel
cargo build --quiet --locked --release --package loadtest
exec "${CARGO_TARGET_DIR:-target}/release/loadtest" agree --perf-analyzer "$PERF_ANALYZER" --wrk "$(command -v wrk)" "$@"
