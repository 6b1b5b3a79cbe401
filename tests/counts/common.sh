# For the scripts beside it; to be sourced. They are called as
#
#   SCRIPT BUILD_TYPE COUNT_LOOPS
#
# (or another program that is called as `PROGRAM $trial EXITS`) and end with 0 (as it should be), 1 (not, and why) or 77 (skipped, and why).
set -euo pipefail
build_type=$1
program=$2

# Exits of the two runs whose difference is taken: what happens before and after
# the loop cancels out.
few=2000
many=12000
difference=$((many - few))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
  echo "SKIP: $*"
  exit 77
}

need() {  # COMMAND
  command -v "$1" >/dev/null || skip "$1 is not installed"
}

# Runs "$@", which may say SKIP itself.
run() {
  local code=0
  "$@" >"$work/output" 2>&1 || code=$?
  ((code != 77)) || skip "$(sed -n 's/^SKIP: //p' "$work/output")"
  if ((code != 0)); then
    echo "FAIL: exit code $code from: $*"
    cat "$work/output"
    exit 1
  fi
}

# That there is a /dev/kvm is the first thing to know.
run "$program" "${trial-bare}" 1

failed=0
fail() {
  echo "FAIL: $*"
  failed=1
}
