#!/usr/bin/env bash
# Other readers of Parquet, pinned (scripts/tables/requirements.txt), in .cache/tables/venv: tests compare with them.
#
#   scripts/tables.sh fetch     install what is missing (about 65 MB); milliseconds when nothing is
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINS=$ROOT/scripts/tables/requirements.txt
VENV=$ROOT/.cache/tables/venv
STAMP=$ROOT/.cache/tables/stamp

say() { printf 'tables: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case ${1:-} in
  fetch)
    wanted=$(cat "${BASH_SOURCE[0]}" "$PINS" | cksum)
    [ "$(cat "$STAMP" 2>/dev/null || true)" = "$wanted" ] && exit 0
    say "pyarrow and DuckDB, about 65 MB"
    rm -rf "$VENV"
    "$ROOT/scripts/python.sh" -m venv "$VENV" >&2 ||
      die "no virtual environment can be made: install Python's venv package (Debian: python3.11-venv)"
    "$VENV/bin/python" -m pip install --quiet --no-deps --retries 10 -r "$PINS" >&2 ||
      die "pip could not install scripts/tables/requirements.txt (its message is above): is the package index reachable?"
    echo "$wanted" >"$STAMP"
    ;;
  *) die "scripts/tables.sh fetch" ;;
esac
