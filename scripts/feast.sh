#!/usr/bin/env bash
# Feast in a Python environment of its own, pinned (scripts/tools/feast.txt), under .cache/feast/: what the tests of
# Feast's Redis are compared with. Half a minute and 600 MB, once.
#
#   scripts/feast.sh fetch     install it if it is missing
#   scripts/feast.sh python …  run its Python
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINS=$ROOT/scripts/tools/feast.txt
VENV=$ROOT/.cache/feast
STAMP=$VENV/stamp

say() { printf 'feast: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

wanted_stamp() { cat "${BASH_SOURCE[0]}" "$PINS" | cksum; }

fetch() {
  [ "$(cat "$STAMP" 2>/dev/null || true)" != "$(wanted_stamp)" ] || return 0
  say "Feast 0.67 and what it needs, 600 MB unpacked"
  rm -rf "$VENV"
  mkdir -p "$ROOT/.cache"
  "$ROOT/scripts/python.sh" -m venv "$VENV" >&2 ||
    die "no virtual environment can be made: install Python's venv package (Debian: python3.11-venv)"
  "$VENV/bin/python" -m pip install --quiet --no-deps --retries 10 -r "$PINS" >&2 ||
    die "pip could not install scripts/tools/feast.txt (its message is above): is the package index reachable?"
  wanted_stamp >"$STAMP"
}

case "${1:-}" in
  fetch) fetch ;;
  python)
    shift
    fetch
    exec "$VENV/bin/python" "$@"
    ;;
  *) die "usage: scripts/feast.sh fetch | python …" ;;
esac
