#!/usr/bin/env bash
# Counts the instructions of the two world switches in the linked image, from
# the first load of a guest register to the last store of one: at most 40.
#
#   switch_length.sh IMAGE.elf64
# Exit code: 0 both within it, 1 not.
set -euo pipefail
image=$1
most=40
load='^mov +0x[0-9a-f]+\(%rdi\),%r'
store='^(mov +%r[0-9a-z]+,|pop +)0x[0-9a-f]+\(%r(ax|di)\)'

# instructions FUNCTION: one a line, as they lie in memory.
instructions() {
  objdump -d --no-show-raw-insn "$image" | awk -v name="<$1>:" '
    $2 == name { inside = 1; next }
    /^$/ { inside = 0 }
    inside { sub(/^[^:]*:[ \t]*/, ""); print }'
}

# between FIRST LAST: counts the lines on stdin from the first that matches
# FIRST to the last that matches LAST.
between() {
  awk -v first="$1" -v last="$2" '
    !from && $0 ~ first { from = NR }
    $0 ~ last { to = NR }
    END {
      if (!from || to < from) exit 1
      print to - from + 1
    }'
}

failed=0
check() {  # NAME COUNT
  echo "$1: $2 instructions"
  if (($2 < 28 || $2 > most)); then
    echo "FAIL: 28 (every register twice) to $most were expected"
    failed=1
  fi
}

# VMRUN is in the middle of one function; VMRESUME leaves one, and the exit
# comes to another.
check svm "$(instructions ws_svm_switch | between "$load" "$store")"
entry=$(instructions ws_vmx_resume | between "$load" '^vmresume')
exit=$(instructions ws_vmx_exit | between '.' "$store")
check vmx $((entry + exit))
exit "$failed"
