#!/usr/bin/env bash
# For development: boots the image under Bochs from its own ROM. The log goes to
# stdout; the exit status is the code of its last line, 99 without one.
#
#   run_bochs.sh BIN_DIRECTORY MODEL [WORD...]
#   MODEL: corei7_haswell_4770 (VMX), ryzen (SVM), ...
set -uo pipefail
bin=$1 model=$2
shift 2
command_line_at=$((0x7e000)) # WS_ROM_COMMAND_LINE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$bin/worldswitch-native.rom" "$work/rom"
printf '%s\0' "$*" |
  dd of="$work/rom" bs=1 seek="$command_line_at" conv=notrunc status=none
# So few instructions a second make the UART's pace cost few instructions; the
# TSC and the APIC's timer count instructions whatever it says.
cat >"$work/bochsrc" <<END
display_library: term
cpu: model=$model, count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=64, host=64
romimage: file=$work/rom, address=0xfff80000
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=report, cpu0=report
error: action=ignore
info: action=ignore
debug: action=ignore
clock: sync=none, time0=1700000000
sound: driver=dummy
speaker: enabled=0
END
# Every panic that is reported stops a debugger build once.
yes c | head -n 100000 >"$work/rc"
TERM=xterm timeout -s KILL "${WS_TIMEOUT:-60}" bochs-bin -q \
  -f "$work/bochsrc" -rc "$work/rc" </dev/null >"$work/screen" 2>&1
cat "$work/serial"
[[ -z ${WS_BOCHS_LOG:-} ]] || cp "$work/log" "$WS_BOCHS_LOG"
code=$(sed -n 's/^@done \([0-9]*\)\r*$/\1/p' "$work/serial" | tail -n 1)
exit "${code:-99}"
