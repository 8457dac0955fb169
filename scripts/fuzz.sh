#!/usr/bin/env bash
# Fuzzes every parser of outside bytes for some seconds each (default 60), from seeds of the project's own files.
#   scripts/fuzz.sh [SECONDS] [TARGET…]
# Needs cargo-fuzz (cargo install cargo-fuzz). It works with the stable compiler, without a sanitizer.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
shift || true
cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
export RUSTC_BOOTSTRAP=1 # cargo-fuzz passes flags that are unstable

seed() { # TARGET FILE…
  local target=$1 file
  shift
  mkdir -p "fuzz/corpus/$target"
  for file; do cp "$file" "fuzz/corpus/$target/$(echo "$file" | tr / _)"; done
}
seed json_question examples/*.json
seed features_toml decisions/features.toml
seed decision_toml decisions/fraud.toml
seed rules_toml decisions/fraud.rules.toml
seed gavel_toml gavel.toml
seed config_pbtxt model_repository/*/config.pbtxt model_repository/*/configs/*.pbtxt
seed onnx_signature model_repository/fraud_calibrate/1/model.onnx model_repository/fraud_normalise/1/model.onnx
mkdir -p fuzz/corpus/feature_line fuzz/corpus/protobuf_question fuzz/corpus/event_json
echo '{"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00Z","values":{"count":3.0,"last":[1,2],"name":null}}' > fuzz/corpus/feature_line/line
echo '{"t":1600000000.5,"id":"a","card":"4022","p":{"a":12.5,"t":"2020-09-13T12:26:40+02:00"},"b":true}' > fuzz/corpus/event_json/event

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
  echo "== $target: $seconds s"
  cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=8192 -print_final_stats=1 2>&1 |
    grep -E "stat::(number_of_executed|average_exec)|SUMMARY|panicked|artifact" || true
  [ -z "$(ls "fuzz/artifacts/$target" 2>/dev/null)" ] || { echo "$target: a crash is in fuzz/artifacts/$target" >&2; exit 1; }
done
echo "no crash in ${#targets[@]} targets"
