# shellcheck shell=bash
# Steps that each run to their end, whatever the others did, and a closing table. Sourced, not run.
#
#   step NAME COMMAND…   run a command, its output on the terminal
#   summary              print the table; status 1 if any step failed

STEPS_LOGS=$(mktemp -d) # of this run alone: another may be under way in the same tree
trap 'rm -rf "$STEPS_LOGS"' EXIT
STEPS_TABLE=()
STEPS_FAILED=0

step() {
  local name=$1 began=$SECONDS status verdict=ok
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  set +e # in the condition of an if or an ||, bash would not end a function at its first failure
  (set -e; "$@") </dev/null 2>&1 | tee "$STEPS_LOGS/$name.log"
  status=${PIPESTATUS[0]}
  set -e
  if [ "$status" != 0 ]; then
    verdict=FAILED
    STEPS_FAILED=$((STEPS_FAILED + 1))
  fi
  STEPS_TABLE+=("$(printf '%-7s %-12s %4d s  %s' "$verdict" "$name" $((SECONDS - began)) "$(closing_words "$STEPS_LOGS/$name.log")")")
  return 0
}

# What a runner said last: cargo's test results added up, else its last line that holds words.
closing_words() {
  if grep -q '^test result: ' "$1"; then
    awk '/^test result: / { for (i = 4; i < NF; i++) { n = $i + 0
           if ($(i + 1) ~ /^passed/) p += n; if ($(i + 1) ~ /^failed/) f += n; if ($(i + 1) ~ /^ignored/) g += n } b++ }
         END { printf "%d passed, %d failed, %d ignored, in %d runs", p, f, g, b }' "$1"
  else
    { grep '[[:alnum:]]' "$1" || true; } | tail -n 1 | tr -d '\r' | cut -c 1-100
  fi
}

summary() {
  printf '\n== summary\n'
  printf '%s\n' "${STEPS_TABLE[@]}"
  printf '%d steps, %d failed, %d s in all\n' "${#STEPS_TABLE[@]}" "$STEPS_FAILED" "$SECONDS"
  [ "$STEPS_FAILED" = 0 ]
}
