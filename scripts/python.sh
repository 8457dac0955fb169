#!/usr/bin/env bash
# Become Python 3.11 or 3.12 with the arguments given, or say in one sentence that there is none.
# PYTHON names the interpreter to use (default: python3.11, then python3.12).
set -euo pipefail

for candidate in ${PYTHON:-python3.11 python3.12}; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
    export PYTHONDONTWRITEBYTECODE=1
    exec "$candidate" "$@"
  fi
done
echo "no Python 3.11 or 3.12 found: install python3.11, or set PYTHON to one" >&2
exit 1
