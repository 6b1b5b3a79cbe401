#!/usr/bin/env bash
# For development: boots the image under QEMU (SVM), counting instructions. The
# log goes to stdout; the exit status is the code of its last line.
#
#   run_qemu.sh BIN_DIRECTORY [WORD...]     e.g. build/release/bin bench
set -uo pipefail
bin=$1
shift
timeout -s KILL "${WS_TIMEOUT:-60}" qemu-system-x86_64 \
  -kernel "$bin/worldswitch-native.elf" -append "$*" -accel tcg -cpu max \
  -icount shift=0,sleep=off -m 64 -nodefaults -display none -serial stdio \
  -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 </dev/null
status=$?
((status % 2 == 0)) && exit "$((status == 0 ? 99 : status))"
exit $((status / 2))
