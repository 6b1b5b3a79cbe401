#!/usr/bin/env bash
# Counts with strace: each loop makes exactly one system call per exit.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need strace
strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"

system_calls() {  # LOOP EXITS
  local file=$work/$1.$2
  run strace -f -c -o "$file" "$program" "$1" "$2"
  # The columns are: time, seconds, time a call, calls, [errors,] name.
  awk '$NF == "total" {print $4}' "$file"
}

for loop in bare virtual final; do
  before=$(system_calls "$loop" "$few")
  after=$(system_calls "$loop" "$many")
  echo "$loop loop: $((after - before)) system calls for $difference exits"
  ((after - before == difference)) ||
    fail "the $loop loop makes $((after - before)) system calls for" \
      "$difference exits"
done
exit "$failed"
