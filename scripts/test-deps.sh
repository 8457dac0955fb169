#!/usr/bin/env bash
# What the tests need: programs from apt where this may install them, then Triton, the checking tools and Feast into .cache/.
# Called by `make test-deps` and `make test`; seconds when nothing is missing.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'test-deps: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# packages PROGRAM…: the Debian packages of the programs that are not here.
packages() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || case $program in
      cc) echo gcc libc6-dev ;;
      redis-cli) echo redis-tools ;;
      python3.11) echo python3.11 ;;
      *) echo "$program" ;;
    esac
  done
  # A virtual environment needs ensurepip, and Triton's stub the shared libpython: Debian packs both apart.
  if [ "$(command -v python3.11 || echo /usr/bin/python3.11)" = /usr/bin/python3.11 ]; then
    dpkg-query -W python3.11-venv libpython3.11 >/dev/null 2>&1 || echo python3.11-venv libpython3.11
  fi
}

. "$ROOT/scripts/apt.sh"

cd "$ROOT"
# shellcheck disable=SC2046 # a list of names
install_packages $(packages cc redis-server redis-cli openssl curl python3.11 faketime)
command -v cargo >/dev/null || die "cargo is not on PATH: install Rust (rustup), then run the same command again"
for component in fmt clippy; do
  cargo "$component" --version >/dev/null 2>&1 ||
    die "cargo $component is missing: rustup component add rustfmt clippy"
done
# Side by side: most of each is waiting for a network.
fetches=()
for program in triton.sh tools.sh tables.sh feast.sh fraud_events.sh; do
  case $program in
    fraud_events.sh) "scripts/$program" & ;;
    *) "scripts/$program" fetch & ;;
  esac
  fetches+=("$!")
done
for fetch in "${fetches[@]}"; do
  wait "$fetch" || die "not all could be fetched (the message is above): run the same command again"
done
