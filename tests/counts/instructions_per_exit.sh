#!/usr/bin/env bash
# Counts with callgrind what one exit costs in instructions of user space, and
# holds the loops to what they may cost more than the bare one in C.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Instructions per exit above the bare loop.
virtual_budget=40
final_budget=25

[[ $build_type == Release || $build_type == RelWithDebInfo ]] ||
  skip "only an optimized build is held to a budget, and this one is $build_type"
need valgrind
need strip
# Valgrind gives up on debug information younger than itself.
strip -o "$work/stripped" "$program"
program=$work/stripped

instructions() {  # LOOP EXITS
  local file=$work/$1.$2
  run valgrind --tool=callgrind "--callgrind-out-file=$file" "$program" "$1" "$2"
  awk '$1 == "totals:" {print $2}' "$file"
}

declare -A total
for loop in bare virtual final; do
  before=$(instructions "$loop" "$few")
  after=$(instructions "$loop" "$many")
  total[$loop]=$((after - before))
  awk -v loop="$loop" -v total="${total[$loop]}" -v exits="$difference" \
    'BEGIN {printf "%-7s loop: %6.2f instructions per exit\n",
            loop, total / exits}'
done

# check LOOP BUDGET. A few instructions of a whole run differ (digits to read),
# which is nothing per exit.
check() {
  local above=$(((total[$1] - total[bare] + difference / 2) / difference))
  echo "$1 - bare: $above, at most $2"
  ((above <= $2)) || fail "the $1 loop takes $above instructions per exit more" \
    "than the bare one; $2 are allowed"
}
check virtual "$virtual_budget"
check final "$final_budget"
exit "$failed"
