#!/usr/bin/env bash
# For development: boots the image under Bochs from its own ROM. The log goes to
# stdout; the exit status is the code of its last line, 99 without one.
#
#   run_bochs.sh BIN_DIRECTORY MODEL [WORD...]
#   MODEL: corei7_haswell_4770 (VMX), ryzen (SVM), ...
set -uo pipefail
# shellcheck source=native/bochs.sh
. "$(dirname "${BASH_SOURCE[0]}")/bochs.sh"
bin=$1 model=$2
shift 2
command_line_at=$((0x7e000)) # WS_ROM_COMMAND_LINE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$bin/worldswitch-native.rom" "$work/rom"
printf '%s\0' "$*" |
  dd of="$work/rom" bs=1 seek="$command_line_at" conv=notrunc status=none
prepare_bochs "$work" "$model" "romimage: file=$work/rom, address=0xfff80000"
timeout -s KILL "${WS_TIMEOUT:-60}" "${bochs_command[@]}" \
  </dev/null >"$work/screen" 2>&1
cat "$work/serial"
[[ -z ${WS_BOCHS_LOG:-} ]] || cp "$work/log" "$WS_BOCHS_LOG"
code=$(sed -n 's/^@done \([0-9]*\)\r*$/\1/p' "$work/serial" | tail -n 1)
exit "${code:-99}"
