#!/usr/bin/env bash
# Everything that judges the text of the project without running it. Called by `make lint`; sourced by test.sh.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

tool() { "$ROOT/scripts/tools.sh" path "$1"; }

python_lint() {
  local ruff
  ruff=$(tool ruff)
  "$ruff" check --no-cache models scripts
  "$ruff" check --no-cache --config models/ruff.toml crates/gateway/tests/contract crates/features/tests/feast
  "$ruff" format --no-cache --check models scripts
  "$ruff" format --no-cache --check --config models/ruff.toml crates/gateway/tests/contract crates/features/tests/feast
}

shell_syntax() {
  local script
  for script in .ci/run models/*.sh scripts/*.sh; do bash -n "$script"; done
  echo "every script is bash"
}

# Every profile, since a profile's services are left out otherwise.
compose_config() {
  local compose
  compose=$(tool docker-compose)
  "$compose" -f docker-compose.yml config --quiet
  "$compose" -f docker-compose.yml --profile gpu config --quiet
  echo "docker-compose.yml is valid, $("$compose" version)"
}

dockerfile() {
  local hadolint
  hadolint=$(tool hadolint)
  "$hadolint" deploy/Dockerfile
  echo "deploy/Dockerfile has no finding, $("$hadolint" --version)"
}

proto() {
  local buf
  buf=$(tool buf)
  "$buf" lint
  echo "proto/gavel has no finding, buf $("$buf" --version)"
}

dependencies() {
  local deny
  deny=$(tool cargo-deny)
  "$deny" --locked check bans licenses sources
}

lint_steps() {
  step formatting cargo fmt --all --check
  step proto proto
  step python python_lint
  step shell shell_syntax
  step compose compose_config
  step dockerfile dockerfile
  step deny dependencies
  step clippy cargo clippy --workspace --all-targets --locked -- -D warnings
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  . scripts/steps.sh
  scripts/tools.sh fetch
  lint_steps
  summary
fi
